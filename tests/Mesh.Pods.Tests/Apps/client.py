"""Calls others, and prints what came as JSON.

  client.py http HOST PORT          three requests on one connection, the last with a chunked body
  client.py late HOST PORT MS       one request, so long after the connection was made
  client.py ws URL                  a text, and a megabyte of bytes
  client.py smtp HOST PORT          a talk in which the server begins
"""
import asyncio
import http.client
import json
import os
import socket
import sys
import time


def http_calls(host, port):
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    answers, locals_ = [], set()
    for body in (None, b'declared', iter([b'first ', b'second'])):
        headers = {'x-own': 'yes', 'mesh-client-id': 'spiffe://forged/ns/a/sa/b'}
        connection.request('POST' if body else 'GET', '/a/b%2Fc?x=1&y=%20', body, headers, encode_chunked=body is not None and not isinstance(body, bytes))
        locals_.add(connection.sock.getsockname()[1])
        answer = connection.getresponse()
        answers.append({'status': answer.status, 'version': answer.version, 'seen': json.loads(answer.read())})
    return {'answers': answers, 'connections': len(locals_)}


def late(host, port, wait):
    with socket.create_connection((host, int(port)), 20) as connection:
        time.sleep(int(wait) / 1000)
        connection.sendall(b'GET /late HTTP/1.1\r\nHost: late\r\nConnection: close\r\n\r\n')
        whole = connection.makefile('rb').read().decode()
    head, _, body = whole.partition('\r\n\r\n')
    return {'head': head, 'seen': json.loads(body)}


async def websocket(url):
    import websockets
    async with websockets.connect(url, max_size=None) as connection:
        await connection.send('hello')
        text = await connection.recv()
        data = os.urandom(1_000_000)
        await connection.send(data)
        same = await connection.recv() == data
        await connection.close()
        return {'text': text, 'same': same, 'closed': connection.close_code}


def smtp(host, port):
    with socket.create_connection((host, int(port)), 20) as connection:
        lines = connection.makefile('rwb')
        said = [lines.readline()]
        for word in (b'EHLO me', b'QUIT'):
            lines.write(word + b'\r\n')
            lines.flush()
            said.append(lines.readline())
        return {'said': [s.decode().strip() for s in said], 'end': lines.read().decode()}


kind, *rest = sys.argv[1:]
if kind == 'ws':
    result = asyncio.run(websocket(*rest))
else:
    result = {'http': http_calls, 'late': late, 'smtp': smtp}[kind](*rest)
print(json.dumps(result))
