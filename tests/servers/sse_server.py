"""An MCP server written with FastMCP that speaks HTTP+SSE only, the transport of 2024-11-05, on 127.0.0.1.

Prints `listening URL` once it can be reached, and ends when its stdin does.
"""

import argparse
import os
import socket
import sys
import threading

import uvicorn
from fastmcp import Context, FastMCP

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
options = parser.parse_args()

server = FastMCP("janus-sse", version="1")


@server.tool
def echo(message: str) -> str:
    """Says it again"""
    return message


@server.tool
async def progress(steps: int, context: Context) -> str:
    """Reports each of its steps"""
    for step in range(1, steps + 1):
        await context.report_progress(step, steps)
    return f"{steps} steps"


@server.tool
async def ask(who: str, context: Context) -> str:
    """Asks the person"""
    answer = await context.elicit(f"Who is {who}?", response_type=str)
    return f"{who}: {answer.action}"


def end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


listener = socket.create_server(("127.0.0.1", options.port))
threading.Thread(target=end_with_stdin, daemon=True).start()
print(f"listening http://127.0.0.1:{listener.getsockname()[1]}/sse", flush=True)
app = server.http_app(path="/sse", transport="sse")
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
