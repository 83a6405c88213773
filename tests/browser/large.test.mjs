// Large files: what is never whole in the WebAssembly heap, past a binding's limit, or past four gigabytes.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { F16, Q4_0, randomLlama, sparseLlama } from './gguf.mjs';
import { ask, launch, options, state, visit } from './harness.mjs';

const MIB = 2 ** 20;

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

/** Opens the file in the page, and gives what a few greedy tokens were and what the engine then holds. */
async function answer(page, file, tokens) {
  await page.locator('lantern-chat input[type=file]').setInputFiles(file);
  await page.getByRole('button', { name: 'Back to the embedded model' }).waitFor();
  await state(page, 'ready');
  const result = await ask(page, 'abc', { 'max-tokens': String(tokens) });
  return { result, stats: await page.evaluate(() => document.querySelector('lantern-chat').engine.stats()) };
}

test('a file of TinyLlama-1.1B’s shape in Q4_0 loads and answers; the heap stays under 256 MiB', { timeout: 480_000 }, async (t) => {
  const shape = { vocab: 32_000, hidden: 2048, feedForward: 5632, layers: 22, heads: 32, kvHeads: 4, context: 2048 };
  const file = randomLlama(t, shape, { type: Q4_0, tied: false });
  const bytes = statSync(file).size;
  const { page, close } = await visit(chromium, 'chat.html?device=gpu&tier=software');
  page.setDefaultTimeout(300_000);
  await state(page, 'ready');
  const started = performance.now();
  const { result, stats } = await answer(page, file, 3);
  t.diagnostic(`${(bytes / MIB).toFixed()} MiB: loaded and 3 tokens after ${((performance.now() - started) / 1000).toFixed(1)} s, ${result.tokensPerSecond.toFixed(2)} tokens/s; heap ${(stats.wasmBytes / MIB).toFixed()} MiB, GPU ${(stats.gpuBytes / MIB).toFixed()} MiB`);
  assert.equal(result.tokens.length, 3);
  assert.ok(stats.gpuBytes > bytes * 0.95, 'the weights are on the device');
  assert.ok(stats.wasmBytes < 256 * MIB, `the heap has ${stats.wasmBytes} bytes`);
  await close();
});

/** Makes every adapter seem to bind at most so much at once, and to have buffers of twice that. */
function capped(bytes) {
  return (page) => page.route('**/lantern/core/worker.js', async (route) => {
    const response = await route.fetch();
    const cap = `{
      const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'limits');
      const most = { maxStorageBufferBindingSize: ${bytes}, maxBufferSize: ${2 * bytes} };
      Object.defineProperty(GPUAdapter.prototype, 'limits', {
        get() {
          const limits = get.call(this);
          return new Proxy(limits, { get: (_, name) => Math.min(limits[name], most[name] ?? Infinity) });
        },
      });
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = async function (descriptor) {
        const device = await requestDevice.call(this, descriptor);
        if (device.limits.maxStorageBufferBindingSize !== ${bytes}) throw new Error('the cap does not hold');
        return device;
      };
    }`;
    await route.fulfill({ response, body: `${cap}\n${await response.text()}` });
  });
}

test('a vocabulary of 128,256 over a binding’s 128 MiB gives the tokens it gives without the cap', options, async (t) => {
  // 141 MiB in F16, and the output is the embedding.
  const shape = { vocab: 128_256, hidden: 576, feedForward: 1536, layers: 1, heads: 9, kvHeads: 3, context: 256 };
  const file = randomLlama(t, shape, { type: F16, tied: true });
  const tokens = [];
  for (const prepare of [undefined, capped(128 * MIB)]) {
    const { page, close } = await visit(chromium, 'chat.html?device=gpu&tier=software', { prepare });
    await state(page, 'ready');
    const { result, stats } = await answer(page, file, 6);
    assert.ok(stats.gpuBytes > 140 * MIB && stats.wasmBytes < 256 * MIB, `heap ${stats.wasmBytes}, GPU ${stats.gpuBytes}`);
    tokens.push(result.tokens);
    await close();
  }
  assert.equal(tokens[0].length, 6);
  assert.deepEqual(tokens[1], tokens[0]);
});

test('weights past 4 GiB of a file are read where they are', options, async (t) => {
  const file = sparseLlama(t, 5n * 1024n ** 3n);
  assert.ok(statSync(file).size > 5 * 1024 ** 3);
  const { page, close } = await visit(chromium, 'chat.html?device=cpu');
  await state(page, 'ready');
  const { result } = await answer(page, file, 5);
  assert.equal(result.text, 'hhhhh');
  await close();
});
