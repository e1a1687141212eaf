"""An MCP server that writes down what it ran: a second run of the same call is a second line. Standard library only.

    counting_server.py --log FILE --as WHO              legacy, on stdin and stdout, ends when its stdin does
    counting_server.py --log FILE --as WHO --http PORT  of 2026-07-28, over HTTP; prints `listening` and ends with its stdin

`count` runs, `hold` lets it take that many milliseconds; where progress is asked for, it is told before that.
`tell` does the same, and tells whoever is subscribed to `count://told` that `count://told/CALL` is another one now.
Each start is a line of the file too.
"""

import argparse
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLD = "count://told"
MODERN = "2026-07-28"

options = argparse.ArgumentParser()
options.add_argument("--log", required=True)
options.add_argument("--as", dest="who", required=True)
options.add_argument("--http", type=int)
options = options.parse_args()
modern = options.http is not None
log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
watched = set()


def write(what, of):
    # One write: others append to the same file.
    os.write(log, f"{what} {options.who} {of}\n".encode())


def ran(params, send):
    name, given = params["name"], params["arguments"]
    write("ran", given["call"])
    token = params.get("_meta", {}).get("progressToken")
    if token is not None:
        send({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
    time.sleep(given.get("hold", 0) / 1000)
    if name == "tell" and TOLD in watched:
        send({"method": "notifications/resources/updated", "params": {"uri": f"{TOLD}/{given['call']}"}})
    return {"content": [{"type": "text", "text": f"{options.who} ran {given['call']}"}]}


SCHEMA = {"type": "object", "properties": {"call": {"type": "string"}, "hold": {"type": "integer"}}}


def result(method, params, send):
    if method == "initialize":
        capabilities = {"tools": {}, "resources": {"subscribe": True}}
        info = {"name": "counting", "version": "1"}
        return {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}
    if method == "server/discover":
        return {"supportedVersions": [MODERN], "capabilities": {"tools": {}}}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": SCHEMA} for name in ("count", "tell")]}
    if method == "resources/list":
        return {"resources": [{"uri": TOLD, "name": "told"}]}
    if method == "resources/templates/list":
        return {"resourceTemplates": []}
    if method == "resources/subscribe":
        watched.add(params["uri"])
        return {}
    if method == "resources/unsubscribe":
        watched.discard(params["uri"])
        return {}
    if method == "tools/call":
        return ran(params, send)
    if method == "ping":
        return {}
    return None


def answer(message, send):
    method = message["method"]
    other = "initialize" if modern else "server/discover"
    found = None if method == other else result(method, message.get("params", {}), send)
    if found is None:
        send({"id": message["id"], "error": {"code": -32601, "message": method}})
        return
    if modern:
        found |= {"resultType": "complete"}
        if method != "tools/call":
            found |= {"ttlMs": 60000, "cacheScope": "public"}
    send({"id": message["id"], "result": found})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = []
        if "id" in message:
            answer(message, said.append)
        body = json.dumps({"jsonrpc": "2.0", **said[-1]}).encode() if said else b""
        self.send_response(200 if said else 202)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send_error(405)

    def log_message(self, *_):
        pass


def serve_http():
    server = ThreadingHTTPServer(("127.0.0.1", options.http), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("listening", flush=True)
    sys.stdin.read()


def serve_stdio():
    # One at a time: a message is written whole.
    lock = threading.Lock()

    def send(message):
        line = json.dumps({"jsonrpc": "2.0", **message}) + "\n"
        with lock:
            sys.stdout.write(line)
            sys.stdout.flush()

    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        if message["method"] == "tools/call":
            threading.Thread(target=answer, args=(message, send), daemon=True).start()
        else:
            answer(message, send)


write("start", os.getpid())
serve_http() if modern else serve_stdio()
