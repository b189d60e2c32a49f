"""An app that knows nothing of a mesh.

  server.py NAME http=PORT[,PORT] tls=PORT:CERTIFICATE:KEY ws=PORT smtp=PORT

http   answers what it saw of a request, as JSON; /status/N that status; /stream/N/MS so many chunks, so far apart; /slow/MS after that time
tls    the same, over the app's own TLS
ws     a WebSocket echo (python3-websockets)
smtp   a protocol in which the server speaks first
"""
import asyncio
import http.server
import json
import signal
import socket
import socketserver
import ssl
import sys
import threading
import time

NAME = sys.argv[1]


class Seen(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = -1

    def log_message(self, *_):
        pass

    def body(self):
        if 'chunked' not in self.headers.get('transfer-encoding', ''):
            return self.rfile.read(int(self.headers.get('content-length', 0)))
        whole = b''
        while size := int(self.rfile.readline().split(b';')[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return whole

    def chunk(self, data):
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
        self.wfile.flush()

    def serve(self):
        body = self.body().decode()
        word, *numbers = self.path.split('?')[0].strip('/').split('/')
        if word == 'stream':
            self.send_response(200)
            self.send_header('transfer-encoding', 'chunked')
            self.end_headers()
            for i in range(int(numbers[0])):
                self.chunk(b'chunk %d\n' % i)
                time.sleep(int(numbers[1]) / 1000)
            self.wfile.write(b'0\r\n\r\n')
            return
        if word == 'slow':
            time.sleep(int(numbers[0]) / 1000)
        answer = json.dumps({
            'server': NAME,
            'line': self.requestline,
            'headers': {k.lower(): v for k, v in self.headers.items()},
            'body': body,
            'local': self.request.getsockname()[0],
            'connection': self.client_address[1],
        }).encode()
        self.send_response(int(numbers[0]) if word == 'status' else 200)
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(answer)))
        self.send_header('x-server', NAME)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = serve


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 200

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = NAME, self.server_address[1]

    def handle_error(self, *_):
        pass


class Smtp(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b'220 %s ready\r\n' % NAME.encode())
        while line := self.rfile.readline().strip():
            if line == b'QUIT':
                self.wfile.write(b'221 bye\r\n')
                return
            self.wfile.write(b'250 ' + line + b'\r\n')


class SmtpServer(Server):
    pass


async def websockets_on(port):
    import websockets

    async def echo(connection):
        seen = connection.request_headers
        async for message in connection:
            if isinstance(message, str):
                message = f"{seen.get('mesh-client-id', 'nobody')} {message}"
            await connection.send(message)

    await websockets.serve(echo, None, port, compression=None)
    await asyncio.get_running_loop().create_future()


def run(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for argument in sys.argv[2:]:
    kind, ports = argument.split('=')
    for port in ports.split(','):
        if kind == 'http':
            run(Server(('::', int(port)), Seen))
        elif kind == 'tls':
            number, certificate, key = port.split(':')
            server = Server(('::', int(number)), Seen)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            run(server)
        elif kind == 'smtp':
            run(SmtpServer(('::', int(port)), Smtp))
        elif kind == 'ws':
            threading.Thread(target=lambda p=int(port): asyncio.run(websockets_on(p)), daemon=True).start()
            while True:
                try:
                    socket.create_connection(('127.0.0.1', int(port))).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
print('serving', flush=True)
signal.pause()
