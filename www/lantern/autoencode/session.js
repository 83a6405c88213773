// @ts-check
// An autoencoder at work for one element. The page keeps the picture and its latents; the Worker's side remembers those it made
// last, and is sent them again where it does not. It paints on a canvas of the page, which is another one in another Worker.

import { CANCELLED, toFailure } from '../core/protocol.js';
import { Session } from '../core/session.js';

/** @import { Opened } from '../core/protocol.js' */
/** @import { Hooks } from '../core/session.js' */
/** @import { Autoencode, DecodeRequest, Decoded, Encoded } from './messages.js' */

/** @extends {Session<Autoencode>} */
export class AutoencodeSession extends Session {
  static demo = 'autoencode';

  /** What the Worker's side remembers. @type {{encoded: Encoded, opened: Opened} | null} */ #shared = null;
  /** Where it has a canvas. @type {Opened | null} */ #painting = null;

  /** @param {() => ImageBitmap} picture once for each attempt: it is handed over
   * @param {Hooks<Autoencode>} hooks @returns {Promise<Encoded>} */
  async encode(picture, hooks) {
    /** @type {Opened | null} */ let opened = null;
    this.#shared = null;
    const encoded = await this.request('encode', (attempt) => {
      ({ opened } = attempt);
      const given = picture();
      return { payload: { picture: given }, transfer: [given] };
    }, hooks);
    if (opened) this.#shared = { encoded, opened };
    return encoded;
  }

  /** @param {Encoded} encoded stays with the caller @param {number[]} gains @param {() => ImageBitmap} picture that was encoded
   * @param {() => OffscreenCanvas} canvas to paint on, where there is none yet
   * @param {Hooks<Autoencode>} hooks @returns {Promise<Decoded>} */
  async decode(encoded, gains, picture, canvas, hooks) {
    /** @type {Opened | null} */ let sent = null;
    try {
      const decoded = await this.request('decode', ({ opened }) => {
        sent = opened;
        /** @type {DecodeRequest} */
        const payload = { gains };
        /** @type {Transferable[]} */
        const transfer = [];
        // What is stopped before it begins is not sent.
        if (hooks.signal?.aborted) return { payload };
        if (this.#shared?.opened !== opened || this.#shared.encoded !== encoded) {
          const { latents, width, height } = encoded;
          payload.journal = { original: picture(), latents, width, height };
          transfer.push(payload.journal.original);
        }
        if (this.#painting !== opened) {
          payload.canvas = canvas();
          transfer.push(payload.canvas);
          this.#painting = opened;
        }
        return { payload, transfer };
      }, hooks);
      if (sent) this.#shared = { encoded, opened: sent };
      return decoded;
    } catch (thrown) {
      // A run that is stopped keeps its canvas; with anything else nobody knows.
      if (toFailure(thrown).code !== CANCELLED) this.#painting = null;
      throw thrown;
    }
  }

  /** Bytes that a picture of this size holds at most. @param {{width: number, height: number}} size
   * @param {Hooks<Autoencode>} hooks @returns {Promise<number>} */
  peak({ width, height }, hooks) {
    return this.request('peak', () => ({ payload: { width, height } }), hooks);
  }
}
