// @ts-check
// The page's handle on the engine: one Worker for every element of the page, started when first needed, stopped when no
// session has used it for a while, and replaced when it dies. What a session must know to survive that is in session.js.

import { ENGINE_TRAP, GPU_LOST, cancelled, toFailure } from './protocol.js';

/** @import { ExecutorChoice, Failure, FromWorker, ModelList, ModelSource, Replies, Stats, Unsent } from './protocol.js' */
/** @import { HooksOf, Session, SessionKind } from './session.js' */

/** @typedef {object} OpenOptions
 * @property {ModelSource[]} sources the model's files; none for a demo without weights
 * @property {Partial<ExecutorChoice>} [executor] what computes
 * @property {string} [assetBase] folder that holds lantern_web.js, ending in a slash */

/** @typedef {object} Pending
 * @property {(value: unknown) => void} resolve
 * @property {(failure: Failure) => void} reject
 * @property {(message: FromWorker) => void} [onMessage]
 * @property {((value: unknown) => void) | undefined} onLate what to do with a reply nobody waits for any more
 * @property {boolean} muted
 * @property {() => void} settle */

/** @template {Unsent} M @typedef {object} RequestOptions
 * @property {AbortSignal} [signal]
 * @property {Transferable[]} [transfer] what goes over without a copy
 * @property {(message: FromWorker) => void} [onMessage]
 * @property {(value: Replies[M['type']]) => void} [onLate]
 * @property {(settled: Promise<void>) => void} [onSettled] */

// Long enough to move an element or flip between two pages of a site's router, short enough to hand the memory back.
const IDLE_MS = 10_000;

/** @param {Failure} failure: whether only a new Worker helps */
export function isLoss(failure) {
  return failure.code === GPU_LOST || failure.code === ENGINE_TRAP;
}

/** @type {WeakMap<File, string>} */
const fileKeys = new WeakMap();
let files = 0;

/** Two elements with the same model share its weights; a picked file is the same model as itself only.
 * @param {ModelSource} source */
function keyOf(source) {
  if ('url' in source) return source.url;
  if ('model' in source) return `${source.base}#${source.model}`;
  const known = fileKeys.get(source.file);
  if (known) return known;
  const key = `file:${++files}:${source.file.name}`;
  fileKeys.set(source.file, key);
  return key;
}

export class Engine {
  /** @type {Worker | null} */ #worker = null;
  /** @type {Map<number, Pending>} */ #pending = new Map();
  /** @type {Set<Session>} */ #sessions = new Set();
  #nextId = 1;
  #generation = 0;
  #heard = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #idle;

  /** Changes with every Worker: what was opened in an earlier one is gone. */
  get generation() {
    return this.#generation;
  }

  /** Whether a Worker stands. */
  get running() {
    return this.#worker !== null;
  }

