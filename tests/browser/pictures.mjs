// Picture files made from nothing, of the kinds that visitors have and decoders stumble over.

import { deflateSync } from 'node:zlib';

const CRC = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

export function crc32(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC[(c ^ byte) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

const u32 = (...values) => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, at) => bytes.writeUInt32BE(value, 4 * at));
  return bytes;
};

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A smooth picture with an edge in it, 0 to 1, three colours. */
function colourAt(x, y, width, height) {
  const [u, v] = [x / Math.max(1, width - 1), y / Math.max(1, height - 1)];
  const inside = Math.hypot(u - 0.6, v - 0.55) < 0.25;
  return inside ? [0.95, 0.7, 0.3] : [0.15 + 0.5 * v, 0.2 + 0.3 * u, 0.5 - 0.3 * v];
}

function header(width, height, depth, type) {
  return chunk('IHDR', Buffer.concat([u32(width, height), Buffer.from([depth, type, 0, 0, 0])]));
}

function scanlines(width, height, depth, gray, shade = 1) {
  const bytes = depth / 8;
  const channels = gray ? 1 : 3;
  const data = Buffer.alloc(height * (1 + width * channels * bytes));
  for (let y = 0, at = 0; y < height; y += 1) {
    at += 1;
    for (let x = 0; x < width; x += 1) {
      const colour = colourAt(x, y, width, height).map((value) => value * shade);
      const values = gray ? [(colour[0] + colour[1] + colour[2]) / 3] : colour;
      for (const value of values) {
        if (bytes === 2) data.writeUInt16BE(Math.round(value * 65535), at);
        else data[at] = Math.round(value * 255);
        at += bytes;
      }
    }
  }
  return deflateSync(data);
}

/** A PNG of 8 or 16 bits, in colours or gray. */
export function png({ width = 64, height = 64, depth = 8, gray = false } = {}) {
  return Buffer.concat([SIGNATURE, header(width, height, depth, gray ? 0 : 2), chunk('IDAT', scanlines(width, height, depth, gray)), chunk('IEND', Buffer.alloc(0))]);
}

/** An animated PNG: the same picture, then a darker one. */
export function animatedPng(width = 64, height = 64) {
  const control = (sequence) => chunk('fcTL', Buffer.concat([u32(sequence, width, height, 0, 0), Buffer.from([0, 100, 0x03, 0xe8, 0, 0])]));
  return Buffer.concat([
    SIGNATURE, header(width, height, 8, 2), chunk('acTL', u32(2, 0)),
    control(0), chunk('IDAT', scanlines(width, height, 8, false)),
    control(1), chunk('fdAT', Buffer.concat([u32(2), scanlines(width, height, 8, false, 0.3)])), chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The first bytes of a PNG that says it is this large, and nothing after them. */
export function pngOfSize(width, height) {
  return Buffer.concat([SIGNATURE, header(width, height, 8, 2)]);
}

/** A GIF of two frames, 8 × 8, both of one colour of four. */
export function animatedGif() {
  const palette = [0x20, 0x30, 0x60, 0xf0, 0xb0, 0x40, 0, 0, 0, 0xff, 0xff, 0xff];
  // 64 times the first colour: codes of 3 bits, cleared often enough that they never grow.
  const codes = [];
  for (let i = 0; i < 64; i += 2) codes.push(4, 0, 0);
  codes.push(5);
  const bits = codes.map((code) => [code & 1, (code >> 1) & 1, code >> 2]).flat();
  const data = [];
  for (let at = 0; at < bits.length; at += 8) data.push(bits.slice(at, at + 8).reduce((byte, bit, n) => byte | (bit << n), 0));
  const frame = [0x21, 0xf9, 4, 4, 10, 0, 0, 0, 0x2c, 0, 0, 0, 0, 8, 0, 8, 0, 0, 2, data.length, ...data, 0];
  return Buffer.from([...Buffer.from('GIF89a', 'latin1'), 8, 0, 8, 0, 0x91, 0, 0, ...palette, ...frame, ...frame, 0x3b]);
}

/** A JPEG with an orientation in its EXIF, put in behind its start. */
export function oriented(jpeg, orientation) {
  const exif = Buffer.from([
    0xff, 0xe1, 0, 34, ...Buffer.from('Exif\0\0MM\0*', 'latin1'), 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0,
  ]);
  return Buffer.concat([jpeg.subarray(0, 2), exif, jpeg.subarray(2)]);
}
