// @ts-check
/// <reference lib="webworker" />
// A shelf of files in the origin's private file system (OPFS).

/** @import { Stored } from './shelf.js' */

const FOLDER = 'lantern-models';
const DATA = '.part';
const JOURNAL = '.journal';

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

/** @param {Stored} stored @param {string} name @param {FileSystemFileHandle} handle */
async function look(stored, name, handle) {
  const file = await handle.getFile();
  // Another tab may be writing just now: then what it was a moment ago cannot be read any more.
  if (name.endsWith(JOURNAL)) stored.journal = await file.text().catch(() => '');
  else stored.bytes = file.size;
}

/** Files, through handles that read and write at once and flush. */
export class FileShelf {
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

  /** Files without a journal have `journal: ''`. @returns {Promise<Stored[]>} */
  async list() {
    /** @type {Map<string, Stored>} */
    const found = new Map();
    for await (const [name, handle] of this.#folder.entries()) {
      if (handle.kind !== 'file' || !(name.endsWith(JOURNAL) || name.endsWith(DATA))) continue;
      const key = name.slice(0, name.lastIndexOf('.'));
      const stored = found.get(key) ?? { key, journal: '', bytes: 0 };
      found.set(key, stored);
      await look(stored, name, handle);
    }
    return [...found.values()];
  }

  /** One of these. @param {string} key @returns {Promise<Stored | undefined>} */
  async find(key) {
    /** @type {Stored} */
    const stored = { key, journal: '', bytes: 0 };
    let there = false;
    for (const name of [key + DATA, key + JOURNAL]) {
      const handle = await this.#folder.getFileHandle(name).catch((thrown) => {
        if (thrown?.name !== 'NotFoundError') throw thrown;
      });
      if (!handle) continue;
      there = true;
      await look(stored, name, handle);
    }
    return there ? stored : undefined;
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
