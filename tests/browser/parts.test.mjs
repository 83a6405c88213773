// A model of several files: found by its list or by its addresses, fetched with one sum, kept, listed and removed as one.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { hostPage, launch, options, state, visit } from './harness.mjs';
import { modelServer } from './model-server.mjs';

/** A safetensors file of tensors that are all zero. @param {[string, number[]][]} tensors names and shapes, in BF16 */
function zeros(tensors) {
  let at = 0;
  const header = {};
  for (const [name, shape] of tensors) {
    const bytes = 2 * shape.reduce((product, n) => product * n, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(at)]);
}

/** A half of TAESD: its first and last layer, its blocks and its halvings. @returns {[string, number[]][]} */
function half(prefix, ends, blocks, halvings) {
  const layer = (name, out, channels, bias = true) => [
    [`${prefix}${name}.weight`, [out, channels, 3, 3]],
    ...(bias ? [[`${prefix}${name}.bias`, [out]]] : []),
  ];
  return [
    ...ends.flatMap(([at, out, channels]) => layer(at, out, channels)),
    ...blocks.flatMap((at) => [0, 2, 4].flatMap((conv) => layer(`${at}.conv.${conv}`, 64, 64))),
    ...halvings.flatMap((at) => layer(at, 64, 64, false)),
  ];
}

const encoder = (prefix) => half(prefix, [[0, 64, 3], [14, 4, 64]], [1, 3, 4, 5, 7, 8, 9, 11, 12, 13], [2, 6, 10]);
const decoder = (prefix) => half(prefix, [[1, 64, 4], [19, 3, 64]], [3, 4, 5, 8, 9, 10, 13, 14, 15, 18], [7, 12, 17]);

// Cut elsewhere than between the halves, as lists are.
const WHOLE = [...encoder('encoder.'), ...decoder('decoder.')];
const SHARDS = [WHOLE.slice(0, 50), WHOLE.slice(50)];
const SHARD_NAMES = [1, 2].map((number) => `vae-0000${number}-of-00002.safetensors`);
const LIST = {
  metadata: { total_size: SHARDS.map(zeros).reduce((sum, { length }) => sum + length, 0) },
  weight_map: Object.fromEntries(SHARDS.flatMap((shard, at) => shard.map(([name]) => [name, SHARD_NAMES[at]]))),
};

let chromium;
let server;
before(async () => {
  chromium = await launch({ webgpu: false, more: ['--disable-features=LocalNetworkAccessChecks,OptimizationHints,MediaRouter,Translate'] });
  server = await modelServer();
  SHARDS.forEach((shard, at) => server.put(`/${SHARD_NAMES[at]}`, { body: zeros(shard) }));
  server.put('/vae.safetensors.index.json', { body: Buffer.from(JSON.stringify(LIST)), type: 'application/json' });
  server.put('/encoder.safetensors', { body: zeros(encoder('')) });
  server.put('/decoder.safetensors', { body: zeros(decoder('')) });
});
after(async () => {
  await chromium?.close();
  server?.close();
});
beforeEach(() => server.forget());

/** A page with an element for the files of these names; for each of several lists of them. */
function page(...models) {
  const elements = models.map((names) => {
    const model = names.map((name) => server.url(`/${name}`)).join(' ');
    return `<lantern-autoencode loading="click" device="cpu" side="256" model="${model}"></lantern-autoencode>`;
  });
  const markup = `<main>${elements.join('')}</main><script type="module" src="/lantern/autoencode.js"></script>`;
  return visit(chromium, '/host-page', { also: [server.host], prepare: hostPage(markup) });
}

/** Loads the model. Gives the failure, and what was told of its bytes. */
function run(page) {
  return page.evaluate(async () => {
    await customElements.whenDefined('lantern-autoencode');
    const demo = document.querySelector('lantern-autoencode');
    const heard = [];
    const hear = ({ detail }) => detail.stage === 'weights' && heard.push(detail);
    demo.addEventListener('lantern-progress', hear);
    const failure = await demo.start().then(() => null, (failure) => failure);
    demo.removeEventListener('lantern-progress', hear);
    return { failure, heard };
  });
}

/** What is stored and no list names. */
function stored(page) {
  return page.evaluate(async () => {
    const { sharedEngine } = await import('/lantern/core/engine.js');
    const [assetBase, base] = ['/wasm/', '/models/'].map((path) => new URL(path, location.href).href);
    const where = { assetBase, base, executor: { device: 'cpu', tier: '', variant: '', threads: '' } };
    return (await sharedEngine().models(where)).models.filter(({ id, stored }) => id === null && stored > 0);
  });
}

