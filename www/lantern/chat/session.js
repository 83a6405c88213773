// @ts-check
// One text in the making, and its journal: token ids and the sampler's place, which is everything that is needed to take the
// text up again in a new Worker. session.js says when that is.

import { CANCELLED, isFailure } from '../core/protocol.js';
import { Session } from '../core/session.js';

/** @import { Finish, FromWorker, GenerateRequest, Generated, ModelInfo, Progress, Prompt, Turn } from '../core/protocol.js' */
/** @import { ReadyHooks } from '../core/session.js' */

/** How tokens are drawn, and until when.
 * @typedef {Omit<GenerateRequest, 'session' | 'prompt' | 'firstStep'>} Sampling */

/** @typedef {ReadyHooks & {onToken?: (text: string, id: number) => void, onPrompt?: (tokens: number) => void}} AnswerHooks */

/** @typedef {object} Answer
 * @property {string} text
 * @property {number[]} tokens
 * @property {Finish} finish
 * @property {number} promptTokens
 * @property {number} seed
 * @property {number} recoveries how many times it went on in a new Worker
 * @property {Generated | null} measured the engine's numbers, of the last Worker; none when stopped */

export class ChatSession extends Session {
  /** @type {import('../core/protocol.js').Demo} */ static demo = 'chat';

  /** @type {number[]} */ #ids = [];
  /** Of these, how many are never forgotten. @type {number | undefined} */ #first;
  /** @type {Turn[]} */ #turns = [];
  /** What a model that converses is told before all else. */
  instructions = '';
  /** Words are a text to go on with, also where the model converses. */
  story = false;
  #busy = false;

  /** @returns {ModelInfo | null} */
  get model() {
    return /** @type {ModelInfo | null} */ (this.info);
  }

  /** Tokens of the text that the model's memory did not have room for any more. */
  forgotten = 0;

  /** Tokens of the model's memory in use. */
  get length() {
    return Math.min(this.#ids.length - this.forgotten, this.model?.context ?? Infinity);
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
    /** @type {Turn[]} */
    const told = this.instructions ? [{ role: 'system', content: this.instructions }] : [];
    let started = false;
    try {
      await this.lasting(hooks, async ({ session, model }, progressed) => {
        if (answer.tokens.length >= sampling.maxTokens) {
          // Lost after the last token, before the Worker could say so.
          answer.finish = 'max-tokens';
          return;
        }
        /** @type {Prompt} */
        const prompt = started || this.story || !(/** @type {ModelInfo} */ (model).chat)
          ? { ids: this.#ids, text: started ? '' : text, first: this.#first }
          : { turns: [...told, ...turns, { role: 'user', content: text }] };
        /** @param {FromWorker} message */
        const onMessage = (message) => {
          if (message.type === 'prompt') {
            if (!started) answer.promptTokens = message.ids.length;
            started = true;
            this.#ids = message.ids;
            this.#first = message.first;
            hooks.onPrompt?.(message.ids.length);
          } else if (message.type === 'token') {
            progressed();
            this.#ids.push(message.token);
            answer.tokens.push(message.token);
            answer.text += message.text;
            hooks.onToken?.(message.text, message.token);
          } else if (message.type === 'progress') {
            hooks.onProgress?.(message.progress);
          }
        };
        answer.measured = await this.engine.request(
          {
            ...sampling, type: 'generate', session, prompt,
            maxTokens: sampling.maxTokens - answer.tokens.length, firstStep: answer.tokens.length,
          },
          { signal: hooks.signal, onMessage, onSettled: (settled) => (this.quiet = settled) },
        );
        answer.finish = answer.measured.finish;
        this.forgotten = answer.measured.dropped;
      }, () => (answer.recoveries += 1));
    } catch (thrown) {
      // What a stopped answer has is kept.
      if (!isFailure(thrown) || thrown.code !== CANCELLED) {
        this.#ids = ids;
        throw thrown;
      }
    } finally {
      this.#busy = false;
    }
    if (started) {
      this.#turns = [...turns, { role: 'user', content: text }, { role: 'assistant', content: answer.text }];
    }
    return answer;
  }

  /** Forgets the text; the model stays. */
  reset() {
    this.#ids = [];
    this.#first = undefined;
    this.forgotten = 0;
    this.#turns = [];
  }
}
