"""The client of FastMCP, once: `fastmcp_client.py PLAN`, see `plan.py`."""

import asyncio

import plan
from fastmcp import Client
from mcp.shared.exceptions import MCPError

todo = plan.read()


async def main() -> None:
    logs: list = []
    progress: list = []

    async def on_log(message) -> None:
        logs.append(message.data)

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append([done, total])

    async with Client(todo["url"], log_handler=on_log, progress_handler=on_progress) as client:
        listed = await client.list_tools()
        call = todo["call"]
        result = await client.call_tool_mcp(call["name"], call["arguments"])
        notifying = todo["notifying"]
        notified = await client.call_tool_mcp(notifying["name"], notifying["arguments"])
        try:
            await client.call_tool_mcp(todo["unknown"], {})
            error = None
        except MCPError as refused:
            error = refused.code
        plan.report(
            revision=client.protocol_version,
            tools=[tool.name for tool in listed],
            result=result.content[0].text,
            notified=notified.content[0].text,
            progress=progress,
            logs=logs,
            error=error,
        )


asyncio.run(main())
