"""An MCP server written with FastMCP, in both eras over HTTP, on a free port of 127.0.0.1.

Prints `listening URL` once it can be reached, and ends when its stdin does.
"""

import json
import os
import socket
import sys
import threading

import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)

MODERN = "2026-07-28"

server = FastMCP("janus-fastmcp", version="1.2.3", instructions="A server for the tests")


@server.tool(description="Says it again")
def echo(message: str) -> str:
    return message


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers"""
    return a + b


@server.tool
def fail(reason: str) -> str:
    """Fails for the reason given"""
    raise ToolError(reason)


@server.tool
async def progress(steps: int, context: Context) -> str:
    """Reports and logs each of its steps"""
    for step in range(1, steps + 1):
        await context.report_progress(step, steps, f"step {step}")
        await context.info(f"did {step}")
    return f"{steps} steps"


async def ask(context: Context, question, answer_type, conclude):
    """Asks in the way of the client's era: by a request, or by a result with which the client calls again."""
    if context.session.protocol_version < MODERN:
        about = ServerMessageMetadata(related_request_id=context.request_id)
        return conclude(await context.session.send_request(question, answer_type, metadata=about))
    if context.input_responses is None:
        return InputRequiredResult(input_requests={"answer": question})
    return conclude(context.input_responses["answer"])


@server.tool
async def ask_name(context: Context):
    """Asks the user for a name with a form"""
    form = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    params = ElicitRequestFormParams(message="What is your name?", requested_schema=form)
    question = ElicitRequest(params=params)
    return await ask(context, question, ElicitResult, lambda said: f"{said.action}: {json.dumps(said.content)}")


@server.tool
async def open_link(context: Context):
    """Asks the user to open a link"""
    url = "https://example.com/login"
    params = ElicitRequestURLParams(message="Please log in", url=url, elicitation_id="fast-1")
    question = ElicitRequest(params=params)
    return await ask(context, question, ElicitResult, lambda said: f"link: {said.action}")


@server.tool
async def ask_model(context: Context):
    """Asks the model of the client"""
    prompt = SamplingMessage(role="user", content=TextContent(type="text", text="What is the answer?"))
    params = CreateMessageRequestParams(messages=[prompt], max_tokens=10)
    question = CreateMessageRequest(params=params)
    return await ask(context, question, CreateMessageResult, lambda said: f"the model: {said.content.text}")


@server.tool
async def list_roots(context: Context):
    """Asks the client for its roots"""
    return await ask(
        context, ListRootsRequest(), ListRootsResult, lambda said: " ".join(str(root.uri) for root in said.roots)
    )


@server.resource("test://greeting", name="greeting", mime_type="text/plain")
def greeting() -> str:
    return "hello from FastMCP"


@server.resource("test://square/{number}", name="square", mime_type="text/plain")
def square(number: int) -> str:
    return str(number * number)


@server.prompt
def review(code: str) -> str:
    """Asks for a review"""
    return f"Review this: {code}"


def end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=end_with_stdin, daemon=True).start()
    # The socket listens already: who connects before uvicorn accepts waits in the backlog.
    print(f"listening http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    app = server.http_app(path="/mcp")
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


main()
