"""An MCP server of revision 2026-07-28 on stdin and stdout whose tools ask in odd ways. Ends when its stdin does."""

import json
import sys

VERSION = "2026-07-28"
LINK = {"mode": "url", "message": "Log in", "url": "https://example.com/login"}
FORM = {"mode": "form", "message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def complete(id, **members):
    send(id=id, result={"resultType": "complete", **members})


def text(id, said):
    complete(id, content=[{"type": "text", "text": said}])


def ask(id, state=None, **requests):
    state = {} if state is None else {"requestState": state}
    send(id=id, result={"resultType": "input_required", "inputRequests": requests, **state})


def elicit(params):
    return {"method": "elicitation/create", "params": params}


def call(id, params):
    name, state = params["name"], params.get("requestState")
    given = params.get("inputResponses")
    if name == "login":
        # Done behind the link at the third look.
        looks = int(state or 0)
        if looks == 2:
            return text(id, json.dumps(given, sort_keys=True))
        ask(id, str(looks + 1), link=elicit(LINK))
    elif name == "form":
        if given is None:
            return ask(id, "s\u0000tate \"1\"", who=elicit(FORM))
        text(id, json.dumps({"given": given, "state": state}, sort_keys=True))
    elif name == "state_only":
        if state is None:
            return send(id=id, result={"resultType": "input_required", "requestState": "again"})
        text(id, state)
    elif name == "without_end":
        ask(id, who=elicit(FORM))
    elif name == "odd":
        odd = params["arguments"]["requests"]
        send(id=id, result={"resultType": "input_required", **odd})


TOOLS = ["login", "form", "state_only", "without_end", "odd"]

for line in sys.stdin:
    message = json.loads(line)
    id, method, params = message.get("id"), message.get("method"), message.get("params", {})
    cached = {"ttlMs": 60000, "cacheScope": "public"}
    if method == "server/discover":
        complete(id, supportedVersions=[VERSION], capabilities={"tools": {}}, **cached)
    elif method == "tools/list":
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
        complete(id, tools=tools, **cached)
    elif method == "tools/call":
        call(id, params)
    elif id is not None:
        send(id=id, error={"code": -32601, "message": method})
