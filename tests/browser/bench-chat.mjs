// Prompt and answer of random Llamas, ours and other engines', on equal files, each in a page of its own of one browser, in
// turns. Prints one JSON record; `cargo xtask bench chat` makes the files, serves them and keeps the record.

import { loadavg } from 'node:os';
import { launch, visit } from './harness.mjs';
import { measuredOn, median } from './machine.mjs';

const { models, prompt_tokens, tokens, runs } = JSON.parse(process.env.BENCH_CHAT);

const NOTES = {
  prefill_ms: 'from giving the prompt to having the first token; the prompt is as many words as prompt_tokens, each a token',
  decode_ms: 'a token, from the first to the last of the answer, greedily drawn; the median of the runs, which took turns among the engines',
  lantern: "in a Worker, by the page's own element, as visitors have it; its own clock",
  wllama: "llama.cpp's WebAssembly in a Worker of wllama's, by the clock of the page that hears of each token; n_gpu_layers 0",
  text: 'whether engines give the same answer: they round activations differently, and of random weights many tokens are nearly as likely',
};

/** Words that are a token each: pieces are numbers, joined from single digits, and a first digit below 3 is no piece. Another text
 * for each run, from its first word on: an engine that keeps what it has computed is to compute this anew. */
const words = (vocab, run) => {
  const numbers = [];
  for (let number = 30 + run; numbers.length < prompt_tokens; number = (number * 7 + 1) % Math.min(vocab, 1000)) {
    if (number >= 3 && String(number)[0] >= '3') numbers.push(number);
  }
  return numbers.join(' ');
};

