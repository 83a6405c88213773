// The processor on several threads: Workers that share no memory but for orders, activations and results.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { GOLDEN, ask, assertGolden, launch, options, state, visit } from './harness.mjs';

// As chat.test.mjs: activations in 8 bits.
const BOUND = 0.05;

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

const adapter = (page) => page.evaluate(() => document.querySelector('lantern-chat').shadowRoot.querySelector('[part=instruments]').innerText);

/** The golden story on so many threads. */
async function story(threads, more) {
  const { page, close } = await visit(chromium, `chat.html?device=cpu&threads=${threads}`, more);
  await state(page, 'ready');
  const result = await ask(page, GOLDEN.prompt, { mode: 'story', 'max-tokens': '32' });
  const told = await adapter(page);
  await close();
  return { ...result, told };
}

test('several threads give the tokens of one', options, async (t) => {
  const [one, two, three] = [await story(1), await story(2), await story(3)];
  assertGolden(one.tokens, BOUND);
  assert.deepEqual(two.tokens, one.tokens);
  assert.deepEqual(three.tokens, one.tokens);
  for (const [threads, { told }] of [one, two, three].entries()) assert.match(told, new RegExp(`threads: ${threads + 1}`));
  t.diagnostic(`two threads are ${(two.tokensPerSecond / one.tokensPerSecond).toFixed(2)} times as fast as one: ${two.tokensPerSecond.toFixed(1)} and ${one.tokensPerSecond.toFixed(1)} tokens/s`);
});

test('a page that is not isolated computes on one thread, and says why', options, async () => {
  const plain = async (page) => {
    await page.route('**/chat.html*', async (route) => {
      const response = await route.fetch();
      const headers = Object.fromEntries(Object.entries(response.headers()).filter(([name]) => !name.startsWith('cross-origin-')));
      await route.fulfill({ response, headers });
    });
  };
  const { tokens, told } = await story(2, { prepare: plain });
  assert.equal(tokens.length, 32);
  assert.match(told, /threads: 1: this page is not cross-origin isolated/);
});

test('a thread that does not start is done without', options, async () => {
  // Routes do not see what a Worker's own Worker asks for.
  const broken = (page) => page.route('**/lantern/core/worker.js', async (route) => {
    const response = await route.fetch();
    const text = (await response.text()).replace("new URL('./crew.js', import.meta.url)", "'data:text/javascript,throw new Error()'");
    await route.fulfill({ response, body: text });
  });
  const { tokens, told } = await story(2, { prepare: broken });
  assert.equal(tokens.length, 32);
  assert.match(told, /threads: 1: a thread did not start/);
});

test('a number of threads that cannot be is refused with what can', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html?device=cpu&threads=many');
  await page.waitForFunction(() => document.querySelector('lantern-chat').state === 'failed');
  assert.match(await page.locator('lantern-chat [part=error]').innerText(), /1 to 16/);
  await close();
});
