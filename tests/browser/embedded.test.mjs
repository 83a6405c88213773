// The page's own model: what the page says of it is true, both of its uses are open to a visitor, and its arrival is a wait that
// one can see, work through and stop. What is drawn before a model's kind is known stays where it is when it is.

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { EMBEDDED, OPENINGS, QUESTIONS } from '../../www/lantern/chat/embedded.js';
import { F16, randomLlama } from './gguf.mjs';
import { MODEL_FILE, ask, hostPage, launch, options, state, visit } from './harness.mjs';
import { modelServer } from './model-server.mjs';

let chromium;
let server;
before(async () => {
  chromium = await launch({ webgpu: false });
  server = await modelServer();
});
after(async () => {
  await chromium?.close();
  server?.close();
});

const www = (path) => new URL(`../../www/${path}`, import.meta.url);
const chat = (page, part) => page.locator(`lantern-chat [part=${part}]`);

test('what the page says of its model is what the catalogue and the files say', async () => {
  const { models } = JSON.parse(readFileSync(www('models/catalogue.json'), 'utf8'));
  const { name, url, bytes } = models.find(({ id }) => id === EMBEDDED.id);
  assert.deepEqual([EMBEDDED.name, EMBEDDED.file], [name, url]);
  assert.equal(statSync(MODEL_FILE).size, bytes);
  const engine = gzipSync(readFileSync(www('wasm/lantern_web_bg.wasm'))).length + gzipSync(readFileSync(www('wasm/lantern_web.js'))).length;
  const said = `about ${Math.round((bytes + engine) / 1e6)}\u00a0MB`;
  assert.equal(EMBEDDED.cost, said);
  const front = readFileSync(www('index.html'), 'utf8').replaceAll('&nbsp;', '\u00a0');
  assert.deepEqual([...front.matchAll(/about \d+\u00a0MB/g)].map(([words]) => words), [said, said], 'the front page says the same, at the top and on the card');
});

test('a question is answered in turns, an opening is gone on with, and the choice is open until words are sent', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html');
  await state(page, 'ready');
  await page.evaluate(() => document.querySelector('lantern-chat').setAttribute('max-tokens', '12'));
  const lines = () => page.locator('lantern-chat .turn').count();

  await chat(page, 'question').filter({ hasText: QUESTIONS[0] }).click();
  assert.equal(await chat(page, 'kinds').isVisible(), false);
  await state(page, 'ready');
  assert.equal(await lines(), 2, 'a line for each turn');
  assert.equal(await chat(page, 'text').locator('xpath=..').getAttribute('aria-label'), 'Conversation');
  assert.equal(await chat(page, 'send').innerText(), 'Send');

  await page.getByRole('button', { name: 'New conversation' }).click();
  await chat(page, 'opening').filter({ hasText: OPENINGS[0] }).click();
  await state(page, 'ready');
  assert.equal(await lines(), 1, 'one flow');
  assert.equal(await chat(page, 'send').innerText(), 'Continue');
  await chat(page, 'send').click();
  await state(page, 'ready');
  assert.equal(await lines(), 1, 'and it goes on without a word');

  await page.getByRole('button', { name: 'New story' }).click();
  await page.getByRole('radio', { name: 'Begin a story' }).focus();
  assert.equal(await page.getByRole('radio', { name: 'Begin a story' }).isChecked(), true, 'it is still a story that is meant');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await chat(page, 'input').getAttribute('placeholder'), 'Ask something…');
  await close();
});

test('the first words can be sent at once: they wait in sight, the arrival is told in bytes, and the first token follows the last byte', options, async (t) => {
  const { page, requests, close } = await visit(chromium, 'chat.html?device=cpu', {
    prepare: (page, context) => throttled(page, context, 4_000_000),
    waitUntil: 'commit',
  });
  await chat(page, 'input').fill('Who are you?');
  await chat(page, 'send').click();
  await state(page, 'loading');
  assert.match(await chat(page, 'prompt').innerText(), /Who are you\?/);
  assert.equal(await page.locator('lantern-chat .turn.asked').count(), 1, 'the model is known to converse');
  await page.waitForFunction(() => /of 15\.2.MB [\d.]+.MB\/s, \d+.s left/.test(document.querySelector('lantern-chat').shadowRoot.querySelector('[part=progress]').innerText), null, { polling: 50 });

  // What is typed meanwhile stays.
  await chat(page, 'input').fill('and you?');
  await page.keyboard.press('Enter');
  assert.equal(await chat(page, 'input').inputValue(), 'and you?');
  assert.equal(await chat(page, 'prompt').count(), 1);

  await page.evaluate(() => {
    globalThis.last = 0;
    const chat = document.querySelector('lantern-chat');
    chat.addEventListener('lantern-progress', ({ detail: { stage, done, total } }) => {
      if (stage === 'weights' && done === total) globalThis.last ||= performance.now();
    });
    chat.addEventListener('lantern-token', () => (globalThis.first ??= performance.now()));
  });
  await state(page, 'ready');
  const ms = await page.evaluate(() => globalThis.first - globalThis.last);
  t.diagnostic(`first token ${Math.round(ms)} ms after the last byte`);
  assert.ok(ms > 0, 'it waits for the last byte');
  assert.match(await chat(page, 'completion').innerText(), /Lantern/);
  assert.equal(requests.filter(({ url }) => url.endsWith('.gguf')).length, 1, 'the model is fetched once');
  await close();
});

