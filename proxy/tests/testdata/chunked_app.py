"""Reads a chunked body with uWSGI's own API; ours, not taken from anywhere."""
import uwsgi


def application(env, start_response):
    chunks = []
    while True:
        chunk = uwsgi.chunked_read(10)
        if not chunk:
            break
        chunks.append(len(chunk))
    text = '%s %d' % (env.get('HTTP_TRANSFER_ENCODING'), sum(chunks))
    start_response('200 OK', [('Content-Length', str(len(text)))])
    return [text.encode()]
