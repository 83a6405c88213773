// @ts-check
// <lantern-autoencode>: a picture through an autoencoder, and its latents in the visitor's hands. Knows what has to be done
// next and what is out of date; view.js draws it, the Worker computes.
//
// Attributes: model (addresses of safetensors files, with spaces between; without it the visitor brings them),
//   loading=lazy|eager|click, device=auto|cpu|gpu, tier, variant, threads, side (auto|256|384|512|768|original: the longest side, in pixels),
//   asset-base.
// Events: lantern-state {state, previous}, lantern-progress {stage, done, total}, lantern-result (Result below),
//   lantern-error {code, cause, remedy}.
// Slots: poster, fallback, error. Parts: see view.js. Custom properties: see tokens.css and autoencode.css.

import { announce } from '../core/announcer.js';
import { DemoElement } from '../core/demo-element.js';
import { fit, pngOf, readPicture } from '../core/picture.js';
import { GPU_LOST, cancelled, toFailure } from '../core/protocol.js';
import { lanternScene } from './scene.js';
import { AutoencodeSession } from './session.js';
import { AutoencodeView, PLANES, SIDES } from './view.js';

/** @import { Retry } from '../core/demo-element.js' */
/** @import { Picture } from '../core/picture.js' */
/** @import { Failure, ModelSource, Progress } from '../core/protocol.js' */
/** @import { Encoded } from './messages.js' */

/** @typedef {object} Result
 * @property {number} width of the picture that was encoded
 * @property {number} height
 * @property {{width: number, height: number, channels: number}} latents
 * @property {number[]} gains
 * @property {number} encodeMs
 * @property {number} peakBytes
 * @property {number | null} decodeMs null when the files hold no decoder
 * @property {number | null} psnrDb
 * @property {'cpu' | 'gpu'} device
 * @property {string} tier
 * @property {number} recoveries */

// Where the system knows no type for a file, its name has to do.
const PICTURES = /\.(png|jpe?g|webp|gif|avif|heic|heif|bmp|tiff?|svg)$/i;
// A fast GPU is through with 512 pixels in a blink; a processor, or one that plays a GPU, would take half a minute.
const SIDE_FAST = 512;
const SIDE_SLOW = 256;

/** @extends {DemoElement<AutoencodeSession, AutoencodeView>} */
export class LanternAutoencode extends DemoElement {
  static observedAttributes = [...DemoElement.reopening, 'side'];

  /** @type {File[]} */ #files = [];
  /** @type {Picture | null} */ #picture = null;
  #own = true;
  #gains = Array(PLANES).fill(1);
  /** The planes of the picture that stands on the page, at the size it stands there; null when they are to be made.
   * @type {{encoded: Encoded, encodeMs: number, picture: {width: number, height: number}, peakBytes: number | null} | null} */
  #there = null;
  /** @type {{psnrDb: number, decodeMs: number} | null} */ #back = null;
  /** Milliseconds a pixel, there and back. @type {number | null} */ #measured = null;
  #paste = (/** @type {ClipboardEvent} */ event) => this.#pasted(event);
  #scheme = () => this.view.recolour(this.#gains);

  constructor() {
    super(AutoencodeSession, new URL('./autoencode.css', import.meta.url));
  }

