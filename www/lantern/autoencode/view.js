// @ts-check
// What <lantern-autoencode> looks like: what goes in, the four planes, what comes back. Draws what element.js tells
// it and decides nothing.

import { DemoView } from '../core/demo-view.js';
import { h } from '../core/dom.js';
import * as format from '../core/format.js';
import { droppable, instrument, ofOne, slider } from '../core/parts.js';
import { drawPicture, pictureOf } from '../core/picture.js';
import { commonLimit, drawPlane, palette, ranges } from './planes.js';

/** @import { Retry } from '../core/demo-element.js' */
/** @import { MemoryUse } from '../core/parts.js' */
/** @import { Failure } from '../core/protocol.js' */
/** @import { AutoencoderInfo, Encoded } from './messages.js' */
/** @import { Picture } from '../core/picture.js' */

/** @typedef {object} Actions
 * @property {(files: File[]) => void} take files of any kind: pictures, and a model's
 * @property {() => void} scene
 * @property {(side: string) => void} side
 * @property {(plane: number, gain: number) => void} scale
 * @property {() => void} run
 * @property {() => void} stop
 * @property {() => void} save */

export const PLANES = 4;
export const SIDES = ['auto', '256', '384', '512', '768', 'original'];

const FAMILIES = { taesd: 'TAESD', autoencoder_kl: "Stable Diffusion's autoencoder" };

const TAESD = 'https://huggingface.co/madebyollin/taesd';
const SD_VAE = 'https://huggingface.co/stabilityai/sd-vae-ft-mse';

export class AutoencodeView extends DemoView {
  /** @type {Uint8ClampedArray | null} */ #colours = null;
  /** @type {Encoded | null} */ #encoded = null;
  #limit = 1;
  /** What the engine paints on next. @type {HTMLCanvasElement | null} */ #next = null;

