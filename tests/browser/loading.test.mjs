// Models by address: fetched once, whatever comes between, kept on this device, shared by the tabs of a site, removed on request.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { F16, randomLlama } from './gguf.mjs';
import { MODEL_FILE, SITE, ask, assertAccessible, hostPage, launch, options, state, visit } from './harness.mjs';
import { modelServer } from './model-server.mjs';

/** 3 MB of random weights: what they say does not matter here. */
const MODEL = (() => {
  const undone = [];
  const shape = { vocab: 1500, hidden: 192, feedForward: 512, layers: 3, heads: 6, kvHeads: 2, context: 256 };
  const bytes = readFileSync(randomLlama({ after: (undo) => undone.push(undo) }, shape, { type: F16, tied: true }));
  undone.forEach((undo) => undo());
  return bytes;
})();
/** The same model with another last byte: another file of the same length, that runs as well. */
const OTHER = Buffer.from(MODEL);
OTHER[OTHER.length - 1] ^= 1;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

// What the browser itself says of connections that were broken on purpose.
const OF_THE_NETWORK = /Failed to load resource|net::ERR_|blocked by CORS policy/;

let chromium;
let server;
before(async () => {
  // A Worker whose script a test has changed counts as one from the internet, which may not ask this machine's servers. The switch
  // takes the place of playwright's own, whose parts that ask the network are named again.
  chromium = await launch({ webgpu: false, more: ['--disable-features=LocalNetworkAccessChecks,OptimizationHints,MediaRouter,Translate'] });
  server = await modelServer();
});
after(async () => {
  await chromium?.close();
  server?.close();
});
beforeEach(() => server.forget());

/** A page of the site with one element that loads what it is told to. */
async function page(attributes = '', { worker = '', context, also = [] } = {}) {
  const here = await visit(chromium, '/host-page', {
    also: [server.host, ...also],
    context,
    prepare: async (page, whole) => {
      await hostPage(`<main><lantern-chat loading="click" device="cpu" temperature="0" max-tokens="8" ${attributes}></lantern-chat></main>
        <script type="module" src="/lantern/chat.js"></script>`)(whole);
      if (worker) {
        await whole.route('**/lantern/core/worker.js', async (route) => {
          const response = await route.fetch();
          await route.fulfill({ response, body: `${worker}\n${await response.text()}` });
        });
      }
    },
  });
  return {
    ...here,
    async close() {
      here.problems.splice(0, Infinity, ...here.problems.filter((problem) => !OF_THE_NETWORK.test(problem)));
      await here.close();
    },
  };
}

/** Begins to open a model; what was heard of it stays in the page. */
async function begin(page, url) {
  await page.waitForFunction(() => customElements.get('lantern-chat'));
  await page.evaluate((url) => {
    const chat = document.querySelector('lantern-chat');
    globalThis.heard = [];
    chat.addEventListener('lantern-progress', ({ detail }) => detail.stage === 'weights' && globalThis.heard.push(detail));
    globalThis.opened = chat.open(url).then(() => null, (failure) => failure);
  }, url);
}

/** Its end: what failed, how the bytes came. */
async function end(page) {
  const failure = await page.evaluate(() => globalThis.opened);
  const heard = await page.evaluate(() => globalThis.heard);
  const hows = heard.map(({ how }) => how).filter((how, at, all) => how !== all[at - 1]);
  return { failure, heard, hows };
}

async function open(page, url) {
  await begin(page, url);
  return end(page);
}

/** Waits until so many bytes have come. */
const come = (page, bytes) => page.waitForFunction((bytes) => globalThis.heard?.some(({ done }) => done >= bytes), bytes, { polling: 20 });

/** What is in this site's private files: names and hashes. */
async function stored(page) {
  return page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle('lantern-models', { create: true });
    const found = [];
    for await (const [name, handle] of folder.entries()) {
      if (!name.endsWith('.part')) continue;
      const bytes = await (await handle.getFile()).arrayBuffer();
      const hash = [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      found.push({ name, bytes: bytes.byteLength, hash });
    }
    return found;
  });
}

