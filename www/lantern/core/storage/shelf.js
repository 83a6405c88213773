// @ts-check
/// <reference lib="webworker" />
// Places for a model's bytes on this device, best first: the origin's private files (OPFS), the Cache API, memory. Each opens
// the same kind of shelf; a shelf holds parts, by key. Nothing is decided here: crates/web says what is written where, and what
// a journal means.
//
// A shelf: `list()`, `find(key)` (one of the list), `part(key, write)`, `remove(key)`.
// A part: `size()`, `write(at, bytes)`, `cut(to)`, `journal(text, add)`, `read(at, length)`, `close()`. A write or a journal
// line is stored for good when its promise resolves. `bytes` lie in WebAssembly's memory: they are copied before any await.

import { CacheShelf } from './cache.js';
import { FileShelf } from './files.js';
import { MemoryShelf } from './memory.js';

/** A file's bytes and its journal, `''` where it has none.
 * @typedef {{key: string, journal: string, bytes: number}} Stored */

/** @param {'opfs' | 'cache' | 'memory'} kind */
export async function openShelf(kind) {
  if (kind === 'memory') return new MemoryShelf();
  if (kind === 'cache') return CacheShelf.open();
  return FileShelf.open();
}

/** How much this site may store, and does.
 * @returns {Promise<{usage: number, quota: number} | null>} */
export async function room() {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    return usage === undefined || quota === undefined ? null : { usage, quota };
  } catch {
    return null;
  }
}
