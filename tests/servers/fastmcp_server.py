"""An MCP server written with FastMCP, in both eras over HTTP, on a free port of 127.0.0.1.

Prints `listening URL` once it can be reached, and ends when its stdin does.
"""

import os
import socket
import sys
import threading

import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError

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
