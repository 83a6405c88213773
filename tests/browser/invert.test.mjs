// The smallest demo, written against the contract that every demo has: CONTRIBUTING.md's example. What the contract promises, it
// gets: progress, an end on request, recovery. Its page and its JavaScript are no part of the site; its engine is.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { hostPage, launch, options, trapInRun, visit } from './harness.mjs';

const FOLDER = new URL('./invert/', import.meta.url);
const ROOT = new URL('../../', import.meta.url);

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

/** A page with the element, whose files lie where a demo's lie. `prepare`: what else to do before. */
async function invertPage(device, prepare = async () => {}) {
  return visit(chromium, '/host-page', {
    prepare: async (page, context) => {
      await page.route('**/lantern/invert/*', (route) => {
        const name = new URL(route.request().url()).pathname.split('/').at(-1);
        return route.fulfill({ contentType: 'text/javascript', body: readFileSync(new URL(name, FOLDER), 'utf8') });
      });
      await hostPage(`<lantern-invert device="${device}" tier="${device === 'gpu' ? 'software' : ''}"></lantern-invert>
        <script type="module" src="/lantern/invert/element.js"></script>`)(page);
      await prepare(page, context);
    },
  });
}

/** In the page: inverts a picture of this size, and says what came of it. */
function invert(page, width, height) {
  return page.evaluate(
    async ([width, height]) => {
      await customElements.whenDefined('lantern-invert');
      const demo = document.querySelector('lantern-invert');
      const picture = new ImageData(width, height);
      picture.data.forEach((_, at, data) => (data[at] = at % 4 === 3 ? 255 : (at * 37) % 256));
      const told = [];
      demo.addEventListener('lantern-progress', ({ detail }) => detail.stage === 'run' && told.push(detail));
      const negative = await demo.invert(picture);
      const wrong = negative.data.filter((value, at) => value !== (at % 4 === 3 ? 255 : 255 - picture.data[at])).length;
      return { size: [negative.width, negative.height], wrong, told, recoveries: demo.session.recoveries, state: demo.state, length: picture.data.length };
    },
    [width, height],
  );
}

for (const device of ['cpu', 'gpu']) {
  test(`a picture's negative, with progress, ${device}`, options, async () => {
    const { page, close } = await invertPage(device);
    for (const [width, height] of [[3, 5], [301, 197], [1, 1]]) {
      const { size, wrong, told, state } = await invert(page, width, height);
      assert.deepEqual({ size, wrong, state }, { size: [width, height], wrong: 0, state: 'ready' });
      const numbers = 3 * width * height;
      assert.deepEqual(told.at(-1), { stage: 'run', done: numbers, total: numbers });
      assert.ok(told.some(({ done }) => done < numbers) === numbers > 1 << 16, 'large pictures tell how far they are');
    }
    await close();
  });
}

/** Keeps what the Worker says of each request's end. */
async function listening(page) {
  await page.addInitScript(() => {
    globalThis.ends = [];
    const add = Worker.prototype.addEventListener;
    Worker.prototype.addEventListener = function (type, listener) {
      if (type === 'message') add.call(this, type, ({ data }) => ['done', 'error'].includes(data.type) && globalThis.ends.push(data.failure?.code ?? data.type));
      add.call(this, type, listener);
    };
  });
}

test('a stop ends the work here and there, and the next picture goes through', options, async () => {
  const { page, close } = await invertPage('gpu', listening);
  await invert(page, 8, 8);
  const { failure, state, later } = await page.evaluate(async () => {
    const demo = document.querySelector('lantern-invert');
    let later = 0;
    const running = demo.invert(new ImageData(2048, 2048)).then(() => null, (failure) => failure);
    await new Promise((resolve) => demo.addEventListener('lantern-progress', ({ detail }) => detail.stage === 'run' && resolve(), { once: true }));
    globalThis.ends.length = 0;
    const stopped = demo.stop();
    demo.addEventListener('lantern-progress', () => (later += 1));
    await stopped;
    return { failure: await running, state: demo.state, later };
  });
  assert.equal(failure?.code, 'run.cancelled');
  assert.deepEqual({ state, later }, { state: 'ready', later: 0 });
  assert.equal((await invert(page, 9, 7)).wrong, 0);
  assert.ok((await page.evaluate(() => globalThis.ends)).includes('run.cancelled'), 'the Worker stopped too');
  await close();
});

test('the work goes on in a new Worker where one is lost', options, async () => {
  const { page, close } = await invertPage('cpu', trapInRun(1));
  const { recoveries, wrong, state } = await invert(page, 1024, 1024);
  assert.deepEqual({ recoveries, wrong, state }, { recoveries: 1, wrong: 0, state: 'ready' });
  await page.evaluate(() => document.querySelector('lantern-invert').remove());
  await page.waitForFunction(() => import('/lantern/define.js').then(async ({ sharedEngine }) => (await sharedEngine().stats()).sessions === 0));
  await close();
});

test('a demo is less than 150 lines over all floors', () => {
  const page = readdirSync(FOLDER).map((name) => new URL(name, FOLDER));
  const files = [...page, new URL('crates/demos/src/invert/mod.rs', ROOT), new URL('crates/web/src/demos/invert.rs', ROOT)];
  const lines = files.reduce((sum, file) => sum + readFileSync(file, 'utf8').trimEnd().split('\n').length, 0);
  assert.ok(lines < 150, `${lines} lines`);
});