  /** A session on a model; the weights are loaded once, whoever asks first.
   * @template {Session} S
   * @param {SessionKind<S>} Kind the demo's own kind of session
   * @param {OpenOptions} options
   * @param {HooksOf<S>} [hooks]
   * @returns {Promise<S>} */
  async open(Kind, options, hooks) {
    const session = new Kind(this, {
      sources: options.sources,
      modelKey: options.sources.map(keyOf).sort().join(' '),
      executor: { device: 'auto', tier: '', variant: '', threads: '', ...options.executor },
      assetBase: options.assetBase ?? new URL('../../wasm/', import.meta.url).href,
    });
    this.#sessions.add(session);
    clearTimeout(this.#idle);
    try {
      await session.ready(hooks);
      this.#memoryChanged();
      return session;
    } catch (thrown) {
      this.release(session);
      throw thrown;
    }
  }

  /** Live memory, as the Worker counts it; all zero when no Worker stands.
   * @returns {Promise<Stats>} */
  async stats() {
    if (!this.#worker) return { gpuBytes: 0, cpuBytes: 0, wasmBytes: 0, models: 0, sessions: 0, bySession: [] };
    return this.request({ type: 'stats' });
  }

  /** The catalogue and what is stored on this device, as the device sees it.
   * @param {{assetBase: string, executor: ExecutorChoice, base: string}} where @param {AbortSignal} [signal]
   * @returns {Promise<ModelList>} */
  async models(where, signal) {
    try {
      return await this.request({ type: 'models', ...where }, { signal });
    } finally {
      this.#rest();
    }
  }

  /** Removes a model from this device; one that is loaded goes on.
   * @param {string} assetBase @param {string} key @returns {Promise<void>} */
  async removeModel(assetBase, key) {
    try {
      await this.request({ type: 'remove', assetBase, key });
    } finally {
      this.#rest();
    }
  }

  /** A session is done with: called by `Session.close`.
   * @param {Session} session */
  release(session) {
    this.#sessions.delete(session);
    this.#memoryChanged();
    this.#rest();
  }

  #memoryChanged() {
    this.#sessions.forEach((session) => session.onmemory?.());
  }

  #rest() {
    if (this.#sessions.size > 0 || !this.#worker) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#sessions.size === 0) this.#drop(cancelled());
    }, IDLE_MS);
  }

  /** Sends a request and waits for its reply. With a signal, an abort rejects at once and mutes the request: nothing of it
   * reaches the page any more, while the Worker hears of it at its next pause.
   * @template {Unsent} M
   * @param {M} message @param {RequestOptions<M>} [options] @returns {Promise<Replies[M['type']]>} */
  request(message, options = {}) {
    const { signal, transfer = [], onMessage, onLate, onSettled } = options;
    if (signal?.aborted) return Promise.reject(cancelled());
    const worker = this.#start();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      /** @type {() => void} */
      let settle = () => {};
      onSettled?.(new Promise((done) => (settle = done)));
      const abort = () => {
        const entry = this.#pending.get(id);
        if (!entry || entry.muted) return;
        entry.muted = true;
        worker.postMessage({ type: 'cancel', id: this.#nextId++, target: id });
        reject(cancelled());
      };
      signal?.addEventListener('abort', abort, { once: true });
      const finished = () => {
        signal?.removeEventListener('abort', abort);
        settle();
      };
      // The id says which request a reply belongs to, and so of what type it is.
      const as = (/** @type {unknown} */ value) => /** @type {Replies[M['type']]} */ (value);
      this.#pending.set(id, {
        resolve: (value) => resolve(as(value)), reject, onMessage, onLate: onLate && ((value) => onLate(as(value))), muted: false, settle: finished,
      });
      worker.postMessage({ ...message, id }, transfer);
    });
  }

  #start() {
    if (this.#worker) return this.#worker;
    const url = new URL('./worker.js', import.meta.url);
    // A Worker must come from the page's own origin; a module from elsewhere is imported by one that does.
    const script =
      url.origin === location.origin
        ? url
        : URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' }));
    const worker = new Worker(script, { type: 'module', name: 'lantern' });
    this.#heard = false;
    worker.addEventListener('message', (event) => {
      if (worker === this.#worker) this.#receive(event.data);
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      if (worker !== this.#worker) return;
      this.#drop(
        this.#heard
          ? { code: ENGINE_TRAP, cause: event.message || 'The engine stopped unexpectedly', remedy: 'Try again' }
          : {
              code: 'engine.worker',
              cause: `The engine's Worker did not start from ${url.href}`,
              remedy: "Check the connection. A site that sets a Content-Security-Policy needs worker-src 'self' blob:",
            },
      );
    });
    this.#worker = worker;
    return worker;
  }

  /** @param {FromWorker} message */
  #receive(message) {
    this.#heard = true;
    if (message.type === 'fatal') return this.#drop(message.failure);
    const entry = this.#pending.get(message.id);
    if (!entry) return;
    if (message.type !== 'done' && message.type !== 'error') {
      if (!entry.muted) entry.onMessage?.(message);
      return;
    }
    if (message.type === 'error' && isLoss(message.failure)) return this.#drop(message.failure);
    this.#pending.delete(message.id);
    entry.settle();
    if (message.type === 'error') entry.reject(message.failure);
    else if (entry.muted) entry.onLate?.(message.value);
    else entry.resolve(message.value);
  }

  /** Ends this Worker and everything that waited for it.
   * @param {Failure} failure */
  #drop(failure) {
    this.#worker?.terminate();
    this.#worker = null;
    this.#generation += 1;
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const entry of waiting) {
      entry.settle();
      entry.reject(toFailure(failure));
    }
    if (isLoss(failure)) this.#sessions.forEach((session) => session.onloss?.(failure));
  }
}

/** @type {Engine | undefined} */
let shared;

/** The page's one engine. Making it costs nothing; the Worker comes with the first request. */
export function sharedEngine() {
  shared ??= new Engine();
  return shared;
}

