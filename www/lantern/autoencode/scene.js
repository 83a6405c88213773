// @ts-check
// A picture of our own to try the demo with: a lantern on a sill at dusk, with what an autoencoder finds easy (sky, glow) and
// what it finds hard (stars, shingles, grain, a little writing). Every number is fixed: it is the same picture for everyone.

import { contextOf } from '../core/picture.js';

/** Draws the scene, square. @param {number} side in pixels @returns {HTMLCanvasElement} */
export function lanternScene(side = 768) {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = side;
  const c = contextOf(canvas);
  // Everything below is on a square of 480.
  c.scale(side / 480, side / 480);
  const random = mulberry(7);
  sky(c, random);
  hills(c, random);
  village(c, random);
  frame(c);
  sill(c, random);
  lantern(c);
  book(c);
  return canvas;
}

/** Random numbers from 0 to 1 that are the same everywhere: Mulberry32 (Tommy Ettinger, public domain).
 * @param {number} seed */
function mulberry(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** @param {CanvasRenderingContext2D} c @param {[number, number, number, number]} line @param {[number, string][]} stops */
function ramp(c, line, stops) {
  const gradient = c.createLinearGradient(...line);
  stops.forEach(([at, colour]) => gradient.addColorStop(at, colour));
  return gradient;
}

/** @param {CanvasRenderingContext2D} c @param {number} x @param {number} y @param {number} radius @param {[number, string][]} stops */
function glow(c, x, y, radius, stops) {
  const gradient = c.createRadialGradient(x, y, 0, x, y, radius);
  stops.forEach(([at, colour]) => gradient.addColorStop(at, colour));
  c.fillStyle = gradient;
  c.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
}

/** @param {CanvasRenderingContext2D} c @param {() => number} random */
function sky(c, random) {
  c.fillStyle = ramp(c, [0, 0, 0, 330], [[0, '#141b3a'], [0.45, '#3a3f6e'], [0.72, '#8a5f7d'], [0.9, '#d98b66'], [1, '#f0b878']]);
  c.fillRect(0, 0, 480, 480);
  for (let i = 0; i < 90; i += 1) {
    const [x, y] = [random() * 480, random() ** 1.6 * 210];
    c.fillStyle = `rgb(255 246 226 / ${0.25 + 0.7 * random()})`;
    c.beginPath();
    c.arc(x, y, 0.4 + random() * 0.9, 0, 7);
    c.fill();
  }
  glow(c, 108, 92, 70, [[0, 'rgb(255 244 214 / 0.5)'], [1, 'rgb(255 244 214 / 0)']]);
  c.fillStyle = '#fff3d6';
  c.beginPath();
  c.arc(108, 92, 24, 0, 7);
  c.fill();
  c.fillStyle = 'rgb(217 199 164 / 0.6)';
  for (const [x, y, r] of [[101, 86, 6], [115, 97, 4], [110, 80, 2.5], [100, 101, 3]]) {
    c.beginPath();
    c.arc(x, y, r, 0, 7);
    c.fill();
  }
}

/** @param {CanvasRenderingContext2D} c @param {() => number} random */
function hills(c, random) {
  for (const [base, height, colour] of /** @type {[number, number, string][]} */ ([[268, 34, '#6a557f'], [292, 26, '#45406a'], [316, 20, '#2b2f51']])) {
    const [a, b] = [random() * 6, random() * 6];
    c.fillStyle = colour;
    c.beginPath();
    c.moveTo(0, 480);
    for (let x = 0; x <= 480; x += 4) c.lineTo(x, base - height * (0.6 * Math.sin(x / 71 + a) + 0.4 * Math.sin(x / 29 + b)));
    c.lineTo(480, 480);
    c.fill();
  }
}

/** @param {CanvasRenderingContext2D} c @param {() => number} random */
function village(c, random) {
  for (let i = 0; i < 9; i += 1) {
    const [x, y, w] = [18 + i * 24 + random() * 8, 322 + random() * 16, 13 + random() * 9];
    c.fillStyle = '#1d2040';
    c.fillRect(x, y, w, 26);
    c.fillStyle = '#38274a';
    c.beginPath();
    c.moveTo(x - 3, y);
    c.lineTo(x + w / 2, y - 10);
    c.lineTo(x + w + 3, y);
    c.fill();
    c.fillStyle = random() < 0.7 ? '#ffc96b' : '#2c3157';
    c.fillRect(x + 4, y + 6, 3.4, 4.6);
    c.fillStyle = random() < 0.5 ? '#ffb14a' : '#2c3157';
    c.fillRect(x + w - 7, y + 6, 3.4, 4.6);
  }
}

/** The window one looks through. @param {CanvasRenderingContext2D} c */
function frame(c) {
  c.fillStyle = ramp(c, [0, 0, 480, 0], [[0, '#241a1c'], [0.6, '#4a3226'], [1, '#2b1e1c']]);
  c.fillRect(0, 0, 480, 14);
  c.fillRect(0, 0, 14, 400);
  c.fillRect(466, 0, 14, 400);
  c.fillRect(232, 0, 11, 400);
  c.fillStyle = 'rgb(255 190 110 / 0.35)';
  c.fillRect(243, 0, 1.5, 400);
  c.fillRect(14, 14, 452, 1.5);
}

/** @param {CanvasRenderingContext2D} c @param {() => number} random */
function sill(c, random) {
  c.fillStyle = ramp(c, [0, 392, 0, 480], [[0, '#7a4f31'], [0.1, '#5f3c28'], [1, '#2c1c18']]);
  c.fillRect(0, 388, 480, 92);
  for (let i = 0; i < 150; i += 1) {
    const [x, y, length] = [random() * 520 - 40, 392 + random() * 88, 20 + random() * 90];
    c.strokeStyle = random() < 0.5 ? 'rgb(20 10 8 / 0.28)' : 'rgb(255 190 120 / 0.09)';
    c.lineWidth = 0.5 + random();
    c.beginPath();
    c.moveTo(x, y);
    c.bezierCurveTo(x + length / 3, y + random() * 3 - 1.5, x + (2 * length) / 3, y + random() * 3 - 1.5, x + length, y);
    c.stroke();
  }
  c.fillStyle = 'rgb(255 214 150 / 0.4)';
  c.fillRect(0, 388, 480, 1.6);
}

/** The lantern of the front page. @param {CanvasRenderingContext2D} c */
function lantern(c) {
  const [x, y] = [318, 296];
  glow(c, x, y - 10, 210, [[0, 'rgb(255 190 92 / 0.62)'], [0.28, 'rgb(255 170 70 / 0.26)'], [0.65, 'rgb(255 160 60 / 0.07)'], [1, 'rgb(255 160 60 / 0)']]);
  c.save();
  c.translate(x, 424);
  c.scale(1, 0.16);
  glow(c, 0, 0, 150, [[0, 'rgb(255 205 120 / 0.75)'], [1, 'rgb(255 180 80 / 0)']]);
  c.restore();

  c.save();
  c.translate(x - 240 * 0.62, 428 - 382 * 0.62);
  c.scale(0.62, 0.62);
  const metal = ramp(c, [160, 0, 320, 0], [[0, '#1c1614'], [0.3, '#6b5442'], [0.5, '#c39a63'], [0.62, '#7b5d45'], [1, '#1f1815']]);
  const path = (/** @type {string} */ d) => new Path2D(d);
  c.lineWidth = 5;
  c.strokeStyle = '#2a211d';
  c.stroke(path('M176 190C150 120 190 58 240 58s90 62 64 132'));
  const glass = c.createRadialGradient(240, 286, 8, 240, 270, 96);
  glass.addColorStop(0, 'rgb(255 246 214 / 0.98)');
  glass.addColorStop(0.4, 'rgb(255 205 112 / 0.86)');
  glass.addColorStop(1, 'rgb(214 122 40 / 0.55)');
  c.fillStyle = glass;
  c.fill(path('M190 160c-22 36-30 66-30 96s10 56 28 78h104c18-22 28-48 28-78s-8-60-30-96z'));
  c.fillStyle = '#fffdf2';
  c.fill(path('M240 200c20 30 32 50 32 72a32 32 0 0 1-64 0c0-22 12-42 32-72z'));
  c.fillStyle = '#f7a53a';
  c.fill(path('M240 246c10 15 16 24 16 34a16 16 0 0 1-32 0c0-10 6-19 16-34z'));
  c.strokeStyle = 'rgb(60 34 18 / 0.75)';
  c.lineWidth = 3;
  c.stroke(path('M212 162c-13 40-18 66-18 94s5 52 14 76M268 162c13 40 18 66 18 94s-5 52-14 76'));
  c.strokeStyle = 'rgb(255 255 255 / 0.55)';
  c.lineWidth = 4;
  c.stroke(path('M178 214c-8 26-8 56 2 84'));
  c.fillStyle = metal;
  c.strokeStyle = '#1a1412';
  c.lineWidth = 2;
  for (const d of [
    'M228 96h24v14h-24z', 'M222 112c-18 6-30 18-34 36h104c-4-18-16-30-34-36z', 'M182 148h116v12H182z', 'M180 334h120v12H180z',
    'M172 346h136c6 8 12 22 14 36H158c2-14 8-28 14-36z',
  ]) {
    c.fill(path(d));
    c.stroke(path(d));
  }
  c.restore();
}

/** Lines too fine for latents an eighth as wide. @param {CanvasRenderingContext2D} c */
function book(c) {
  c.save();
  c.translate(84, 398);
  c.rotate(-0.05);
  c.fillStyle = '#7c2f2b';
  c.fillRect(-4, 40, 150, 12);
  c.fillStyle = '#e7d6b4';
  c.fillRect(0, 30, 144, 12);
  c.fillStyle = 'rgb(120 90 60 / 0.5)';
  for (let y = 32; y < 42; y += 2.4) c.fillRect(0, y, 144, 0.8);
  c.fillStyle = '#8f3a32';
  c.beginPath();
  c.moveTo(6, 6);
  c.lineTo(140, 6);
  c.lineTo(148, 31);
  c.lineTo(-6, 31);
  c.fill();
  c.fillStyle = '#f2cf8c';
  c.font = '600 13px Georgia, "Times New Roman", serif';
  c.textAlign = 'center';
  c.fillText('Tales by lantern light', 71, 23);
  c.restore();
}
