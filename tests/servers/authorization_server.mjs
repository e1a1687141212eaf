// A real OAuth authorization server, npm `oidc-provider`, on a free port of 127.0.0.1: `authorization_server.mjs [SECONDS]`,
// which is how long access tokens live (10). Registration, PKCE by S256, resource indicators, rotation in which a refresh
// token that comes again ends the grant, the device flow, revocation, `iss` in redirects. Anybody logs in by a name.
//
// Prints `listening ISSUER` once it can be reached, then a line for each event: `refreshed`, `revoked`, `refused WHY`,
// `registered`, `unregistered`. Ends when its stdin does.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// An import would look beside this script; the packages are with the tools of the tests.
const { resolve } = createRequire(join(process.env.JANUS_TEST_TOOLS, "npm", "package.json"));
const { Provider } = await import(pathToFileURL(resolve("oidc-provider")).href);

const life = Number(process.argv[2] ?? 10);
const HOUR = 3600;
const SCOPES = "mcp:read mcp:write";

let answer = (_, response) => response.writeHead(503).end();
const server = createServer((request, response) => {
  // It knows OpenID's place alone; clients of OAuth look at that of RFC 8414.
  const place = "/.well-known/oauth-authorization-server";
  if (request.url === place) request.url = "/.well-known/openid-configuration";
  answer(request, response);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  scopes: ["openid", "offline_access", ...SCOPES.split(" ")],
  clientDefaults: { token_endpoint_auth_method: "none" },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  findAccount: (_, name) => ({ accountId: name, claims: () => ({ sub: name }) }),
  cookies: { keys: ["of a test"] },
  ttl: {
    AccessToken: life,
    AuthorizationCode: 60,
    ClientCredentials: life,
    DeviceCode: 600,
    Grant: HOUR,
    IdToken: 600,
    Interaction: 600,
    RefreshToken: HOUR,
    Session: HOUR,
  },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    registration: { enabled: true },
    registrationManagement: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // The resource of the code counts where a refresh names none.
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: SCOPES,
        audience: resource,
        accessTokenTTL: life,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
});

const says = (event, tell) => provider.on(event, (...of) => console.log(tell(...of)));
const why = (_, error) => `refused ${error.error}: ${error.error_description} ${error.error_detail ?? ""}`;
says("grant.success", (context) =>
  context.oidc.params.grant_type === "refresh_token" ? "refreshed" : "granted",
);
says("grant.error", why);
says("authorization.error", why);
says("registration_create.error", why);
says("registration_create.success", () => "registered");
says("registration_delete.success", () => "unregistered");
says("registration_delete.error", why);
says("grant.revoked", () => "revoked");
says("server_error", (_, error) => `broken ${error.stack}`);

answer = provider.callback();
console.log(`listening ${issuer}`);

process.stdin.on("end", () => process.exit());
process.stdin.resume();
