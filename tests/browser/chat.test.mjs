// Chat, from typed words to an answer: on the processor, on every tier of the GPU this browser has, and on the one
// it chooses itself.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { GOLDEN, MODEL_FILE, ask, assertGolden, launch, options, state, visit } from './harness.mjs';

// Activations in 8 bits (the processor) and other orders of summing (the GPU) may turn a choice closer than this.
const BOUND = 0.05;

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

// Fewer tokens where barriers are emulated: 10 to 100 times slower there than on any GPU.
const DEVICES = [
  { query: 'device=cpu', device: 'cpu' },
  { query: 'device=gpu&tier=software', device: 'gpu', tier: 'software' },
  { query: 'device=gpu&tier=core', device: 'gpu', tier: 'core', tokens: 6, questions: [] },
  { query: 'device=gpu&tier=subgroups', device: 'gpu', tier: 'subgroups', tokens: 6, questions: [] },
  { query: 'device=gpu&tier=dot', device: 'gpu', tier: 'dot', tokens: 6, questions: [] },
  { query: 'device=gpu', device: 'gpu' },
];

for (const { query, device, tier, tokens = 32, questions = [GOLDEN.question] } of DEVICES) {
  test(`?${query}: the embedded model's golden story, streamed`, options, async (t) => {
    const { page, close } = await visit(chromium, `chat.html?${query}`);
    await state(page, 'ready');
    await page.evaluate(() => {
      globalThis.seen = [];
      const chat = document.querySelector('lantern-chat');
      chat.addEventListener('lantern-token', () => {
        const shown = [...chat.shadowRoot.querySelectorAll('[part=completion]')].at(-1).textContent.length;
        globalThis.seen.push({ state: chat.state, shown });
      });
    });
    const result = await ask(page, GOLDEN.prompt, { mode: 'story', 'max-tokens': String(tokens) });
    t.diagnostic(`${result.device} ${result.tier}: ${result.tokensPerSecond.toFixed(1)} tokens/s, first after ${Math.round(result.firstTokenMs)} ms`);

    assert.equal(result.device, device);
    if (tier) assert.equal(result.tier, tier);
    assert.equal(result.promptTokens, GOLDEN.prompt_ids.length);
    t.diagnostic(`${assertGolden(result.tokens, BOUND)} of ${result.tokens.length} tokens are the golden ones`);

    const seen = await page.evaluate(() => globalThis.seen);
    assert.equal(seen.length, result.tokens.length, 'one event for each token');
    assert.ok(seen.every((moment) => moment.state === 'running'), 'tokens come while it runs');
    assert.ok(seen.every((moment, at) => at === 0 || moment.shown >= seen[at - 1].shown) && seen[0].shown < seen.at(-1).shown, 'the text grows');
    assert.ok((await page.locator('lantern-chat [part=text]').innerText()).includes(result.text.trim()), 'the page shows the answer');

    for (const question of questions) {
      await page.evaluate(() => document.querySelector('lantern-chat').reset());
      const answer = await ask(page, question.prompt, { mode: 'conversation', 'max-tokens': String(tokens) });
      assert.equal(answer.promptTokens, question.prompt_ids.length);
      t.diagnostic(`${assertGolden(answer.tokens, BOUND, question)} of ${answer.tokens.length} tokens are the golden ones`);
    }
    await close();
  });
}

test('the same seed and words give the same text, another seed another', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html?device=cpu&seed=7');
  await state(page, 'ready');
  const tell = async (seed) => {
    const { text, seed: used } = await ask(page, 'One evening', { mode: 'story', temperature: '1', seed, 'max-tokens': '24' });
    assert.equal(used, Number(seed));
    await page.evaluate(() => document.querySelector('lantern-chat').reset());
    return text;
  };
  const first = await tell('7');
  assert.equal(await tell('7'), first);
  assert.notEqual(await tell('8'), first);
  await close();
});

test('typing and pressing the button answers; the stop button stops', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html?device=cpu');
  const finish = page.evaluate(
    () =>
      new Promise((resolve) => {
        const chat = document.querySelector('lantern-chat');
        chat.addEventListener('lantern-token', () => chat.shadowRoot.querySelector('[part=stop]').click(), { once: true });
        chat.addEventListener('lantern-result', ({ detail }) => resolve(detail.finish));
      }),
  );
  await page.locator('lantern-chat [part=input]').fill('The old lamp');
  await page.locator('lantern-chat [part=send]').click();
  assert.equal(await finish, 'cancelled');
  await state(page, 'ready');
  assert.match(await page.locator('lantern-chat [part=text]').innerText(), /The old lamp/);
  await close();
});

