"""A legacy server over standard input and output with one prompt and one resource."""

import json
import sys


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": "2025-06-18",
            "capabilities": {"prompts": {}, "resources": {}},
            "serverInfo": {"name": "offering", "version": "1"},
        }
    if method == "prompts/list":
        return {"prompts": [{"name": "greet"}]}
    if method == "prompts/get":
        content = {"type": "text", "text": "say hello"}
        return {"messages": [{"role": "user", "content": content}]}
    if method == "resources/list":
        return {"resources": [{"uri": "offer://one", "name": "one"}]}
    if method == "resources/templates/list":
        return {"resourceTemplates": []}
    if method == "resources/read":
        return {"contents": [{"uri": params["uri"], "text": "the first"}]}
    return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params", {}))
        said = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        print(json.dumps(said), flush=True)
