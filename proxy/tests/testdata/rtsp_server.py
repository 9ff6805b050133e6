"""A real RTSP server (GStreamer's) as a node: /live is played, /up takes what a client records.

Usage: rtsp_server.py WIDTH PORT_FILE. The width of the picture tells one node from another. It listens
on a port of the kernel's choice and writes it to PORT_FILE; a line on standard output tells of every
connection and of every recording that began.
"""

import os
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

width, port_file = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")

played = GstRtspServer.RTSPMediaFactory()
played.set_launch(
    "( videotestsrc is-live=true ! video/x-raw,format=I420,width=%s,height=64,framerate=15/1"
    " ! jpegenc ! rtpjpegpay name=pay0 pt=26 )" % width
)
played.set_shared(True)
recorded = GstRtspServer.RTSPMediaFactory()
recorded.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
recorded.set_launch("( rtpmp4vdepay name=depay0 ! fakesink name=sink sync=false signal-handoffs=true )")


def on_media(_factory, media):
    sink = media.get_element().get_by_name("sink")
    seen = []

    def on_handoff(_sink, buffer, _pad):
        seen.append(buffer.get_size())
        if len(seen) == 5:
            print("recorded", flush=True)

    sink.connect("handoff", on_handoff)


recorded.connect("media-configure", on_media)
mounts = server.get_mount_points()
mounts.add_factory("/live", played)
mounts.add_factory("/up", recorded)
server.connect("client-connected", lambda *_: print("connected", flush=True))
server.attach(None)
with open(port_file + ".new", "w") as out:
    out.write(str(server.get_bound_port()))
os.rename(port_file + ".new", port_file)
GLib.MainLoop().run()
