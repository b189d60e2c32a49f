"""An ordinary Python service, standard library only: it knows nothing of the mesh. Its container shares the network of a sidecar, which does the rest."""
import json
import os
import platform
import signal
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(os.environ.get("PORT", "8080"))
NEXT = os.environ.get("NEXT", "http://dotnet:8080")


def get(url):
    """Status and text of what url answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def answer(path, note):
    if path == "/healthz":
        return 200, {"status": "ok"}
    if path != "/":
        return 404, {"error": f"there is no {path}"}
    status, body = get(f"{NEXT}/?note={urllib.parse.quote(note)}")
    if status != 200:
        return 502, {"error": f"{NEXT} answered {status}: {body}"}
    return 200, {"python": platform.python_version(), "note": note, "asked": json.loads(body)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        note = urllib.parse.parse_qs(url.query).get("note", [""])[0]
        try:
            status, body = answer(url.path, note)
        except (OSError, ValueError) as error:
            status, body = 502, {"error": str(error)}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Says nothing per request."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Its default of 5 is too few connections at once.
    request_queue_size = 128


server = Server(("", PORT), Handler)
# shutdown() waits for the loop that this thread runs.
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"python listens on {PORT} and asks {NEXT}", flush=True)
server.serve_forever()
sys.exit(0)
