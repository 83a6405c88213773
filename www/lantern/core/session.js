// @ts-check
// What an element holds of the engine, and how it outlives a Worker that trapped or lost its GPU: opens its model again in a
// new one and does the broken work once more.

import { toFailure } from './protocol.js';
import { isLoss } from './engine.js';

/** @import { DeviceChoice, DeviceInfo, ExecutorChoice, Failure, FromWorker, ModelSource, Opened, Progress, SessionMemory, Stats } from './protocol.js' */
/** @import { Engine } from './engine.js' */

/** What a demo and its part of the engine say to each other: its `messages.js` has one. `info`: of its model. `requests`: what is
 * asked and what comes back, by kind. `messages`: what comes meanwhile, by kind.
 * @typedef {{info: any, requests: Record<string, {asked: any, reply: any}>, messages: Record<string, any>}} Contract */

/** @typedef {{sources: ModelSource[], modelKey: string, executor: ExecutorChoice, assetBase: string}} SessionSpec */

/** Who hears of the work. `on`: the demo's own messages, by kind.
 * @template {Contract} [C=any]
 * @typedef {{signal?: AbortSignal, onProgress?: (progress: Progress) => void, on?: {[K in keyof C['messages']]?: (payload: C['messages'][K]) => void}}} Hooks */

/** One go at some work. `opened`: another object in another Worker, which remembers nothing of what was sent before.
 * `progressed` tells that something of the work is done, so that a later loss is the first again.
 * @template {Contract} [C=any] @typedef {{opened: Opened<C['info']>, progressed: () => void}} Attempt */

/** A demo's class of sessions. @template {Session} S
 * @typedef {{new (engine: Engine, spec: SessionSpec): S, demo: string}} SessionKind */

/** @template {Session} S @typedef {S extends Session<infer C> ? Hooks<C> : never} HooksOf */

/** @typedef {{phase: 'lost' | 'back', failure: Failure, device: DeviceInfo | null}} Recovery */

// So often in a row, without anything done between, the engine is given another chance.
const MAX_LOSSES = 2;
// A browser may need a moment to bring its GPU process back; after that, the processor goes on.
const GPU_RETRY_MS = [0, 250, 1000];

/** Extended by one class for each demo.
 * @template {Contract} [C=any] */
export class Session {
  /** The demo's name in the engine's list. @type {string} */ static demo;

  #engine;
  #spec;
  /** @type {Opened<C['info']> | null} */ #opened = null;
  #openedIn = -1;
  /** @type {Failure | null} */ #lost = null;
  #closed = false;
  /** The Worker's end of the last request that was stopped: it still computes its last slice.
   * @type {Promise<void>} */
  #quiet = Promise.resolve();

  /** How often the work went on in a new Worker. */
  recoveries = 0;

  /** Called when the Worker was lost, and when the work goes on.
   * @type {((recovery: Recovery) => void) | null} */
  onrecovery = null;

  /** Called when a Worker is lost, whether or not anything ran there: what it painted may be gone with it.
   * @type {((failure: Failure) => void) | null} */
  onloss = null;

  /** Called when another session came or went: the page's memory is another.
   * @type {(() => void) | null} */
  onmemory = null;

  /** @param {Engine} engine @param {SessionSpec} spec */
  constructor(engine, spec) {
    this.#engine = engine;
    this.#spec = spec;
  }

  /** @returns {DeviceInfo | null} */
  get device() {
    return this.#opened?.device ?? null;
  }

  /** What the visitor should know of how the model's files are kept.
   * @returns {Failure | null} */
  get kept() {
    return this.#opened?.kept ?? null;
  }

  /** What the demo says of its model.
   * @returns {C['info'] | null} */
  get model() {
    return this.#opened?.info ?? null;
  }

  /** What the page's engine holds, and what of it is this session's: nothing, where no Worker has it.
   * @returns {Promise<{stats: Stats, own: SessionMemory | null}>} */
  async memory() {
    const stats = await this.#engine.stats();
    const here = this.#openedIn === this.#engine.generation ? this.#opened?.session : undefined;
    return { stats, own: stats.bySession.find(({ session }) => session === here) ?? null };
  }

  /** Resolves when a Worker holds the model for this session.
   * @param {Hooks<C>} [hooks] */
  async ready(hooks = {}) {
    await this.#lasting(hooks, async () => {});
  }

