// The embedded model is a standard GGUF: llama.cpp, as wllama, loads it, tells the same story and gives the same answer.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { GOLDEN, ask, assertGolden, hostPage, launch, options, state, visit } from './harness.mjs';

// wllama multiplies with 8-bit activations; a choice closer than this may fall otherwise.
const BOUND = 0.05;

let chromium;
before(async () => (chromium = await launch({ webgpu: false })));
after(() => chromium?.close());

test("llama.cpp's WebAssembly build reads the embedded model, continues and answers as we do", options, async (t) => {
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
  // As the file's template writes the question down.
  const prompts = { story: GOLDEN.prompt, conversation: `<|user|>${GOLDEN.question.prompt}<|end|><|assistant|>` };
  const got = await here.page.evaluate(async (prompts) => {
    const { Wllama } = await import('/wllama/index.js');
    const quiet = { debug() {}, log() {}, warn() {}, error: console.error };
    const wllama = new Wllama({ default: '/wllama/wasm/wllama.wasm' }, { logger: quiet, suppressNativeLog: true });
    const model = await (await fetch('/models/lantern-chat.q8_0.gguf')).blob();
    await wllama.loadModel([model], { n_threads: 1, n_gpu_layers: 0, n_ctx: 256, warmup: false });
    const { meta } = wllama.getModelMetadata();
    const texts = {};
    for (const [mode, prompt] of Object.entries(prompts)) {
      const answer = await wllama.createCompletion({ prompt, max_tokens: 32, temperature: 0, top_k: 1, logprobs: 1 });
      texts[mode] = answer.choices[0].text;
    }
    await wllama.exit();
    return { architecture: meta['general.architecture'], texts };
  }, prompts);
  await here.close();

  assert.equal(got.architecture, 'llama');
  // wllama gives text only; our own pieces say which token a character belongs to.
  const { page, close } = await visit(chromium, 'chat.html?device=cpu');
  await state(page, 'ready');
  await page.evaluate(() => document.querySelector('lantern-chat').addEventListener('lantern-token', ({ detail }) => globalThis.pieces.push(detail.text)));
  for (const [mode, golden] of [['story', GOLDEN], ['conversation', GOLDEN.question]]) {
    await page.evaluate(() => {
      globalThis.pieces = [];
      document.querySelector('lantern-chat').reset();
    });
    const { tokens } = await ask(page, golden.prompt, { mode, 'max-tokens': '32' });
    assertGolden(tokens, BOUND, golden);
    const pieces = await page.evaluate(() => globalThis.pieces);
    const shared = pieces.findIndex((_, at) => !got.texts[mode].startsWith(pieces.slice(0, at + 1).join('')));
    t.diagnostic(`${mode}: ${shared < 0 ? pieces.length : shared} of ${pieces.length} tokens are the same`);
    assert.ok(shared < 0 || golden.margins[shared] < BOUND, `llama.cpp parts from us at token ${shared}: "${got.texts[mode]}", not "${pieces.join('')}"`);
  }
  await close();
});
