// The compression library's benchmark as WebAssembly, in Node: the engine that Chromium has. Prints one JSON record;
// `cargo xtask bench compress` builds the module, adds what the same work takes natively, and keeps it.

import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { machine, median } from './machine.mjs';

const WARM_UPS = 3;
const LEAST_RUNS = 5;
const LEAST_MS = 1000;

// What wasm-bindgen's glue would provide to crates that are linked and not run here.
const missing = (module) => new Proxy({}, { get: (_, name) => () => { throw new Error(`${module}.${String(name)} was called`); } });
const glue = new Proxy({}, { get: (_, module) => missing(String(module)) });
const { instance } = await WebAssembly.instantiate(await readFile(process.env.LANTERN_WASM), glue);
const { memory, count, name, name_len, run } = instance.exports;
const text = (at, length) => new TextDecoder().decode(new Uint8Array(memory.buffer, at, length));

const ms = {};
for (let i = 0; i < count(); i++) {
  for (let warm = 0; warm < WARM_UPS; warm++) run(i);
  const runs = [];
  const end = performance.now() + LEAST_MS;
  while (runs.length < LEAST_RUNS || performance.now() < end) {
    const start = performance.now();
    run(i);
    runs.push(performance.now() - start);
  }
  ms[text(name(i), name_len(i))] = { wasm: median(runs), runs: runs.length };
}
const heap_bytes = memory.buffer.byteLength;
console.log(JSON.stringify({ bench: 'compress', ...machine(), node: process.version, v8: process.versions.v8, load: loadavg()[0], heap_bytes, ms }));
