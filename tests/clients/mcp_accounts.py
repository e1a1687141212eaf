"""Calls that name their account, with the stateless client of the Python SDK: `mcp_accounts.py PLAN`.

The plan has `url`, `tool`, and `accounts`: each is named in calls that run at the same time.
"""

import asyncio
import json

import plan
from mcp import Client

todo = plan.read()


async def main() -> None:
    async with Client(todo["url"]) as client:

        async def listed() -> str:
            return json.dumps([tool.model_dump(mode="json") for tool in (await client.list_tools()).tools])

        async def call(name: str, **arguments: str):
            return await client.call_tool(name, arguments)

        before = await listed()
        names = [account.split("/")[1] for account in todo["accounts"]]
        unchosen = await call(todo["tool"])
        chosen = await asyncio.gather(*(call(todo["tool"], janus_account=name) for name in names * 3))
        switched = await call("janus_use_account", account=todo["accounts"][0])
        # Nothing is remembered: what is to be passed must be passed.
        after = await call(todo["tool"])
        passed = await call(todo["tool"], **switched.structured_content["pass"])
        plan.report(
            revision=client.protocol_version,
            unchosen=unchosen.is_error,
            chosen=[result.content[0].text for result in chosen],
            identities=[result.meta["dev.janus/identity"]["account"] for result in chosen],
            switched=switched.structured_content,
            after=after.is_error,
            passed=passed.content[0].text,
            same=before == await listed(),
        )


asyncio.run(main())