const WHOLE = [{ bytes: MODEL.length, hash: sha256(MODEL) }];
const contents = async (page) => (await stored(page)).map(({ bytes, hash }) => ({ bytes, hash }));

test('a model is fetched with true progress, answers, and is read from this device afterwards', options, async () => {
  server.put('/m.gguf', { body: MODEL, msPerPiece: 10 });
  const { page: tab, close } = await page();
  const first = await open(tab, server.url('/m.gguf'));
  assert.equal(first.failure, null);
  assert.deepEqual(first.hows, ['begun']);
  assert.ok(first.heard.length > 3 && first.heard.every(({ done, total }, at, all) => total === MODEL.length && (at === 0 || done >= all[at - 1].done)));
  assert.equal(first.heard.at(-1).done, MODEL.length);
  const answer = await ask(tab, 'abc', { 'max-tokens': '8' });
  assert.equal(answer.tokens.length, 8);
  assert.deepEqual(await contents(tab), WHOLE);

  await tab.reload();
  const again = await open(tab, server.url('/m.gguf'));
  assert.equal(again.failure, null);
  assert.deepEqual(again.hows, ['stored']);
  assert.equal(server.requests.length, 1, 'the server was asked once');
  assert.deepEqual((await ask(tab, 'abc', { 'max-tokens': '8' })).tokens, answer.tokens);
  await close();
});

test('a broken connection is taken up where it broke', options, async () => {
  server.put('/broken.gguf', { body: MODEL, breaks: [1_000_000] });
  const { page: tab, close } = await page();
  const { failure, hows } = await open(tab, server.url('/broken.gguf'));
  assert.equal(failure, null);
  assert.deepEqual(hows, ['begun', 'broken', 'resumed']);
  const [, second] = server.requests;
  assert.match(second.range, /^bytes=[1-9]\d*-$/);
  assert.equal(second.ifRange, '"one"');
  assert.ok(server.sent() < MODEL.length * 1.1, `${server.sent()} bytes were sent for ${MODEL.length}`);
  assert.deepEqual(await contents(tab), WHOLE);
  await close();
});

test('a page that is closed in mid-download goes on where it was', options, async () => {
  server.put('/slow.gguf', { body: MODEL, msPerPiece: 60 });
  const { page: tab, close } = await page();
  await begin(tab, server.url('/slow.gguf'));
  await come(tab, 1_500_000);
  await tab.reload();
  server.file('/slow.gguf').msPerPiece = 0;
  const { failure, hows, heard } = await open(tab, server.url('/slow.gguf'));
  assert.equal(failure, null);
  assert.deepEqual(hows, ['resumed']);
  const [, second] = server.requests;
  assert.equal(second.range, `bytes=${heard[0].done}-`);
  assert.equal(second.ifRange, '"one"');
  assert.ok(server.sent() < MODEL.length * 1.6, `${server.sent()} bytes were sent for ${MODEL.length}`);
  assert.deepEqual(await contents(tab), WHOLE);
  await close();
});

test('a server without ranges is begun anew, and the page says so', options, async () => {
  server.put('/whole.gguf', { body: MODEL, ranges: false, breaks: [1_000_000] });
  const { page: tab, close } = await page();
  const { failure, hows } = await open(tab, server.url('/whole.gguf'));
  assert.equal(failure, null);
  assert.deepEqual(hows, ['begun', 'broken', 'no-range']);
  assert.deepEqual(await contents(tab), WHOLE);
  await close();
});

test('a server whose CORS rules forbid If-Range is asked without it', options, async () => {
  server.put('/strict.gguf', { body: MODEL, breaks: [1_000_000], preflight: false });
  // The site's own page, since a test's routes would answer the browser's question in the server's place.
  const here = await visit(chromium, 'chat.html?device=cpu', { also: [server.host], context: { bypassCSP: true } });
  await state(here.page, 'ready');
  const { failure } = await open(here.page, server.url('/strict.gguf'));
  assert.equal(failure, null);
  const last = server.requests.at(-1);
  assert.ok(last.range && !last.ifRange && server.sent() < MODEL.length * 1.1, JSON.stringify(server.requests));
  here.problems.splice(0, Infinity, ...here.problems.filter((problem) => !OF_THE_NETWORK.test(problem)));
  await here.close();
});

