// The time from navigation to the first token on the page, in a browser with nothing in its cache. Prints one JSON record;
// `cargo xtask bench page` adds the engine's size and keeps it.

import { launch, state, visit } from './harness.mjs';
import { measuredOn, median } from './machine.mjs';

const RUNS = 5;
const PROMPT = 'Once upon a time';

/** One cold visit: asks as soon as the element exists, as a visitor does who types while it loads. */
async function firstToken(chromium, query) {
  const here = await visit(chromium, `chat.html?${query}`, {
    prepare: (page) =>
      page.addInitScript((prompt) => {
        addEventListener('lantern-token', () => (globalThis.firstTokenMs ??= performance.now()));
        customElements.whenDefined('lantern-chat').then(() => document.querySelector('lantern-chat').ask(prompt));
      }, PROMPT),
  });
  await here.page.waitForFunction(() => globalThis.firstTokenMs !== undefined);
  const measured = await here.page.evaluate(() => ({
    first_contentful_paint_ms: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
    first_token_ms: globalThis.firstTokenMs,
    tier: document.querySelector('lantern-chat').shadowRoot.querySelector('[part=instruments]').innerText.match(/software|core|subgroups|dot|exact|fast/)?.[0],
  }));
  await here.page.evaluate(() => document.querySelector('lantern-chat').stop());
  await state(here.page, 'ready');
  await here.close();
  return measured;
}

const chromium = await launch();
const devices = {};
for (const query of ['device=auto', 'device=cpu', 'device=gpu']) {
  const runs = [];
  for (let run = 0; run < RUNS; run++) runs.push(await firstToken(chromium, query));
  devices[query] = {
    median_first_token_ms: median(runs.map((run) => run.first_token_ms)),
    median_first_contentful_paint_ms: median(runs.map((run) => run.first_contentful_paint_ms)),
    runs,
  };
}
const here = measuredOn(chromium.browser);
await chromium.close();
console.log(JSON.stringify({ bench: 'page', ...here, gpu: 'SwiftShader', prompt: PROMPT, devices }));
