// @ts-check
// An autoencoder at work for one element. Nothing is remembered here: pictures and latents lie in the page, and every attempt
// sends them anew, so a lost Worker costs the broken run and nothing else.

import { Session } from '../core/session.js';

/** @import { AutoencoderInfo, Decoded, Encoded, Replies, ToWorker, Unsent } from '../core/protocol.js' */
/** @import { ReadyHooks } from '../core/session.js' */

export class AutoencodeSession extends Session {
  /** @type {import('../core/protocol.js').Demo} */ static demo = 'autoencode';

  /** How often the work went on in a new Worker. */
  recoveries = 0;

  /** @returns {AutoencoderInfo | null} */
  get model() {
    return /** @type {AutoencoderInfo | null} */ (this.info);
  }

  /** @param {() => ImageData} picture its pixels, once for each attempt: they are handed over
   * @param {ReadyHooks} hooks @returns {Promise<Encoded>} */
  encode(picture, hooks) {
    return this.#run(hooks, (session) => {
      const { data, width, height } = pixels(picture());
      return { message: { type: 'encode', session, pixels: data, width, height }, transfer: [data.buffer] };
    });
  }

  /** @param {Encoded} encoded stays with the caller @param {number[]} gains @param {() => ImageData} original
   * @param {ReadyHooks} hooks @returns {Promise<Decoded>} */
  decode({ latents, width, height }, gains, original, hooks) {
    return this.#run(hooks, (session) => {
      const { data, ...picture } = pixels(original());
      return { message: { type: 'decode', session, latents, width, height, gains, picture, original: data }, transfer: [data.buffer] };
    });
  }

  /** @template {Unsent<ToWorker & {type: 'encode' | 'decode'}>} M @param {ReadyHooks} hooks
   * @param {(session: number) => {message: M, transfer: Transferable[]}} request @returns {Promise<Replies[M['type']]>} */
  #run(hooks, request) {
    return this.lasting(hooks, ({ session }) => {
      const { message, transfer } = request(session);
      return this.engine.request(message, {
        signal: hooks.signal,
        transfer,
        onMessage: (told) => told.type === 'progress' && hooks.onProgress?.(told.progress),
        onSettled: (settled) => (this.quiet = settled),
      });
    }, () => (this.recoveries += 1));
  }
}

/** ImageData's fields are on its prototype: no spreading. @param {ImageData} image */
function pixels({ data, width, height }) {
  return { data, width, height };
}
