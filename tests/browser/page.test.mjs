// The pages themselves: there before the engine is, readable by everyone, silent towards the network.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DEMOS, PAGES, ask, assertAccessible, launch, options, state, visit } from './harness.mjs';

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

/** Never lets the engine's program arrive. */
const holdWasm = (page) => page.route('**/*.wasm', () => {});

for (const colorScheme of ['light', 'dark']) {
  const context = { colorScheme, bypassCSP: true };

  test(`the front page is accessible, ${colorScheme}`, options, async () => {
    const here = await visit(chromium, './', { context });
    await assertAccessible(here.page, 'front page');
    await here.close();
  });

  test(`the chat page is accessible while it loads and after an answer, ${colorScheme}`, options, async () => {
    const here = await visit(chromium, 'chat.html?device=cpu', { context: { ...context, reducedMotion: 'reduce' } });
    await state(here.page, 'ready');
    await assertAccessible(here.page, 'ready');
    await ask(here.page, 'Once upon a time', { 'max-tokens': '16' });
    await assertAccessible(here.page, 'answered');
    await here.close();

    const waiting = await visit(chromium, 'chat.html', { context, prepare: holdWasm });
    await state(waiting.page, 'loading');
    await assertAccessible(waiting.page, 'loading');
    await waiting.close();
  });
}

for (const path of PAGES) {
  test(`${path} fits a screen 320 px wide`, options, async () => {
    const here = await visit(chromium, path, { context: { viewport: { width: 320, height: 640 } }, prepare: holdWasm });
    const { scroll, wide } = await here.page.evaluate(() => {
      const roots = [document, ...[...document.querySelectorAll('*')].flatMap((element) => element.shadowRoot ?? [])];
      const elements = roots.flatMap((root) => [...root.querySelectorAll('*')]);
      const scrolls = (element) => element && (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
      const wide = elements.filter((element) => element.getBoundingClientRect().right > 320.5 && !scrolls(element));
      return { scroll: document.documentElement.scrollWidth, wide: wide.map((element) => `${element.localName}.${element.className}`) };
    });
    assert.ok(scroll <= 320, `the page is ${scroll} px wide: ${wide}`);
    await here.close();
  });
}

test('the chat page is painted and can be typed into before the engine arrives', options, async () => {
  const here = await visit(chromium, 'chat.html', { prepare: holdWasm });
  await here.page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0);
  await state(here.page, 'loading');
  await here.page.getByText('Ask, or begin a story…', { exact: true }).first().waitFor();
  const input = here.page.locator('lantern-chat [part=input]');
  await input.fill('A lamp in the window');
  assert.equal(await input.inputValue(), 'A lamp in the window');
  const models = () => here.requests.filter(({ url }) => url.endsWith('.gguf')).length;
  for (let tries = 0; models() === 0 && tries < 100; tries++) await here.page.waitForTimeout(50);
  assert.equal(models(), 1, 'the model is asked for while the engine is on its way, once');
  await here.close();
});

for (const path of ['./', 'autoencode.html']) {
  test(`${path} fetches neither engine nor model by itself`, options, async () => {
    const here = await visit(chromium, path, { waitUntil: 'networkidle' });
    assert.deepEqual(here.requests.filter(({ url }) => /\.(wasm|gguf|safetensors)$/.test(url)), []);
    await here.close();
  });
}

test('every page leads to every demo', options, async () => {
  for (const path of PAGES) {
    const here = await visit(chromium, path, { prepare: holdWasm });
    const links = await here.page.locator('header nav a').evaluateAll((all) => all.map((a) => [a.getAttribute('href'), a.getAttribute('aria-current')]));
    assert.deepEqual(links.map(([href]) => href), DEMOS.map(({ page }) => page), path);
    assert.deepEqual(links.filter(([, current]) => current).map(([href]) => href), path === './' ? [] : [path], path);
    await here.close();
  }
});

test('the keyboard alone reaches the text, sends it, and stops the answer', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html?device=cpu');
  await state(page, 'ready');
  const focused = () =>
    page.evaluate(() => {
      let element = document.activeElement;
      while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
      return element?.getAttribute('part') ?? element?.className ?? '';
    });
  const passed = [];
  for (let presses = 0; presses < 20 && (await focused()) !== 'input'; presses++) {
    await page.keyboard.press('Tab');
    passed.push(await focused());
  }
  assert.equal(await focused(), 'input', `Tab went over ${passed.join(', ')}`);
  assert.equal(passed[0], 'skip', 'the first Tab offers to skip the header');

  await page.evaluate(() => document.querySelector('lantern-chat').setAttribute('max-tokens', '512'));
  await page.keyboard.type('The fox looked up');
  await page.keyboard.press('Enter');
  await state(page, 'running');
  await page.keyboard.press('Escape');
  await state(page, 'ready');
  assert.equal(await focused(), 'input', 'the focus is where one goes on');
  const text = await page.locator('lantern-chat [part=text]').innerText();
  assert.match(text, /The fox looked up/);
  await close();
});

test('what a visitor types is in no request', options, async () => {
  const secret = 'xylophonic marmalade';
  const here = await visit(chromium, 'chat.html?device=cpu');
  await state(here.page, 'ready');
  const before = here.requests.length;
  await ask(here.page, `Once there was a ${secret}`, { 'max-tokens': '16' });
  await here.page.evaluate(() => document.querySelector('lantern-chat').reset());
  assert.deepEqual(here.requests.slice(before), [], 'nothing is asked of anyone during an answer');
  // Every host but this one is refused and remembered by the harness, whatever asks; `close` looks there.
  await here.close();
});
