// @ts-check
// A visitor's picture, from a file to pixels: the browser decodes it (turned as its EXIF says, its colours brought to sRGB, eight
// bits), and what the file's first bytes say is used to refuse a picture that would not fit and to tell of what is left out.

/** `width`, `height`: as the file stores them, before EXIF turns them; 0 where the header does not say. `inks`: CMYK. `bright`: light
 * beyond sRGB's white, in PQ or HLG. @typedef {{type: string, width: number, height: number, animated: boolean, inks?: boolean, bright?: boolean}} Header */

/** `notes`: what was left out or changed, in words. @typedef {{bitmap: ImageBitmap | HTMLCanvasElement, name: string, notes: string[]}} Picture */

// A decoded picture holds 4 bytes a pixel, and browsers hold more than one copy.
const MOST_PIXELS = 100_000_000;
// Enough for every header below; a JPEG may carry large metadata before its size.
const HEAD_BYTES = 1 << 20;

/** @param {string} code @param {string} cause @param {string} remedy */
function failure(code, cause, remedy) {
  return { code, cause, remedy };
}

/** @param {Blob} file @param {string} [name] @returns {Promise<Picture>} */
export async function readPicture(file, name = file instanceof File ? file.name : '') {
  const shown = name || 'the picture';
  if (file.size === 0) throw failure('picture.empty', `${shown} is an empty file`, 'Choose another picture');
  let head;
  try {
    head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  } catch {
    throw failure('picture.read', `${shown} could not be read`, 'The file may have moved or changed: choose it again');
  }
  const header = readHeader(head);
  if (header && header.width * header.height > MOST_PIXELS) {
    throw failure('picture.huge', `${shown} has ${header.width} × ${header.height} pixels, more than this page can unpack at once`,
      'Scale it down elsewhere first; the page works with at most 100 million pixels');
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', colorSpaceConversion: 'default' });
  } catch {
    throw header
      ? failure('picture.corrupt', `${shown} is a ${header.type} that this browser cannot unpack: damaged, cut short, or larger than it can hold`,
        'Choose another picture, or save this one again as PNG or JPEG')
      : failure('picture.type', `this browser cannot read ${shown}`, 'Choose a PNG, JPEG, WebP, GIF or AVIF');
  }
  const notes = [];
  if (header?.animated) notes.push('Of its frames, only the first is used.');
  // Chromium leaves the profile of inks out, and no browser says whether it did.
  if (header?.inks) notes.push('It is in printing inks (CMYK): browsers may not show its colours as they are meant.');
  if (header?.bright) notes.push('Its light goes beyond what a page shows: the browser brought it into that range.');
  return { bitmap, name, notes };
}

/** What a picture file says of itself, by its format's own specification; null for formats not read here.
 * @param {Uint8Array} bytes @returns {Header | null} */
export function readHeader(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (ascii(bytes, 1, 3) === 'PNG') return png(bytes, view);
    if (ascii(bytes, 0, 3) === 'GIF') return gif(bytes, view);
    if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 4) === 'WEBP') return webp(bytes, view);
    if (view.getUint16(0) === 0xffd8) return jpeg(view);
  } catch (thrown) {
    // Ends before its size: a cut file, which the browser's decoder will refuse too.
    if (!(thrown instanceof RangeError)) throw thrown;
  }
  return null;
}

/** @param {Uint8Array} bytes @param {number} at @param {number} length */
function ascii(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** @param {Uint8Array} bytes @param {DataView} view @returns {Header} */
function png(bytes, view) {
  /** @type {Header} */
  const header = { type: 'PNG', width: view.getUint32(16), height: view.getUint32(20), animated: false };
  for (const { name, at } of chunksOf(bytes, view)) {
    // Its first number counts the frames.
    if (name === 'acTL') header.animated = view.getUint32(at) > 1;
    // The transfer functions of ITU-T H.273.
    if (name === 'cICP') header.bright = [16, 18].includes(bytes[at + 1]);
  }
  return header;
}

/** A PNG's chunks before its pixels; `at`: where what they hold begins. @param {Uint8Array} bytes @param {DataView} view */
function* chunksOf(bytes, view) {
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = ascii(bytes, at + 4, 4);
    if (name === 'IDAT') return;
    yield { name, at: at + 8 };
  }
}

