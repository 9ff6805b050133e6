"""A gRPC server and a client that makes calls of all four types, without generated code.

server            prints its address and serves until it is ended
client TARGET KEY connects to TARGET, names KEY as the authority, prints one line per kind of call
"""

import sys
import time
from concurrent import futures

import grpc

SERVICE = "suzerain.test.Echo"


def unary(request, context):
    if request == b"fail":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    if request == b"slow":
        time.sleep(3)
    metadata = dict(context.invocation_metadata())
    context.set_trailing_metadata((("seen-token", metadata.get("token", "none")),))
    return b"echo:" + request


def server_streaming(request, context):
    for index in range(int(request)):
        yield b"item %d" % index


def client_streaming(requests, context):
    return b"total %d" % sum(len(request) for request in requests)


def bidirectional(requests, context):
    for request in requests:
        yield b"reply:" + request


def serve():
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ServerStreaming": grpc.unary_stream_rpc_method_handler(server_streaming),
        "ClientStreaming": grpc.stream_unary_rpc_method_handler(client_streaming),
        "Bidirectional": grpc.stream_stream_rpc_method_handler(bidirectional),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("127.0.0.1:%d" % port, flush=True)
    server.wait_for_termination()


def expect(what, holds):
    if not holds:
        raise SystemExit("%s failed" % what)
    print("%s ok" % what, flush=True)


def call(target, key):
    options = (("grpc.default_authority", key), ("grpc.enable_http_proxy", 0))
    with grpc.insecure_channel(target, options=options) as channel:
        path = "/%s/" % SERVICE
        one = channel.unary_unary(path + "Unary")
        reply, done = one.with_call(b"hello", metadata=(("token", "abc"),), timeout=20)
        trailers = dict(done.trailing_metadata())
        expect("unary", reply == b"echo:hello" and trailers.get("seen-token") == "abc")
        many = channel.unary_stream(path + "ServerStreaming")
        items = list(many(b"500", timeout=20))
        expect("server streaming", items[0] == b"item 0" and len(items) == 500)
        pieces = (bytes(1000) for _ in range(500))
        total = channel.stream_unary(path + "ClientStreaming")(pieces, timeout=20)
        expect("client streaming", total == b"total 500000")
        expect("bidirectional", talk(channel, path))
        try:
            one(b"fail", timeout=20)
            failed = None
        except grpc.RpcError as error:
            failed = (error.code(), error.details())
        expect("status", failed == (grpc.StatusCode.NOT_FOUND, "no such thing"))
        try:
            one(b"slow", timeout=0.5)
            failed = None
        except grpc.RpcError as error:
            failed = error.code()
        expect("deadline", failed == grpc.StatusCode.DEADLINE_EXCEEDED)


def talk(channel, path):
    """Each message is sent only after the reply to the one before it: nothing may be held back."""
    replies = []

    def say():
        for index in range(50):
            while len(replies) < index:
                time.sleep(0.001)
            yield b"message %d" % index

    for reply in channel.stream_stream(path + "Bidirectional")(say(), timeout=20):
        replies.append(reply)
    return replies == [b"reply:message %d" % index for index in range(50)]


if sys.argv[1] == "server":
    serve()
else:
    call(sys.argv[2], sys.argv[3])
