// Products with weights of every type as WebAssembly, in Node: the engine that Chromium has. Prints one JSON record;
// `cargo xtask bench products` builds the module, adds what the same work takes natively, and keeps it.

import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { machine } from './machine.mjs';

const WARM_UPS = 2;
const LEAST_RUNS = 7;
const LEAST_MS = 1000;

// What wasm-bindgen's glue would provide to crates that are linked and not run here.
const missing = (module) => new Proxy({}, { get: (_, name) => () => { throw new Error(`${module}.${String(name)} was called`); } });
const glue = new Proxy({}, { get: (_, module) => missing(String(module)) });
const { instance } = await WebAssembly.instantiate(await readFile(process.env.LANTERN_WASM), glue);
const { memory, begin, failure, failure_len, count, name, name_len, before, now } = instance.exports;
const text = (at, length) => new TextDecoder().decode(new Uint8Array(memory.buffer, at, length));

const timed = (run, i) => {
  const start = performance.now();
  run(i);
  return performance.now() - start;
};
begin();
try {
  count();
} catch {
  throw new Error(text(failure(), failure_len()));
}
const ms = {};
for (let i = 0; i < count(); i++) {
  for (let warm = 0; warm < WARM_UPS; warm++) [before, now].forEach((run) => run(i));
  const runs = { before: [], now: [] };
  const end = performance.now() + LEAST_MS;
  // The least of the runs: what else the machine does only adds. In turns, so that what else the machine does takes from both.
  while (runs.now.length < LEAST_RUNS || performance.now() < end) {
    runs.before.push(timed(before, i));
    runs.now.push(timed(now, i));
  }
  ms[text(name(i), name_len(i))] = { before: Math.min(...runs.before), now: Math.min(...runs.now), runs: runs.now.length };
}
console.log(JSON.stringify({ bench: 'products', ...machine(), node: process.version, v8: process.versions.v8, load: loadavg()[0], ms }));
