// @ts-check
// One text in the making, and its journal: token ids and the sampler's place, which is everything that is needed to take the
// text up again in a new Worker. session.js says when that is.

import { CANCELLED, isFailure } from '../core/protocol.js';
import { Session } from '../core/session.js';

/** @import { Failure, Opened, Progress } from '../core/protocol.js' */
/** @import { Chat, Finish, GenerateRequest, Generated, Turn } from './messages.js' */

/** How tokens are drawn, and until when.
 * @typedef {Omit<GenerateRequest, 'prompt' | 'firstStep'>} Sampling */

/** @typedef {{signal?: AbortSignal, onProgress?: (progress: Progress) => void, onNotice?: () => void, onToken?: (text: string, id: number) => void}} AnswerHooks */

/** @typedef {object} Answer
 * @property {string} text
 * @property {number[]} tokens
 * @property {Finish} finish
 * @property {number} promptTokens
 * @property {number} seed
 * @property {number} recoveries how many times it went on in a new Worker
 * @property {Generated | null} measured the engine's numbers, of the last Worker; none when stopped */

/** @extends {Session<Chat>} */
export class ChatSession extends Session {
  static demo = 'chat';

  /** @type {number[]} */ #ids = [];
  /** Of these, how many are never forgotten. @type {number | undefined} */ #first;
  /** Where the Worker's side has these ids too, and maybe more. @type {Opened | null} */ #shared = null;
  /** @type {Turn[]} */ #turns = [];
  /** What a model that converses is told before all else. */
  instructions = '';
  /** Words are a text to go on with, also where the model converses. */
  story = false;
  #busy = false;

  /** What of the last words, or of what it was told, does not reach the model. @type {Failure[]} */
  notices = [];

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
    const lost = this.recoveries;
    /** @type {Turn[]} */
    const told = this.instructions ? [{ role: 'system', content: this.instructions }] : [];
    let started = false;
    this.notices = [];
    /** @type {Opened | null} */ let opened = null;
    let progressed = () => {};
    try {
      answer.measured = await this.request(
        'generate',
        (attempt) => {
          ({ opened, progressed } = attempt);
          const held = this.#shared === opened ? this.#ids.length : 0;
          // Until it says what it begins from.
          this.#shared = null;
          const goesOn = started || this.story || !opened.info.chat;
          const prompt = goesOn
            ? { held, ids: this.#ids.slice(held), text: started ? '' : text, first: this.#first }
            : { held, turns: [...told, ...turns, { role: /** @type {const} */ ('user'), content: text }] };
          const { length } = answer.tokens;
          return { payload: { ...sampling, prompt, maxTokens: sampling.maxTokens - length, firstStep: length } };
        },
        {
          ...hooks,
          on: {
            prompt: ({ kept, ids: added, first }) => {
              this.#ids = [...this.#ids.slice(0, kept), ...added];
              this.#first = first;
              this.#shared = opened;
              if (!started) answer.promptTokens = this.#ids.length;
              started = true;
            },
            notice: (notice) => {
              this.notices.push(notice);
              hooks.onNotice?.();
            },
            token: ({ id, text: piece }) => {
              progressed();
              this.#ids.push(id);
              answer.tokens.push(id);
              answer.text += piece;
              hooks.onToken?.(piece, id);
            },
          },
        },
      );
      answer.finish = answer.measured.finish;
      this.forgotten = answer.measured.dropped;
    } catch (thrown) {
      // What a stopped answer has is kept.
      if (!isFailure(thrown) || thrown.code !== CANCELLED) {
        this.#ids = ids;
        this.#shared = null;
        throw thrown;
      }
    } finally {
      answer.recoveries = this.recoveries - lost;
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
    this.notices = [];
  }
}