  /** @param {Actions} actions */
  constructor(actions) {
    super(actions);
    this.actions = actions;

    this.pictures = h('input', { type: 'file', accept: 'image/*', hidden: true, on: { change: () => this.#picked(this.pictures) } });
    this.models = h('input', { type: 'file', accept: '.safetensors', multiple: true, hidden: true, on: { change: () => this.#picked(this.models) } });

    this.original = seat('original', 'What goes in');
    this.original.facts.after(
      h('div', { class: 'row' },
        h('button', { type: 'button', class: 'button', part: 'choose', textContent: 'Choose a picture…', on: { click: () => this.pictures.click() } }),
        this.scene = h('button', { type: 'button', class: 'quiet', part: 'scene', textContent: 'Back to the lantern', hidden: true, on: { click: actions.scene } }),
        this.ways = h('span', { class: 'facts', textContent: 'or drop or paste one' })),
      this.pictures,
    );

    this.planes = Array.from({ length: PLANES }, (_, at) => plane(at, (gain) => actions.scale(at, gain)));
    this.low = h('span');
    this.high = h('span');
    this.legend = h('div', { class: 'legend', 'aria-hidden': 'true' }, this.low, h('span', { class: 'ramp' }), this.high);
    this.latents = h('section', { class: 'latents', part: 'latents', tabIndex: -1, 'aria-labelledby': 'latents' },
      h('div', { class: 'head' }, h('h2', { id: 'latents', textContent: 'Four planes' }), this.legend),
      h('datalist', { id: 'gains' }, h('option', { value: '0' }), h('option', { value: '1' })),
      h('div', { class: 'planes' }, ...this.planes.map(({ root }) => root)));

    this.decoded = seat('decoded', 'What comes back');
    this.run = h('button', { type: 'button', class: 'button primary', part: 'run', hidden: true, on: { click: actions.run } });
    this.save = h('button', { type: 'button', class: 'button', part: 'save', textContent: 'Save as PNG', disabled: true, on: { click: actions.save } });
    this.decoded.facts.after(h('div', { class: 'row' }, this.run, this.save));
    this.lacking = h('p');
    this.other = h('div', { class: 'lacking', hidden: true }, this.lacking,
      h('button', { type: 'button', class: 'button primary', textContent: 'Choose it…', on: { click: () => this.models.click() } }));
    this.decoded.frame.append(this.other);

    this.poster = h('slot', { name: 'poster' },
      h('p', { class: 'headline', textContent: 'A picture, by way of four small planes' }),
      h('p', { class: 'about', textContent: 'An autoencoder squeezes a picture into four planes, an eighth as wide and as high, and paints it again from them. Here, on your own device.' }));
    this.bring = h('div', { class: 'bring' },
      h('p', { textContent: 'Lantern ships no weights made by others. Bring an autoencoder you have, or get one of these, and drop it here. It is read on this device and goes nowhere.' }),
      h('ul', {},
        h('li', {}, h('strong', { textContent: 'TAESD' }), ', small and quick: two files of about 5 MB, ', code('taesd_encoder.safetensors'), ' and ', code('taesd_decoder.safetensors'),
          ', from ', address(TAESD), ' (MIT).'),
        h('li', {}, h('strong', { textContent: "Stable Diffusion's own" }), ', some fifty times the work: ', code('diffusion_pytorch_model.safetensors'), ', 335 MB, from ', address(SD_VAE), ' (MIT).')));
    this.ask = h('section', { class: 'ask', part: 'ask', 'aria-label': 'The model' },
      this.poster, this.bring,
      this.missing = h('p', { class: 'missing', hidden: true, textContent: 'The decoder is here. The encoder is still missing: it is a file of its own.' }),
      this.load = h('button', { type: 'button', class: 'button primary', part: 'load', textContent: 'Load the model', hidden: true, on: { click: actions.run } }),
      this.open = h('button', { type: 'button', class: 'button primary', part: 'open', textContent: 'Choose model files…', on: { click: () => this.models.click() } }));

    this.modelFacts = h('p', { class: 'facts' });
    this.size = h('select', { id: 'side', part: 'side', on: { change: () => actions.side(this.size.value) } },
      ...SIDES.map((value) => h('option', { value })));
    this.sizeFacts = h('p', { class: 'facts' });
    this.sizing = h('div', { class: 'field sizing', part: 'controls' },
      h('label', { for: 'side', textContent: 'Longest side' }), this.size, this.sizeFacts);
    this.holding = h('div', { class: 'field holding', part: 'controls' },
      h('p', { class: 'label', textContent: 'Model' }), this.modelFacts,
      h('div', { class: 'row' }, h('button', { type: 'button', class: 'button', textContent: 'Other model files…', on: { click: () => this.models.click() } })),
      this.models);

    this.quality = instrument('Likeness');
    this.encoding = instrument('Encoding');
    this.decoding = instrument('Decoding');
    this.numbers = instrument('Latents');
    this.memory.label.textContent = 'Memory at most';
    this.instruments = this.row(this.quality, this.encoding, this.decoding, this.numbers, this.memory, this.where);

    this.frame.append(
      h('div', { class: 'stage' }, this.original.root, this.sizing, this.ask, this.latents, this.decoded.root, this.holding),
      h('div', { class: 'foot' }, this.failure.root, this.wait.root, this.note),
      this.instruments);
    droppable(this.frame, "Drop a picture, or a model's files", actions.take);

    this.model(null);
    this.sizes('auto', null, () => null);
    this.result(null, null);
    for (const one of this.planes) one.slider.value = 1;
  }

  /** The page names a model: nobody has to bring one. @param {boolean} named */
  offer(named) {
    this.bring.hidden = named;
    this.open.hidden = named;
    this.load.hidden = !named;
  }

  /** Which parts there are to see, and which files are asked for.
   * @param {AutoencoderInfo | null} info @param {string[]} [names] of the files */
  model(info, names = []) {
    const there = info?.encoder ?? false;
    const root = this.ask.getRootNode();
    const held = root instanceof ShadowRoot && this.ask.contains(root.activeElement);
    this.ask.hidden = there;
    this.latents.hidden = !there;
    if (held && there) this.latents.focus({ preventScroll: true });
    this.decoded.root.hidden = !there;
    this.sizing.hidden = !there;
    this.holding.hidden = !there;
    this.instruments.hidden = !there;
    this.missing.hidden = !info || there;
    this.frame.classList.toggle('empty', !there);
    this.other.hidden = !info || info.decoder;
    this.lacking.textContent = 'The planes can be seen. To come back as a picture they need the decoder, a file of its own.';
    const halves = info?.encoder && info.decoder ? 'encoder and decoder' : info?.encoder ? 'encoder only' : 'decoder only';
    this.modelFacts.textContent = info ? `${FAMILIES[info.family]}, ${halves}, ${format.bytes(info.bytes)}` : '';
    this.modelFacts.title = names.join(', ');
  }

  /** @param {Picture} picture @param {{width: number, height: number}} size */
  picture(picture, size, own = false) {
    drawPicture(picture.bitmap, size, this.original.canvas);
    this.original.canvas.setAttribute('aria-label', picture.name ? `The picture: ${picture.name}` : 'The picture');
    const { width, height } = picture.bitmap;
    const scaled = own || (size.width === width && size.height === height) ? '' : `, from ${width} × ${height}`;
    const name = own ? 'drawn by this page' : picture.name;
    this.original.facts.textContent = [`${size.width} × ${size.height} pixels${scaled}`, name].filter(Boolean).join(' · ');
    this.original.notes.textContent = picture.notes.join(' ');
    this.scene.hidden = own;
    this.ways.hidden = !own;
  }

  /** The picture as it will be encoded, to be handed over. */
  given() {
    return pictureOf(this.original.canvas);
  }

  /** A canvas for what comes back, to be painted on by the engine. It takes its place here once something is on it. */
  canvas() {
    this.#next = canvasOf('The picture, decoded from the planes');
    return this.#next.transferControlToOffscreen();
  }

  /** @param {Encoded | null} encoded @param {number[]} gains */
  planesOf(encoded, gains) {
    this.#encoded = encoded;
    if (encoded) {
      const found = ranges(encoded.latents, encoded.channels);
      this.#limit = commonLimit(encoded.latents);
      found.forEach(({ min, max }, at) => {
        this.planes[at].range.textContent = `${signed(min)} to ${signed(max)}`;
        this.planes[at].canvas.setAttribute('aria-label', `Plane ${at + 1}, ${encoded.width} × ${encoded.height} numbers from ${signed(min)} to ${signed(max)}`);
      });
      this.low.textContent = `≤ ${signed(-this.#limit)}`;
      this.high.textContent = `≥ ${signed(this.#limit)}`;
    }
    this.frame.classList.toggle('encoded', encoded !== null);
    this.stale(this.latents, false);
    gains.forEach((gain, at) => this.gain(at, gain));
  }

  /** @param {number} at @param {number} gain */
  gain(at, gain) {
    const one = this.planes[at];
    one.slider.value = gain;
    one.root.classList.toggle('off', gain === 0);
    one.off.disabled = gain === 0;
    one.reset.disabled = gain === 1;
    if (!this.#encoded) return;
    this.#colours ??= palette(this.frame);
    drawPlane(one.canvas, this.#encoded, at, gain, this.#limit, this.#colours);
  }

  /** The page went from light to dark, or back. @param {number[]} gains */
  recolour(gains) {
    this.#colours = null;
    gains.forEach((gain, at) => this.gain(at, gain));
  }

  /** What came back was painted. */
  back() {
    if (this.#next) {
      this.decoded.canvas.replaceWith(this.#next);
      this.decoded.canvas = this.#next;
      this.#next = null;
    }
    this.frame.classList.add('back');
    this.stale(this.decoded.root, false);
    this.save.disabled = false;
  }

  /** What stands here belongs to something before. @param {HTMLElement} part @param {boolean} is */
  stale(part, is) {
    part.classList.toggle('stale', is);
  }

  /** @param {string | null} label of the button that goes on where it was stopped */
  resume(label) {
    this.run.hidden = label === null;
    this.run.textContent = label;
  }

  /** @param {{encoded: Encoded, encodeMs: number, picture: {width: number, height: number}, peakBytes: number | null} | null} there
   * @param {{psnrDb: number, decodeMs: number} | null} back */
  result(there, back) {
    this.quality.set(back ? decibels(back.psnrDb) : '—', 'PSNR to the original');
    this.encoding.set(there ? format.milliseconds(there.encodeMs) : '—', there ? rate(there.picture, there.encodeMs) : 'picture to planes');
    this.decoding.set(there && back ? format.milliseconds(back.decodeMs) : '—', there && back ? rate(there.picture, back.decodeMs) : 'planes to picture');
    if (there) {
      const { width, height, channels } = there.encoded;
      const fewer = (3 * there.picture.width * there.picture.height) / (width * height * channels);
      this.numbers.set(`${width} × ${height} × ${channels}`, `${format.short(Math.round(10 * fewer) / 10)} times fewer numbers`);
    } else {
      this.numbers.set('—', 'numbers in the planes');
    }
    this.memory.main(!there ? '—' : there.peakBytes === null ? '…' : format.bytes(there.peakBytes));
    this.decoded.facts.textContent = back ? `${decibels(back.psnrDb)} against what goes in` : '\u00a0';
  }

  /** What a picture takes at most says more than what is held just now, which stands below it.
   * @param {MemoryUse | null} use */
  memoryUse(use) {
    this.memory.below(use?.own ? `now ${ofOne(use.own)}` : 'of this device');
  }

  /** @param {string} chosen @param {number | null} auto the device's own, when it is known @param {(side: string) => number | null} estimate ms */
  sizes(chosen, auto, estimate) {
    this.size.value = chosen;
    for (const option of this.size.options) {
      const { value } = option;
      const name = value === 'auto' ? (auto ? `${auto} px for this device` : 'for this device') : value === 'original' ? 'as it is' : `${value} px`;
      const ms = estimate(value);
      option.textContent = ms ? `${name} · ${format.milliseconds(ms)}` : name;
    }
    this.sizeFacts.textContent = chosen === 'auto' && auto
      ? auto < 512 ? 'Without a fast GPU this takes seconds, so it starts small.' : 'Larger takes longer, and more memory.'
      : 'Longer by the square of it. Never enlarged.';
  }

  /** @param {Failure} failure @param {string} details @param {Retry | null} retry */
  fail(failure, details, retry) {
    super.fail(failure, details, retry);
    this.failure.root.scrollIntoView({ block: 'nearest' });
  }

  /** @param {HTMLInputElement} picker */
  #picked(picker) {
    const files = [...(picker.files ?? [])];
    picker.value = '';
    if (files.length > 0) this.actions.take(files);
  }
}

/** @param {string} name */
function canvasOf(name) {
  return h('canvas', { role: 'img', 'aria-label': name, width: 1, height: 1 });
}

/** A canvas with its name above and its facts below. @param {string} name @param {string} title */
function seat(name, title) {
  const canvas = canvasOf(title);
  const facts = h('p', { class: 'facts' });
  const notes = h('p', { class: 'facts' });
  const frame = h('div', { class: 'canvas' }, canvas);
  return {
    canvas, facts, notes, frame,
    root: h('section', { class: `seat ${name}`, part: name, 'aria-labelledby': name },
      h('div', { class: 'head' }, h('h2', { id: name, textContent: title })), frame, facts, notes),
  };
}

/** @param {number} at @param {(gain: number) => void} set */
function plane(at, set) {
  const name = `Plane ${at + 1}`;
  const gain = slider(`plane-${at + 1}`, -2, 2, 0.05, (value) => (value === 0 ? 'off' : `× ${signed(value)}`));
  gain.input.setAttribute('list', 'gains');
  gain.input.addEventListener('input', () => set(gain.value));
  const canvas = h('canvas', { role: 'img', 'aria-label': name, width: 1, height: 1 });
  const range = h('span', { class: 'facts', textContent: '\u00a0' });
  const button = (/** @type {string} */ text, /** @type {number} */ value) =>
    h('button', { type: 'button', class: 'quiet', textContent: text, 'aria-label': `${text}, plane ${at + 1}`, on: { click: () => set(value) } });
  const off = button('Off', 0);
  const reset = button('Reset', 1);
  return {
    canvas, range, off, reset, slider: gain,
    root: h('div', { class: 'plane', part: 'plane' }, h('div', { class: 'canvas' }, canvas),
      h('div', { class: 'row between' }, h('label', { for: gain.input.id, textContent: name }), gain.output), gain.input,
      h('div', { class: 'row between' }, range, h('span', { class: 'pair' }, off, reset))),
  };
}

/** @param {string} text */
function code(text) {
  return h('code', { textContent: text });
}

/** Somewhere else: a visitor goes there by choice, the page never does. @param {string} url */
function address(url) {
  return h('a', { href: url, rel: 'external noreferrer', textContent: url.replace('https://', '') });
}

/** @param {number} value */
function signed(value) {
  return `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(2)}`;
}

/** @param {number} value */
function decibels(value) {
  return Number.isFinite(value) ? `${value.toFixed(1)}\u00a0dB` : 'the same';
}

/** @param {{width: number, height: number}} picture @param {number} ms */
function rate({ width, height }, ms) {
  const perSecond = (1000 * width * height) / ms;
  return perSecond >= 1e6 ? `${format.short(perSecond / 1e6)} megapixels/s` : `${format.short(Math.round(perSecond))} pixels/s`;
}
