"""An MCP server of the legacy era on stdin and stdout, whose tools misbehave one by one.

Behaves well until it is asked for something else: `echo` is a tool like any other. Ends when its stdin does.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import threading

LONG = 20 * 1024 * 1024

parser = argparse.ArgumentParser()
parser.add_argument("--start", choices=["exit", "no-modern", "silent"])
parser.add_argument("--lists", choices=["malformed", "circle"])
# A socket that is held open until this process, and all it started, are gone. A byte from it is a `release`.
parser.add_argument("--held")
parser.add_argument("--grandchild", action="store_true")
# What happened, across restarts.
parser.add_argument("--log")
options = parser.parse_args()

seen = []
open_calls = {}
held = []
waiting = []


def note(what):
    seen.append(what)
    if options.log:
        with open(options.log, "a", encoding="utf-8") as log:
            log.write(what + "\n")


def line(text):
    sys.stdout.buffer.write(text if isinstance(text, bytes) else text.encode())
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def send(**message):
    line(json.dumps({"jsonrpc": "2.0", **message}))


def content(text):
    return {"content": [{"type": "text", "text": text}]}


def answer(id, text):
    open_calls.pop(id, None)
    send(id=id, result=content(text))


def progress(token, step):
    if token is not None:
        send(method="notifications/progress", params={"progressToken": token, "progress": step})


def release():
    for id, token in held:
        progress(token, 2)
        progress(token, 3)
        answer(id, "released")
    held.clear()


def call(id, name, arguments, token):
    note(f"call {name}")
    open_calls[id] = name
    if name == "die":
        print("the disk is on fire", file=sys.stderr, flush=True)
        os._exit(7)
    elif name == "garbage":
        line("Listening on port 3000...")
        line('{"jsonrpc":"2.0","method":')
        line("[]")
        line(b"\xff\xfe")
        line("{}")
        answer(id, "after garbage")
    elif name == "flood":
        for _ in range(4096):
            print("x" * 1023, file=sys.stderr)
        sys.stderr.flush()
        answer(id, "after the flood")
    elif name == "never":
        pass
    elif name == "twice":
        answer(id, "first")
        answer(id, "second")
    elif name == "long_id_first":
        line(json.dumps({"jsonrpc": "2.0", "id": id, "result": content("x" * LONG)}))
    elif name == "long_id_last":
        line(json.dumps({"jsonrpc": "2.0", "result": content("x" * LONG), "id": id}))
    elif name == "hold":
        # Held before it is told, so that whoever hears of it can release it.
        held.append((id, token))
        progress(token, 1)
        while waiting and len(held) >= waiting[0][1]:
            answer(waiting.pop(0)[0], "held")
    elif name == "wait_held":
        if len(held) >= arguments["count"]:
            answer(id, "held")
        else:
            waiting.append((id, arguments["count"]))
    elif name == "release":
        count = len(held)
        release()
        answer(id, str(count))
    elif name == "wait_cancelled":
        if any(what.startswith("cancelled") for what in seen):
            answer(id, "cancelled")
        else:
            cancel_waiters.append(id)
    elif name == "seen":
        answer(id, json.dumps(seen))
    elif name == "steps":
        for step in range(1, arguments["count"] + 1):
            progress(token, step)
        answer(id, "stepped")
    elif name == "pid":
        answer(id, str(os.getpid()))
    else:
        answer(id, arguments.get("text", name))


def release_on(holder):
    while holder.recv(1):
        release()


cancel_waiters = []


def cancelled(id):
    note(f"cancelled {open_calls.pop(id, '?')}")
    held[:] = [call for call in held if call[0] != id]
    for waiter in cancel_waiters:
        answer(waiter, "cancelled")
    cancel_waiters.clear()


def tools(cursor):
    names = "echo die garbage flood never twice long_id_first long_id_last hold wait_held release"
    names += " wait_cancelled seen steps pid"
    good = [{"name": name, "inputSchema": {"type": "object"}} for name in names.split()]
    if options.lists == "malformed":
        bad = [7, {"name": "no_schema"}, {"inputSchema": {"type": "object"}}]
        bad += [{"name": "schema_is_text", "inputSchema": "object"}, {"name": "", "inputSchema": {}}]
        return {"tools": bad[:2] + good + bad[2:]}
    if options.lists == "circle":
        return {"tools": good[:1] if cursor is None else [], "nextCursor": "again"}
    return {"tools": good}


def request(id, method, params):
    if method == "initialize":
        info = {"name": "faulty", "version": "1"}
        capabilities = {"tools": {"listChanged": True}}
        version = params["protocolVersion"]
        send(id=id, result={"protocolVersion": version, "capabilities": capabilities, "serverInfo": info})
    elif method == "server/discover" and options.start == "silent":
        pass
    elif method == "server/discover" and options.start == "no-modern":
        sys.exit("I do not know server/discover")
    elif method == "tools/list":
        send(id=id, result=tools(params.get("cursor")))
    elif method == "tools/call":
        token = params.get("_meta", {}).get("progressToken")
        call(id, params["name"], params.get("arguments", {}), token)
    elif method == "ping":
        send(id=id, result={})
    else:
        send(id=id, error={"code": -32601, "message": f"no method {method}"})


def main():
    note(f"start {os.getpid()}")
    if options.start == "exit":
        print("config: no token in API_TOKEN_FILE", file=sys.stderr, flush=True)
        os._exit(3)
    if options.held:
        holder = socket.socket(socket.AF_UNIX)
        holder.connect(options.held)
        if options.grandchild:
            nothing = subprocess.DEVNULL
            subprocess.Popen(
                ["sleep", "600"], stdin=nothing, stdout=nothing, stderr=nothing, pass_fds=[holder.fileno()]
            )
        threading.Thread(target=release_on, args=[holder], daemon=True).start()
    for text in sys.stdin:
        message = json.loads(text)
        params = message.get("params") or {}
        if message.get("method") == "notifications/cancelled":
            cancelled(params.get("requestId"))
        elif "method" in message and "id" in message:
            request(message["id"], message["method"], params)


main()
