// The GPU process dies in the middle of an answer: a new Worker, the journal replayed, and the answer goes on as if nothing
// had been.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { GOLDEN, ask, launch, options, state, visit } from './harness.mjs';

const TOKENS = '48';
// Its likeliest token leads by far at every step: what runs in one piece after a loss rounds otherwise than token by token.
const PROMPT = GOLDEN.prompt;

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

for (const [sampling, attributes] of Object.entries({ greedy: { temperature: '0' }, sampled: { temperature: '0.9', seed: '11' } })) {
  test(`a GPU crash does not change the answer, ${sampling}`, options, async (t) => {
    const { page, close } = await visit(chromium, 'chat.html?device=gpu&tier=software');
    await state(page, 'ready');
    const given = { ...attributes, mode: 'story', 'max-tokens': TOKENS };
    const undisturbed = await ask(page, PROMPT, given);
    await page.evaluate(() => document.querySelector('lantern-chat').reset());

    const heard = page.evaluate(
      () => new Promise((resolve) => document.querySelector('lantern-chat').addEventListener('lantern-token', ({ detail }) => detail.step === 8 && resolve())),
    );
    const answer = ask(page, PROMPT, given);
    await heard;
    const control = await chromium.browser.newBrowserCDPSession();
    await control.send('Browser.crashGpuProcess').catch(() => {});
    const disturbed = await answer;

    t.diagnostic(`${disturbed.recoveries} recovery; went on with ${disturbed.device}`);
    assert.ok(disturbed.recoveries >= 1, 'the crash was noticed');
    assert.deepEqual(disturbed.tokens, undisturbed.tokens);
    assert.equal(disturbed.text, undisturbed.text);
    await state(page, 'ready');
    await close();
  });
}

/** As a trap in WebAssembly does: an error nobody catches, after every eighth token. */
async function trapOften(page) {
  await page.route('**/lantern/core/worker.js', async (route) => {
    const response = await route.fetch();
    const trap = `
      let tokens = 0;
      const post = self.postMessage.bind(self);
      self.postMessage = (message, transfer) => {
        post(message, transfer);
        if (message.kind === 'token' && ++tokens === 8) setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable'); });
      };`;
    await route.fulfill({ response, body: `${trap}\n${await response.text()}` });
  });
}

test('a trap in the engine takes the same road, and no panic reaches the visitor', options, async (t) => {
  const plain = await visit(chromium, 'chat.html?device=cpu');
  await state(plain.page, 'ready');
  const undisturbed = await ask(plain.page, PROMPT, { mode: 'story', 'max-tokens': '32' });
  await plain.close();

  const trapped = await visit(chromium, 'chat.html?device=cpu', { prepare: trapOften });
  await state(trapped.page, 'ready');
  const disturbed = await ask(trapped.page, PROMPT, { mode: 'story', 'max-tokens': '32' });
  t.diagnostic(`${disturbed.recoveries} recoveries`);
  assert.ok(disturbed.recoveries >= 1);
  assert.deepEqual(disturbed.tokens, undisturbed.tokens);
  assert.equal(await trapped.page.locator('lantern-chat [part=error]').isVisible(), false);
  await trapped.close();
});