  connectedCallback() {
    const { view } = this;
    if (!this.canRun) return;
    document.addEventListener('paste', this.#paste);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', this.#scheme);
    if (!this.#picture) this.#take({ bitmap: lanternScene(), name: 'lantern', notes: [] }, true);
    view.offer(this.hasAttribute('model'));
    if (this.sources().length > 0) this.startWhenWanted(() => void this.start().catch(() => {}));
  }

  get needs() {
    return 'WebAssembly, Workers and canvases';
  }

  get canRun() {
    return super.canRun && typeof createImageBitmap === 'function' && typeof OffscreenCanvas === 'function';
  }

  /** What the engine said of the files, once they are loaded. */
  get model() {
    return this.session?.model ?? null;
  }

  /** What each plane is multiplied by. */
  get gains() {
    return [...this.#gains];
  }

  draw() {
    const quietly = (/** @type {Promise<unknown>} */ promise) => void promise.catch(() => {});
    return new AutoencodeView({
      take: (files) => quietly(this.#given(files)),
      scene: () => quietly(this.showLantern()),
      side: (side) => this.setAttribute('side', side),
      scale: (plane, gain) => quietly(this.scale(plane, gain)),
      run: () => quietly(this.start()),
      stop: () => void this.stop(),
      save: () => void this.#save(),
    });
  }

  reopen() {
    const begun = this.state !== 'idle' || this.session !== null;
    this.view.offer(this.hasAttribute('model'));
    void this.leave();
    if (begun && this.sources().length > 0) void this.start().catch(() => {});
  }

  /** The side. */
  follow() {
    this.#fresh();
    if (this.state !== 'idle' || this.session) void this.start().catch(() => {});
  }

  /** Loads the model and takes the picture through it, as far as the files go. Called while it does so, begins anew.
   * @returns {Promise<Result | null>} null when a model, or its encoder, is missing */
  start() {
    return this.perform((signal) => this.#run(signal));
  }

  /** The planes as they were encoded.
   * @returns {Promise<Result | null>} */
  reset() {
    this.#gains.fill(1);
    this.#gains.forEach((gain, at) => this.view.gain(at, gain));
    return this.start();
  }

  /** Takes a model's files: one or two safetensors. A single one completes the half that is there already.
   * @param {File[]} files @returns {Promise<Result | null>} */
  async open(files) {
    const { model } = this;
    const half = model !== null && !(model.encoder && model.decoder) && files.length === 1 ? this.#files : [];
    void this.leave();
    this.#files = [...half, ...files];
    try {
      return await this.start();
    } catch (thrown) {
      // A wrong second file does not cost the first.
      if (!this.session && half.length > 0) this.#files = half;
      throw thrown;
    }
  }

  /** Takes a picture. @param {Blob} file @returns {Promise<Result | null>} */
  async show(file) {
    let picture;
    try {
      picture = await readPicture(file);
    } catch (thrown) {
      await this.stop();
      this.fail(toFailure(thrown), { label: 'Choose another picture…', act: () => this.view.pictures.click() });
      throw thrown;
    }
    this.#take(picture, false);
    if (picture.notes.length > 0) announce(picture.notes.join(' '));
    return this.start();
  }

  /** The picture this page draws itself. @returns {Promise<Result | null>} */
  showLantern() {
    this.#take({ bitmap: lanternScene(), name: 'lantern', notes: [] }, true);
    return this.start();
  }

  /** Multiplies one plane of the latents and decodes again. @param {number} plane from 0 @param {number} gain −2 to 2; 0 switches it off
   * @returns {Promise<Result | null>} */
  scale(plane, gain) {
    if (!(plane in this.#gains) || !Number.isFinite(gain)) {
      return Promise.reject({ code: 'autoencode.plane', cause: `there is no plane ${plane}, or ${gain} is no number`, remedy: `Scale planes 0 to ${PLANES - 1} by −2 to 2` });
    }
    this.#gains[plane] = Math.min(2, Math.max(-2, gain));
    this.view.gain(plane, this.#gains[plane]);
    if (!this.session && this.sources().length === 0) return Promise.resolve(null);
    return this.start();
  }

  /** Files of any kind, as they were dropped: pictures go one way, everything else may be a model.
   * @param {File[]} files */
  async #given(files) {
    const isPicture = (/** @type {File} */ file) => file.type.startsWith('image/') || PICTURES.test(file.name);
    const picture = files.find(isPicture);
    const models = files.filter((file) => !isPicture(file));
    const shown = picture && this.show(picture);
    if (models.length > 0) {
      shown?.catch(() => {});
      return this.open(models);
    }
    return shown;
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    const first = document.querySelector(this.localName) === this;
    const field = event.composedPath()[0];
    if (field instanceof HTMLInputElement && field.type !== 'range' || field instanceof HTMLTextAreaElement) return;
    if (!event.composedPath().includes(this) && !(first && event.composedPath()[0] === document.body)) return;
    const picture = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith('image/'));
    if (!picture) return;
    event.preventDefault();
    void this.show(picture).catch(() => {});
  }

  /** @param {Picture} picture @param {boolean} own */
  #take(picture, own) {
    if (this.#picture?.bitmap instanceof ImageBitmap) this.#picture.bitmap.close();
    this.#picture = picture;
    this.#own = own;
    this.#fresh();
    if (this.state === 'failed') this.setState(this.session ? 'ready' : 'idle');
  }

  /** The picture at the size it is to be encoded in: what was made of another is out of date. */
  #fresh() {
    if (!this.#picture) return;
    const { view } = this;
    const size = fit(this.#picture.bitmap, this.#pixels(this.#side()));
    view.picture(this.#picture, size, this.#own);
    this.#there = null;
    view.stale(view.latents, true);
    view.stale(view.decoded.root, true);
    this.#sizes();
  }

  #side() {
    const given = this.getAttribute('side') ?? 'auto';
    return SIDES.includes(given) ? given : 'auto';
  }

  /** The longest side in pixels; 0 for the picture's own. @param {string} side */
  #pixels(side) {
    if (side === 'original') return 0;
    return side === 'auto' ? (this.#auto() ?? SIDE_FAST) : Number(side);
  }

  #auto() {
    const info = this.session?.device;
    if (!info) return null;
    return info.device === 'gpu' && info.tier !== 'software' ? SIDE_FAST : SIDE_SLOW;
  }

  /** What each size would take, as measured at this one. */
  #sizes() {
    const { bitmap } = this.#picture ?? {};
    const measured = this.#measured;
    this.view.sizes(this.#side(), this.#auto(), (side) => {
      if (!measured || !bitmap) return null;
      const { width, height } = fit(bitmap, this.#pixels(side));
      return width * height * measured;
    });
  }

  /** @returns {ModelSource[]} */
  sources() {
    return this.#files.length > 0 ? this.#files.map((file) => ({ file })) : super.sources();
  }

  /** @param {AbortSignal} signal @returns {Promise<Result | null>} */
  async #run(signal) {
    if (signal.aborted) throw cancelled();
    this.view.resume(null);
    this.view.say('');
    const session = this.session || this.sources().length > 0 ? await this.load(signal) : null;
    if (session?.model?.encoder) return this.#through(session, signal);
    this.setState(session ? 'ready' : 'idle');
    if (session) announce('The decoder is here. The encoder is still missing');
    return null;
  }

  /** @param {AutoencodeSession} session */
  opened({ model }) {
    this.view.model(model, this.#files.map(({ name }) => name));
    this.#measured = null;
    this.#fresh();
  }

  /** @param {AutoencodeSession} session @param {AbortSignal} signal @returns {Promise<Result>} */
  async #through(session, signal) {
    const { view } = this;
    const lost = session.recoveries;
    const hooks = { signal, onProgress: (/** @type {Progress} */ progress) => this.progress(progress) };
    const given = () => view.given();
    const there = await this.running(async () => {
      if (!this.#there) {
        const { width, height } = view.original.canvas;
        const encoded = await session.encode(given, hooks);
        this.#there = { encoded, encodeMs: encoded.ms, picture: { width, height }, peakBytes: null };
        this.#back = null;
        view.planesOf(encoded, this.#gains);
        view.result(this.#there, null);
      }
      if (session.model?.decoder) {
        const decoded = await session.decode(this.#there.encoded, this.#gains, given, () => view.canvas(), hooks);
        this.#back = { psnrDb: decoded.psnrDb, decodeMs: decoded.ms };
        view.back();
        view.result(this.#there, this.#back);
      }
      if (this.#there.peakBytes === null) {
        this.#there.peakBytes = await session.peak(this.#there.picture, hooks);
        view.result(this.#there, this.#back);
      }
      return this.#there;
    });
    const { encoded, encodeMs, picture, peakBytes } = there;
    if (this.#back) this.#measured = (encodeMs + this.#back.decodeMs) / (picture.width * picture.height);
    this.#sizes();
    this.setState('ready');
    /** @type {Result} */
    const result = {
      ...picture, latents: { width: encoded.width, height: encoded.height, channels: encoded.channels }, gains: this.gains,
      encodeMs, peakBytes: peakBytes ?? 0, decodeMs: this.#back?.decodeMs ?? null, psnrDb: this.#back?.psnrDb ?? null,
      device: session.device?.device ?? 'cpu', tier: session.device?.tier ?? '', recoveries: session.recoveries - lost,
    };
    announce(this.#back ? `The picture is back: ${view.decoded.facts.textContent}` : 'The planes are there. The decoder is still missing');
    this.tell('lantern-result', result);
    return result;
  }

  get doing() {
    return this.#there ? 'Decoding' : 'Encoding';
  }

  get recovering() {
    return { again: 'The picture and its planes are safe; taking them up again…', on: 'the work went on' };
  }

  /** @param {Failure} failure */
  lost({ code }) {
    // What lay on a graphics card is gone from the page too.
    if (code === GPU_LOST && this.state === 'ready' && this.#back) void this.start().catch(() => {});
  }

  left() {
    this.#there = null;
    this.#back = null;
    this.view.model(null);
    this.view.planesOf(null, this.#gains);
    this.view.result(null, null);
  }

  ended() {
    document.removeEventListener('paste', this.#paste);
    matchMedia('(prefers-color-scheme: dark)').removeEventListener('change', this.#scheme);
    super.ended();
  }

  async #save() {
    const blob = await pngOf(this.view.decoded.canvas);
    if (!blob) return;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `${(this.#picture?.name || 'picture').replace(/\.[^.]*$/, '')}-decoded.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /** @param {Failure} failure @returns {Retry | null} */
  retry(failure) {
    if (!this.session) {
      const ours = /^(safetensors|autoencoder|source|taesd|cpu\.ceiling)/.test(failure.code);
      return ours ? { label: 'Choose other model files…', act: () => this.view.models.click() } : super.retry(failure);
    }
    const { width, height } = this.view.original.canvas;
    const smaller = SIDES.map(Number).filter((side) => side < Math.max(width, height)).pop();
    if (failure.code === 'autoencoder.too_large' && smaller) {
      return { label: `Scale it down to ${smaller} pixels`, act: () => this.setAttribute('side', String(smaller)) };
    }
    return super.retry(failure);
  }

  stopped() {
    if (this.model?.encoder) this.view.resume(this.#there ? 'Decode' : 'Encode');
    this.view.say('Stopped.');
  }

  details() {
    const { width, height } = this.view.original.canvas;
    return [...super.details(), `picture ${width} × ${height}`];
  }
}
