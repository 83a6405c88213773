// A picture through the autoencoder in the page: there and back on each device, planes in the visitor's hands, files of every
// kind, and what goes wrong. With TAESD's real weights, which are not in the repository.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PATIENCE_MS, assertAccessible, hostPage, launch, options as patience, state, trapInRun, visit } from './harness.mjs';
import { animatedGif, animatedPng, oriented, png, pngOfSize } from './pictures.mjs';

const DATA = process.env.LANTERN_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));
const FILES = ['taesd_encoder.safetensors', 'taesd_decoder.safetensors'].map((name) => join(DATA, 'weights', 'taesd', name));
const skip = FILES.every(existsSync) ? false : `no TAESD weights in ${DATA}: set LANTERN_DATA`;
const options = { ...patience, skip };
// SwiftShader's compiler works for minutes on a network's kernels when other tests want the processor too.
const slow = { timeout: 4 * PATIENCE_MS, skip };

// The same sums in another order, in f32: a pixel of 8 bits may round to its neighbour, and where it does to one further.
const PIXEL_BOUND = 2;

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

const PAGE = (query) => `autoencode.html?${query}`;
const image = (name, buffer, mimeType = 'image/png') => ({ name, mimeType, buffer });
const small = () => image('small.png', png());
// A GPU that is played by a busy processor: a picture four times smaller.
const tiny = () => image('tiny.png', png({ width: 32, height: 32 }));

/** The next result or failure of the page's element, asked for before what brings it about. */
function next(page) {
  const heard = page.evaluate(
    () =>
      new Promise((resolve) => {
        const demo = document.querySelector('lantern-autoencode');
        demo.addEventListener('lantern-result', ({ detail }) => resolve({ result: detail }), { once: true });
        demo.addEventListener('lantern-error', ({ detail }) => resolve({ failure: detail }), { once: true });
      }),
  );
  return {
    async result() {
      const { result, failure } = await heard;
      assert.ok(result, `${failure?.code}: ${failure?.cause}`);
      return result;
    },
    async failure() {
      const { result, failure } = await heard;
      assert.ok(failure, `no failure but ${JSON.stringify(result)}`);
      assert.match(failure.code, /^[a-z_]+\.[a-z_-]+$/);
      const shown = await page.locator('lantern-autoencode [part=error]').innerText();
      for (const part of [failure.code, failure.cause, failure.remedy]) {
        assert.ok(part && shown.toLowerCase().includes(part.toLowerCase()), `the page shows "${part}": ${shown}`);
      }
      return failure;
    },
  };
}

const modelPicker = (page) => page.locator('lantern-autoencode input[type=file][multiple]');
const picturePicker = (page) => page.locator('lantern-autoencode input[type=file][accept="image/*"]');

/** Gives the page a picture before it has a model, so that nothing runs twice. */
async function load(page, picture = small(), files = FILES) {
  await page.waitForFunction(() => document.querySelector('lantern-autoencode')?.shadowRoot);
  await page.evaluate(() => addEventListener('lantern-result', ({ detail }) => (globalThis.latest = detail)));
  await picturePicker(page).setInputFiles(picture);
  await page.waitForFunction((name) => document.querySelector('lantern-autoencode').shadowRoot.querySelector('.original .facts').textContent.includes(name), picture.name);
  const heard = next(page);
  await modelPicker(page).setInputFiles(files);
  return heard.result();
}

async function show(page, picture) {
  const heard = next(page);
  await picturePicker(page).setInputFiles(picture);
  return heard.result();
}

const scale = (page, plane, gain) => page.evaluate(([plane, gain]) => document.querySelector('lantern-autoencode').scale(plane, gain), [plane, gain]);

/** The decoded picture's bytes, RGBA, as the page shows them: what the Worker paints comes with one of the next frames, and is as far
 * from what went in as the latest result says. */
