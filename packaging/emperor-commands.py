#!/usr/bin/env python3
"""Stands in for emperor-command-socket of uWSGI 2.1 beside an emperor of uWSGI 2.0.

    emperor-commands.py SOCKET AVAILABLE ENABLED

Takes commands at the unix socket SOCKET. `spawn NAME` links AVAILABLE/NAME into ENABLED, the
directory that the emperor watches. Anything else, and names that are no plain file there, it says
on standard error and drops.
"""

import os
import socket
import struct
import sys


def pairs(packet):
    """The dictionary of a uwsgi packet; ValueError if it is none."""
    _, length, _ = struct.unpack_from("<BHB", packet)
    strings, rest = [], packet[4:]
    if len(rest) != length:
        raise ValueError("the length is wrong")
    while rest:
        (size,) = struct.unpack_from("<H", rest)
        if len(rest) < 2 + size:
            raise ValueError("a string is cut")
        strings.append(rest[2 : 2 + size].decode("ascii"))
        rest = rest[2 + size :]
    return dict(zip(strings[::2], strings[1::2], strict=True))


def spawn(name, available, enabled):
    if os.path.basename(name) != name or name.startswith("."):
        raise ValueError("not a plain name")
    source = os.path.join(os.path.abspath(available), name)
    if not os.path.isfile(source):
        raise ValueError("there is no such vassal")
    try:
        os.symlink(source, os.path.join(enabled, name))
    except FileExistsError:
        pass


def main(at, available, enabled):
    if os.path.exists(at):
        os.unlink(at)
    commands = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    os.umask(0o117)
    commands.bind(at)
    while True:
        packet = commands.recv(4096)
        try:
            command = pairs(packet)
            if command.get("cmd") != "spawn":
                raise ValueError("not a command to spawn")
            spawn(command.get("vassal", ""), available, enabled)
        except (ValueError, struct.error, OSError) as error:
            print(f"dropped {packet!r}: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
