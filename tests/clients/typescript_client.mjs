// The client of the TypeScript SDK, once: `typescript_client.mjs PLAN`, see `plan.py`.
import { createRequire } from "node:module";
import { join } from "node:path";

// An import would look beside this script; the packages are with the tools of the tests.
const require = createRequire(join(process.env.JANUS_TEST_TOOLS, "npm", "package.json"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { LoggingMessageNotificationSchema } = require("@modelcontextprotocol/sdk/types.js");

const todo = JSON.parse(process.argv[2]);
const progress = [];
const logs = [];

const client = new Client({ name: "janus-test", version: "1" });
client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => logs.push(params.data));
const transport = new StreamableHTTPClientTransport(new URL(todo.url));
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool(todo.call);
const notified = await client.callTool(todo.notifying, undefined, {
  onprogress: (step) => progress.push([step.progress, step.total]),
});
const error = await client.callTool({ name: todo.unknown, arguments: {} }).then(
  () => null,
  (refused) => refused.code,
);
console.log(
  JSON.stringify({
    revision: transport.protocolVersion,
    tools: tools.map(({ name }) => name),
    result: result.content[0].text,
    notified: notified.content[0].text,
    progress,
    logs,
    error,
  }),
);
await client.close();
