"""An MCP server of the legacy era on stdin and stdout that asks its client, and says on a datagram socket what it heard.

Each line on the socket begins with the process id. A question names the call it belongs to in its text, so that a test
sees whether it went to the right one. Ends when its stdin does.
"""

import argparse
import json
import os
import socket
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--notes")
# The revision it speaks, whatever it is asked for.
parser.add_argument("--revision", default="2025-11-25")
options = parser.parse_args()

notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
calls = {}
questions = {}
opened = set()
subscribed = set()


def note(what):
    if options.notes is None:
        return
    notes.sendto(f"{os.getpid()} {what}".encode(), options.notes)


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def answer(id, text):
    calls.pop(id, None)
    send(id=id, result={"content": [{"type": "text", "text": text}]})


KINDS = {
    "form": ("elicitation/create", lambda who: {
        "mode": "form",
        "message": f"Who is {who}?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
    }),
    "url": ("elicitation/create", lambda who: {
        "mode": "url",
        "message": f"Log in as {who}",
        "url": f"https://example.com/{who}",
        "elicitationId": f"e-{who}",
    }),
    "sampling": ("sampling/createMessage", lambda who: {
        "messages": [{"role": "user", "content": {"type": "text", "text": f"Who is {who}?"}}],
        "maxTokens": 10,
    }),
    "roots": ("roots/list", lambda who: None),
}


def ask(id, kind, who, number):
    method, params = KINDS[kind]
    question = f"{id}-{number}"
    questions[question] = id
    params = params(who)
    send(id=question, method=method, **({"params": params} if params is not None else {}))


def ask_next(id):
    call = calls[id]
    kinds = call["kinds"]
    if call["at"] == len(kinds):
        if call["then"] == "wait":
            return note("waiting")
        return answer(id, json.dumps({"who": call["who"], "heard": call["heard"]}))
    together = kinds[call["at"]]
    call["at"] += 1
    for number, kind in enumerate(together):
        call["open"] += 1
        ask(id, kind, call["who"], f"{call['at']}.{number}")


def call_tool(id, name, arguments, meta):
    who = arguments.get("who", "nobody")
    if name == "ask":
        # A list of rounds, each a list of questions that are put at once.
        calls[id] = {"who": who, "kinds": arguments["rounds"], "at": 0, "open": 0, "heard": [],
                     "then": arguments.get("then", "answer")}
        if "progressToken" in meta:
            send(method="notifications/progress", params={"progressToken": meta["progressToken"], "progress": 1})
        ask_next(id)
    elif name == "ask_for_ever":
        calls[id] = {"who": who, "kinds": [["form"]] * 100000, "at": 0, "open": 0, "heard": []}
        ask_next(id)
    elif name == "open_first":
        # Opened behind the client's back: the first call says so, the next one sees it.
        if arguments.get("never") or who not in opened:
            opened.add(who)
            data = {"elicitations": [{"mode": "url", "message": f"Log in as {who}", "url": f"https://example.com/{who}", "elicitationId": "e"}]}
            return send(id=id, error={"code": -32042, "message": "a link must be opened", "data": data})
        answer(id, f"{who} is in")
    elif name == "touch":
        for uri in sorted(subscribed):
            send(method="notifications/resources/updated", params={"uri": uri})
        answer(id, ",".join(sorted(subscribed)))
    elif name == "pid":
        answer(id, str(os.getpid()))


TOOL = {"type": "object", "properties": {}}
TOOLS = ["ask", "ask_for_ever", "open_first", "touch", "pid"]


def request(id, method, params):
    if method == "initialize":
        note("capabilities " + json.dumps(params["capabilities"], sort_keys=True))
        send(id=id, result={
            "protocolVersion": options.revision,
            "capabilities": {"tools": {}, "resources": {"subscribe": True}, "logging": {}},
            "serverInfo": {"name": "asking", "version": "1"},
        })
    elif method == "tools/list":
        tools = [{"name": name, "inputSchema": TOOL} for name in TOOLS]
        tools.append({"name": "task_only", "inputSchema": TOOL, "execution": {"taskSupport": "required"}})
        send(id=id, result={"tools": tools})
    elif method == "resources/list":
        send(id=id, result={"resources": [{"uri": "test://watched", "name": "watched"}]})
    elif method == "resources/templates/list":
        send(id=id, result={"resourceTemplates": []})
    elif method in ("resources/subscribe", "resources/unsubscribe"):
        change = subscribed.add if method.endswith("/subscribe") else subscribed.discard
        change(params["uri"])
        note(f"{method} {params['uri']}")
        send(id=id, result={})
    elif method == "logging/setLevel":
        note(f"level {params['level']}")
        send(id=id, result={})
    elif method == "tools/call":
        call_tool(id, params["name"], params.get("arguments", {}), params.get("_meta", {}))
    else:
        send(id=id, error={"code": -32601, "message": method})


def heard(message):
    call = questions.pop(message["id"], None)
    if call not in calls:
        return
    state = calls[call]
    state["heard"].append(message.get("result") or {"error": message["error"]["code"]})
    note("heard " + json.dumps(state["heard"][-1], sort_keys=True))
    state["open"] -= 1
    if state["open"] == 0:
        ask_next(call)


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        request(message["id"], message["method"], message.get("params", {}))
    elif "id" in message:
        heard(message)
    elif message["method"] == "notifications/cancelled":
        if calls.pop(message["params"]["requestId"], None):
            note("cancelled")
