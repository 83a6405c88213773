// @ts-check
// Latents as pictures: one canvas for each plane, a colour for each number. Zero is the colour of the page, so what is off
// disappears; below it is blue, above it amber, both the darker (on paper) or lighter (at night) the further they are.

import { contextOf } from '../core/picture.js';

const STEPS = 255;

// Most latents lie near zero: half of the way in lightness is spent on the first third. The legend's gradient in
// autoencode.css has the same stops.
/** @type {[string, number][]} */
const STOPS = [['--plane-low', 0], ['--plane-below', 0.34], ['--plane-zero', 0.5], ['--plane-above', 0.66], ['--plane-high', 1]];

/** The palette's three tokens as the browser resolves them here, run together: `[STEPS, 4]`, RGBA.
 * @param {HTMLElement} element whose --plane-* count */
export function palette(element) {
  const canvas = document.createElement('canvas');
  canvas.width = STEPS;
  canvas.height = 1;
  const context = contextOf(canvas);
  const ramp = context.createLinearGradient(0.5, 0, STEPS - 0.5, 0);
  const probe = document.createElement('i');
  // A picture keeps its colours where the visitor's own replace a page's.
  probe.style.setProperty('forced-color-adjust', 'none');
  element.append(probe);
  for (const [token, at] of STOPS) {
    probe.style.color = `var(${token})`;
    ramp.addColorStop(at, getComputedStyle(probe).color);
  }
  probe.remove();
  context.fillStyle = ramp;
  context.fillRect(0, 0, STEPS, 1);
  return context.getImageData(0, 0, STEPS, 1).data;
}

/** @typedef {{min: number, max: number}} Range */

/** Least and greatest number of every plane. @param {Float32Array} latents @param {number} channels @returns {Range[]} */
export function ranges(latents, channels) {
  const found = Array.from({ length: channels }, () => ({ min: Infinity, max: -Infinity }));
  for (let at = 0; at < latents.length; at += 1) {
    const range = found[at % channels];
    if (latents[at] < range.min) range.min = latents[at];
    if (latents[at] > range.max) range.max = latents[at];
  }
  return found;
}

/** The magnitude that 99 of 100 numbers do not pass: a few far ones must not take the colour from all others.
 * @param {Float32Array} latents */
export function commonLimit(latents) {
  const magnitudes = latents.map(Math.abs).sort();
  return magnitudes[Math.floor(0.99 * (magnitudes.length - 1))];
}

/** Draws one plane times its gain. `limit`: the magnitude that gets the last colour; beyond it there is no other.
 * @param {HTMLCanvasElement} canvas @param {{latents: Float32Array, width: number, height: number, channels: number}} encoded
 * @param {number} plane @param {number} gain @param {number} limit @param {Uint8ClampedArray} colours */
export function drawPlane(canvas, { latents, width, height, channels }, plane, gain, limit, colours) {
  canvas.width = width;
  canvas.height = height;
  const context = contextOf(canvas);
  const image = context.createImageData(width, height);
  const scale = (gain * ((STEPS - 1) / 2)) / (limit || 1);
  for (let at = 0; at < width * height; at += 1) {
    const step = Math.round(latents[at * channels + plane] * scale + (STEPS - 1) / 2);
    const from = 4 * Math.min(STEPS - 1, Math.max(0, step));
    for (let c = 0; c < 4; c += 1) image.data[4 * at + c] = colours[from + c];
  }
  context.putImageData(image, 0, 0);
}
