"""Answers at once, then echoes the raw connection; ours, not taken from anywhere."""
import os
import select

import uwsgi


def application(env, start_response):
    keys = ('REQUEST_METHOD', 'PATH_INFO', 'QUERY_STRING', 'SERVER_PROTOCOL', 'HTTP_HOST', 'REMOTE_ADDR')
    start_response('200 OK', [('CSeq', env.get('HTTP_CSEQ', '0')), ('X-Vars', '|'.join(env[key] for key in keys))])
    yield b''
    connection = uwsgi.connection_fd()
    while select.select([connection], [], [], 30)[0]:
        chunk = os.read(connection, 4096)
        if not chunk:
            return
        yield chunk
