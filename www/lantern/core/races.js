// @ts-check
/// <reference lib="webworker" />
// Which variants of kernels won on this visitor's graphics card, kept so that a card is raced once. `key`: of the adapter, its
// driver and the kernels' texts. A browser that keeps nothing races at each visit.

/** @import { Raced } from './protocol.js' */

const CACHE = 'lantern-races';

/** What is kept already, as text: most sessions race nothing. */
let kept = '';

/** @param {string} key */
const address = (key) => new URL(`./races/${encodeURIComponent(key)}`, import.meta.url).href;

/** @param {string} key @returns {Promise<Raced[]>} */
export async function recall(key) {
  try {
    const found = await (await caches.open(CACHE)).match(address(key));
    if (!found) return [];
    kept = await found.text();
    return JSON.parse(kept);
  } catch {
    return [];
  }
}

/** @param {string} key @param {Raced[]} winners */
export async function keep(key, winners) {
  const text = JSON.stringify(winners);
  if (text === kept) return;
  try {
    const cache = await caches.open(CACHE);
    // Those of another driver or another version are of no use any more.
    for (const old of await cache.keys()) if (old.url !== address(key)) await cache.delete(old);
    await cache.put(address(key), new Response(text));
    kept = text;
  } catch {
    // Nothing is lost but the time of a race.
  }
}
