"""What a web server's requests come to in a real application; ours, not taken from anywhere."""
import hashlib
import json
import os
import time

BLOCK = b'0123456789abcdef' * 4096


def download(length):
    while length > 0:
        yield BLOCK[:length]
        length -= len(BLOCK)


def upload(env):
    digest, length = hashlib.sha1(), 0
    left = int(env.get('CONTENT_LENGTH') or 0)
    while left > 0:
        block = env['wsgi.input'].read(min(left, 65536))
        if not block:
            break
        digest.update(block)
        length += len(block)
        left -= len(block)
    return {'length': length, 'sha1': digest.hexdigest()}


def drip(seconds):
    yield b'first'
    time.sleep(seconds)
    yield b'later'


def application(env, start_response):
    path, query = env.get('PATH_INFO', ''), env.get('QUERY_STRING', '')
    if path == '/download':
        start_response('200 OK', [('Content-Length', query)])
        return download(int(query))
    if path == '/drip':
        start_response('200 OK', [('Content-Length', '10')])
        return drip(float(query))
    if path == '/slow':
        time.sleep(float(query))
    said = {name: value for name, value in env.items() if isinstance(value, str)}
    told = {'node': os.environ.get('NODE'), 'env': said, 'body': upload(env)}
    body = json.dumps(told).encode()
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
    return [body]
