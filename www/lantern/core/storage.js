// @ts-check
/// <reference lib="webworker" />
// Places for a model's bytes on this device, best first: the origin's private files (OPFS), the Cache API, memory. Each opens
// the same kind of shelf; a shelf holds parts, by key. Nothing is decided here: crates/web says what is written where, and what
// a journal means.
//
// A part: `size()`, `write(at, bytes)`, `cut(to)`, `journal(text, add)`, `read(at, length)`, `close()`. A write or a journal
// line is stored for good when its promise resolves. `bytes` lie in WebAssembly's memory: they are copied before any await.

const FOLDER = 'lantern-models';
const DATA = '.part';
const JOURNAL = '.journal';

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

/** A promise that another tab's hold on a file ends within a moment: a Worker that was just stopped lets go of its files late.
 * @template T @param {() => Promise<T>} open @returns {Promise<T>} */
async function patiently(open) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await open();
    } catch (thrown) {
      const held = thrown instanceof DOMException && thrown.name === 'NoModificationAllowedError';
      if (!held || attempt === 5) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }
}

/** Files, through handles that read and write at once and flush. */
class FileShelf {
  #folder;

  /** @param {FileSystemDirectoryHandle} folder */
  constructor(folder) {
    this.#folder = folder;
  }

  static async open() {
    const root = await navigator.storage.getDirectory();
    if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype)) throw new Error('no file handles for Workers');
    return new FileShelf(await root.getDirectoryHandle(FOLDER, { create: true }));
  }

  /** `[{key, journal, bytes}]`; files without a journal have `journal: ''`. */
  async list() {
    /** @type {Map<string, {key: string, journal: string, bytes: number}>} */
    const found = new Map();
    for await (const [name, handle] of this.#folder.entries()) {
      const journal = name.endsWith(JOURNAL);
      if (handle.kind !== 'file' || !(journal || name.endsWith(DATA))) continue;
      const key = name.slice(0, name.lastIndexOf('.'));
      const entry = found.get(key) ?? { key, journal: '', bytes: 0 };
      found.set(key, entry);
      const file = await handle.getFile();
      // Another tab may be writing just now: then what it was a moment ago cannot be read any more.
      if (journal) entry.journal = await file.text().catch(() => '');
      else entry.bytes = file.size;
    }
    return [...found.values()];
  }

  /** @param {string} key @param {boolean} write */
  async part(key, write) {
    const data = await this.#folder.getFileHandle(key + DATA, { create: write });
    if (!write) return FilePart.toRead(data);
    const journal = await this.#folder.getFileHandle(key + JOURNAL, { create: true });
    const handle = await patiently(() => data.createSyncAccessHandle());
    try {
      return new FilePart(handle, await patiently(() => journal.createSyncAccessHandle()));
    } catch (thrown) {
      handle.close();
      throw thrown;
    }
  }

  /** @param {string} key */
  async remove(key) {
    // The data first: where another tab reads it, nothing is removed, and a journal without data vouches for nothing.
    for (const name of [key + DATA, key + JOURNAL]) {
      await patiently(() => this.#folder.removeEntry(name)).catch((thrown) => {
        if (thrown?.name !== 'NotFoundError') throw thrown;
      });
    }
  }
}

/** What some browsers know beyond the standard's one writer.
 * @typedef {{createSyncAccessHandle(options: {mode: 'read-only'}): Promise<FileSystemSyncAccessHandle>}} SharedReading */

class FilePart {
  #data;
  #journal;

  /** @param {FileSystemSyncAccessHandle} data @param {FileSystemSyncAccessHandle | null} journal */
  constructor(data, journal) {
    this.#data = data;
    this.#journal = journal;
  }

  /** Several may read at once, where the browser knows how; otherwise the file is read as a Blob.
   * @param {FileSystemFileHandle} file */
  static async toRead(file) {
    try {
      return new FilePart(await /** @type {SharedReading} */ (file).createSyncAccessHandle({ mode: 'read-only' }), null);
    } catch {
      return file.getFile();
    }
  }

  async size() {
    return this.#data.getSize();
  }

  /** @param {number} at @param {Uint8Array<ArrayBuffer>} bytes */
  async write(at, bytes) {
    const written = this.#data.write(bytes, { at });
    this.#data.flush();
    if (written !== bytes.length) throw new DOMException(`${written} of ${bytes.length} bytes were written`, 'QuotaExceededError');
  }

  /** @param {number} to */
  async cut(to) {
    this.#data.truncate(to);
    this.#data.flush();
  }

  /** @param {string} text @param {boolean} add */
  async journal(text, add) {
    const journal = /** @type {FileSystemSyncAccessHandle} */ (this.#journal);
    if (!add) journal.truncate(0);
    journal.write(new TextEncoder().encode(text), { at: journal.getSize() });
    journal.flush();
  }

  /** Straight into WebAssembly's memory. @param {number} at @param {Uint8Array<ArrayBuffer>} into @returns {number} bytes read */
  readInto(at, into) {
    return this.#data.read(into, { at });
  }

  close() {
    this.#data.close();
    this.#journal?.close();
  }
}

/** Responses under made-up addresses: one for each piece that was written, `KEY/AT`, and one for the journal. */
class CacheShelf {
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

  async list() {
    /** @type {Map<string, {key: string, journal: string, bytes: number}>} */
    const found = new Map();
    for (const { request, key, name } of await this.#entries()) {
      const entry = found.get(key) ?? { key, journal: '', bytes: 0 };
      found.set(key, entry);
      const response = await this.#cache.match(request);
      if (!response) continue;
      if (name === 'journal') entry.journal = await response.text();
      else entry.bytes = Math.max(entry.bytes, Number(name) + Number(response.headers.get('content-length')));
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

/** Blobs, which lie in the browser and not in the WebAssembly heap. Gone with the page. */
class MemoryShelf {
  async list() {
    return [];
  }

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