const decoded = (page) =>
  page.evaluate(async () => {
    const { shadowRoot } = document.querySelector('lantern-autoencode');
    const read = (name) => {
      const canvas = shadowRoot.querySelector(`.${name} canvas`);
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
      copy.drawImage(canvas, 0, 0);
      return copy.getImageData(0, 0, canvas.width, canvas.height).data;
    };
    const decibels = (a, b) => {
      const squares = a.reduce((sum, value, at) => sum + (at % 4 < 3 ? (value - b[at]) ** 2 : 0), 0);
      return -10 * Math.log10(squares / (255 ** 2 * 0.75 * a.length));
    };
    for (let waited = 0; ; waited += 1) {
      const [original, shown] = [read('original'), read('decoded')];
      const seen = original.length === shown.length ? decibels(original, shown) : NaN;
      const { psnrDb } = globalThis.latest;
      if (seen === psnrDb || Math.abs(seen - psnrDb) < 1e-9) return [...shown];
      if (waited > 400) throw new Error(`the page shows ${seen} dB, and the result says ${psnrDb}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });

function furthest(a, b) {
  assert.equal(a.length, b.length);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at])), 0);
}

test('the processor and the GPU bring the same picture back, and no request leaves the page', slow, async (t) => {
  const pictures = [];
  for (const query of ['device=cpu', 'device=gpu&tier=software']) {
    const { page, requests, close } = await visit(chromium, PAGE(query));
    await page.waitForFunction(() => document.querySelector('lantern-autoencode')?.shadowRoot);
    const asked = requests.length;
    const result = await load(page, tiny());
    t.diagnostic(`${result.device} ${result.tier}: ${result.psnrDb.toFixed(2)} dB, encode ${Math.round(result.encodeMs)} ms, decode ${Math.round(result.decodeMs)} ms, ${result.peakBytes} bytes`);
    assert.equal(result.device, /cpu|gpu/.exec(query)[0]);
    assert.deepEqual([result.width, result.height], [32, 32]);
    assert.deepEqual(result.latents, { width: 4, height: 4, channels: 4 });
    // A smooth picture of 32 × 32 pixels with one edge: TAESD's own loss, far from what a wrong weight would leave.
    assert.ok(result.psnrDb > 20 && result.psnrDb < 60, `${result.psnrDb} dB`);
    assert.ok(result.peakBytes > 4e6, 'the weights count');
    const fetched = requests.slice(asked).map(({ url }) => new URL(url).pathname);
    assert.deepEqual(fetched.filter((path) => !/\/(lantern|wasm)\//.test(path)), [], 'only the engine is fetched');
    pictures.push(await decoded(page));
    await close();
  }
  const apart = furthest(...pictures);
  t.diagnostic(`furthest apart: ${apart} of 255`);
  assert.ok(apart <= PIXEL_BOUND, `${apart} of 255`);
});

test('a plane that is switched off changes the picture; reset brings it back to the bit', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'));
  const { psnrDb } = await load(page);
  const whole = await decoded(page);
  for (const plane of [0, 1, 2, 3]) {
    const off = await scale(page, plane, 0);
    assert.equal(off.gains[plane], 0);
    assert.ok(off.psnrDb < psnrDb, `plane ${plane + 1} carries something`);
    assert.ok(furthest(whole, await decoded(page)) > 8, `plane ${plane + 1}`);
    await scale(page, plane, 1);
  }
  assert.deepEqual(await decoded(page), whole);
  const low = await page.evaluate(() => document.querySelector('lantern-autoencode').scale(0, -7).then(({ gains }) => gains[0]));
  assert.equal(low, -2, 'a gain ends at −2 and 2');
  assert.deepEqual((await page.evaluate(() => document.querySelector('lantern-autoencode').reset())).gains, [1, 1, 1, 1]);
  assert.deepEqual(await decoded(page), whole);
  await close();
});

test('the keyboard moves a plane, and the latest position wins', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'));
  await load(page, image('middling.png', png({ width: 128, height: 128 })));
  await page.evaluate(() => {
    globalThis.results = [];
    document.querySelector('lantern-autoencode').addEventListener('lantern-result', ({ detail }) => globalThis.results.push(detail.gains[1]));
  });
  const slider = page.locator('lantern-autoencode #plane-2');
  await slider.focus();
  for (let presses = 0; presses < 6; presses += 1) await page.keyboard.press('ArrowLeft');
  const wanted = await slider.evaluate((input) => input.valueAsNumber);
  assert.ok(wanted < 0.8, `the slider stands at ${wanted}`);
  await page.waitForFunction((wanted) => globalThis.results.at(-1) === wanted, wanted);
  await state(page, 'ready');
  const results = await page.evaluate(() => globalThis.results);
  assert.ok(results.length < 6, `positions that were left at once are not decoded: ${results}`);
  assert.equal(await slider.getAttribute('aria-valuetext'), `× ${wanted.toFixed(2)}`);
  await page.locator('lantern-autoencode').getByRole('button', { name: 'Off, plane 2' }).click();
  await page.waitForFunction(() => globalThis.results.at(-1) === 0);
  assert.equal(await slider.getAttribute('aria-valuetext'), 'off');
  await close();
});

test('cancel is heard within 200 ms, and the page is as good as new', options, async (t) => {
  const { page, close } = await visit(chromium, PAGE('device=cpu&side=512'));
  await page.waitForFunction(() => document.querySelector('lantern-autoencode')?.shadowRoot);
  await modelPicker(page).setInputFiles(FILES);
  const { ms, state: reached, results } = await page.evaluate(async () => {
    const demo = document.querySelector('lantern-autoencode');
    let results = 0;
    demo.addEventListener('lantern-result', () => (results += 1));
    await new Promise((resolve) => demo.addEventListener('lantern-progress', ({ detail }) => detail.stage === 'run' && detail.done > 0 && resolve()));
    const stopped = performance.now();
    await demo.stop();
    const ms = performance.now() - stopped;
    // Answered behind whatever the Worker had still to say.
    await demo.engine.stats();
    return { ms, state: demo.state, results };
  });
  t.diagnostic(`${ms.toFixed(1)} ms`);
  assert.ok(ms < 200, `${ms} ms`);
  assert.equal(reached, 'ready');
  assert.equal(results, 0);
  await page.locator('lantern-autoencode [part=run]').waitFor();
  assert.ok((await show(page, small())).psnrDb > 20);
  await close();
});

test('one half of TAESD does what it can, and the other completes it', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'));
  const alone = await load(page, small(), [FILES[0]]);
  assert.equal(alone.psnrDb, null);
  assert.deepEqual(alone.latents, { width: 8, height: 8, channels: 4 });
  await page.getByText('they need the decoder').waitFor();
  const heard = next(page);
  await modelPicker(page).setInputFiles([FILES[1]]);
  assert.ok((await heard.result()).psnrDb > 20);
  await close();

  const other = await visit(chromium, PAGE('device=cpu'));
  await other.page.waitForFunction(() => document.querySelector('lantern-autoencode')?.shadowRoot);
  await modelPicker(other.page).setInputFiles([FILES[1]]);
  await other.page.locator('lantern-autoencode [part=ask]').getByText('The encoder is still missing').waitFor();
  await state(other.page, 'ready');
  await other.close();
});

test('a model file that is none, cut short, or the same twice: code, cause and remedy, and the way back', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'));
  await page.waitForFunction(() => document.querySelector('lantern-autoencode')?.shadowRoot);
  await picturePicker(page).setInputFiles(small());
  const whole = readFileSync(FILES[0]);
  const plain = (name, buffer) => ({ name, mimeType: 'application/octet-stream', buffer });
  const bad = {
    text: [plain('notes.txt', Buffer.from('Dear diary, today I tried to be a network.\n'.repeat(40)))],
    empty: [plain('empty.safetensors', Buffer.alloc(0))],
    short: [plain('short.safetensors', whole.subarray(0, whole.length - 4096))],
    twice: [FILES[0], FILES[0]],
  };
  for (const [what, files] of Object.entries(bad)) {
    const heard = next(page);
    await modelPicker(page).setInputFiles(files);
    const failure = await heard.failure();
    assert.match(failure.code, what === 'twice' ? /^autoencoder\.files$/ : /^safetensors\./, what);
  }
  const heard = next(page);
  await modelPicker(page).setInputFiles(FILES);
  assert.ok((await heard.result()).psnrDb > 20);
  assert.equal(await page.locator('lantern-autoencode [part=error]').isVisible(), false);
  await close();
});

test('pictures of every kind: 16 bits, gray, animated, turned, tiny, odd', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'));
  const { psnrDb } = await load(page);
  const facts = () => page.locator('lantern-autoencode .original').innerText();

  const deep = await show(page, image('deep.png', png({ depth: 16 })));
  assert.ok(Math.abs(deep.psnrDb - psnrDb) < 0.5, 'sixteen bits are the same picture');
  const gray = await show(page, image('gray.png', png({ gray: true })));
  assert.ok(gray.psnrDb > 20);
  const coloured = (await decoded(page)).filter((value, at, all) => at % 4 < 3 && Math.abs(value - all[at - (at % 4)]) > 48);
  assert.deepEqual(coloured, [], 'gray stays nearly gray');

  const moving = await show(page, image('moving.png', animatedPng()));
  assert.ok(Math.abs(moving.psnrDb - psnrDb) < 0.01, 'the first frame is the picture');
  assert.match(await facts(), /only the first/);
  await show(page, image('moving.gif', animatedGif(), 'image/gif'));
  assert.match(await facts(), /only the first/);

  for (const [width, height] of [[1, 1], [3, 5], [70, 33]]) {
    const result = await show(page, image(`odd-${width}.png`, png({ width, height })));
    assert.deepEqual([result.width, result.height], [width, height]);
    assert.deepEqual(result.latents, { width: Math.ceil(width / 8), height: Math.ceil(height / 8), channels: 4 });
    assert.equal((await decoded(page)).length, 4 * width * height);
  }
  assert.doesNotMatch(await facts(), /only the first/);

  // Long and thin: brought to the side that was chosen.
  const thin = await show(page, image('thin.png', png({ width: 20000, height: 40, gray: true })));
  assert.deepEqual([thin.width, thin.height], [256, 1]);

  const jpeg = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(64, 32);
    canvas.getContext('2d').fillRect(0, 0, 20, 32);
    return [...new Uint8Array(await (await canvas.convertToBlob({ type: 'image/jpeg' })).arrayBuffer())];
  });
  const turned = await show(page, image('turned.jpg', oriented(Buffer.from(jpeg), 6), 'image/jpeg'));
  assert.deepEqual([turned.width, turned.height], [32, 64], 'as its EXIF says');
  await close();
});

test('pictures that are none: code, cause and remedy, and the one before stays', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'));
  await load(page);
  const whole = png();
  const bad = [
    ['picture.type', image('words.png', Buffer.from('no picture at all'))],
    ['picture.empty', image('empty.png', Buffer.alloc(0))],
    ['picture.corrupt', image('cut.png', whole.subarray(0, 40))],
    ['picture.huge', image('huge.png', pngOfSize(20000, 20000))],
  ];
  for (const [code, file] of bad) {
    const heard = next(page);
    await picturePicker(page).setInputFiles(file);
    assert.equal((await heard.failure()).code, code);
  }
  const again = await page.evaluate(() => document.querySelector('lantern-autoencode').start());
  assert.deepEqual([again.width, again.height], [64, 64]);
  await state(page, 'ready');
  await close();
});

test('a picture larger than the device takes: the page offers to scale it down', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu&side=original'));
  await load(page);
  const heard = next(page);
  await picturePicker(page).setInputFiles(image('large.png', png({ width: 3200, height: 2400, gray: true })));
  assert.equal((await heard.failure()).code, 'autoencoder.too_large');
  await page.getByRole('button', { name: 'Scale it down to 768 pixels' }).waitFor();
  const smaller = next(page);
  await page.locator('lantern-autoencode #side').selectOption('256');
  const result = await smaller.result();
  assert.deepEqual([result.width, result.height], [256, 192]);
  assert.equal(await page.locator('lantern-autoencode [part=error]').isVisible(), false);
  await close();
});

test('dropped together, and pasted', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'));
  await page.waitForFunction(() => document.querySelector('lantern-autoencode')?.shadowRoot);
  const bytes = (path) => [...readFileSync(path)];
  const heard = next(page);
  await page.evaluate(
    ({ encoder, decoder, picture }) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(encoder)], 'a.safetensors'));
      data.items.add(new File([new Uint8Array(picture)], 'p.png', { type: 'image/png' }));
      data.items.add(new File([new Uint8Array(decoder)], 'b.safetensors'));
      const frame = document.querySelector('lantern-autoencode').shadowRoot.querySelector('[part=frame]');
      for (const type of ['dragenter', 'dragover', 'drop']) {
        frame.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, composed: true, cancelable: true }));
      }
    },
    { encoder: bytes(FILES[0]), decoder: bytes(FILES[1]), picture: [...png()] },
  );
  assert.equal((await heard.result()).width, 64);
  const pasted = next(page);
  await page.evaluate((picture) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(picture)], 'image.png', { type: 'image/png' }));
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  }, [...png({ width: 40, height: 24 })]);
  assert.equal((await pasted.result()).width, 40);
  await close();
});

test('the decoded picture is saved as a PNG of its size', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'));
  await load(page);
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('lantern-autoencode [part=save]').click()]);
  assert.equal(download.suggestedFilename(), 'small-decoded.png');
  const file = readFileSync(await download.path());
  assert.deepEqual([file.readUInt32BE(16), file.readUInt32BE(20)], [64, 64]);
  await close();
});

test('a GPU crash costs a run, not the work', slow, async (t) => {
  const { page, close } = await visit(chromium, PAGE('device=gpu&tier=software'));
  await load(page, tiny());
  const undisturbed = await scale(page, 2, 0.5);
  const picture = await decoded(page);
  await scale(page, 2, 1);
  const running = page.evaluate(
    () => new Promise((resolve) => document.querySelector('lantern-autoencode').addEventListener('lantern-progress', ({ detail }) => detail.stage === 'run' && resolve())),
  );
  const disturbed = scale(page, 2, 0.5);
  await running;
  const control = await chromium.browser.newBrowserCDPSession();
  await control.send('Browser.crashGpuProcess').catch(() => {});
  const result = await disturbed;
  t.diagnostic(`${result.recoveries} recovery; went on with ${result.device}`);
  assert.ok(result.recoveries >= 1, 'the crash was noticed');
  assert.deepEqual(result.gains, undisturbed.gains);
  assert.ok(furthest(picture, await decoded(page)) <= PIXEL_BOUND);
  await state(page, 'ready');
  await close();
});

test('a picture that a lost GPU took from the page is painted again, at rest too', slow, async () => {
  const { page, close } = await visit(chromium, PAGE('device=gpu&tier=software'));
  await load(page, tiny());
  const picture = await decoded(page);
  const again = next(page);
  const control = await chromium.browser.newBrowserCDPSession();
  await control.send('Browser.crashGpuProcess').catch(() => {});
  await again.result();
  assert.ok(furthest(picture, await decoded(page)) <= PIXEL_BOUND);
  await state(page, 'ready');
  await close();
});

/** Keeps the kinds of pictures that the Worker closes, once they have no pixels any more. */
async function closing(page) {
  await page.addInitScript(() => {
    globalThis.closedPictures = [];
    globalThis.Worker = class extends Worker {
      constructor(...given) {
        super(...given);
        this.addEventListener('message', ({ data }) => data.type === 'closed' && globalThis.closedPictures.push(data.kind));
      }
    };
  });
  await page.route('**/lantern/core/worker.js', async (route) => {
    const response = await route.fetch();
    const watch = `
      for (const Kind of [VideoFrame, ImageBitmap]) {
        const { close } = Kind.prototype;
        Kind.prototype.close = function () {
          close.call(this);
          if (!(this.displayWidth ?? this.width)) self.postMessage({ type: 'closed', kind: Kind.name });
        };
      }`;
    await route.fulfill({ response, body: `${watch}\n${await response.text()}` });
  });
}

test('whatever a page has as a picture is the same picture to the engine, on both devices, and is closed there', slow, async (t) => {
  const prepare = async (page) => {
    await closing(page);
    await hostPage('')(page);
  };
  const { page, close } = await visit(chromium, '/host-page', { prepare });
  const handle = await page.evaluateHandle(() => {
    const input = document.createElement('input');
    Object.assign(input, { type: 'file', multiple: true });
    document.body.append(input);
    return input;
  });
  const files = handle.asElement();
  await files.setInputFiles(FILES);
  for (const device of ['cpu', 'gpu']) {
    const apart = await page.evaluate(async ([input, device]) => {
      const { sharedEngine } = await import('/lantern/define.js');
      const { AutoencodeSession } = await import('/lantern/autoencode/session.js');
      const tier = device === 'gpu' ? 'software' : '';
      const sources = [...input.files].map((file) => ({ file }));
      const session = await sharedEngine().open(AutoencodeSession, { sources, executor: { device, tier } });
      const canvas = new OffscreenCanvas(13, 9);
      const context = canvas.getContext('2d', { willReadFrequently: true });
      const image = context.createImageData(13, 9);
      image.data.forEach((_, at) => (image.data[at] = at % 4 === 3 ? 255 : (at * 37) % 256));
      context.putImageData(image, 0, 0);
      const kinds = {
        bytes: () => [image],
        bitmap: async () => {
          const bitmap = await createImageBitmap(canvas);
          return [bitmap, bitmap];
        },
        frame: () => {
          const frame = new VideoFrame(canvas, { timestamp: 0 });
          return [frame, frame];
        },
      };
      const latents = {};
      for (const [kind, make] of Object.entries(kinds)) {
        const [picture, ...transfer] = await make();
        latents[kind] = (await session.request('encode', () => ({ payload: { picture }, transfer }))).latents;
      }
      const failure = await session.request('encode', () => ({ payload: { picture: { width: 0, height: 0 } } })).catch((thrown) => thrown);
      await session.close();
      const furthest = (kind) => latents.bytes.reduce((most, value, at) => Math.max(most, Math.abs(value - latents[kind][at])), 0);
      return { bitmap: furthest('bitmap'), frame: furthest('frame'), code: failure.code, closed: globalThis.closedPictures.splice(0) };
    }, [files, device]);
    t.diagnostic(`${device}: ${JSON.stringify(apart)}`);
    assert.equal(apart.bitmap, 0, 'a bitmap has the bytes of the canvas');
    // A video's frame may be kept in another order of colours, and some of its bytes rounded.
    assert.ok(apart.frame < 0.05, `${apart.frame}`);
    assert.equal(apart.code, 'frame.gone');
    // A video's frames are few: one that is not given back stops the camera.
    assert.deepEqual(apart.closed, ['ImageBitmap', 'VideoFrame']);
  }
  await close();
});

test('a trap in the engine takes the same road', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'), { prepare: trapInRun(2) });
  const result = await load(page);
  assert.equal(result.recoveries, 1);
  assert.ok(result.psnrDb > 20);
  assert.equal(await page.locator('lantern-autoencode [part=error]').isVisible(), false);
  await close();
});

const TWO = `
  <lantern-autoencode id="a" device="cpu" loading="eager" model="/taesd_encoder.safetensors /taesd_decoder.safetensors" side="256"></lantern-autoencode>
  <lantern-autoencode id="b" device="cpu" loading="eager" model="/taesd_encoder.safetensors /taesd_decoder.safetensors" side="256"></lantern-autoencode>
  <script type="module" src="/lantern/autoencode.js"></script>`;

test('two elements share one Worker and one model, and what is removed gives its memory back', options, async (t) => {
  const prepare = async (page) => {
    for (const path of FILES) await page.route(`**/${path.split(/[\\/]/).at(-1)}`, (route) => route.fulfill({ path, contentType: 'application/octet-stream' }));
    await hostPage(TWO)(page);
  };
  const { page, close } = await visit(chromium, '/host-page', { prepare });
  await page.waitForFunction(() => [...document.querySelectorAll('lantern-autoencode')].every(({ state }) => state === 'ready' || state === 'failed'));
  const stats = () => page.evaluate(() => import('/lantern/define.js').then(({ sharedEngine }) => sharedEngine().stats()));
  const settled = (sessions) =>
    page.waitForFunction(
      async (sessions) => {
        const { sharedEngine } = await import('/lantern/define.js');
        return (await sharedEngine().stats()).sessions === sessions;
      },
      sessions,
    );
  const both = await stats();
  assert.equal(page.workers().length, 1, 'one Worker for both');
  assert.equal(both.models, 1, 'the weights are there once');
  assert.equal(both.sessions, 2);
  await page.evaluate(() => document.getElementById('a').remove());
  await settled(1);
  const one = await stats();
  assert.equal(one.models, 1);
  const alone = await page.evaluate(() => document.getElementById('b').scale(0, 0.5));
  assert.ok(Number.isFinite(alone.psnrDb), 'the other one goes on');
  await page.evaluate(() => document.getElementById('b').remove());
  await settled(0);
  const none = await stats();
  t.diagnostic(`bytes: two ${both.cpuBytes}, one ${one.cpuBytes}, none ${none.cpuBytes}`);
  assert.ok(one.cpuBytes < both.cpuBytes && none.cpuBytes < one.cpuBytes);
  assert.equal(none.models, 0);
  await close();
});

test('the GPU memory of a removed element is free', slow, async (t) => {
  const { page, close } = await visit(chromium, PAGE('device=gpu&tier=software'));
  await load(page, tiny());
  const stats = () => page.evaluate(() => import('/lantern/define.js').then(({ sharedEngine }) => sharedEngine().stats()));
  const held = await stats();
  assert.ok(held.gpuBytes > 4e6);
  await page.evaluate(() => document.querySelector('lantern-autoencode').remove());
  await page.waitForFunction(async () => {
    const { sharedEngine } = await import('/lantern/define.js');
    return (await sharedEngine().stats()).sessions === 0;
  });
  const left = await stats();
  t.diagnostic(`GPU bytes: ${held.gpuBytes}, then ${left.gpuBytes}`);
  assert.equal(left.models, 0);
  assert.ok(left.gpuBytes < 0.1 * held.gpuBytes);
  await close();
});

for (const colorScheme of ['light', 'dark']) {
  test(`accessible while empty, with a picture back, and after a failure, ${colorScheme}`, options, async () => {
    const context = { colorScheme, bypassCSP: true, reducedMotion: 'reduce' };
    const { page, close } = await visit(chromium, PAGE('device=cpu'), { context });
    await page.waitForFunction(() => document.querySelector('lantern-autoencode')?.shadowRoot?.querySelector('[part=frame]')?.hidden === false);
    await assertAccessible(page, 'empty');
    await load(page);
    await assertAccessible(page, 'done');
    const unnamed = await page.locator('lantern-autoencode canvas').evaluateAll((all) => all.filter((canvas) => !canvas.getAttribute('aria-label')).length);
    assert.equal(unnamed, 0, 'every canvas has a name');
    await page.locator('[data-lantern=announcer]', { hasText: 'The picture is back' }).waitFor({ state: 'attached' });
    const heard = next(page);
    await picturePicker(page).setInputFiles(image('words.png', Buffer.from('no picture at all')));
    await heard.failure();
    await assertAccessible(page, 'failed');
    await close();
  });
}

test('the planes keep their colours where the visitor forces those of the page', options, async () => {
  const { page, close } = await visit(chromium, PAGE('device=cpu'), { context: { forcedColors: 'active' } });
  await load(page);
  const colours = await page.evaluate(() => {
    const canvas = document.querySelector('lantern-autoencode').shadowRoot.querySelector('.plane canvas');
    const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return new Set(pixels).size;
  });
  assert.ok(colours > 8, `${colours} colours`);
  await close();
});
