// Sessions that choose accounts, with the client of the TypeScript SDK: `typescript_accounts.mjs PLAN`.
//
// The plan has `url`, `tool`, and `accounts`: one session is opened for each and chooses it; all call at the same time.
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.JANUS_TEST_TOOLS, "npm", "package.json"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const todo = JSON.parse(process.argv[2]);
const text = (result) => result.content[0].text;

const sessions = await Promise.all(
  todo.accounts.map(async (account) => {
    const client = new Client({ name: "janus-test", version: "1" });
    await client.connect(new StreamableHTTPClientTransport(new URL(todo.url)));
    return { client, account };
  }),
);
const listed = async () => JSON.stringify((await sessions[0].client.listTools()).tools);
const before = await listed();
const unchosen = await Promise.all(sessions.map(({ client }) => client.callTool({ name: todo.tool, arguments: {} })));
const switched = await Promise.all(
  sessions.map(({ client, account }) => client.callTool({ name: "janus_use_account", arguments: { account } })),
);
const chosen = await Promise.all(
  sessions.flatMap(({ client }) => [1, 2, 3].map(() => client.callTool({ name: todo.tool, arguments: {} }))),
);
// A call's own word goes before the session's choice, for that call alone.
const [first] = sessions;
const other = todo.accounts.at(-1).split("/")[1];
const named = await first.client.callTool({ name: todo.tool, arguments: { janus_account: other } });
const after = await first.client.callTool({ name: todo.tool, arguments: {} });
console.log(
  JSON.stringify({
    unchosen: unchosen.map(({ isError }) => isError === true),
    switched: switched.map(({ structuredContent }) => structuredContent.active),
    chosen: chosen.map(text),
    named: text(named),
    after: text(after),
    identity: named._meta["dev.janus/identity"].account,
    same: before === (await listed()),
  }),
);
await Promise.all(sessions.map(({ client }) => client.close()));
