// What every browser test stands on: a Chromium with a software GPU, a page whose errors fail the test, and the proof
// that nothing leaves this machine.
//
// The site's address comes from `cargo xtask test` (LANTERN_URL). By hand: `cargo xtask serve` in one terminal, then
// `node --test tests/browser/page.test.mjs` in another.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

export const SITE = new URL(process.env.LANTERN_URL ?? 'http://localhost:8017/');
export const MODEL_FILE = new URL('../../www/models/lantern-chat.q8_0.gguf', import.meta.url);
export const GOLDEN = JSON.parse(readFileSync(new URL('../cases/chat/golden.json', import.meta.url), 'utf8'));

/** The demos of this site: name and page of each. */
export const DEMOS = JSON.parse(readFileSync(new URL('../../pages/demos.json', import.meta.url), 'utf8'));
export const PAGES = ['./', ...DEMOS.map(({ page }) => page)];

// The rules a page's accessibility is checked with.
const { source: axe } = createRequire(import.meta.url)('axe-core');

// A software GPU on two shared processors: slow is not wrong. A test that hangs still ends.
export const PATIENCE_MS = 120_000;
export const options = { timeout: 2 * PATIENCE_MS };

// The only set found to give WebGPU on the page, in Workers and on canvases at once, from SwiftShader. The last two let a
// page come back after its GPU process has crashed more than once.
const SOFTWARE_GPU = [
  '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--enable-unsafe-webgpu', '--ignore-gpu-blocklist', '--enable-gpu',
  '--enable-features=Vulkan', '--use-vulkan=swiftshader',
  '--disable-gpu-process-crash-limit', '--disable-domain-blocking-for-3d-apis',
];
const QUIET = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-domain-reliability', '--disable-sync', '--no-pings'];

// What Chromium itself asks at start-up whatever its flags say. A page's own request to them is seen by the page's log.
const BROWSERS_OWN = /(^|[ /])((update|content-autofill)\.googleapis\.com|(accounts|clients2)\.google\.com|[\w-]+\.gvt1\.com)[:/]/;

function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
  const paths = (process.env.PATH ?? '').split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)));
  const found = paths.find(existsSync);
  assert.ok(found, 'no Chromium on PATH: set CHROMIUM to its executable');
  return found;
}

/** A proxy for everything that is not localhost: it lets nothing through and remembers who asked. Chromium never sends
 * localhost through a proxy, so the site itself does not pass here. */