/** A page with this markup that may share memory among threads, as the site's own may. */
function isolated(markup) {
  const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
  const body = `<!doctype html><html lang="en"><title>Host page</title><link rel="icon" href="data:,"><body>${markup}`;
  return (page) => page.route('**/host-page', (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', headers, body }));
}

/** By name, the element's attributes. */
const LANTERN = {
  'lantern cpu 1': { device: 'cpu', threads: '1' },
  'lantern cpu 2': { device: 'cpu', threads: '2' },
  'lantern gpu software': { device: 'gpu', tier: 'software' },
  'lantern gpu core': { device: 'gpu', tier: 'core' },
};
const WLLAMA_THREADS = [1, 2];

/** Runs in the page: one answer. */
async function askLantern({ prompt, tokens }) {
  const element = document.querySelector('lantern-chat');
  await element.reset();
  const { text, tokens: ids, promptTokens, prefillMs, decodeMs, dispatchesPerToken } = await element.ask(prompt).catch((failure) => {
    throw failure.code ? new Error(`${failure.code}: ${failure.cause}. ${failure.remedy}.`) : failure;
  });
  return {
    prefill_ms: prefillMs,
    decode_ms: decodeMs / Math.max(ids.length - 1, 1),
    dispatches: dispatchesPerToken,
    prompt_tokens: promptTokens,
    tokens: ids.length,
    text,
    whole: ids.length === tokens,
  };
}

async function openLantern(chromium, where, model) {
  const given = { ...where, model: `/bench/models/${model.file}`, mode: 'story', 'max-tokens': tokens, temperature: 0, seed: 1 };
  const attributes = Object.entries(given).map(([name, value]) => `${name}="${value}"`).join(' ');
  const markup = `<lantern-chat ${attributes}></lantern-chat><script type="module" src="/lantern/chat.js"></script>`;
  const here = await visit(chromium, '/host-page', { prepare: isolated(markup) });
  return { run: (prompt) => here.page.evaluate(askLantern, { prompt, tokens }), close: here.close };
}

/** Runs in the page: wllama with a model. */
async function loadWllama({ file, threads, context }) {
  const { Wllama } = await import('/bench/wllama/index.js');
  const quiet = { debug() {}, log() {}, warn() {}, error: console.error };
  const wllama = new Wllama({ default: '/bench/wllama/wasm/wllama.wasm' }, { logger: quiet, suppressNativeLog: true });
  const model = await (await fetch(`/bench/models/${file}`)).blob();
  await wllama.loadModel([model], { n_threads: threads, n_gpu_layers: 0, n_ctx: context, warmup: false });
  globalThis.wllama = wllama;
  return { threads: wllama.getNumThreads?.(), isolated: globalThis.crossOriginIsolated };
}

/** Runs in the page: one answer, from an empty cache. */
async function askWllama({ prompt, tokens }) {
  const at = [];
  const start = performance.now();
  let text = '';
  const stream = await globalThis.wllama.createCompletion({ prompt, max_tokens: tokens, temperature: 0, top_k: 1, cache_prompt: false, stream: true });
  let counted;
  for await (const piece of stream) {
    const said = piece.choices?.[0]?.text ?? '';
    counted = piece.usage ?? counted;
    if (!said) continue;
    at.push(performance.now());
    text += said;
  }
  return {
    prefill_ms: at[0] - start,
    decode_ms: (at[at.length - 1] - at[0]) / Math.max(at.length - 1, 1),
    prompt_tokens: counted?.prompt_tokens,
    tokens: at.length,
    text,
    whole: at.length === tokens,
  };
}

async function openWllama(chromium, threads, model) {
  const here = await visit(chromium, '/host-page', { prepare: isolated('') });
  const context = Math.max(64, 2 ** Math.ceil(Math.log2(prompt_tokens + tokens + 1)));
  const told = await here.page.evaluate(loadWllama, { file: model.file, threads, context });
  return {
    told,
    run: (prompt) => here.page.evaluate(askWllama, { prompt, tokens }),
    close: async () => {
      await here.page.evaluate(() => globalThis.wllama.exit());
      await here.close();
    },
  };
}

const said = (failure) => String(failure?.message ?? failure).split('\n')[0];

const chromium = await launch();
const measured = [];
for (const model of models) {
  const engines = {};
  const open = async (name, opening) => {
    process.stderr.write(`${model.name} ${model.type}: ${name}\n`);
    const start = performance.now();
    try {
      engines[name] = { opened: await opening(), runs: [], open_ms: performance.now() - start };
    } catch (failure) {
      engines[name] = { failed: said(failure) };
    }
  };
  for (const [name, where] of Object.entries(LANTERN)) {
    if (where.device === 'cpu' || model.on_gpu) await open(name, () => openLantern(chromium, where, model));
  }
  for (const threads of WLLAMA_THREADS) await open(`wllama ${threads}`, () => openWllama(chromium, threads, model));
  for (let run = -1; run < runs; run++) {
    const prompt = words(model.vocab, run + 1);
    for (const engine of Object.values(engines)) {
      if (engine.failed) continue;
      try {
        const answer = await engine.opened.run(prompt);
        // The first warms up.
        if (run >= 0) engine.runs.push(answer);
      } catch (failure) {
        engine.failed = said(failure);
      }
    }
  }
  const peers = {};
  for (const [name, { opened, failed, runs: answers, open_ms }] of Object.entries(engines)) {
    if (failed) {
      peers[name] = { failed };
      await opened?.close().catch(() => {});
      continue;
    }
    await opened.close();
    const [{ dispatches, prompt_tokens: prompted, tokens: given, text }] = answers;
    peers[name] = {
      ...opened.told,
      open_ms,
      prompt_tokens: prompted,
      tokens: given,
      whole: answers.every(({ whole }) => whole),
      prefill_ms: median(answers.map((answer) => answer.prefill_ms)),
      decode_ms: median(answers.map((answer) => answer.decode_ms)),
      ...(dispatches && name.includes('gpu') && { dispatches }),
      text,
      runs: answers.map(({ prefill_ms, decode_ms }) => ({ prefill_ms, decode_ms })),
    };
    peers[name].tokens_per_s = 1000 / peers[name].decode_ms;
  }
  measured.push({ ...model, load_average: loadavg()[0], peers });
}
const here = measuredOn(chromium.browser);
await chromium.close();
console.log(JSON.stringify({ bench: 'chat', ...here, prompt_tokens, tokens, runs, notes: NOTES, models: measured }));
