"""A WSGI application that writes down each request: method, target, and its body in hexadecimal.

A body that ends early is written down as `cut`.
"""

import os


def application(env, start_response):
    body = b""
    length = int(env.get("CONTENT_LENGTH") or 0)
    try:
        while len(body) < length:
            part = env["wsgi.input"].read(min(length - len(body), 65536))
            if not part:
                break
            body += part
    except OSError:
        pass
    text = body.hex() if len(body) == length else "cut"
    line = "\t".join([env["REQUEST_METHOD"], env["REQUEST_URI"], text])
    with open(os.environ["RECORD"], "a", encoding="latin-1") as record:
        record.write(line + "\n")
    start_response("200 OK", [("X-Origin", "uwsgi"), ("Content-Length", "2")])
    return [] if env["REQUEST_METHOD"] == "HEAD" else [b"ok"]