/** @param {Uint8Array} bytes @param {DataView} view @returns {Header} */
function gif(bytes, view) {
  const header = { type: 'GIF', width: view.getUint16(6, true), height: view.getUint16(8, true), animated: false };
  const table = (/** @type {number} */ flags) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  let at = 13 + table(bytes[10]);
  for (let frames = 0; at < bytes.length && bytes[at] !== 0x3b; ) {
    if (bytes[at] === 0x2c) {
      if (++frames > 1) return { ...header, animated: true };
      at += 10 + table(bytes[at + 9]) + 1;
    } else if (bytes[at] === 0x21) {
      at += 2;
    } else break;
    while (at < bytes.length && bytes[at] > 0) at += 1 + bytes[at];
    at += 1;
  }
  return header;
}

/** @param {Uint8Array} bytes @param {DataView} view @returns {Header} */
function webp(bytes, view) {
  const kind = ascii(bytes, 12, 4);
  const size = (/** @type {number} */ width, /** @type {number} */ height, animated = false) => ({ type: 'WebP', width, height, animated });
  if (kind === 'VP8X') {
    const u24 = (/** @type {number} */ at) => view.getUint16(at, true) | (bytes[at + 2] << 16);
    return size(u24(24) + 1, u24(27) + 1, (bytes[20] & 2) !== 0);
  }
  if (kind === 'VP8L') {
    const bits = view.getUint32(21, true);
    return size((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1);
  }
  return size(view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff);
}

/** @param {DataView} view @returns {Header} */
function jpeg(view) {
  for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint16(at);
    // Start of frame, in all its kinds; C4, C8 and CC are something else.
    if (marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
      return { type: 'JPEG', width: view.getUint16(at + 7), height: view.getUint16(at + 5), animated: false, inks: view.getUint8(at + 9) === 4 };
    }
    if (marker < 0xffc0) throw new RangeError('no marker');
  }
}

/** The size a picture gets so that its longer side is `side` at most; never larger than it is.
 * @param {{width: number, height: number}} from @param {number} side 0: as it is */
export function fit({ width, height }, side) {
  const scale = side > 0 ? Math.min(1, side / Math.max(width, height)) : 1;
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** Pixels of the picture at that size, on a canvas; what is transparent lies on white.
 * @param {ImageBitmap | HTMLCanvasElement} bitmap @param {{width: number, height: number}} size @param {HTMLCanvasElement} canvas */
export function drawPicture(bitmap, { width, height }, canvas) {
  canvas.width = width;
  canvas.height = height;
  const context = contextOf(canvas);
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
}

/** What stands on a canvas, to be handed over. @param {HTMLCanvasElement} canvas */
export function pictureOf(canvas) {
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext('2d');
  if (!context) throw noCanvas();
  context.drawImage(canvas, 0, 0);
  return copy.transferToImageBitmap();
}

// Length, name, intent and checksum of the chunk that says: these numbers are sRGB's (PNG, 11.3.2.5).
const SRGB_CHUNK = new Uint8Array([0, 0, 0, 1, 0x73, 0x52, 0x47, 0x42, 0, 0xae, 0xce, 0x1c, 0xe9]);
const HEADER_ENDS = 33;

/** The canvas as a PNG that says what its numbers mean, which not every browser's does; null where it is too large for one.
 * @param {HTMLCanvasElement} canvas @returns {Promise<Blob | null>} */
export async function pngOf(canvas) {
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) return null;
  const bytes = new Uint8Array(await blob.slice(0, HEAD_BYTES).arrayBuffer());
  const said = [...chunksOf(bytes, new DataView(bytes.buffer))].some(({ name }) => ['sRGB', 'iCCP', 'cICP'].includes(name));
  return said ? blob : new Blob([blob.slice(0, HEADER_ENDS), SRGB_CHUNK, blob.slice(HEADER_ENDS)], { type: blob.type });
}

/** A canvas whose pixels are read more often than it is drawn. @param {HTMLCanvasElement} canvas */
export function contextOf(canvas) {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw noCanvas();
  return context;
}

function noCanvas() {
  return failure('picture.canvas', 'This browser gives the page no canvas', 'Close other pages and reload this one');
}