const bytesOf = (names) => names.reduce((sum, name) => sum + server.file(`/${name}`).body.length, 0);

for (const [what, names, files] of [
  ['a list and its shards', ['vae.safetensors.index.json'], ['vae.safetensors.index.json', ...SHARD_NAMES]],
  ['two addresses', ['encoder.safetensors', 'decoder.safetensors'], ['encoder.safetensors', 'decoder.safetensors']],
]) {
  test(`${what} are one model: one sum, one row, removed as one`, options, async () => {
    const here = await page(names);
    const tab = here.page;
    const { failure, heard } = await run(tab);
    assert.equal(failure, null);
    await state(tab, 'ready');
    assert.deepEqual(server.requests.map(({ path }) => path.slice(1)).sort(), [...files].sort());
    const bytes = bytesOf(files);
    assert.equal(heard.at(-1).done, bytes);
    assert.equal(heard.at(-1).total, bytes);

    // Another visit, which asks nobody.
    server.forget();
    await tab.reload();
    assert.equal((await run(tab)).failure, null);
    assert.deepEqual(server.requests, []);

    const rows = await stored(tab);
    assert.equal(rows.length, 1, JSON.stringify(rows));
    const [row] = rows;
    assert.deepEqual([row.stored, row.bytes, row.whole], [bytes, bytes, true]);
    assert.equal(row.url, names.map((name) => server.url(`/${name}`)).join(' '));
    assert.equal(row.key.split(' ').length, files.length);

    // What is loaded is read from there no more once it is on the device.
    const left = await tab.evaluate(async (key) => {
      const { sharedEngine } = await import('/lantern/core/engine.js');
      return sharedEngine().removeModel(new URL('/wasm/', location.href).href, key).then(() => null, (failure) => failure);
    }, row.key);
    assert.equal(left, null);
    assert.deepEqual(await stored(tab), []);
    await here.close();
  });
}

test('two models that have a file in common have its weights once, also when they come at once', options, async () => {
  const here = await page(['encoder.safetensors', 'decoder.safetensors'], ['decoder.safetensors']);
  const tab = here.page;
  const failures = await tab.evaluate(async () => {
    await customElements.whenDefined('lantern-autoencode');
    const demos = [...document.querySelectorAll('lantern-autoencode')];
    return Promise.all(demos.map((demo) => demo.start().then(() => null, (failure) => failure)));
  });
  assert.deepEqual(failures, [null, null]);
  await tab.waitForFunction(() => [...document.querySelectorAll('lantern-autoencode')].every(({ state }) => state === 'ready'));
  assert.deepEqual(server.requests.map(({ path }) => path.slice(1)).sort(), ['decoder.safetensors', 'encoder.safetensors']);
  const stats = () => tab.evaluate(() => import('/lantern/define.js').then(({ sharedEngine }) => sharedEngine().stats()));
  const { models, cpuBytes, bySession } = await stats();
  const [whole, half] = bySession.map(({ weights }) => weights).sort((a, b) => b - a);
  const work = bySession.reduce((sum, { work }) => sum + work, 0);
  assert.equal(models, 2);
  assert.ok(half > 0 && whole > half);
  // Beside weights and work there are pictures, of 256 pixels.
  assert.ok(cpuBytes - work < whole + half / 2, `what the second needs is the first one's: ${JSON.stringify({ cpuBytes, bySession })}`);

  await tab.evaluate(() => document.querySelector('lantern-autoencode').remove());
  await tab.waitForFunction(() => import('/lantern/define.js').then(async ({ sharedEngine }) => (await sharedEngine().stats()).sessions === 1));
  const left = await stats();
  assert.ok(left.cpuBytes - left.bySession[0].work < half + half / 2, 'what only the first needed went with it');
  await here.close();
});

test('a list that is wrong says so with its name, and nothing else is fetched', options, async () => {
  const map = (file) => Buffer.from(JSON.stringify({ weight_map: { a: file } }));
  for (const [body, code, says] of [
    [map('../elsewhere.safetensors'), 'safetensors.index', 'odd.safetensors.index.json'],
    [Buffer.from('<!doctype html>'), 'safetensors.index', 'odd.safetensors.index.json'],
    [map('gone.safetensors'), 'download.status', 'gone.safetensors'],
  ]) {
    server.put('/odd.safetensors.index.json', { body, type: 'application/json' });
    const here = await page(['odd.safetensors.index.json']);
    const { failure } = await run(here.page);
    assert.equal(failure?.code, code, JSON.stringify(failure));
    assert.ok(failure.cause.includes(says), failure.cause);
    here.problems.splice(0, Infinity, ...here.problems.filter((problem) => !/Failed to load resource/.test(problem)));
    await here.close();
  }
});
