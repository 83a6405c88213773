// A browser without WebGPU, or with one that gives no adapter: the processor answers, and the page says how to turn it on.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, launch, options, state, visit } from './harness.mjs';

let chromium;
before(async () => (chromium = await launch({ webgpu: false })));
after(() => chromium?.close());

/** As an older browser: the API is not there, on the page or in the Worker. */
async function withoutApi(page) {
  await page.addInitScript(() => delete Navigator.prototype.gpu);
  await page.route('**/lantern/core/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `delete WorkerNavigator.prototype.gpu;\n${await response.text()}` });
  });
}

for (const [what, prepare] of [['no adapter', undefined], ['no WebGPU at all', withoutApi]]) {
  test(`${what}: the processor answers and the page says how to turn WebGPU on`, options, async () => {
    const { page, close } = await visit(chromium, 'chat.html', { prepare });
    await state(page, 'ready');
    const result = await ask(page, 'Once upon a time', { 'max-tokens': '16' });
    assert.equal(result.device, 'cpu');
    assert.ok(result.tokens.length > 0);
    const notice = page.locator('lantern-chat [part=notice]');
    await notice.getByText('How to turn WebGPU on').click();
    const words = await notice.innerText();
    assert.match(words, /Windows on Arm/);
    assert.match(words, /flags\/#enable-unsafe-webgpu/);
    // In words of ours: what wgpu and the browser call it helps nobody.
    assert.doesNotMatch(words, /adapter|noop|support not compiled/i);
    if (!prepare) for (const remedy of [/update the graphics driver/, /chrome:\/\/gpu/, /no graphics card that it may use/]) assert.match(words, remedy);
    await close();
  });
}

test('a GPU that is the processor in disguise: the processor answers directly, and the page says so', options, async () => {
  const disguised = await launch();
  const { page, close } = await visit(disguised, 'chat.html');
  await state(page, 'ready');
  const result = await ask(page, 'Once upon a time', { 'max-tokens': '16' });
  assert.equal(result.device, 'cpu');
  assert.match(await page.locator('lantern-chat [part=notice]').innerText(), /emulated in software/);
  await close();
  await disguised.close();
});

test('?device=gpu is not silently the processor', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html?device=gpu');
  await page.waitForFunction(() => document.querySelector('lantern-chat').state === 'failed');
  assert.match(await page.locator('lantern-chat [part=error]').innerText(), /gpu\./);
  await close();
});
