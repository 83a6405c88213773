// @ts-check
/// <reference lib="webworker" />
// A model's file, asked for while the engine's program is still on its way. The engine takes the answer over where it would
// have asked the very same thing itself; what it does not take is let go.

import { openShelf } from './storage/shelf.js';

export class HeadStart {
  #url;
  /** @type {Promise<Response | null> | null} */ #answer;

  /** @param {string} url @param {AbortSignal} signal */
  constructor(url, signal) {
    this.#url = url;
    this.#answer = isStored(url)
      .then((stored) => (stored ? null : fetch(url, { signal, cache: 'no-store', credentials: 'same-origin', referrerPolicy: 'no-referrer' })))
      // The engine asks again, and tells what is wrong.
      .catch(() => null);
  }

  /** The answer to a question for all of that file; null where there is none. Only the first who asks gets it.
   * @param {string} url @returns {Promise<Response | null>} */
  async take(url) {
    if (url !== this.#url) return null;
    const answer = this.#answer;
    this.#answer = null;
    return answer;
  }

  /** Nobody will take it any more. */
  drop() {
    void this.#answer?.then((response) => response?.body?.cancel()).catch(() => {});
    this.#answer = null;
  }
}

/** Whether anything of it is on this device, or another tab is at it: then the engine asks for the rest alone.
 * @param {string} url */
async function isStored(url) {
  const written = JSON.stringify(url);
  for (const kind of /** @type {const} */ (['opfs', 'cache'])) {
    const shelf = await openShelf(kind).catch(() => null);
    if ((await shelf?.list())?.some(({ journal }) => journal.includes(written))) return true;
  }
  return false;
}