test('a file that changes on the server in mid-download is never mixed with what was there', options, async () => {
  server.put('/changing.gguf', { body: MODEL, msPerPiece: 40 });
  const { page: tab, close } = await page();
  await begin(tab, server.url('/changing.gguf'));
  await come(tab, 1_500_000);
  await tab.reload();
  server.put('/changing.gguf', { body: OTHER, etag: '"two"' });
  const { failure, hows } = await open(tab, server.url('/changing.gguf'));
  assert.equal(failure, null);
  assert.deepEqual(hows, ['resumed', 'changed']);
  assert.deepEqual(await contents(tab), [{ bytes: OTHER.length, hash: sha256(OTHER) }]);
  await close();
});

test('a file of another hash than the catalogue has is refused and removed', options, async () => {
  const embedded = readFileSync(MODEL_FILE);
  const changed = Buffer.from(embedded);
  changed[changed.length - 1] ^= 1;
  server.put('/models/lantern-chat.q8_0.gguf', { body: changed });
  const { page: tab, close } = await page(`weights-base="${server.url('/models/')}"`);
  const { failure } = await open(tab, 'lantern-chat');
  assert.equal(failure?.code, 'download.hash');
  assert.deepEqual((await contents(tab)).filter(({ bytes }) => bytes > 0), []);
  server.put('/models/lantern-chat.q8_0.gguf', { body: embedded });
  assert.equal((await open(tab, 'lantern-chat')).failure, null);
  assert.deepEqual((await stored(tab)).map(({ name }) => name), [`${sha256(embedded)}.part`]);
  await close();
});

test("a site's own models come first and by name, and no other host is asked for them", options, async () => {
  const [embedded] = JSON.parse(readFileSync(new URL('../../www/models/catalogue.json', import.meta.url), 'utf8')).models;
  const models = [{ ...embedded, id: 'smollm2-135m-instruct', name: 'House model', url: 'house.gguf', bytes: MODEL.length, sha256: sha256(MODEL) }];
  server.put('/models/site.json', { body: Buffer.from(JSON.stringify({ models })), type: 'application/json' });
  server.put('/models/house.gguf', { body: MODEL });
  // The catalogue has that name on another host: asking it would fail the test when the page is closed.
  const { page: tab, close } = await page(`weights-base="${server.url('/models/')}" model="smollm2-135m-instruct"`);
  await tab.getByRole('button', { name: 'Choose a model…' }).click();
  const rows = tab.getByRole('dialog', { name: 'Models' }).getByRole('listitem');
  await rows.first().getByText('House model').waitFor();
  assert.match(await rows.first().innerText(), /On this site, 3\.0.MB/);
  assert.match(await rows.filter({ hasText: 'SmolLM2 360M' }).innerText(), /About 386.MB to fetch/);
  assert.equal(await rows.filter({ hasText: 'SmolLM2 135M' }).count(), 0, 'one name, one model');
  await tab.keyboard.press('Escape');

  server.forget();
  await begin(tab, 'smollm2-135m-instruct');
  assert.equal((await end(tab)).failure, null);
  assert.deepEqual(server.requests.map(({ path }) => path), ['/models/site.json', '/models/house.gguf']);
  assert.equal((await ask(tab, 'abc', { 'max-tokens': '4' })).tokens.length, 4);

  // A list that is no list, and a site that does not answer: said, and nobody else is asked.
  server.put('/models/site.json', { body: Buffer.from('{"models": 7}'), type: 'application/json' });
  assert.equal((await open(tab, 'smollm2-360m-instruct')).failure?.code, 'catalogue.site');
  server.put('/models/site.json', { body: MODEL, status: 503 });
  assert.equal((await open(tab, 'smollm2-360m-instruct')).failure?.code, 'download.failed');

  // A site without a list has no models of its own.
  server.put('/models/site.json', { body: MODEL, status: 404 });
  assert.equal((await open(tab, 'no-such-model')).failure?.code, 'catalogue.unknown');
  await close();
});

