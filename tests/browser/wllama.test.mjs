// The embedded model is a standard GGUF: llama.cpp, as wllama, loads it and tells the same story.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { GOLDEN, ask, hostPage, launch, options, state, visit } from './harness.mjs';

// wllama multiplies with 8-bit activations; a choice closer than this may fall otherwise.
const BOUND = 0.05;

let chromium;
before(async () => (chromium = await launch({ webgpu: false })));
after(() => chromium?.close());

test("llama.cpp's WebAssembly build reads the embedded model and continues as we do", options, async (t) => {
  const files = { 'index.js': 'text/javascript', 'wasm/wllama.wasm': 'application/wasm' };
  const here = await visit(chromium, '/host-page', {
    prepare: async (page) => {
      await hostPage('')(page);
      for (const [name, contentType] of Object.entries(files)) {
        const body = readFileSync(new URL(`../node_modules/@wllama/wllama/esm/${name}`, import.meta.url));
        await page.route(`**/wllama/${name}`, (route) => route.fulfill({ contentType, body }));
      }
    },
  });
  const got = await here.page.evaluate(async (prompt) => {
    const { Wllama } = await import('/wllama/index.js');
    const quiet = { debug() {}, log() {}, warn() {}, error: console.error };
    const wllama = new Wllama({ default: '/wllama/wasm/wllama.wasm' }, { logger: quiet, suppressNativeLog: true });
    const model = await (await fetch('/models/lantern-stories.q8_0.gguf')).blob();
    await wllama.loadModel([model], { n_threads: 1, n_gpu_layers: 0, n_ctx: 256, warmup: false });
    const { hparams, meta } = wllama.getModelMetadata();
    const answer = await wllama.createCompletion({ prompt, max_tokens: 32, temperature: 0, top_k: 1, logprobs: 1 });
    await wllama.exit();
    return { hparams, architecture: meta['general.architecture'], text: answer.choices[0].text };
  }, GOLDEN.prompt);
  await here.close();

  assert.equal(got.architecture, 'llama');
  // wllama gives text only; our own pieces say which token a character belongs to.
  const { page, close } = await visit(chromium, 'chat.html?device=cpu');
  await state(page, 'ready');
  await page.evaluate(() => {
    globalThis.pieces = [];
    document.querySelector('lantern-chat').addEventListener('lantern-token', ({ detail }) => globalThis.pieces.push(detail.text));
  });
  await ask(page, GOLDEN.prompt, { 'max-tokens': '32' });
  const pieces = await page.evaluate(() => globalThis.pieces);
  await close();

  const shared = pieces.findIndex((_, at) => !got.text.startsWith(pieces.slice(0, at + 1).join('')));
  t.diagnostic(`${shared < 0 ? pieces.length : shared} of ${pieces.length} tokens are the same`);
  assert.ok(shared < 0 || GOLDEN.margins[shared] < BOUND, `llama.cpp parts from us at token ${shared}: "${got.text}", not "${pieces.join('')}"`);
});