async function sentinel() {
  const asked = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => {
      const line = data.toString('latin1').split('\r\n')[0];
      if (!BROWSERS_OWN.test(line)) asked.push(line);
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { asked, address: `127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** A browser for one test file. `webgpu: false` leaves it as most visitors without WebGPU have it: the API is there and
 * gives no adapter. `more`: further switches. */
export async function launch({ webgpu = true, more = [] } = {}) {
  const proxy = await sentinel();
  const browser = await chromium.launch({
    executablePath: executable(),
    args: [...QUIET, `--proxy-server=${proxy.address}`, ...(webgpu ? SOFTWARE_GPU : []), ...more],
  });
  return {
    browser,
    proxy,
    async close() {
      await browser.close();
      proxy.close();
    },
  };
}

/** A fresh visitor on one page. Close it with `visit.close()`: that is where errors and strange requests fail the test.
 * `context`: playwright's options for a new context; `prepare`: what to do before the navigation, such as routes; `also`: hosts on
 * this machine that the page may fetch files from, beside the site. */
export async function visit({ browser, proxy }, path, { context: contextOptions = {}, prepare, waitUntil = 'load', also = [] } = {}) {
  const before = proxy.asked.length;
  const context = await browser.newContext(contextOptions);
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const problems = [];
  const requests = [];
  page.on('pageerror', (error) => problems.push(`page error: ${error.stack ?? error}`));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on('request', (request) => requests.push({ method: request.method(), url: request.url(), body: request.postData() }));
  await prepare?.(page, context);
  await page.goto(new URL(path, SITE).href, { waitUntil });
  return {
    page,
    context,
    problems,
    requests,
    /** Fails on console errors, page errors, and anything asked of another host. */
    async close() {
      await context.close();
      assert.deepEqual(problems, [], 'the page reported errors');
      assert.deepEqual(abroad(requests, [SITE.host, ...also]), [], 'the page asked another host');
      assert.deepEqual(proxy.asked.slice(before), [], 'the browser asked another host');
    },
  };
}

/** Requests that are not for these hosts: another one, or another way than fetching a file. */
function abroad(requests, hosts) {
  const inside = (url) => url.startsWith('blob:') || url.startsWith('data:') || hosts.includes(new URL(url).host);
  return requests.filter(({ method, url, body }) => !inside(url) || !['GET', 'HEAD'].includes(method) || body);
}

/** An empty page of the site's own origin, with this markup: what somebody's documentation site would hold. */
export function hostPage(markup) {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Host page</title><link rel="icon" href="data:,"><body>${markup}`;
  return async (page) => {
    await page.route('**/host-page', (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body: html }));
  };
}

/** Waits until the page's first demo is in one of these states; a failure it did not expect ends the wait. */
export async function state(page, ...states) {
  await page.waitForFunction(
    (wanted) => {
      const demo = [...document.querySelectorAll('*')].find(({ localName }) => localName.startsWith('lantern-'));
      return demo && (wanted.includes(demo.state) || demo.state === 'failed');
    },
    states,
    { polling: 50 },
  );
  const reached = await page.evaluate(() => {
    const demo = [...document.querySelectorAll('*')].find(({ localName }) => localName.startsWith('lantern-'));
    return { state: demo.state, failure: demo.shadowRoot.querySelector('[part=error]')?.innerText };
  });
  if (!states.includes(reached.state)) assert.fail(`the element is ${reached.state}: ${reached.failure}`);
}

/** Asks the page's first element, sampled greedily unless told otherwise, and gives its result. */
export async function ask(page, text, attributes = {}) {
  return page.evaluate(
    async ({ text, attributes }) => {
      const chat = document.querySelector('lantern-chat');
      for (const [name, value] of Object.entries(attributes)) chat.setAttribute(name, value);
      try {
        return await chat.ask(text);
      } catch (failure) {
        throw new Error(`${failure.code}: ${failure.cause}. ${failure.remedy}.`);
      }
    },
    { text, attributes: { temperature: '0', 'max-tokens': '24', ...attributes } },
  );
}

/** Checks tokens against the golden ones, as far as an executor that rounds otherwise must give the same: up to the first
 * choice so close that the rounding may turn it. There the second-best is right too, and the texts part. */
export function assertGolden(tokens, bound, golden = GOLDEN) {
  const parted = tokens.findIndex((token, at) => token !== golden.greedy_ids[at]);
  if (parted < 0) return tokens.length;
  assert.ok(golden.margins[parted] < bound, `token ${parted} is ${tokens[parted]}, not ${golden.greedy_ids[parted]}, which leads by ${golden.margins[parted]}`);
  return parted;
}

/** axe finds nothing to complain of. The visit must have been made with `bypassCSP`: axe styles what it measures, which the
 * pages' own policy forbids. */
export async function assertAccessible(page, what) {
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target.flat()} ${failureSummary}`).join('; ')}`);
  });
  assert.deepEqual(violations, [], what);
}

/** Prepares a page whose first Worker ends as a trap in WebAssembly ends it: an error nobody catches, when that many steps of runs were
 * told of; then it says nothing more. */
export const trapInRun = (steps) => async (page) => {
  let first = true;
  await page.route('**/lantern/core/worker.js', async (route) => {
    const response = await route.fetch();
    const trap = `
      const post = self.postMessage.bind(self);
      let told = 0;
      self.postMessage = (message, transfer) => {
        if (told < ${steps} || message.type === 'fatal') post(message, transfer);
        if (told >= ${steps} || message.progress?.stage !== 'run' || ++told < ${steps}) return;
        setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable'); });
      };`;
    await route.fulfill({ response, body: `${first ? trap : ''}\n${await response.text()}` });
    first = false;
  });
};