for (const query of ['device=cpu', 'device=gpu&tier=software']) {
  test(`?${query}: no token appears later than 100 ms after "stop"`, options, async () => {
    const { page, close } = await visit(chromium, `chat.html?${query}`);
    await state(page, 'ready');
    const { finish, late, tokens } = await page.evaluate(async () => {
      const chat = document.querySelector('lantern-chat');
      chat.setAttribute('max-tokens', '512');
      chat.setAttribute('mode', 'story');
      let stopped = Infinity;
      const late = [];
      const changes = new MutationObserver(() => late.push(performance.now() - stopped));
      changes.observe(chat.shadowRoot.querySelector('[part=text]'), { childList: true, subtree: true, characterData: true });
      const heard = new Promise((resolve) => chat.addEventListener('lantern-token', ({ detail }) => detail.step >= 3 && resolve()));
      const answer = chat.ask('The king rode out');
      await heard;
      stopped = performance.now();
      await chat.stop();
      const { finish, tokens } = await answer;
      const length = chat.shadowRoot.querySelector('[part=text]').textContent.length;
      // The Worker answers this after its last slice: whatever it still had to say has been said by then.
      await chat.engine.stats();
      const grown = chat.shadowRoot.querySelector('[part=text]').textContent.length - length;
      return { finish, tokens: tokens.length, late: late.filter((ms) => ms > 100).concat(grown ? [`grew by ${grown}`] : []) };
    });
    assert.equal(finish, 'cancelled');
    assert.ok(tokens >= 3 && tokens < 500, `stopped after ${tokens} tokens`);
    assert.deepEqual(late, []);
    // And the element is as good as new.
    const { tokens: more } = await ask(page, 'and then', { 'max-tokens': '16' });
    assert.ok(more.length > 0);
    await close();
  });
}

test('a GGUF file from the disk: by the picker, and dropped', options, async () => {
  const { page, requests, close } = await visit(chromium, 'chat.html?device=cpu');
  await state(page, 'ready');
  const before = requests.length;
  const model = { name: 'mine.gguf', mimeType: 'application/octet-stream', buffer: readFileSync(MODEL_FILE) };
  await page.locator('lantern-chat input[type=file]').setInputFiles(model);
  await page.getByRole('button', { name: 'Back to the embedded model' }).waitFor();
  await state(page, 'ready');
  const picked = await ask(page, 'The miller', { 'max-tokens': '16' });
  assert.ok(picked.tokens.length > 0);
  assert.deepEqual(requests.slice(before), [], 'the file goes nowhere');

  await page.getByRole('button', { name: 'Back to the embedded model' }).click();
  await state(page, 'ready');
  await page.evaluate(async () => {
    const chat = document.querySelector('lantern-chat');
    const data = new DataTransfer();
    data.items.add(new File([await (await fetch('models/lantern-chat.q8_0.gguf')).blob()], 'dropped.gguf'));
    for (const type of ['dragenter', 'dragover', 'drop']) {
      chat.shadowRoot.querySelector('[part=frame]').dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, composed: true, cancelable: true }));
    }
  });
  await page.getByRole('button', { name: 'Back to the embedded model' }).waitFor();
  await state(page, 'ready');
  const dropped = await ask(page, 'The miller', { 'max-tokens': '16' });
  assert.deepEqual(dropped.tokens, picked.tokens);
  await close();
});

test('a file that is no GGUF, and one cut short: code, cause and remedy, and the way back', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html?device=cpu');
  await state(page, 'ready');
  const whole = readFileSync(MODEL_FILE);
  const bad = { 'noise.gguf': Buffer.alloc(4096, 0x5a), 'short.gguf': whole.subarray(0, whole.length - 4096), 'empty.gguf': Buffer.alloc(0) };
  for (const [name, buffer] of Object.entries(bad)) {
    const failed = page.evaluate(
      () => new Promise((resolve) => document.querySelector('lantern-chat').addEventListener('lantern-error', ({ detail }) => resolve(detail), { once: true })),
    );
    await page.locator('lantern-chat input[type=file]').setInputFiles({ name, mimeType: 'application/octet-stream', buffer });
    const failure = await failed;
    assert.match(failure.code, /^[a-z]+\.[a-z-]+$/, name);
    assert.ok(failure.cause && failure.remedy, name);
    const shown = await page.locator('lantern-chat [part=error]').innerText();
    for (const part of [failure.code, failure.cause, failure.remedy]) assert.ok(shown.toLowerCase().includes(part.toLowerCase()), `${name}: the page shows "${part}"`);
  }
  await page.evaluate(() => document.querySelector('lantern-chat').open(null));
  assert.ok((await ask(page, 'The miller', { 'max-tokens': '16' })).tokens.length > 0);
  await close();
});

test('a model that is not there: code, cause and remedy', options, async () => {
  const here = await visit(chromium, 'chat.html?device=cpu', { prepare: (page) => page.route('**/*.gguf', (route) => route.fulfill({ status: 404 })) });
  await here.page.waitForFunction(() => document.querySelector('lantern-chat').state === 'failed');
  assert.match(await here.page.locator('lantern-chat [part=error]').innerText(), /download\.status/);
  // The browser itself reports a 404 to the console; that one is expected.
  const expected = here.problems.splice(0).filter((problem) => !/404/.test(problem));
  assert.deepEqual(expected, []);
  await here.close();
});
