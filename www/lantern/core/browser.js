// @ts-check
/// <reference lib="webworker" />
// What the engine needs of the browser to keep models on this device: its network, its storage, and the other tabs of this
// site. One of these serves one request and stops with it; all decisions are in Rust (crates/web/src/library.rs).

import { cancelled } from './protocol.js';
import { openShelf, room } from './storage/shelf.js';

// A connection that says nothing for so long is taken for dead.
const SILENCE_MS = 30_000;
const CHANNEL = 'lantern-models';

export class Browser {
  #signal;
  #headStart;

  /** @param {AbortSignal} signal @param {import('./head-start.js').HeadStart | null} [headStart] */
  constructor(signal, headStart = null) {
    this.#signal = signal;
    this.#headStart = headStart;
  }

  /** @param {'opfs' | 'cache' | 'memory'} kind */
  shelf(kind) {
    return openShelf(kind);
  }

  room() {
    return room();
  }

  /** GB of memory, as far as the browser says: rounded, and 8 at most in most. */
  memory() {
    return /** @type {{deviceMemory?: number}} */ (navigator).deviceMemory ?? 0;
  }

  now() {
    return performance.now();
  }

  /** Resolves after that time, and at once when the request is stopped. @param {number} ms */
  wait(ms) {
    return new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      const over = () => {
        clearTimeout(timer);
        this.#signal.removeEventListener('abort', over);
        resolve();
      };
      const timer = setTimeout(over, ms);
      this.#signal.addEventListener('abort', over);
      if (this.#signal.aborted) over();
    });
  }

  /** The rest of a file from a byte on, or all of it. Never anything but a GET, without a word on where
   * it was asked from. `kept`: what comes is kept by us, and the browser's own cache has no part in it.
   * @param {string} url @param {number} from @param {string | undefined} ifRange @param {boolean} kept */
  async get(url, from, ifRange, kept) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (from > 0) headers.range = `bytes=${from}-`;
    if (ifRange !== undefined) headers['if-range'] = ifRange;
    const cache = kept ? 'no-store' : 'default';
    const begun = from === 0 ? await this.#headStart?.take(url) : null;
    const response = begun ?? (await this.#unlessSilent(
      fetch(url, { headers, signal: this.#signal, cache, credentials: 'same-origin', referrerPolicy: 'no-referrer' }),
    ));
    const reader = response.body?.getReader();
    return {
      status: response.status,
      /** @param {string} name */
      header: (name) => response.headers.get(name) ?? undefined,
      next: async () => (reader ? (await this.#unlessSilent(reader.read())).value : undefined),
      stop: () => void reader?.cancel().catch(() => {}),
    };
  }

  /** @template T @param {Promise<T>} promise @returns {Promise<T>} */
  #unlessSilent(promise) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came for ${SILENCE_MS / 1000} s`)), SILENCE_MS);
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** Waits until no other tab of this site works on that key. `held()` is called when there is one to wait for. Resolves to
   * what lets go again; to undefined where the browser keeps no such order among tabs, or not for this page.
   * @param {string} key @param {() => void} held @returns {Promise<(() => void) | undefined>} */
  async hold(key, held) {
    const name = `${CHANNEL}/${key}`;
    /** @param {LockOptions} options @returns {Promise<(() => void) | null>} */
    const take = (options) =>
      new Promise((resolve, reject) => {
        const held = (/** @type {Lock | null} */ lock) =>
          lock ? new Promise((/** @type {(value?: unknown) => void} */ release) => resolve(release)) : resolve(null);
        navigator.locks.request(name, options, held).catch(reject);
      });
    try {
      const free = await take({ ifAvailable: true });
      if (free) return free;
      held();
      return (await take({ signal: this.#signal })) ?? undefined;
    } catch (thrown) {
      if (this.#signal.aborted) throw cancelled();
      return undefined;
    }
  }

  /** Tells the other tabs how far this one is. Resolves nothing and waits for nobody.
   * @returns {{say: (key: string, done: number, total: number) => void, close: () => void}} */
  channel() {
    try {
      const channel = new BroadcastChannel(CHANNEL);
      return { say: (key, done, total) => channel.postMessage({ key, done, total }), close: () => channel.close() };
    } catch {
      return { say: () => {}, close: () => {} };
    }
  }

  /** Hears how far another tab is with that key, until `close()`.
   * @param {string} key @param {(done: number, total: number) => void} heard */
  hear(key, heard) {
    try {
      const channel = new BroadcastChannel(CHANNEL);
      channel.addEventListener('message', ({ data }) => {
        if (data?.key === key) heard(data.done, data.total);
      });
      return { close: () => channel.close() };
    } catch {
      return { close: () => {} };
    }
  }
}