test('a cancelled arrival gives the words back, and the next ones go on with it', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html?device=cpu', { prepare: (page, context) => throttled(page, context, 3_000_000), waitUntil: 'commit' });
  await chat(page, 'input').fill('Tell me a joke.');
  await chat(page, 'send').click();
  await page.waitForFunction(() => /[1-9]\.\d of 15/.test(document.querySelector('lantern-chat').shadowRoot.querySelector('[part=progress]').innerText), null, { polling: 50 });
  await chat(page, 'cancel').click();
  await state(page, 'idle');
  assert.equal(await chat(page, 'input').inputValue(), 'Tell me a joke.');
  await page.getByText('Your next words go on with it').waitFor();
  await page.evaluate(() => {
    globalThis.hows = new Set();
    document.querySelector('lantern-chat').addEventListener('lantern-progress', ({ detail: { stage, how } }) => stage === 'weights' && globalThis.hows.add(how));
  });
  await chat(page, 'send').click();
  await state(page, 'running', 'ready');
  assert.deepEqual(await page.evaluate(() => [...globalThis.hows]), ['checking', 'resumed']);
  await state(page, 'ready');
  await close();
});

test('where data costs, nothing is fetched before it is asked for, and the page says how much it is', options, async () => {
  const { page, requests, close } = await visit(chromium, 'chat.html', {
    prepare: (page) => page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'connection', { get: () => ({ saveData: true }) })),
    waitUntil: 'networkidle',
  });
  assert.deepEqual(requests.filter(({ url }) => /\.(wasm|gguf)$/.test(url)), []);
  assert.match(await page.locator('lantern-chat .cost').innerText(), /about 16.MB/);
  assert.ok((await ask(page, 'Hi!', { 'max-tokens': '4' })).tokens.length > 0);
  await close();
});

const TEMPLATE = '{% for m in messages %}{{ m.content }}{% endfor %}';
for (const [kind, more] of [['conversation', [['tokenizer.chat_template', 'string', TEMPLATE]]], ['story', []]]) {
  test(`words sent before anything is known of the model do not move when it turns out to be for a ${kind}`, options, async (t) => {
    const shape = { vocab: 1500, hidden: 192, feedForward: 512, layers: 3, heads: 6, kvHeads: 2, context: 256 };
    server.put(`/${kind}.gguf`, { body: readFileSync(randomLlama(t, shape, { type: F16, tied: true, more })), msPerPiece: 150 });
    const { page, close } = await visit(chromium, '/host-page', {
      also: [server.host],
      prepare: (page) => hostPage(`<lantern-chat loading="click" device="cpu" max-tokens="4" temperature="0" model="${server.url(`/${kind}.gguf`)}"></lantern-chat>
        <script type="module" src="/lantern/chat.js"></script>`)(page),
    });
    await page.waitForFunction(() => document.querySelector('lantern-chat')?.shadowRoot?.querySelector('[part=frame]')?.hidden === false);
    const looks = () => page.evaluate(() => {
      const root = document.querySelector('lantern-chat').shadowRoot;
      const { x, y, width, height } = root.querySelector('[part=prompt]').getBoundingClientRect();
      return { rect: { x, y, width, height }, name: root.querySelector('.scroller').getAttribute('aria-label'), room: root.querySelectorAll('[part=completion]').length };
    });
    const answer = ask(page, 'abc', { 'max-tokens': '4' });
    await state(page, 'loading');
    const unknown = await looks();
    assert.deepEqual([unknown.name, unknown.room], ['Text', 0], 'nothing is claimed that nobody knows');
    await chat(page, 'completion').waitFor({ state: 'attached' });
    const known = await looks();
    assert.equal(await page.evaluate(() => document.querySelector('lantern-chat').state), 'loading', 'the header says it, long before the last byte');
    assert.equal(known.name.toLowerCase(), kind);
    assert.deepEqual(known.rect, unknown.rect);
    await answer;
    assert.deepEqual((await looks()).rect, unknown.rect);
    assert.equal(await page.locator('lantern-chat .turn').count(), kind === 'story' ? 1 : 2);
    await close();
  });
}

/** A line of so many bytes a second, the Worker's included: the browser's own throttling leaves Workers out. */
async function throttled(page, context, bytesPerSecond) {
  server.put('/slow.gguf', { body: readFileSync(MODEL_FILE), msPerPiece: (1000 * 65_536) / bytesPerSecond });
  await context.route('**/models/*.gguf', (route) => route.continue({ url: server.url('/slow.gguf') }));
}