  /** Asks the demo's part of the engine, and once more from the beginning whenever the Worker is lost meanwhile. `asked` says what,
   * anew for each attempt: what was handed over is gone, and what was only remembered there is too.
   * @template {keyof C['requests'] & string} K
   * @param {K} kind @param {(attempt: Attempt<C>) => {payload: C['requests'][K]['asked'], transfer?: Transferable[]}} asked
   * @param {Hooks<C>} [hooks] @returns {Promise<C['requests'][K]['reply']>} */
  request(kind, asked, hooks = {}) {
    return this.#lasting(hooks, (attempt) => {
      const { payload, transfer } = asked(attempt);
      return this.#engine.request(
        { type: 'request', session: attempt.opened.session, kind, payload },
        { ...heard(hooks), transfer, onSettled: (settled) => (this.#quiet = settled) },
      );
    });
  }

  /** Frees the Worker's side; with the last session of a model its weights go too. */
  async close() {
    if (this.#closed) return;
    this.#closed = true;
    const { generation } = this.#engine;
    await this.#quiet;
    if (this.#opened && this.#openedIn === generation && this.#engine.generation === generation) {
      await this.#engine.request({ type: 'close', session: this.#opened.session }).catch(() => {});
    }
    this.#engine.release(this);
  }

  /** Does the work on an open model, and once more whenever the Worker is lost meanwhile. What is worth keeping lies in the page;
   * the Worker's memory is only a cache.
   * @template T @param {Hooks<C>} hooks @param {(attempt: Attempt<C>) => Promise<T>} work @returns {Promise<T>} */
  async #lasting(hooks, work) {
    for (let losses = 0; ; ) {
      try {
        await this.#quiet;
        return await work({ opened: await this.#ensure(hooks), progressed: () => (losses = 0) });
      } catch (thrown) {
        losses = this.#countLoss(thrown, losses);
      }
    }
  }

  /** Throws what is not a loss, or one too many; otherwise remembers it and lets the caller go round again.
   * @param {unknown} thrown @param {number} losses @returns {number} */
  #countLoss(thrown, losses) {
    const failure = toFailure(thrown);
    if (this.#closed || !isLoss(failure)) throw failure;
    if (losses >= MAX_LOSSES) {
      throw {
        code: failure.code,
        cause: `${failure.cause}, ${losses + 1} times in a row`,
        remedy: this.device?.device === 'cpu'
          ? 'Reload the page. If it stops again, copy the details and report them'
          : 'Restart the browser, or choose the processor: add ?device=cpu to the address of this page',
      };
    }
    this.#lost = failure;
    this.recoveries += 1;
    this.onrecovery?.({ phase: 'lost', failure, device: this.device });
    return losses + 1;
  }

  /** @param {Hooks<C>} hooks @returns {Promise<Opened<C['info']>>} */
  async #ensure(hooks) {
    if (this.#opened && this.#openedIn === this.#engine.generation) return this.#opened;
    const before = this.#opened?.device.device;
    const opened = before === 'gpu' ? await this.#reopen(hooks) : await this.#open(this.#spec.executor.device, hooks);
    this.#opened = opened;
    if (this.#lost) {
      this.onrecovery?.({ phase: 'back', failure: this.#lost, device: opened.device });
      this.#lost = null;
    }
    return opened;
  }

  /** The GPU again if the browser gives it back, the processor if not.
   * @param {Hooks<C>} hooks @returns {Promise<Opened<C['info']>>} */
  async #reopen(hooks) {
    for (const wait of GPU_RETRY_MS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      try {
        return await this.#open('gpu', hooks);
      } catch (thrown) {
        const failure = toFailure(thrown);
        if (isLoss(failure) || !failure.code.startsWith('gpu.')) throw failure;
      }
    }
    const opened = await this.#open('cpu', hooks);
    const notice = {
      code: 'gpu.gone',
      cause: 'The graphics driver restarted, and the browser did not give the GPU back, so the processor answers',
      remedy: 'Restart the browser to use the GPU again',
    };
    return { ...opened, device: { ...opened.device, notice } };
  }

  /** @param {DeviceChoice} device @param {Hooks<C>} hooks @returns {Promise<Opened<C['info']>>} */
  async #open(device, hooks) {
    const { sources, modelKey, assetBase } = this.#spec;
    // A tier and variants named for the GPU do not follow the work onto the processor.
    const fallen = device === 'cpu' && this.#spec.executor.device !== 'cpu';
    const executor = { ...this.#spec.executor, device, ...(fallen ? { tier: '', variant: '' } : {}) };
    const { demo } = /** @type {typeof Session} */ (this.constructor);
    const { generation } = this.#engine;
    const opened = await this.#engine.request(
      { type: 'open', demo, assetBase, sources, modelKey, executor },
      { ...heard(hooks), onLate: (late) => void this.#engine.request({ type: 'close', session: late.session }).catch(() => {}) },
    );
    this.#openedIn = generation;
    return opened;
  }
}

/** What the engine's `request` wants of them.
 * @param {Hooks} hooks @returns {{signal?: AbortSignal, onMessage: (message: FromWorker) => void}} */
function heard({ signal, onProgress, on }) {
  return {
    signal,
    onMessage: (message) => {
      if (message.type === 'progress') onProgress?.(message.progress);
      else if (message.type === 'message') on?.[message.kind]?.(message.payload);
    },
  };
}
