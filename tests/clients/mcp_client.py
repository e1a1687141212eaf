"""The client of the Python SDK, once: `mcp_client.py PLAN`, see `plan.py`."""

import asyncio

import plan
from mcp import Client
from mcp.shared.exceptions import MCPError

todo = plan.read()


async def main() -> None:
    logs: list = []
    progress: list = []

    async def on_log(message) -> None:
        logs.append(message.data)

    async def on_progress(done: float, total: float | None, message: str | None) -> None:
        progress.append([done, total])

    async with Client(
        todo["url"], mode=todo.get("mode", "auto"), logging_callback=on_log, log_level="info"
    ) as client:
        listed = await client.list_tools()
        call = todo["call"]
        result = await client.call_tool(call["name"], call["arguments"])
        notifying = todo["notifying"]
        notified = await client.call_tool(
            notifying["name"], notifying["arguments"], progress_callback=on_progress
        )
        try:
            await client.call_tool(todo["unknown"], {})
            error = None
        except MCPError as refused:
            error = refused.code
        plan.report(
            revision=client.protocol_version,
            tools=[tool.name for tool in listed.tools],
            result=result.content[0].text,
            notified=notified.content[0].text,
            progress=progress,
            logs=logs,
            error=error,
        )


asyncio.run(main())
