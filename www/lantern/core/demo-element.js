// @ts-check
// What every demo's element does with the engine: loads its model, does one piece of work at a time, stops it, outlives a lost
// Worker, says what went wrong, and gives back what it held. A demo's own element says what its work is.

import { announce } from './announcer.js';
import { LanternElement } from './element.js';
import { sentence } from './parts.js';
import { CANCELLED, GPU_LOST, cancelled, toFailure } from './protocol.js';

/** @import { DemoView } from './demo-view.js' */
/** @import { State } from './element.js' */
/** @import { DeviceChoice, Failure, ModelSource, Progress } from './protocol.js' */
/** @import { Hooks, HooksOf, Recovery, Session, SessionKind } from './session.js' */

// A run that is over sooner leaves the page as it is.
const SLOW_MS = 500;

/** What a button under a failure does about it. @typedef {{label: string, act: () => void}} Retry */

/** @template {Session} S the demo's kind of session @template {DemoView} V its view */
export class DemoElement extends LanternElement {
  /** Attributes that say which model it is, and where it runs. */
  static reopening = ['model', 'device', 'tier', 'variant', 'threads', 'asset-base', 'weights-base'];
  /** @type {string[]} */ static observedAttributes = DemoElement.reopening;

  #Kind;
  #stylesheet;
  /** @type {V | undefined} */ #view;
  /** @type {S | null} */ #session = null;
  /** Ends what runs. @type {AbortController | null} */ #stop = null;
  /** Over when nothing runs. @type {Promise<unknown>} */ #turn = Promise.resolve();
  /** @type {Promise<void> | null} */ #starting = null;
  #leaving = 0;
  /** @type {Progress} */ #latest = { stage: 'code', done: 0, total: 0 };
  /** How the run feels: over before one notices, waited for, or already showing. @type {'quick' | 'slow' | 'showing'} */ #pace = 'quick';
  /** @type {Failure | null} */ #recovered = null;

  /** @param {SessionKind<S>} Kind @param {URL} stylesheet the demo's own */
  constructor(Kind, stylesheet) {
    super();
    this.#Kind = Kind;
    this.#stylesheet = stylesheet;
  }

  // What a demo says of itself.

  /** Draws the demo, once. @protected @returns {V} */
  draw() {
    throw new TypeError(`<${this.localName}> has no view`);
  }

  /** The model's files: those whose addresses the attribute names, with spaces between; or a model of the list, by its name. None: there is nothing to load.
   * @protected @returns {ModelSource[]} */
  sources() {
    const given = this.getAttribute('model')?.split(/\s+/).filter(Boolean) ?? [];
    return given.map((given) => this.sourceOf(given));
  }

  /** A name of the list of models, or an address. @protected @param {string} given @returns {ModelSource} */
  sourceOf(given) {
    return isName(given) ? { model: given, base: this.weightsBase } : { url: new URL(given, document.baseURI).href, own: true };
  }

  /** The model is loaded. @protected @param {S} session */
  opened(session) {}

  /** Who hears of the demo's own messages while its model loads, by kind. @protected @returns {Hooks['on']} */
  get hearers() {
    return {};
  }

  /** The session is given back: what is on the page of it goes. @protected */
  left() {}

  /** Work was stopped on request. @protected */
  stopped() {}

  /** A Worker was lost, and with it what it painted: work that ran is taken up again by itself, but nothing else is. @protected
   * @param {Failure} failure */
  lost(failure) {}

  /** An attribute that is none of `reopening` is set, changed or gone. @protected @param {string} name @param {string | null} value */
  follow(name, value) {}

  /** Which model it is, or where it runs, has changed. @protected */
  reopen() {
    void this.leave();
  }

  /** What runs, in a word or two. @protected */
  get doing() {
    return 'Running';
  }

  /** What is said of a Worker that was lost: while the work is taken up again, and after. @protected */
  get recovering() {
    return { again: 'Taking the work up again…', on: 'the work went on' };
  }

  /** What a report of a failure says beside the failure, the device and the page. @protected @returns {string[]} */
  details() {
    return [`model ${this.sources().map(nameOf).join(', ')}`];
  }

  /** @protected @param {Failure} failure @returns {Retry | null} */
  retry(failure) {
    return { label: 'Try again', act: () => void this.start().catch(() => {}) };
  }

