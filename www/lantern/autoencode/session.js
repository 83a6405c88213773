// @ts-check
// An autoencoder at work for one element. The page keeps the picture and its latents; the Worker's side remembers those it made
// last, and is sent them again where it does not.

import { Session } from '../core/session.js';

/** @import { Opened } from '../core/protocol.js' */
/** @import { Hooks } from '../core/session.js' */
/** @import { Autoencode, Decoded, EncodeRequest, Encoded } from './messages.js' */

/** @extends {Session<Autoencode>} */
export class AutoencodeSession extends Session {
  static demo = 'autoencode';

  /** What the Worker's side remembers. @type {{encoded: Encoded, opened: Opened} | null} */ #shared = null;

  /** @param {() => ImageData} picture its pixels, once for each attempt: they are handed over
   * @param {Hooks<Autoencode>} hooks @returns {Promise<Encoded>} */
  async encode(picture, hooks) {
    /** @type {Opened | null} */ let opened = null;
    this.#shared = null;
    const encoded = await this.request('encode', (attempt) => {
      ({ opened } = attempt);
      const pixels = pixelsOf(picture());
      return { payload: pixels, transfer: [pixels.pixels.buffer] };
    }, hooks);
    if (opened) this.#shared = { encoded, opened };
    return encoded;
  }

  /** @param {Encoded} encoded stays with the caller @param {number[]} gains @param {() => ImageData} picture that was encoded
   * @param {Hooks<Autoencode>} hooks @returns {Promise<Decoded>} */
  async decode(encoded, gains, picture, hooks) {
    /** @type {Opened | null} */ let sent = null;
    const decoded = await this.request('decode', ({ opened }) => {
      sent = opened;
      if (this.#shared?.opened === opened && this.#shared.encoded === encoded) return { payload: { gains } };
      const original = pixelsOf(picture());
      const { latents, width, height } = encoded;
      return { payload: { gains, journal: { original, latents, width, height } }, transfer: [original.pixels.buffer] };
    }, hooks);
    if (sent) this.#shared = { encoded, opened: sent };
    return decoded;
  }

  /** Bytes that a picture of this size holds at most. @param {{width: number, height: number}} size
   * @param {Hooks<Autoencode>} hooks @returns {Promise<number>} */
  peak({ width, height }, hooks) {
    return this.request('peak', () => ({ payload: { width, height } }), hooks);
  }
}

/** @param {ImageData} image @returns {EncodeRequest} */
function pixelsOf({ data, width, height }) {
  return { pixels: data, width, height };
}
