"""An MCP server written with FastMCP that only those may use who have a token of an authorization server:
`fastmcp_protected.py ISSUER`. Its tokens are JWTs, whose signature, issuer, audience, scope and end FastMCP checks.

Prints `listening URL` once it can be reached, and ends when its stdin does.
"""

import os
import socket
import sys
import threading

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token


def end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    issuer = sys.argv[1]
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    verifier = JWTVerifier(
        jwks_uri=f"{issuer}/jwks",
        issuer=issuer,
        audience=f"{base}/mcp",
        required_scopes=["mcp:read"],
    )
    server = FastMCP(
        "janus-protected",
        auth=RemoteAuthProvider(
            token_verifier=verifier, authorization_servers=[issuer], base_url=base
        ),
    )

    @server.tool(description="Says who called")
    def who() -> str:
        return get_access_token().claims["sub"]

    threading.Thread(target=end_with_stdin, daemon=True).start()
    # The socket listens already: who connects before uvicorn accepts waits in the backlog.
    print(f"listening {base}/mcp", flush=True)
    uvicorn.Server(uvicorn.Config(server.http_app(path="/mcp"), log_level="warning")).run(
        sockets=[listener]
    )


main()
