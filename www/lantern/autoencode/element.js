// @ts-check
// <lantern-autoencode>: a picture through an autoencoder, and its latents in the visitor's hands. Knows what has to be done
// next and what is out of date; view.js draws it, the Worker computes.
//
// Attributes: model (addresses of safetensors files, with spaces between; without it the visitor brings them),
//   loading=lazy|eager|click, device=auto|cpu|gpu, tier, side (auto|256|384|512|768|original: the longest side, in pixels),
//   asset-base.
// Events: lantern-state {state, previous}, lantern-progress {stage, done, total}, lantern-result (Result below),
//   lantern-error {code, cause, remedy}.
// Slots: poster, fallback, error. Parts: see view.js. Custom properties: see tokens.css and autoencode.css.

import { announce } from '../core/announcer.js';
import { AutoencodeSession } from './session.js';
import { AutoencodeView, PLANES, SIDES } from './view.js';
import { LanternElement } from '../core/element.js';
import { lanternScene } from './scene.js';
import { sentence } from '../core/parts.js';
import { fit, pngOf, readPicture } from '../core/picture.js';
import { CANCELLED, cancelled, toFailure } from '../core/protocol.js';

/** @import { DeviceChoice, Encoded, Failure, ModelSource, Progress } from '../core/protocol.js' */
/** @import { Picture } from '../core/picture.js' */
/** @import { Recovery } from '../core/session.js' */

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

const SLOW_MS = 500;
// Where the system knows no type for a file, its name has to do.
const PICTURES = /\.(png|jpe?g|webp|gif|avif|heic|heif|bmp|tiff?|svg)$/i;
const REOPENING = ['model', 'device', 'tier', 'asset-base'];
// A fast GPU is through with 512 pixels in a blink; a processor, or one that plays a GPU, would take half a minute.
const SIDE_FAST = 512;
const SIDE_SLOW = 256;

export class LanternAutoencode extends LanternElement {
  static observedAttributes = [...REOPENING, 'side'];

  /** @type {AutoencodeView | undefined} */ #view;
  /** @type {File[]} */ #files = [];
  /** @type {AutoencodeSession | null} */ #session = null;
  /** @type {Picture | null} */ #picture = null;
  #own = true;
  #gains = Array(PLANES).fill(1);
  /** The planes of the picture that stands on the page, at the size it stands there; null when they are to be made.
   * @type {{encoded: Encoded, encodeMs: number, picture: {width: number, height: number}} | null} */
  #there = null;
  /** @type {{psnrDb: number, decodeMs: number} | null} */ #back = null;
  /** @type {AbortController | null} */ #stop = null;
  /** @type {Promise<unknown>} */ #turn = Promise.resolve();
  #since = 0;
  /** @type {Progress} */ #latest = { stage: 'code', done: 0, total: 0 };
  #paste = (/** @type {ClipboardEvent} */ event) => this.#pasted(event);
  #scheme = () => this.#view?.recolour(this.#gains);

