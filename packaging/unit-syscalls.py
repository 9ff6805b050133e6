#!/usr/bin/env python3
"""Says which system calls of docs/SYSCALLS.md a systemd unit refuses; there must be none.

Usage: unit-syscalls.py UNIT. The sets come from the systemd of this machine; calls that it does not know
at all are left out, as it leaves them out.
"""

import re
import subprocess
import sys


def sets():
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found, name = {}, None
    for line in text.splitlines():
        word = line.strip().split("#")[0].strip()
        if line.startswith("@"):
            name = word
            found[name] = set()
        elif word and name and line.startswith(" "):
            found[name].add(word)
        elif not line.strip():
            name = None
    return found


def expanded(word, known):
    if not word.startswith("@"):
        return {word}
    return set().union(*(expanded(inner, known) for inner in known[word]))


def main():
    known = sets()
    allowed = set()
    for line in open(sys.argv[1], encoding="utf-8"):
        if not line.startswith("SystemCallFilter="):
            continue
        words = line.split("=", 1)[1].strip()
        calls = set()
        for word in words.lstrip("~").split():
            calls |= expanded(word, known)
        allowed = allowed - calls if words.startswith("~") else allowed | calls
    # systemd always adds what its own start of the program needs.
    allowed |= expanded("@default", known)
    page = open("docs/SYSCALLS.md", encoding="utf-8").read()
    needed = re.findall(r"^\| `([a-z0-9_]+)` \|", page, re.MULTILINE)
    assert len(needed) > 50, needed
    everything = expanded("@known", known)
    refused = [call for call in needed if call in everything and call not in allowed]
    for call in refused:
        print(f"{sys.argv[1]} refuses {call}")
    return 1 if refused else 0


sys.exit(main())