test('what is not there, not a model, or of another size: code, cause and remedy', options, async () => {
  server.put('/gone.gguf', { body: MODEL, status: 404 });
  server.put('/login.gguf', { body: MODEL, status: 401 });
  server.put('/page.gguf', { body: Buffer.from('<!doctype html><title>Sign in</title>'), type: 'text/html; charset=utf-8' });
  server.put('/noise.gguf', { body: Buffer.alloc(4_000_000, 0x5a), msPerPiece: 5 });
  const elsewhere = Buffer.from(MODEL);
  elsewhere.write('qwen9', elsewhere.indexOf('llama'));
  server.put('/other.gguf', { body: elsewhere, msPerPiece: 15 });
  server.put('/short.gguf', { body: MODEL.subarray(0, 1_000_000), length: false });
  server.put('/models/lantern-chat.q8_0.gguf', { body: Buffer.concat([readFileSync(MODEL_FILE), Buffer.alloc(5)]) });
  const cases = {
    [server.url('/gone.gguf')]: 'download.status',
    [server.url('/login.gguf')]: 'download.status',
    [server.url('/page.gguf')]: 'download.page',
    [server.url('/noise.gguf')]: 'gguf.magic',
    [server.url('/other.gguf')]: 'llama.architecture',
    [server.url('/short.gguf')]: 'gguf.tensor',
    'http://models.example/m.gguf': 'download.address',
    'lantern-chat': 'download.size',
    'no-such-model': 'catalogue.unknown',
    'llama-2-7b-chat': 'cpu.ceiling',
  };
  const { page: tab, close } = await page(`weights-base="${server.url('/models/')}"`);
  for (const [model, code] of Object.entries(cases)) {
    const { failure } = await open(tab, model);
    assert.equal(failure?.code, code, `${model}: ${JSON.stringify(failure)}`);
    const shown = await tab.locator('lantern-chat [part=error]').innerText();
    for (const part of [failure.code, failure.cause, failure.remedy]) assert.ok(shown.toLowerCase().includes(part.toLowerCase()), `${model}: the page shows "${part}"`);
  }
  for (const wanted of ['/noise.gguf', '/other.gguf']) {
    const { sent } = server.requests.find(({ path }) => path === wanted);
    assert.ok(sent < 2_000_000, `${sent} bytes of ${wanted} were fetched`);
  }
  assert.deepEqual((await contents(tab)).filter(({ bytes }) => bytes > 0), [], 'nothing of them stays');
  await close();
});

test("under the page's own policy a model comes from any https address, and nothing else goes out", options, async () => {
  const asked = [];
  const here = await visit(chromium, 'chat.html?device=cpu', {
    also: ['models.example'],
    prepare: (page) => page.route('https://models.example/**', (route) => {
      asked.push({ method: route.request().method(), body: route.request().postData(), referer: route.request().headers().referer });
      return route.fulfill({ body: MODEL, contentType: 'application/octet-stream', headers: { 'access-control-allow-origin': '*' } });
    }),
  });
  await state(here.page, 'ready');
  assert.equal((await open(here.page, 'https://models.example/m.gguf')).failure, null);
  await ask(here.page, 'A secret of mine', { 'max-tokens': '8' });
  assert.deepEqual(asked, [{ method: 'GET', body: null, referer: undefined }]);
  await here.close();
});

test('a server that stays away: what came is kept, and "Try again" goes on from there', options, async () => {
  server.put('/away.gguf', { body: MODEL, breaks: [1_000_000, 0, 0, 0, 0] });
  const { page: tab, close } = await page();
  const { failure } = await open(tab, server.url('/away.gguf'));
  assert.equal(failure?.code, 'download.failed');
  assert.match(failure.cause, /of 3\.0 MB are here/);
  await tab.getByRole('button', { name: 'Try again' }).click();
  await state(tab, 'ready');
  assert.ok(server.sent() < MODEL.length * 1.1, `${server.sent()} bytes were sent for ${MODEL.length}`);
  await close();
});

