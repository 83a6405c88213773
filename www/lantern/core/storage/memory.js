// @ts-check
/// <reference lib="webworker" />
// A shelf in memory, where nothing can be stored.

/** Blobs, which lie in the browser and not in the WebAssembly heap. Gone with the page. */
export class MemoryShelf {
  /** @returns {Promise<import('./shelf.js').Stored[]>} */
  async list() {
    return [];
  }

  /** @returns {Promise<undefined>} */
  async find() {}

  async part() {
    return new MemoryPart();
  }

  async remove() {}
}

class MemoryPart {
  #blob = new Blob();

  async size() {
    return this.#blob.size;
  }

  /** @param {number} at @param {Uint8Array<ArrayBuffer>} bytes */
  async write(at, bytes) {
    this.#blob = new Blob([this.#blob.slice(0, at), bytes]);
  }

  /** @param {number} to */
  async cut(to) {
    this.#blob = this.#blob.slice(0, to);
  }

  async journal() {}

  /** @param {number} at @param {number} length at most */
  async read(at, length) {
    return new Uint8Array(await this.#blob.slice(at, at + length).arrayBuffer());
  }

  close() {
    this.#blob = new Blob();
  }
}
