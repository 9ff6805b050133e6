"""Echoes WebSocket messages through uWSGI's own API; ours, not taken from anywhere."""
import os

import uwsgi


def application(env, start_response):
    if env.get('PATH_INFO') == '/plain':
        start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '5')])
        return [b'plain']
    if env.get('PATH_INFO') == '/page':
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'websocket_page.html')
        start_response('200 OK', [('Content-Type', 'text/html; charset=utf-8')])
        return [open(path, 'rb').read()]
    if 'HTTP_SEC_WEBSOCKET_KEY' not in env:
        start_response('404 Not Found', [('Content-Length', '0')])
        return []
    uwsgi.websocket_handshake(env['HTTP_SEC_WEBSOCKET_KEY'], env.get('HTTP_ORIGIN', ''))
    try:
        while True:
            message = uwsgi.websocket_recv()
            uwsgi.websocket_send(b'uwsgi heard ' + message)
    except OSError:
        return []