test('cancelled at once, quiet afterwards, and taken up again', options, async () => {
  server.put('/cancel.gguf', { body: MODEL, msPerPiece: 60 });
  const { page: tab, close } = await page();
  await begin(tab, server.url('/cancel.gguf'));
  await come(tab, 1_200_000);
  const stopped = Date.now();
  const ms = await tab.evaluate(async () => {
    const start = performance.now();
    document.querySelector('lantern-chat').shadowRoot.querySelector('[part=cancel]').click();
    await globalThis.opened;
    return performance.now() - start;
  });
  assert.ok(ms < 100, `the page was at rest after ${ms} ms`);
  assert.equal((await end(tab)).failure.code, 'run.cancelled');
  const count = (await end(tab)).heard.length;
  await tab.waitForTimeout(400);
  const [request] = server.requests;
  assert.ok(request.closed && request.closed - stopped < 400, 'the connection was closed');
  assert.equal((await end(tab)).heard.length, count, 'nothing more is heard');
  server.file('/cancel.gguf').msPerPiece = 0;
  assert.deepEqual((await open(tab, server.url('/cancel.gguf'))).hows, ['resumed']);
  assert.ok(server.sent() < MODEL.length * 1.3);
  await close();
});

test('a full device: the rest goes into memory, the page says so, and the part is kept', options, async () => {
  server.put('/quota.gguf', { body: MODEL, msPerPiece: 40 });
  const { page: tab, context, close } = await page();
  const control = await context.newCDPSession(tab);
  const quota = (quotaSize) => control.send('Storage.overrideQuotaForOrigin', { origin: SITE.origin, ...(quotaSize ? { quotaSize } : {}) });
  // Full while it is written.
  await begin(tab, server.url('/quota.gguf'));
  await come(tab, 700_000);
  await quota(1_500_000);
  const { failure, hows } = await end(tab);
  assert.equal(failure, null);
  assert.ok(hows.includes('spilled'), hows.join());
  assert.match(await tab.locator('lantern-chat [part=notice]').innerText(), /not enough room on this device/);
  assert.equal((await ask(tab, 'abc', { 'max-tokens': '4' })).tokens.length, 4);
  // Full before it is begun.
  server.put('/quota2.gguf', { body: MODEL });
  const second = await open(tab, server.url('/quota2.gguf'));
  assert.equal(second.failure, null);
  assert.match(await tab.locator('lantern-chat [part=notice]').innerText(), /not enough room on this device/);
  await quota();
  server.file('/quota.gguf').msPerPiece = 0;
  const third = await open(tab, server.url('/quota.gguf'));
  assert.equal(third.failure, null);
  assert.deepEqual(third.hows, ['resumed']);
  await close();
});

const BLOCK_FILES = `StorageManager.prototype.getDirectory = () => Promise.reject(new DOMException('blocked by a test', 'SecurityError'));`;
const BLOCK_CACHE = `CacheStorage.prototype.open = () => Promise.reject(new DOMException('blocked by a test', 'SecurityError'));`;
const BLOCK_LOCKS = `LockManager.prototype.request = () => Promise.reject(new DOMException('blocked by a test', 'SecurityError'));`;

test('without private files the browser\'s cache keeps models, resumes them and gives them back', options, async () => {
  server.put('/cached.gguf', { body: MODEL, breaks: [1_000_000] });
  const { page: tab, close } = await page('', { worker: BLOCK_FILES });
  const { failure, hows } = await open(tab, server.url('/cached.gguf'));
  assert.equal(failure, null);
  assert.deepEqual(hows, ['begun', 'broken', 'resumed']);
  const { tokens } = await ask(tab, 'abc', { 'max-tokens': '8' });
  assert.match(await tab.locator('lantern-chat [part=notice]').innerText(), /models lie in its cache/);
  const asked = server.requests.length;
  await tab.reload();
  assert.deepEqual((await open(tab, server.url('/cached.gguf'))).hows, ['stored']);
  assert.equal(server.requests.length, asked);
  assert.deepEqual((await ask(tab, 'abc', { 'max-tokens': '8' })).tokens, tokens);
  await close();
});