  /** What the browser must have, beside scripts. WebGPU is not needed. */
  get needs() {
    return 'WebAssembly and Workers';
  }

  /** Whether this browser has what the engine needs at all. */
  get canRun() {
    return typeof WebAssembly === 'object' && typeof Worker === 'function';
  }

  // What it then has.

  /** @protected */
  get view() {
    if (this.#view) return this.#view;
    const view = (this.#view = this.draw());
    this.dress(this.#stylesheet, view.frame);
    view.setState('idle');
    const { observedAttributes } = /** @type {typeof DemoElement} */ (this.constructor);
    for (const name of observedAttributes) if (!DemoElement.reopening.includes(name)) this.follow(name, this.getAttribute(name));
    this.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.#stop || view.frame.querySelector('dialog[open]')) return;
      event.preventDefault();
      void this.stop();
    });
    if (!this.canRun) view.impossible(`This demo needs ${this.needs}, and this browser does not offer them to this page. Update it, or allow scripts here.`);
    return view;
  }

  /** @protected */
  get session() {
    return this.#session;
  }

  /** Whether the Worker was lost while this work ran. @protected */
  get recovered() {
    return this.#recovered !== null;
  }

  /** Where the engine runs, and from. @protected */
  get place() {
    return {
      executor: {
        device: /** @type {DeviceChoice} */ (this.getAttribute('device') ?? 'auto'),
        tier: this.getAttribute('tier') ?? '',
        variant: this.getAttribute('variant') ?? '',
        threads: this.getAttribute('threads') ?? '',
      },
      assetBase: this.assetBase,
    };
  }

  /** @param {State} state */
  setState(state) {
    this.#view?.setState(state);
    super.setState(state);
  }

  /** @param {string} name @param {string | null} before @param {string | null} value */
  attributeChangedCallback(name, before, value) {
    if (before === value || !this.#view) return;
    if (DemoElement.reopening.includes(name)) this.reopen();
    else this.follow(name, value);
  }

  /** @param {() => void} start */
  startWhenWanted(start) {
    if (this.#leaving === 0) return super.startWhenWanted(start);
    void this.#turn.then(() => this.isConnected && super.startWhenWanted(start));
  }

  /** Loads the engine and the model. Called again it waits for the same load.
   * @returns {Promise<unknown>} */
  start() {
    if (this.#session) return Promise.resolve();
    const starting = (this.#starting ??= this.perform(async (signal) => {
      await this.load(signal);
      this.setState('ready');
    }));
    const over = () => this.#starting === starting && (this.#starting = null);
    starting.then(over, over);
    return starting;
  }

  /** Stops what runs; what is on the page stays. From the call on nothing of it reaches the page; resolves when the element is at rest.
   * @returns {Promise<void>} */
  async stop() {
    this.#stop?.abort();
    await this.#turn;
  }

  /** Does one piece of work after what was there before; takes the place of what still runs. What it throws is on the page then.
   * @protected @template T @param {(signal: AbortSignal) => Promise<T>} work @returns {Promise<T>} */
  perform(work) {
    this.#stop?.abort();
    const stop = (this.#stop = new AbortController());
    const turn = this.#turn.then(async () => {
      try {
        return await work(stop.signal);
      } catch (thrown) {
        const failure = toFailure(thrown);
        // Work that was overtaken leaves the page to its successor.
        if (this.#stop === stop) this.fail(failure);
        throw failure;
      } finally {
        if (this.#stop === stop) this.#stop = null;
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** The session; opened, where it is not yet. @protected @param {AbortSignal} signal @returns {Promise<S>} */
  async load(signal) {
    if (signal.aborted) throw cancelled();
    if (this.#session) return this.#session;
    this.setState('loading');
    this.progress({ stage: 'code', done: 0, total: 0 });
    const hooks = { signal, onProgress: (/** @type {Progress} */ progress) => this.progress(progress), on: this.hearers };
    const session = await this.engine.open(this.#Kind, { sources: this.sources(), ...this.place }, /** @type {HooksOf<S>} */ (hooks));
    if (signal.aborted) {
      void session.close();
      throw cancelled();
    }
    this.#session = session;
    session.onrecovery = (recovery) => this.#recovery(recovery);
    session.onloss = (failure) => this.lost(failure);
    session.onmemory = () => void this.#measure();
    this.showDevice();
    this.opened(session);
    void this.#measure();
    return session;
  }

  /** A run on the session: where it takes its time, the page says what runs and how far it is.
   * @protected @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  async running(work) {
    this.#latest = { stage: 'run', done: 0, total: 0 };
    this.#pace = 'quick';
    this.#recovered = null;
    this.setState('running');
    const slow = setTimeout(() => {
      announce(this.doing);
      if (this.#pace === 'quick') this.#pace = 'slow';
      this.#await();
    }, SLOW_MS);
    try {
      return await work();
    } finally {
      clearTimeout(slow);
      this.showing();
      void this.#measure();
    }
  }

  /** The first of a run is on the page: nobody waits for it any more. @protected */
  showing() {
    this.#pace = 'showing';
    this.#view?.wait.hide();
  }

  /** How far it is. @protected @param {Progress} progress */
  progress(progress) {
    this.#latest = progress;
    this.#await();
    this.tell('lantern-progress', progress);
  }

  #await() {
    if (!this.#stop || (this.state === 'running' && this.#pace !== 'slow')) return;
    this.#view?.wait.show(this.#latest, this.state === 'running' && this.#latest.stage === 'run' ? this.doing : undefined);
  }

  /** @param {Recovery} recovery */
  #recovery({ phase, failure, device }) {
    const what = failure.code === GPU_LOST ? 'The graphics driver restarted' : 'The engine restarted';
    const { again, on } = this.recovering;
    if (phase === 'lost') {
      this.#recovered = failure;
      this.#pace = 'slow';
      this.setState('recovering');
      this.view.say(`${what}. ${again}`);
      announce(what);
      return;
    }
    this.setState('running');
    this.showDevice();
    this.view.say(device?.notice?.code === 'gpu.gone' ? `${what} and did not come back; the processor went on.` : `${what}, and ${on}.`);
  }

  /** What there is to know of the model and its files. @protected @returns {Failure[]} */
  get notices() {
    const { kept, model } = this.#session ?? {};
    return [...(kept ? [kept] : []), ...(model?.notices ?? [])];
  }

  /** Where it runs, and what else there is to know. @protected */
  showDevice() {
    this.view.device(this.#session?.device ?? null, this.notices);
  }

  async #measure() {
    const session = this.#session;
    const memory = await session?.memory().catch(() => null);
    if (session && session === this.#session) this.view.memoryUse(memory ?? null);
  }

  /** What went wrong, on the page. @protected @param {Failure} failure @param {Retry | null} [retry] */
  fail(failure, retry = this.retry(failure)) {
    if (failure.code === CANCELLED) {
      this.setState(this.#session ? 'ready' : 'idle');
      return this.stopped();
    }
    this.setState('failed');
    const details = [
      `${failure.code}: ${failure.cause}; ${failure.remedy}`,
      ...this.details(),
      `device ${JSON.stringify(this.#session?.device ?? this.place.executor.device)}`,
      `page ${location.href}`,
      navigator.userAgent,
    ].join('\n');
    this.view.fail(failure, details, retry);
    announce(`${sentence(failure.cause)} ${sentence(failure.remedy)}`);
    this.tell('lantern-error', failure);
  }

  /** Gives the session back, with its GPU memory. What starts meanwhile waits for it. @protected @returns {Promise<void>} */
  leave() {
    const session = this.#session;
    this.#session = null;
    this.#starting = null;
    this.#stop?.abort();
    this.#leaving += 1;
    const left = this.#turn.then(async () => {
      this.#leaving -= 1;
      const view = this.#view;
      view?.say('');
      view?.device(null);
      view?.memoryUse(null);
      this.left();
      this.setState('idle');
      await session?.close();
    });
    this.#turn = left;
    return left;
  }

  ended() {
    void this.leave();
  }
}

/** What people call a model's file. @param {ModelSource} source */
export function nameOf(source) {
  if ('file' in source) return source.file.name;
  return 'url' in source ? source.url : source.model;
}

// What names an entry of the list of models, where an address would have a slash or an ending.
const NAME = /^[a-z0-9][a-z0-9.-]*$/;

/** @param {string} model whether it is a name of the list of models, not an address */
export function isName(model) {
  return NAME.test(model) && !/\.(gguf|json|safetensors)$/.test(model);
}
