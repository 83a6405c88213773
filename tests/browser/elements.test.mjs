// Several elements on one page: one Worker, one set of weights, and memory that is given back.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hostPage, launch, options, visit } from './harness.mjs';

const TWO = `
  <lantern-chat id="a" loading="eager" device="gpu" tier="software" temperature="0" max-tokens="16"></lantern-chat>
  <lantern-chat id="b" loading="eager" device="gpu" tier="software" temperature="0" max-tokens="16"></lantern-chat>
  <script type="module" src="/lantern/chat.js"></script>`;

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

test('two elements share one engine, and a removed one frees its GPU memory', options, async (t) => {
  const { page, close } = await visit(chromium, '/host-page', { prepare: hostPage(TWO) });
  await page.waitForFunction(() => [...document.querySelectorAll('lantern-chat')].every(({ state }) => state === 'ready' || state === 'failed'));
  const stats = () => page.evaluate(() => import('/lantern/define.js').then(({ sharedEngine }) => sharedEngine().stats()));

  const both = await stats();
  assert.equal(page.workers().length, 1, 'one Worker for both');
  assert.equal(both.models, 1, 'the weights are there once');
  assert.equal(both.sessions, 2);
  assert.ok(both.gpuBytes > 0);

  const [a, b] = both.bySession;
  assert.ok(a.weights > 0 && a.work > 0 && b.work > 0, 'each is told what it holds');
  assert.equal(a.weights, b.weights, 'of the same weights');
  assert.ok(a.weights + a.work + b.work <= both.gpuBytes);
  const below = await page.waitForFunction(() => {
    const details = [...document.getElementById('b').shadowRoot.querySelectorAll('.detail')].map(({ textContent }) => textContent);
    return details.find((text) => /^weights \d/.test(text));
  });
  assert.match(await below.jsonValue(), /^weights [\d.]+.MB, working memory [\d.]+.[kM]B, heap [\d.]+.MB$/);

  const answers = await page.evaluate(() => Promise.all(['a', 'b'].map((id) => document.getElementById(id).ask('The miller'))));
  assert.ok(answers[0].tokens.length > 0);
  assert.deepEqual(answers[0].tokens, answers[1].tokens, 'they answer at once, and do not disturb each other');

  await page.evaluate(() => document.getElementById('a').remove());
  const settled = (sessions) =>
    page.waitForFunction(
      async (sessions) => {
        const { sharedEngine } = await import('/lantern/define.js');
        return (await sharedEngine().stats()).sessions === sessions;
      },
      sessions,
    );
  await settled(1);
  const one = await stats();
  t.diagnostic(`GPU bytes: two ${both.gpuBytes}, one ${one.gpuBytes}`);
  assert.equal(one.models, 1);
  assert.ok(one.gpuBytes < both.gpuBytes, 'its cache and plans are gone');
  assert.equal(one.bySession.length, 1);
  await page.waitForFunction(async (bytes) => {
    const format = await import('/lantern/core/format.js');
    const values = [...document.getElementById('b').shadowRoot.querySelectorAll('.value')].map(({ textContent }) => textContent);
    return values.includes(format.bytes(bytes));
  }, one.gpuBytes);
  const alone = await page.evaluate(() => document.getElementById('b').ask('and'));
  assert.ok(alone.tokens.length > 0, 'the other one goes on');

  await page.evaluate(() => document.getElementById('b').remove());
  await settled(0);
  const none = await stats();
  assert.equal(none.models, 0);
  assert.ok(none.gpuBytes < one.gpuBytes, 'the weights are gone');
  t.diagnostic(`GPU bytes left: ${none.gpuBytes}`);
  await close();
});

test('an element that is moved keeps its session', options, async () => {
  const { page, close } = await visit(chromium, '/host-page', {
    prepare: hostPage(`<div id="first"><lantern-chat loading="eager" device="cpu" temperature="0" max-tokens="16"></lantern-chat></div><div id="second"></div>
      <script type="module" src="/lantern/chat.js"></script>`),
  });
  await page.waitForFunction(() => document.querySelector('lantern-chat').state === 'ready');
  const after = await page.evaluate(async () => {
    const chat = document.querySelector('lantern-chat');
    document.getElementById('second').append(chat);
    await Promise.resolve();
    return { state: chat.state, tokens: (await chat.ask('The miller')).tokens.length };
  });
  assert.equal(after.state, 'ready');
  assert.ok(after.tokens > 0);
  await close();
});