test('without any storage and without locks models lie in memory, and the page says so', options, async () => {
  server.put('/memory.gguf', { body: MODEL, breaks: [1_000_000] });
  const { page: tab, close } = await page('', { worker: BLOCK_FILES + BLOCK_CACHE + BLOCK_LOCKS });
  const { failure, hows } = await open(tab, server.url('/memory.gguf'));
  assert.equal(failure, null);
  assert.deepEqual(hows, ['begun', 'broken', 'resumed']);
  assert.match(await tab.locator('lantern-chat [part=notice]').innerText(), /the model lies in memory/);
  assert.equal((await ask(tab, 'abc', { 'max-tokens': '8' })).tokens.length, 8);
  await close();
});

test('two tabs, one download; when the first is closed the second takes over', options, async () => {
  server.put('/shared.gguf', { body: MODEL, msPerPiece: 40 });
  const first = await page();
  const second = await first.context.newPage();
  await second.goto(new URL('/host-page', SITE).href);
  await begin(first.page, server.url('/shared.gguf'));
  await come(first.page, 100_000);
  await begin(second, server.url('/shared.gguf'));
  await come(second, 300_000);
  server.file('/shared.gguf').msPerPiece = 1;
  const [one, two] = await Promise.all([end(first.page), end(second)]);
  assert.deepEqual([one.failure, two.failure], [null, null]);
  assert.deepEqual(two.hows, ['other-tab', 'stored']);
  assert.equal(two.heard.find(({ done }) => done > 0).total, MODEL.length, "it shows the other tab's progress");
  assert.equal(server.requests.length, 1);

  server.forget();
  server.put('/orphan.gguf', { body: MODEL, msPerPiece: 60 });
  await begin(first.page, server.url('/orphan.gguf'));
  await come(first.page, 1_500_000);
  await begin(second, server.url('/orphan.gguf'));
  await come(second, 1);
  server.file('/orphan.gguf').msPerPiece = 0;
  await first.page.close();
  const taken = await end(second);
  assert.equal(taken.failure, null);
  assert.deepEqual(taken.hows, ['other-tab', 'resumed']);
  assert.equal(server.requests.length, 2);
  assert.ok(server.sent() < MODEL.length * 1.6, `${server.sent()} bytes were sent for ${MODEL.length}`);
  await first.close();
});

