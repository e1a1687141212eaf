// An MCP server written with the TypeScript SDK, in the eras it is told to speak, on stdin and stdout:
// `typescript_server.mjs legacy|modern`. Ends when its stdin does.
import { createRequire } from "node:module";
import { join } from "node:path";

// An import would look beside this script; the packages are with the tools of the tests.
const require = createRequire(join(process.env.JANUS_TEST_TOOLS, "npm", "package.json"));
const { McpServer, inputRequired, inputResponse } = require("@modelcontextprotocol/server");
const { StdioServerTransport, serveStdio } = require("@modelcontextprotocol/server/stdio");
const { z } = require("zod");

const WATCHED = "test://counter";

const text = (said) => ({ content: [{ type: "text", text: said }] });

let count = 0;
const subscribed = new Set();
const { promise: cancelled, resolve: learnt } = Promise.withResolvers();

function server() {
  const server = new McpServer(
    { name: "janus-typescript", version: "1.2.3" },
    { capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } } },
  );
  const tool = (name, description, run, inputSchema) =>
    server.registerTool(name, { description, ...(inputSchema && { inputSchema }) }, (...call) =>
      run(call.at(-1), inputSchema ? call[0] : {}),
    );
  // The SDK asks legacy clients by requests, where a tool gives back a question; so a tool is written once.
  const asking = (name, description, question, conclude) =>
    tool(name, description, ({ mcpReq }) => {
      const answer = inputResponse(mcpReq.inputResponses, "answer");
      if (answer.kind === "missing") return inputRequired({ inputRequests: { answer: question() } });
      return text(conclude(answer));
    });

  tool("echo", "Says it again", (_, { message }) => text(message), z.object({ message: z.string() }));
  asking(
    "ask_name",
    "Asks the user for a name with a form",
    () =>
      inputRequired.elicit({
        message: "What is your name?",
        requestedSchema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
      }),
    ({ action, content }) => `${action}: ${JSON.stringify(content)}`,
  );
  asking(
    "open_link",
    "Asks the user to open a link",
    () => inputRequired.elicitUrl({ message: "Please log in", url: "https://example.com/login" }),
    ({ action }) => `link: ${action}`,
  );
  asking(
    "ask_model",
    "Asks the model of the client",
    () =>
      inputRequired.createMessage({
        messages: [{ role: "user", content: { type: "text", text: "What is the answer?" } }],
        maxTokens: 10,
      }),
    ({ result }) => `the model: ${result.content.text}`,
  );
  asking(
    "list_roots",
    "Asks the client for its roots",
    () => inputRequired.listRoots(),
    ({ roots }) => roots.map(({ uri }) => uri).join(" "),
  );
  tool(
    "progress",
    "Reports and logs each of its steps",
    async ({ mcpReq }, { steps }) => {
      const progressToken = mcpReq._meta?.progressToken;
      for (let step = 1; step <= steps; step++) {
        const params = { progressToken, progress: step, total: steps, message: `step ${step}` };
        if (progressToken !== undefined) await mcpReq.notify({ method: "notifications/progress", params });
        await mcpReq.log("info", `did ${step}`);
      }
      return text(`${steps} steps`);
    },
    z.object({ steps: z.number() }),
  );
  tool("wait", "Reports progress once and then waits until it is cancelled", async ({ mcpReq }) => {
    mcpReq.signal.addEventListener("abort", learnt);
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken !== undefined)
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: 1 } });
    await cancelled;
    return text("cancelled");
  });
  tool("wait_for_cancel", "Waits until a call of wait was cancelled", async () => {
    await cancelled;
    return text("1 cancelled");
  });
  tool("touch", "Changes the watched resource", async () => {
    count++;
    if (subscribed.has(WATCHED) || era === "modern") await server.server.sendResourceUpdated({ uri: WATCHED });
    return text(String(count));
  });
  server.registerResource("counter", WATCHED, { mimeType: "text/plain" }, () => ({
    contents: [{ uri: WATCHED, mimeType: "text/plain", text: String(count) }],
  }));
  if (era === "legacy") {
    server.server.setRequestHandler("resources/subscribe", ({ params }) => (subscribed.add(params.uri), {}));
    server.server.setRequestHandler("resources/unsubscribe", ({ params }) => (subscribed.delete(params.uri), {}));
  }
  return server;
}

const era = process.argv[2];
if (era === "legacy") await server().connect(new StdioServerTransport());
else serveStdio(server, { legacy: "reject" });
