// Our convolutions and onnxruntime-web's on equal stacks, in one page, in turns. Prints one JSON record;
// `cargo xtask bench conv` makes the files, serves them, completes the record and keeps it.

import { loadavg } from 'node:os';
import { hostPage, launch, visit } from './harness.mjs';
import { measuredOn, median } from './machine.mjs';

const WARM_UPS = 2;
const RUNS = 5;

const NOTES = {
  time: 'milliseconds from giving the picture to having the result in JavaScript, upload and read-back included, for every engine; the median of the runs, which took turns',
  counts: 'of one run, seen by wrapping WebGPU: the same way for every engine. bound_bytes: bytes of all buffer ranges bound at each dispatch, an upper bound of what a dispatch moves once; onnxruntime binds whole pooled buffers. Not counted: what processors move, and what shaders read more than once',
  fma_gflop_per_s: 'multiplications and additions in registers, measured on the adapter in turn with the engines, the median: what of_fma is a share of',
  difference: "largest difference to onnxruntime wasm's result, over its largest value",
  onnxruntime: 'wasm: its plain build, one thread, as on a page that is not cross-origin isolated; webgpu: its default build, asyncify',
};

/** Runs in the page. Wraps the calls that move work or bytes to a GPU; `counts` starts anew with each `reset()`. */
function install() {
  const counts = {};
  const reset = () => Object.assign(counts, { dispatches: 0, indirect: 0, submits: 0, bound_bytes: 0, written_bytes: 0, copied_bytes: 0, mapped_bytes: 0, buffers: 0 });
  reset();
  const groups = new WeakMap();
  const bound = new WeakMap();
  const wrap = (type, method, before) => {
    const original = type.prototype[method];
    type.prototype[method] = function (...given) {
      const made = original.apply(this, given);
      before(this, given, made);
      return made;
    };
  };
  const size = (resource) => {
    if (resource instanceof GPUBuffer) return resource.size;
    if (resource?.buffer) return resource.size ?? resource.buffer.size - (resource.offset ?? 0);
    return 0;
  };
  wrap(GPUDevice, 'createBuffer', () => counts.buffers++);
  wrap(GPUDevice, 'createBindGroup', (_, [{ entries }], group) => groups.set(group, [...entries].reduce((sum, entry) => sum + size(entry.resource), 0)));
  wrap(GPUComputePassEncoder, 'setBindGroup', (pass, [index, group]) => {
    if (!bound.has(pass)) bound.set(pass, []);
    bound.get(pass)[index] = groups.get(group) ?? 0;
  });
  const dispatched = (pass) => {
    counts.dispatches++;
    for (const bytes of bound.get(pass) ?? []) counts.bound_bytes += bytes ?? 0;
  };
  wrap(GPUComputePassEncoder, 'dispatchWorkgroups', dispatched);
  wrap(GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', (pass) => (dispatched(pass), counts.indirect++));
  wrap(GPUQueue, 'submit', () => counts.submits++);
  wrap(GPUQueue, 'writeBuffer', (_, [, , data, offset = 0, length]) => {
    const each = data.BYTES_PER_ELEMENT ?? 1;
    counts.written_bytes += length === undefined ? data.byteLength - offset * each : length * each;
  });
  wrap(GPUCommandEncoder, 'copyBufferToBuffer', (_, given) => {
    const [from, second] = given;
    counts.copied_bytes += (typeof second === 'number' ? given[4] : given[2]) ?? from.size;
  });
  wrap(GPUBuffer, 'mapAsync', (buffer, [, offset = 0, length]) => (counts.mapped_bytes += length ?? buffer.size - offset));
  globalThis.gpuCounts = { counts, reset };
}

/** Runs in the page: brings the engines in. An opened stack is `{run() -> result, sameLayout(result) -> [h, w, c], close()}`. */
async function bring() {
  const lantern = await import('/bench/engine/lantern_web.js');
  await lantern.default({ module_or_path: '/bench/engine/lantern_web_bg.wasm' });
  const load = async (file) => {
    const ort = await import(`/bench/onnxruntime/${file}`);
    ort.env.wasm.wasmPaths = '/bench/onnxruntime/';
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = 'error';
    return ort;
  };
  const providers = { webgpu: await load('ort.webgpu.bundle.min.mjs'), wasm: await load('ort.wasm.bundle.min.mjs') };
  const told = (failure) => {
    throw failure?.code ? new Error(`${failure.code}: ${failure.cause}. ${failure.remedy}.`) : failure;
  };

  /** One thread, as onnxruntime has: no helper is started. */
  const alone = () => Promise.reject(new Error('one thread'));
  const auto = await lantern.Engine.create({ device: 'auto', threads: '1' }, alone).catch(told);
  const name = ({ device, tier }) => `lantern ${device} ${tier}`;
  const engines = new Map([[name(auto.info()), auto]]);
  for (const [device, tier] of [['gpu', 'software'], ['gpu', 'core'], ['cpu', 'fast']]) {
    if (!engines.has(name({ device, tier }))) engines.set(name({ device, tier }), await lantern.Engine.create({ device, tier, threads: '1' }, alone).catch(told));
  }

  /** NHWC to NCHW. */
  const channelsFirst = (values, [h, w, c]) => {
    const moved = new Float32Array(values.length);
    for (let at = 0; at < h * w; at++) for (let k = 0; k < c; k++) moved[k * h * w + at] = values[at * c + k];
    return moved;
  };
  const channelsLast = (values, [c, h, w]) => {
    const moved = new Float32Array(values.length);
    for (let at = 0; at < h * w; at++) for (let k = 0; k < c; k++) moved[at * c + k] = values[k * h * w + at];
    return moved;
  };

  const open = {};
  for (const [name, engine] of engines) {
    open[name] = async (stack, picture) => {
      const opened = await lantern.StackBench.open(engine, JSON.stringify(stack)).catch(told);
      return {
        run: () => opened.run(picture).catch(told),
        sameLayout: (result) => result,
        close: () => opened.free(),
      };
    };
  }
  for (const [provider, ort] of Object.entries(providers)) {
    open[`onnxruntime ${provider}`] = async (stack, picture) => {
      const session = await ort.InferenceSession.create(`/bench/stacks/${stack.name}.onnx`, { executionProviders: [provider] });
      const [h, w, c] = stack.input;
      const x = new ort.Tensor('float32', channelsFirst(picture, stack.input), [1, c, h, w]);
      let dims;
      return {
        // The picture is in its layout already: turning it is not measured on either side.
        run: async () => {
          const { y } = await session.run({ x });
          dims = y.dims.slice(1);
          return y.data;
        },
        sameLayout: (result) => channelsLast(result, dims),
        close: () => session.release(),
      };
    };
  }
  globalThis.bench = {
    auto: name(auto.info()),
    adapter: engines.get('lantern gpu software').info().adapter,
    open,
    limit: () => engines.get('lantern gpu software').fma_gflop_per_s().catch(told),
  };
}

/** Runs in the page: one stack on every engine, each run once before any runs again; and in turn with them the adapter's
 * limit, since what a shared machine can do changes from minute to minute. */
async function measure({ stack, warmUps, runs }) {
  const { open, limit } = globalThis.bench;
  const limits = [];
  const { counts, reset } = globalThis.gpuCounts;
  const picture = new Float32Array(await (await fetch(`/bench/stacks/${stack.name}.f32`)).arrayBuffer());
  const peers = {};
  for (const [name, opening] of Object.entries(open)) {
    const start = performance.now();
    const opened = await opening(stack, picture);
    peers[name] = { opened, open_ms: performance.now() - start, runs_ms: [] };
  }
  for (let run = -warmUps; run < runs; run++) {
    if (run >= 0) limits.push(await limit());
    for (const peer of Object.values(peers)) {
      reset();
      const start = performance.now();
      const result = await peer.opened.run();
      const ms = performance.now() - start;
      if (run < 0) continue;
      peer.runs_ms.push(ms);
      peer.result = result;
      peer.counts = { ...counts };
    }
  }
  const laidOut = (peer) => peer.opened.sameLayout(peer.result);
  const reference = laidOut(peers['onnxruntime wasm']);
  const largest = reference.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const measured = {};
  for (const [name, peer] of Object.entries(peers)) {
    const result = laidOut(peer);
    const apart = result.reduce((max, value, at) => (Math.abs(value - reference[at]) > max || Number.isNaN(value) ? Math.abs(value - reference[at]) : max), 0);
    measured[name] = {
      runs_ms: peer.runs_ms,
      open_ms: peer.open_ms,
      difference: result.length === reference.length ? apart / largest : null,
      ...(peer.counts.dispatches && { counts: peer.counts }),
    };
    peer.opened.close();
  }
  return { limits, peers: measured };
}

const chromium = await launch();
const { page, close } = await visit(chromium, '/host-page', { prepare: hostPage('') });
await page.evaluate(install);
await page.evaluate(bring);
const stacks = [];
for (const stack of await page.evaluate(async () => (await fetch('/bench/stacks/stacks.json')).json())) {
  process.stderr.write(`${stack.name}\n`);
  const { limits, peers } = await page.evaluate(measure, { stack, warmUps: WARM_UPS, runs: RUNS });
  for (const peer of Object.values(peers)) peer.median_ms = median(peer.runs_ms);
  stacks.push({ name: stack.name, fma_gflop_per_s: median(limits), load_average: loadavg()[0], peers });
}
const told = await page.evaluate(() => ({ adapter: globalThis.bench.adapter, auto: globalThis.bench.auto }));
const here = measuredOn(chromium.browser);
await close();
await chromium.close();
console.log(JSON.stringify({ bench: 'conv', ...here, ...told, warm_ups: WARM_UPS, notes: NOTES, stacks }));