for (const colorScheme of ['light', 'dark']) {
  test(`the panel of models: what fits, what is here, used and removed, ${colorScheme}`, options, async () => {
    server.put('/mine.gguf', { body: MODEL, msPerPiece: 30 });
    const { page: tab, context, close } = await page('', { context: { colorScheme, reducedMotion: 'reduce', viewport: { width: 360, height: 800 } } });
    await begin(tab, server.url('/mine.gguf'));
    await come(tab, 1_000_000);
    await tab.evaluate(() => document.querySelector('lantern-chat').stop());
    server.file('/mine.gguf').msPerPiece = 0;
    const opener = tab.getByRole('button', { name: 'Choose a model…' });
    await opener.click();
    const panel = tab.getByRole('dialog', { name: 'Models' });
    await panel.getByText('Lantern chat').waitFor();
    await assertAccessible(tab, 'the panel');
    const wide = await tab.evaluate(() => {
      const dialog = document.querySelector('lantern-chat').shadowRoot.querySelector('dialog');
      return dialog.scrollWidth - dialog.clientWidth;
    });
    assert.equal(wide, 0, 'nothing is cut off at 360 px');

    // What cannot run here is said, and not offered.
    const large = panel.getByRole('listitem').filter({ hasText: 'Llama 2 7B Chat' });
    assert.match(await large.innerText(), /needs \d\.\d GB, and without a GPU at most 1\.5 GB fit/);
    assert.equal(await large.getByRole('button').count(), 0);
    assert.match(await panel.getByRole('listitem').filter({ hasText: 'SmolLM2 360M' }).innerText(), /About 386.MB to fetch.· \d+.MB of memory/);

    // A part is gone on with.
    const mine = panel.getByRole('listitem').filter({ hasText: 'mine.gguf' });
    assert.match(await mine.innerText(), /1\.\d of 3\.0.MB on this device/);
    await mine.getByRole('button', { name: 'Resume' }).click();
    await state(tab, 'ready');
    assert.ok(server.sent() < MODEL.length * 1.1);

    // While another tab fetches it, it stays.
    server.put('/taken.gguf', { body: MODEL, msPerPiece: 100 });
    const other = await context.newPage();
    await other.goto(new URL('/host-page', SITE).href);
    await begin(other, server.url('/taken.gguf'));
    await come(other, 600_000);
    await opener.click();
    const taken = panel.getByRole('listitem').filter({ hasText: 'taken.gguf' });
    await taken.getByRole('button', { name: 'Remove' }).click();
    await taken.getByText('was not removed').waitFor();
    await tab.keyboard.press('Escape');
    await other.evaluate(() => document.querySelector('lantern-chat').stop());
    await other.close();
    await opener.click();
    await taken.getByRole('button', { name: 'Remove' }).click();
    await taken.waitFor({ state: 'detached' });
    await tab.keyboard.press('Escape');

    // And removed, by the keyboard.
    await opener.focus();
    await tab.keyboard.press('Enter');
    await mine.getByText('In use').waitFor();
    await mine.getByRole('button', { name: 'Remove' }).focus();
    await tab.keyboard.press('Enter');
    await panel.getByText('No model is stored on this device.').waitFor();
    assert.deepEqual(await stored(tab), []);
    await tab.keyboard.press('Escape');
    assert.equal(await panel.isVisible(), false);
    assert.equal((await ask(tab, 'abc', { 'max-tokens': '4' })).tokens.length, 4, 'the loaded model goes on');

    // Another address, typed.
    await opener.click();
    await panel.getByLabel('From another address').fill('not an address');
    await tab.keyboard.press('Enter');
    assert.match(await panel.innerText(), /begins with https/);
    server.put('/typed.gguf', { body: MODEL });
    await panel.getByLabel('From another address').fill(server.url('/typed.gguf'));
    await tab.keyboard.press('Enter');
    await state(tab, 'ready');
    assert.deepEqual(await contents(tab), WHOLE);
    await close();
  });
}

test('a model that may not fit says so before it is fetched, in the list and at the first click', options, async () => {
  const small = "Object.defineProperty(WorkerNavigator.prototype, 'deviceMemory', { get: () => 1 });";
  const { page: tab, close } = await page('', { worker: small, also: ['huggingface.co'] });
  let asked = 0;
  await tab.route('https://huggingface.co/**', (route) => {
    asked += 1;
    return route.fulfill({ status: 404, headers: { 'access-control-allow-origin': '*' } });
  });
  await tab.getByRole('button', { name: 'Choose a model…' }).click();
  const row = tab.getByRole('listitem').filter({ hasText: 'TinyLlama 1.1B Chat' });
  await row.getByText(/It needs \d+ MB, and this device has about 1\.1 GB of memory/).waitFor();
  await row.getByRole('button', { name: 'Download TinyLlama' }).click();
  assert.match(await tab.locator('[data-lantern=announcer]').innerText(), /It needs \d+ MB/);
  assert.equal(asked, 0);
  await row.getByRole('button', { name: 'Try TinyLlama 1.1B Chat anyway' }).click();
  await tab.waitForFunction(() => document.querySelector('lantern-chat').state === 'failed');
  assert.equal(asked, 1);
  assert.match(await tab.locator('lantern-chat [part=error]').innerText(), /download\.status/);
  assert.match(await tab.locator('lantern-chat .model-name').innerText(), /TinyLlama 1\.1B Chat/);
  await tab.getByRole('button', { name: 'Back to the embedded model' }).click();
  await state(tab, 'ready');
  await close();
});
