// A real browser, headless Chromium, with somebody in front of it who logs in at the pages of `authorization_server.mjs`
// and says yes: `browser.mjs CHROMIUM NAME URL`. Ends on the page that the redirect leads to, and prints `landed URL` and
// then what is to be read there.
import { createRequire } from "node:module";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { resolve } = createRequire(join(process.env.JANUS_TEST_TOOLS, "npm", "package.json"));
const { default: puppeteer } = await import(pathToFileURL(resolve("puppeteer-core")).href);

const [program, name, url] = process.argv.slice(2);
const home = await mkdtemp(join(tmpdir(), "janus-browser-"));
const browser = await puppeteer.launch({
  executablePath: program,
  headless: true,
  userDataDir: home,
  args: [
    "--no-sandbox", // it may run as root, and visits our own pages alone
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
  ],
});
try {
  const page = await browser.newPage();
  // One that is sent on and on is not at its end while there is a button.
  const press = async () => {
    const next = page.waitForNavigation({ waitUntil: "load" });
    await page.click("button[type=submit]");
    await next;
  };
  await page.goto(url, { waitUntil: "load" });
  await page.type("input[name=login]", name);
  await page.type("input[name=password]", "anything");
  await press();
  // Consent.
  await press();
  console.log(`landed ${page.url()}`);
  console.log(await page.evaluate(() => document.body.innerText));
} finally {
  await browser.close();
  await rm(home, { recursive: true, force: true });
}
