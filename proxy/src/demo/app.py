"""A WSGI app for trying a subscription by hand: says what it was asked."""


def application(environ, start_response):
    lines = ["Hello from uWSGI behind suzerain.", ""]
    wanted = ("REQUEST_METHOD", "HTTP_HOST", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR")
    lines += ["%s: %s" % (name, environ.get(name, "")) for name in wanted]
    body = ("\n".join(lines) + "\n").encode("utf-8")
    start_response(
        "200 OK",
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
    )
    return [body]
