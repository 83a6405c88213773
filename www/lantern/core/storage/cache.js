// @ts-check
/// <reference lib="webworker" />
// A shelf in the Cache API, for browsers that give a page no files of its own.

/** @import { Stored } from './shelf.js' */

// The cache's name, and the first part of the made-up addresses in it.
const FOLDER = 'lantern-models';

/** Responses under made-up addresses: one for each piece that was written, `KEY/AT`, and one for the journal. */
export class CacheShelf {
  #cache;

  /** @param {Cache} cache */
  constructor(cache) {
    this.#cache = cache;
  }

  static async open() {
    return new CacheShelf(await caches.open(FOLDER));
  }

  /** @returns {Promise<{request: Request, key: string, name: string}[]>} */
  async #entries() {
    return (await this.#cache.keys()).map((request) => {
      const [key, name] = new URL(request.url).pathname.split('/').slice(-2);
      return { request, key, name };
    });
  }

  /** @returns {Promise<Stored[]>} */
  async list() {
    return this.#stored(await this.#entries());
  }

  /** One of these. @param {string} key @returns {Promise<Stored | undefined>} */
  async find(key) {
    return (await this.#stored((await this.#entries()).filter((entry) => entry.key === key)))[0];
  }

  /** @param {{request: Request, key: string, name: string}[]} entries */
  async #stored(entries) {
    /** @type {Map<string, Stored>} */
    const found = new Map();
    for (const { request, key, name } of entries) {
      const stored = found.get(key) ?? { key, journal: '', bytes: 0 };
      found.set(key, stored);
      const response = await this.#cache.match(request);
      if (!response) continue;
      if (name === 'journal') stored.journal = await response.text();
      else stored.bytes = Math.max(stored.bytes, Number(name) + Number(response.headers.get('content-length')));
    }
    return [...found.values()];
  }

  /** @param {string} key */
  async part(key) {
    const part = new CachePart(this.#cache, key);
    for (const { request, key: of, name } of await this.#entries()) {
      if (of !== key) continue;
      const response = await this.#cache.match(request);
      if (name === 'journal') part.text = (await response?.text()) ?? '';
      else part.pieces.push({ at: Number(name), bytes: Number(response?.headers.get('content-length')) });
    }
    part.pieces.sort((a, b) => a.at - b.at);
    return part;
  }

  /** @param {string} key */
  async remove(key) {
    const mine = (await this.#entries()).filter((entry) => entry.key === key);
    mine.sort((a, b) => Number(a.name === 'journal') - Number(b.name === 'journal'));
    for (const { request } of mine) await this.#cache.delete(request);
  }
}

class CachePart {
  #cache;
  #key;
  /** @type {{at: number, bytes: number}[]} */ pieces = [];
  text = '';
  /** The piece that was read last. @type {{at: number, blob: Blob} | null} */ #last = null;

  /** @param {Cache} cache @param {string} key */
  constructor(cache, key) {
    this.#cache = cache;
    this.#key = key;
  }

  /** @param {string | number} name */
  #address(name) {
    return new URL(`/${FOLDER}/${this.#key}/${name}`, location.origin).href;
  }

  async size() {
    const last = this.pieces.at(-1);
    return last ? last.at + last.bytes : 0;
  }

  /** @param {number} at @param {Uint8Array<ArrayBuffer>} bytes */
  async write(at, bytes) {
    const piece = new Response(bytes, { headers: { 'content-length': String(bytes.length) } });
    this.pieces.push({ at, bytes: bytes.length });
    await this.#cache.put(this.#address(at), piece).catch((thrown) => {
      this.pieces.pop();
      throw thrown;
    });
  }

  /** Whole pieces only: what stands in a piece that is cut through is fetched again.
   * @param {number} to */
  async cut(to) {
    const gone = this.pieces.filter(({ at, bytes }) => at + bytes > to);
    this.pieces = this.pieces.filter(({ at, bytes }) => at + bytes <= to);
    this.#last = null;
    for (const { at } of gone) await this.#cache.delete(this.#address(at));
  }

  /** @param {string} text @param {boolean} add */
  async journal(text, add) {
    this.text = add ? this.text + text : text;
    await this.#cache.put(this.#address('journal'), new Response(this.text));
  }

  /** @param {number} at @param {number} length at most @returns {Promise<Uint8Array>} */
  async read(at, length) {
    const piece = this.pieces.findLast((piece) => piece.at <= at);
    if (!piece) return new Uint8Array();
    if (this.#last?.at !== piece.at) {
      const blob = await (await this.#cache.match(this.#address(piece.at)))?.blob();
      if (!blob) return new Uint8Array();
      this.#last = { at: piece.at, blob };
    }
    const from = at - piece.at;
    return new Uint8Array(await this.#last.blob.slice(from, from + length).arrayBuffer());
  }

  close() {}
}
