// @ts-check
// What an element holds of the engine, and how it outlives a Worker that trapped or lost its GPU: opens its model again in a
// new one and does the broken work once more. What is worth keeping lies in the page; the Worker's memory is only a cache.

import { toFailure } from './protocol.js';
import { isLoss } from './engine.js';

/** @import { Demo, DeviceChoice, DeviceInfo, Failure, Known, ModelSource, Opened, Progress } from './protocol.js' */
/** @import { Engine } from './engine.js' */

/** @typedef {{sources: ModelSource[], modelKey: string, device: DeviceChoice, tier: string, assetBase: string}} SessionSpec */

/** @typedef {{signal?: AbortSignal, onProgress?: (progress: Progress) => void, onKnown?: (known: Known) => void}} ReadyHooks */

/** @typedef {{phase: 'lost' | 'back', failure: Failure, device: DeviceInfo | null}} Recovery */

// So often in a row, without anything done between, the engine is given another chance.
const MAX_LOSSES = 2;
// A browser may need a moment to bring its GPU process back; after that, the processor goes on.
const GPU_RETRY_MS = [0, 250, 1000];

/** Extended by one class for each demo. */
export class Session {
  /** @type {Demo} */ static demo;

  #spec;
  /** @type {Opened | null} */ #opened = null;
  #openedIn = -1;
  /** @type {Failure | null} */ #lost = null;
  #closed = false;

  /** @protected */ engine;
  /** The Worker's end of the last request that was stopped: it still computes its last slice.
   * @protected @type {Promise<void>} */
  quiet = Promise.resolve();

  /** Called when the Worker was lost, and when the work goes on.
   * @type {((recovery: Recovery) => void) | null} */
  onrecovery = null;

  /** @param {Engine} engine @param {SessionSpec} spec */
  constructor(engine, spec) {
    this.engine = engine;
    this.#spec = spec;
  }

  /** @returns {DeviceInfo | null} */
  get device() {
    return this.#opened?.device ?? null;
  }

  /** What the visitor should know of how the model's file is kept.
   * @returns {Failure | null} */
  get kept() {
    return this.#opened?.kept ?? null;
  }

  /** What the Worker said of the model: each demo has its own. */
  get info() {
    return this.#opened?.model ?? null;
  }

  /** Resolves when a Worker holds the model for this session.
   * @param {ReadyHooks} [hooks] */
  async ready(hooks = {}) {
    await this.lasting(hooks, async () => {});
  }

  /** Does the work on an open model, and once more from its beginning whenever the Worker is lost meanwhile. `progressed`
   * tells that something of it is done, so that a later loss is the first again.
   * @protected @template T
   * @param {ReadyHooks} hooks @param {(opened: Opened, progressed: () => void) => Promise<T>} work
   * @param {() => void} [onLoss] @returns {Promise<T>} */
  async lasting(hooks, work, onLoss) {
    for (let losses = 0; ; ) {
      try {
        await this.quiet;
        return await work(await this.#ensure(hooks), () => (losses = 0));
      } catch (thrown) {
        losses = this.#countLoss(thrown, losses);
        onLoss?.();
      }
    }
  }

  /** Frees the Worker's side; with the last session of a model its weights go too. */
  async close() {
    if (this.#closed) return;
    this.#closed = true;
    const { generation } = this.engine;
    await this.quiet;
    if (this.#opened && this.#openedIn === generation && this.engine.generation === generation) {
      await this.engine.request({ type: 'close', session: this.#opened.session }).catch(() => {});
    }
    this.engine.release(this);
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
    this.onrecovery?.({ phase: 'lost', failure, device: this.device });
    return losses + 1;
  }

  /** @param {ReadyHooks} hooks @returns {Promise<Opened>} */
  async #ensure(hooks) {
    if (this.#opened && this.#openedIn === this.engine.generation) return this.#opened;
    const before = this.#opened?.device.device;
    const opened = before === 'gpu' ? await this.#reopen(hooks) : await this.#open(this.#spec.device, hooks);
    this.#opened = opened;
    if (this.#lost) {
      this.onrecovery?.({ phase: 'back', failure: this.#lost, device: opened.device });
      this.#lost = null;
    }
    return opened;
  }

  /** The GPU again if the browser gives it back, the processor if not.
   * @param {ReadyHooks} hooks @returns {Promise<Opened>} */
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

  /** @param {DeviceChoice} device @param {ReadyHooks} hooks @returns {Promise<Opened>} */
  async #open(device, hooks) {
    const { sources, modelKey, tier, assetBase } = this.#spec;
    const { demo } = /** @type {typeof Session} */ (this.constructor);
    const { generation } = this.engine;
    const opened = await this.engine.request(
      // A tier named for the GPU does not follow the work onto the processor.
      { type: 'open', demo, assetBase, sources, modelKey, device, tier: device === 'cpu' && this.#spec.device !== 'cpu' ? '' : tier },
      {
        signal: hooks.signal,
        onMessage: (message) => {
          if (message.type === 'progress') hooks.onProgress?.(message.progress);
          else if (message.type === 'known') hooks.onKnown?.(message.known);
        },
        onLate: (late) => void this.engine.request({ type: 'close', session: late.session }).catch(() => {}),
      },
    );
    this.#openedIn = generation;
    return opened;
  }
}
