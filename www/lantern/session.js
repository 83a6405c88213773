// @ts-check
// One text in the making, and its journal: everything that is needed to take it up again in a new Worker after the old one
// trapped or lost its GPU. The Worker's own memory of the text is only a cache of what stands here.

import { CANCELLED, isFailure, toFailure } from './protocol.js';
import { isLoss } from './engine.js';

/** @import { DeviceChoice, DeviceInfo, Failure, Finish, FromWorker, Generated, ModelInfo, ModelSource, Opened, Progress, Prompt, Turn } from './protocol.js' */
/** @import { Engine } from './engine.js' */

/** @typedef {{model: ModelSource, modelKey: string, device: DeviceChoice, tier: string, assetBase: string}} SessionSpec */

/** @typedef {{maxTokens: number, temperature: number, seed: number}} Sampling */

/** @typedef {{signal?: AbortSignal, onProgress?: (progress: Progress) => void}} ReadyHooks */

/** @typedef {ReadyHooks & {onToken?: (text: string, id: number) => void, onPrompt?: (tokens: number) => void}} AnswerHooks */

/** @typedef {object} Answer
 * @property {string} text
 * @property {number[]} tokens
 * @property {Finish} finish
 * @property {number} promptTokens
 * @property {number} seed
 * @property {number} recoveries how many times it went on in a new Worker
 * @property {Generated | null} measured the engine's numbers, of the last Worker; none when stopped */

/** @typedef {{phase: 'lost' | 'back', failure: Failure, device: DeviceInfo | null}} Recovery */

// So often in a row, without one token between, the engine is given another chance.
const MAX_LOSSES = 2;
// A browser may need a moment to bring its GPU process back; after that, the processor goes on.
const GPU_RETRY_MS = [0, 250, 1000];

export class Session {
  #engine;
  #spec;
  /** @type {Opened | null} */ #opened = null;
  #openedIn = -1;
  /** @type {number[]} */ #ids = [];
  /** @type {Turn[]} */ #turns = [];
  /** @type {Promise<void>} */ #quiet = Promise.resolve();
  /** @type {Failure | null} */ #lost = null;
  #busy = false;
  #closed = false;

  /** Called when the Worker was lost, and when the answer goes on.
   * @type {((recovery: Recovery) => void) | null} */
  onrecovery = null;

  /** @param {Engine} engine @param {SessionSpec} spec */
  constructor(engine, spec) {
    this.#engine = engine;
    this.#spec = spec;
  }

  /** @returns {DeviceInfo | null} */
  get device() {
    return this.#opened?.device ?? null;
  }

  /** @returns {ModelInfo | null} */
  get model() {
    return this.#opened?.model ?? null;
  }

  /** Tokens of the model's memory in use. */
  get length() {
    return this.#ids.length;
  }

  /** Resolves when a Worker holds the model for this session.
   * @param {ReadyHooks} [hooks] */
  async ready(hooks = {}) {
    for (let losses = 0; ; ) {
      try {
        await this.#ensure(hooks);
        return;
      } catch (thrown) {
        losses = this.#countLoss(thrown, losses);
      }
    }
  }

  /** Continues the text with the visitor's words and then the model's. A stop keeps what is on the page; a failure leaves
   * the text as it was before, so that the same words can be asked again.
   * @param {string} text @param {Sampling} sampling @param {AnswerHooks} [hooks] @returns {Promise<Answer>} */
  async generate(text, sampling, hooks = {}) {
    if (this.#busy) {
      throw { code: 'chat.busy', cause: 'An answer is still being written', remedy: 'Stop it first, or wait for its end' };
    }
    this.#busy = true;
    /** @type {Answer} */
    const answer = {
      text: '', tokens: [], finish: 'cancelled', promptTokens: 0, seed: sampling.seed, recoveries: 0, measured: null,
    };
    const ids = this.#ids;
    const turns = this.#turns;
    let started = false;
    try {
      for (let losses = 0; ; ) {
        try {
          await this.#quiet;
          const { session, model } = await this.#ensure(hooks);
          /** @type {Prompt} */
          const prompt = started || !model.chat
            ? { ids: this.#ids, text: started ? '' : text }
            : { turns: [...turns, { role: 'user', content: text }] };
          /** @param {FromWorker} message */
          const onMessage = (message) => {
            if (message.type === 'prompt') {
              if (!started) answer.promptTokens = message.ids.length;
              started = true;
              this.#ids = message.ids;
              hooks.onPrompt?.(message.ids.length);
            } else if (message.type === 'token') {
              losses = 0;
              this.#ids.push(message.token);
              answer.tokens.push(message.token);
              answer.text += message.text;
              hooks.onToken?.(message.text, message.token);
            } else if (message.type === 'progress') {
              hooks.onProgress?.(message.progress);
            }
          };
          answer.measured = /** @type {Generated} */ (
            await this.#engine.request(
              {
                type: 'generate', session, prompt, temperature: sampling.temperature, seed: sampling.seed,
                maxTokens: sampling.maxTokens - answer.tokens.length, firstStep: answer.tokens.length,
              },
              { signal: hooks.signal, onMessage, onSettled: (settled) => (this.#quiet = settled) },
            )
          );
          answer.finish = answer.measured.finish;
          break;
        } catch (thrown) {
          if (isFailure(thrown) && thrown.code === CANCELLED) break;
          losses = this.#countLoss(thrown, losses);
          answer.recoveries += 1;
          if (answer.tokens.length >= sampling.maxTokens) {
            answer.finish = 'max-tokens';
            break;
          }
        }
      }
      if (started) {
        this.#turns = [...turns, { role: 'user', content: text }, { role: 'assistant', content: answer.text }];
      }
      return answer;
    } catch (thrown) {
      this.#ids = ids;
      throw thrown;
    } finally {
      this.#busy = false;
    }
  }

  /** Forgets the text; the model stays. */
  reset() {
    this.#ids = [];
    this.#turns = [];
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
    if (this.#opened && this.#openedIn === this.#engine.generation) return this.#opened;
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
    const { model, modelKey, tier, assetBase } = this.#spec;
    const { generation } = this.#engine;
    const opened = await this.#engine.request(
      // A tier named for the GPU does not follow the text onto the processor.
      { type: 'open', assetBase, model, modelKey, device, tier: device === 'cpu' && this.#spec.device !== 'cpu' ? '' : tier },
      {
        signal: hooks.signal,
        onMessage: (message) => message.type === 'progress' && hooks.onProgress?.(message.progress),
        onLate: (late) => void this.#engine.request({ type: 'close', session: late.session }).catch(() => {}),
      },
    );
    this.#openedIn = generation;
    return opened;
  }
}
