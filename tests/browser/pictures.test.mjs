// Pictures whose numbers are not sRGB's, by every road into the page: the same files and colours as the command line's tests.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { hostPage, launch, options, visit } from './harness.mjs';
import { crc32 } from './pictures.mjs';

const FOLDER = new URL('../cases/pictures/', import.meta.url);
const CASES = JSON.parse(readFileSync(new URL('colours.json', FOLDER), 'utf8'));
// Browsers round more often on the way: to halves of a float, or by a table. A step of light in the dark is several of sRGB.
const BROWSERS_OWN = 2;

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

const bytes = (file) => [...readFileSync(new URL(file, FOLDER))];

/** How far the middles of the four fields are from what they should be, at most. `rgba`: of 24 × 16 pixels. */
function furthest(rgba, fields) {
  const off = fields.map((field, i) => {
    const at = 4 * ((4 + 8 * (i >> 1)) * 24 + 6 + 12 * (i % 2));
    return Math.max(...field.map((value, channel) => Math.abs(value - rgba[at + channel])));
  });
  return Math.max(...off);
}

test('a picture comes in as sRGB, whatever its numbers mean', options, async (t) => {
  const { page, close } = await visit(chromium, '/host-page', { prepare: hostPage('') });
  for (const { file, fields, tolerance, note } of CASES) {
    const { rgba, notes } = await page.evaluate(async (bytes) => {
      const { contextOf, drawPicture, readPicture } = await import('/lantern/core/picture.js');
      const { bitmap, notes } = await readPicture(new Blob([new Uint8Array(bytes)]));
      const canvas = document.createElement('canvas');
      drawPicture(bitmap, bitmap, canvas);
      return { rgba: [...contextOf(canvas).getImageData(0, 0, canvas.width, canvas.height).data], notes: notes.join(' ') };
    }, bytes(file));
    const off = furthest(rgba, fields);
    t.diagnostic(`${file}: ${off}`);
    // Chromium takes inks without their profile; the page says that this may be so.
    if (/^(cmyk|ycck)/.test(file)) assert.match(notes, /inks/, file);
    else assert.ok(off <= tolerance + BROWSERS_OWN, `${file}: ${off} steps away`);
    if (note === 'light') assert.match(notes, /light/, file);
  }
  await close();
});

test('a picture that is written says that it is sRGB, and comes back the same', options, async () => {
  const { page, close } = await visit(chromium, '/host-page', { prepare: hostPage('') });
  const { bytes, back } = await page.evaluate(async () => {
    const { contextOf, drawPicture, pngOf, readPicture } = await import('/lantern/core/picture.js');
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [2, 1];
    const context = contextOf(canvas);
    context.putImageData(new ImageData(new Uint8ClampedArray([200, 40, 41, 255, 3, 60, 201, 255]), 2, 1), 0, 0);
    const blob = await pngOf(canvas);
    const { bitmap } = await readPicture(blob);
    drawPicture(bitmap, bitmap, canvas);
    return { bytes: [...new Uint8Array(await blob.arrayBuffer())], back: [...context.getImageData(0, 0, 2, 1).data] };
  });
  const file = Buffer.from(bytes);
  const at = file.indexOf('sRGB');
  assert.ok(at > 0 && at < file.indexOf('IDAT'), 'before the pixels');
  assert.equal(file.indexOf('sRGB', at + 1), -1, 'once');
  assert.equal(file.readUInt32BE(at + 5), crc32(file.subarray(at, at + 5)));
  assert.deepEqual(back, [200, 40, 41, 255, 3, 60, 201, 255]);
  await close();
});

test('chosen, dropped, pasted and handed over: the colours are the same', options, async () => {
  const { page, close } = await visit(chromium, 'autoencode.html?device=cpu');
  await page.waitForFunction(() => document.querySelector('lantern-autoencode')?.shadowRoot);
  const { fields, tolerance } = CASES.find(({ file }) => file === 'wide.png');
  const picture = bytes('wide.png');
  const give = (road, name) =>
    page.evaluate(
      ({ picture, road, name }) => {
        const file = new File([new Uint8Array(picture)], name, { type: 'image/png' });
        const data = new DataTransfer();
        data.items.add(file);
        const demo = document.querySelector('lantern-autoencode');
        const frame = demo.shadowRoot.querySelector('[part=frame]');
        if (road === 'drop') {
          for (const type of ['dragenter', 'dragover', 'drop']) {
            frame.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, composed: true, cancelable: true }));
          }
        } else if (road === 'paste') {
          document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
        } else void demo.show(file);
      },
      { picture, road, name },
    );
  for (const road of ['choose', 'drop', 'paste', 'show']) {
    const name = `${road}.png`;
    if (road === 'choose') {
      const picker = page.locator('lantern-autoencode input[type=file][accept="image/*"]');
      await picker.setInputFiles({ name, mimeType: 'image/png', buffer: Buffer.from(picture) });
    } else await give(road, name);
    const rgba = await page
      .waitForFunction((name) => {
        const original = document.querySelector('lantern-autoencode').shadowRoot.querySelector('.original');
        if (!original.querySelector('.facts').textContent.includes(name)) return null;
        const canvas = original.querySelector('canvas');
        return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
      }, name)
      .then((handle) => handle.jsonValue());
    assert.equal(rgba.length, 4 * 24 * 16, road);
    assert.ok(furthest(rgba, fields) <= tolerance + BROWSERS_OWN, `${road}: ${furthest(rgba, fields)} steps away`);
  }
  await close();
});