  connectedCallback() {
    const view = this.#build();
    if (!this.canRun) return;
    document.addEventListener('paste', this.#paste);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', this.#scheme);
    if (!this.#picture) this.#take({ bitmap: lanternScene(), name: 'lantern', notes: [] }, view, true);
    view.offer(this.hasAttribute('model'));
    if (this.#sources().length > 0) this.startWhenWanted(() => void this.start().catch(() => {}));
  }

  /** Whether this browser has what the engine needs at all; WebGPU is not needed. */
  get canRun() {
    return typeof WebAssembly === 'object' && typeof Worker === 'function' && typeof createImageBitmap === 'function';
  }

  /** What the engine said of the files, once they are loaded. */
  get model() {
    return this.#session?.model ?? null;
  }

  /** What each plane is multiplied by. */
  get gains() {
    return [...this.#gains];
  }

  /** @param {import('../core/element.js').State} state */
  setState(state) {
    this.#view?.setState(state);
    super.setState(state);
  }

  #build() {
    if (this.#view) return this.#view;
    const quietly = (/** @type {Promise<unknown>} */ promise) => void promise.catch(() => {});
    const view = new AutoencodeView({
      take: (files) => quietly(this.#given(files)),
      scene: () => quietly(this.showLantern()),
      side: (side) => this.setAttribute('side', side),
      scale: (plane, gain) => quietly(this.scale(plane, gain)),
      run: () => quietly(this.start()),
      stop: () => void this.stop(),
      save: () => void this.#save(),
    });
    this.#view = view;
    this.dress(new URL('./autoencode.css', import.meta.url), view.frame);
    view.setState('idle');
    this.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.#stop) {
        event.preventDefault();
        void this.stop();
      }
    });
    if (!this.canRun) view.impossible('This demo needs WebAssembly, Workers and canvases, and this browser does not offer them to this page. Update it, or allow scripts here.');
    return view;
  }

  /** @param {string} name @param {string | null} before @param {string | null} value */
  attributeChangedCallback(name, before, value) {
    const view = this.#view;
    if (before === value || !view) return;
    if (REOPENING.includes(name)) {
      view.offer(this.hasAttribute('model'));
      this.#leave();
      if (this.#sources().length === 0) return this.setState('idle');
    } else {
      this.#fresh(view);
    }
    if (this.state !== 'idle' || this.#session) void this.start().catch(() => {});
  }

  /** Loads the model and takes the picture through it, as far as the files go. Called while it does so, begins anew.
   * @returns {Promise<Result | null>} null when a model, or its encoder, is missing */
  start() {
    this.#stop?.abort();
    const stop = (this.#stop = new AbortController());
    // Work that newer work takes the place of rejects at once, without waiting its turn.
    const turn = this.#turn.then(() => this.#run(this.#build(), stop));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Stops what runs; what is on the page stays. Resolves when the element is at rest.
   * @returns {Promise<void>} */
  async stop() {
    this.#stop?.abort();
    await this.#turn;
  }

  /** The planes as they were encoded.
   * @returns {Promise<Result | null>} */
  reset() {
    this.#gains.fill(1);
    this.#gains.forEach((gain, at) => this.#view?.gain(at, gain));
    return this.start();
  }

  /** Takes a model's files: one or two safetensors. A single one completes the half that is there already.
   * @param {File[]} files @returns {Promise<Result | null>} */
  async open(files) {
    const { model } = this;
    const half = model !== null && !(model.encoder && model.decoder) && files.length === 1 ? this.#files : [];
    this.#leave();
    this.#files = [...half, ...files];
    try {
      return await this.start();
    } catch (thrown) {
      // A wrong second file does not cost the first.
      if (!this.#session && half.length > 0) this.#files = half;
      throw thrown;
    }
  }

  /** Takes a picture. @param {Blob} file @returns {Promise<Result | null>} */
  async show(file) {
    const view = this.#build();
    let picture;
    try {
      picture = await readPicture(file);
    } catch (thrown) {
      await this.stop();
      this.#failed(toFailure(thrown), { label: 'Choose another picture…', act: () => view.pictures.click() });
      throw thrown;
    }
    this.#take(picture, view, false);
    if (picture.notes.length > 0) announce(picture.notes.join(' '));
    return this.start();
  }

  /** The picture this page draws itself. @returns {Promise<Result | null>} */
  showLantern() {
    this.#take({ bitmap: lanternScene(), name: 'lantern', notes: [] }, this.#build(), true);
    return this.start();
  }

  /** Multiplies one plane of the latents and decodes again. @param {number} plane from 0 @param {number} gain −2 to 2; 0 switches it off
   * @returns {Promise<Result | null>} */
  scale(plane, gain) {
    if (!(plane in this.#gains) || !Number.isFinite(gain)) {
      return Promise.reject({ code: 'autoencode.plane', cause: `there is no plane ${plane}, or ${gain} is no number`, remedy: `Scale planes 0 to ${PLANES - 1} by −2 to 2` });
    }
    this.#gains[plane] = Math.min(2, Math.max(-2, gain));
    this.#view?.gain(plane, this.#gains[plane]);
    if (!this.#session && this.#sources().length === 0) return Promise.resolve(null);
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

  /** @param {Picture} picture @param {AutoencodeView} view @param {boolean} own */
  #take(picture, view, own) {
    if (this.#picture?.bitmap instanceof ImageBitmap) this.#picture.bitmap.close();
    this.#picture = picture;
    this.#own = own;
    this.#fresh(view);
    if (this.state === 'failed') this.setState(this.#session ? 'ready' : 'idle');
  }

  /** The picture at the size it is to be encoded in: what was made of another is out of date.
   * @param {AutoencodeView} view */
  #fresh(view) {
    if (!this.#picture) return;
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
    const info = this.#session?.device;
    if (!info) return null;
    return info.device === 'gpu' && info.tier !== 'software' ? SIDE_FAST : SIDE_SLOW;
  }

  /** What each size would take, as measured at this one. */
  #sizes() {
    const { bitmap } = this.#picture ?? {};
    const measured = this.#measured;
    this.#view?.sizes(this.#side(), this.#auto(), (side) => {
      if (!measured || !bitmap) return null;
      const { width, height } = fit(bitmap, this.#pixels(side));
      return width * height * measured;
    });
  }

  /** Milliseconds a pixel, there and back. @type {number | null} */ #measured = null;

  /** @returns {ModelSource[]} */
  #sources() {
    if (this.#files.length > 0) return this.#files.map((file) => ({ file }));
    const given = this.getAttribute('model')?.split(/\s+/).filter(Boolean) ?? [];
    return given.map((address) => ({ url: new URL(address, document.baseURI).href, own: true }));
  }

  /** @param {AutoencodeView} view @param {AbortController} stop @returns {Promise<Result | null>} */
  async #run(view, stop) {
    const { signal } = stop;
    try {
      if (signal.aborted) throw cancelled();
      view.resume(null);
      view.say('');
      const session = await this.#opened(view, signal);
      if (!session?.model?.encoder) {
        this.setState(session ? 'ready' : 'idle');
        if (session) announce('The decoder is here. The encoder is still missing');
        return null;
      }
      return await this.#through(view, session, signal);
    } catch (thrown) {
      const failure = toFailure(thrown);
      // One that was overtaken leaves the page to its successor.
      if (this.#stop === stop) this.#failed(failure, this.#retryOf(failure));
      throw failure;
    } finally {
      if (this.#stop === stop) this.#stop = null;
    }
  }

  /** @param {AutoencodeView} view @param {AbortSignal} signal */
  async #opened(view, signal) {
    if (this.#session) return this.#session;
    const sources = this.#sources();
    if (sources.length === 0) return null;
    this.setState('loading');
    const session = await this.engine.open(
      AutoencodeSession,
      {
        sources,
        device: /** @type {DeviceChoice} */ (this.getAttribute('device') ?? 'auto'),
        tier: this.getAttribute('tier') ?? '',
        assetBase: this.assetBase,
      },
      { signal, onProgress: (progress) => this.#progress(progress) },
    );
    if (signal.aborted) {
      void session.close();
      throw cancelled();
    }
    this.#session = session;
    session.onrecovery = (recovery) => this.#recovery(recovery);
    view.model(session.model, this.#files.map(({ name }) => name));
    view.device(session.device, session.kept);
    this.#measured = null;
    this.#fresh(view);
    return session;
  }

  /** @param {AutoencodeView} view @param {AutoencodeSession} session @param {AbortSignal} signal @returns {Promise<Result>} */
  async #through(view, session, signal) {
    const lost = session.recoveries;
    this.setState('running');
    this.#since = performance.now();
    this.#latest = { stage: 'run', done: 0, total: 0 };
    const slow = setTimeout(() => {
      this.#wait();
      announce(this.#there ? 'Decoding' : 'Encoding');
    }, SLOW_MS);
    const hooks = { signal, onProgress: (/** @type {Progress} */ progress) => this.#progress(progress) };
    const pixels = () => view.pixels();
    try {
      if (!this.#there) {
        const { width, height } = view.original.canvas;
        const encoded = await session.encode(pixels, hooks);
        this.#there = { encoded, encodeMs: encoded.ms, picture: { width, height } };
        this.#back = null;
        view.planesOf(encoded, this.#gains);
        view.result(this.#there, null);
      }
      if (session.model?.decoder) {
        const { encoded } = this.#there;
        const decoded = await session.decode(encoded, this.#gains, pixels, hooks);
        this.#back = { psnrDb: decoded.psnrDb, decodeMs: decoded.ms };
        view.back(decoded);
        view.result(this.#there, this.#back);
      }
    } finally {
      clearTimeout(slow);
    }
    const { encoded, picture, encodeMs } = this.#there;
    if (this.#back) this.#measured = (encodeMs + this.#back.decodeMs) / (picture.width * picture.height);
    this.#sizes();
    view.device(session.device, session.kept);
    this.setState('ready');
    /** @type {Result} */
    const result = {
      ...picture, latents: { width: encoded.width, height: encoded.height, channels: encoded.channels }, gains: this.gains,
      encodeMs, peakBytes: encoded.peakBytes, decodeMs: this.#back?.decodeMs ?? null, psnrDb: this.#back?.psnrDb ?? null,
      device: session.device?.device ?? 'cpu', tier: session.device?.tier ?? '', recoveries: session.recoveries - lost,
    };
    announce(this.#back ? `The picture is back: ${view.decoded.facts.textContent}` : 'The planes are there. The decoder is still missing');
    this.tell('lantern-result', result);
    return result;
  }

  /** @param {Progress} progress */
  #progress(progress) {
    this.#latest = progress;
    if (this.state !== 'running' || performance.now() - this.#since >= SLOW_MS) this.#wait();
    this.tell('lantern-progress', progress);
  }

  /** What is over sooner leaves the page as it is. */
  #wait() {
    const { stage } = this.#latest;
    if (this.#stop) this.#view?.wait.show(this.#latest, stage === 'run' ? (this.#there ? 'Decoding' : 'Encoding') : undefined);
  }

  /** @param {Recovery} recovery */
  #recovery({ phase, failure, device }) {
    const what = failure.code === 'gpu.lost' ? 'The graphics driver restarted' : 'The engine restarted';
    if (phase === 'lost') {
      this.setState('recovering');
      this.#view?.say(`${what}. The picture and its planes are safe; taking them up again…`);
      announce(what);
      return;
    }
    this.setState('running');
    this.#view?.device(device);
    this.#view?.say(device?.notice?.code === 'gpu.gone' ? `${what} and did not come back; the processor went on.` : `${what}, and the work went on.`);
  }

  /** Gives the session back, with its GPU memory. What starts meanwhile waits for it. */
  #leave() {
    const session = this.#session;
    const view = this.#view;
    this.#session = null;
    this.#there = null;
    this.#back = null;
    this.#stop?.abort();
    this.#turn = this.#turn.then(() => session?.close());
    view?.model(null);
    view?.device(null);
    view?.planesOf(null, this.#gains);
    view?.result(null, null);
  }

  ended() {
    document.removeEventListener('paste', this.#paste);
    matchMedia('(prefers-color-scheme: dark)').removeEventListener('change', this.#scheme);
    this.#leave();
    this.setState('idle');
  }

  async #save() {
    const { canvas } = /** @type {AutoencodeView} */ (this.#view).decoded;
    const blob = await pngOf(canvas);
    if (!blob) return;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `${(this.#picture?.name || 'picture').replace(/\.[^.]*$/, '')}-decoded.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /** What a button under the failure could do about it. @param {Failure} failure */
  #retryOf(failure) {
    const again = { label: 'Try again', act: () => void this.start().catch(() => {}) };
    if (!this.#session) {
      const ours = /^(safetensors|autoencoder|source|taesd|cpu\.ceiling)/.test(failure.code);
      return ours ? { label: 'Choose other model files…', act: () => this.#view?.models.click() } : again;
    }
    const { width = 0, height = 0 } = this.#view?.original.canvas ?? {};
    const smaller = SIDES.map(Number).filter((side) => side < Math.max(width, height)).pop();
    if (failure.code === 'autoencoder.too_large' && smaller) {
      return { label: `Scale it down to ${smaller} pixels`, act: () => this.setAttribute('side', String(smaller)) };
    }
    return again;
  }

  /** @param {Failure} failure @param {{label: string, act: () => void}} retry */
  #failed(failure, retry) {
    const view = this.#view;
    if (failure.code === CANCELLED) {
      if (this.#session?.model?.encoder) view?.resume(this.#there ? 'Decode' : 'Encode');
      view?.say('Stopped.');
      return this.setState(this.#session ? 'ready' : 'idle');
    }
    this.setState('failed');
    const { canvas } = /** @type {AutoencodeView} */ (view).original;
    const details = [
      `${failure.code}: ${failure.cause}; ${failure.remedy}`,
      `model ${this.#files.map(({ name, size }) => `${name} (${size} bytes)`).join(', ') || this.getAttribute('model')}`,
      `picture ${canvas.width} × ${canvas.height}`,
      `device ${JSON.stringify(this.#session?.device ?? this.getAttribute('device') ?? 'auto')}`,
      `page ${location.href}`,
      navigator.userAgent,
    ].join('\n');
    view?.fail(failure, details, retry);
    announce(`${sentence(failure.cause)} ${sentence(failure.remedy)}`);
    this.tell('lantern-error', failure);
  }
}
