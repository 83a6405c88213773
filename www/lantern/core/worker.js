// @ts-check
/// <reference lib="webworker" />
// The engine's Worker: brings the WebAssembly in, hands it requests, and sends back what it says. All decisions are in Rust
// (crates/web); what is here cannot be there: it must run before the module does, or needs the browser's streams.

import { HeadStart } from './head-start.js';
import { Library } from './library.js';
import { ENGINE_TRAP, GPU_LOST, cancelled, isFailure, toFailure } from './protocol.js';

/** @import { Failure, FromWorker, Known, Opened, Progress, ToWorker } from './protocol.js' */

/** @typedef {(progress: Progress) => void} Watcher */

/** @typedef {(known: Known) => void} Hearer */

/** One loaded model: shared by its sessions, freed with the last of them.
 * @typedef {{key: string, loading: Promise<{engine: any, model: number, info: Opened['model'], notice: Failure | null}>, users: number, stop: AbortController,
 * watching: Set<Watcher>, known: Known | null, hearing: Set<Hearer>}} Model */

/** @typedef {{engine: any, session: number, model: Model}} OpenSession */

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @type {Promise<any> | undefined} */ let code;
/** @type {Set<Watcher>} */ const watchingCode = new Set();
/** @type {Map<string, Promise<any>>} */ const engines = new Map();
/** @type {Map<string, Model>} */ const models = new Map();
/** @type {Map<number, OpenSession>} */ const sessions = new Map();
/** @type {Map<number, AbortController>} */ const running = new Map();
let nextSession = 1;

/** @param {FromWorker} message @param {Transferable[]} [transfer] */
function send(message, transfer = []) {
  scope.postMessage(message, transfer);
}

/** @param {Failure} failure */
function fatal(failure) {
  send({ type: 'fatal', failure });
}

/** @param {unknown} thrown */
function trap(thrown) {
  const cause = thrown instanceof Error ? thrown.message : String(thrown);
  fatal({ code: ENGINE_TRAP, cause: `The engine stopped: ${cause}`, remedy: 'Try again; if it stops again, copy the details and report them' });
}

// A panic in Rust traps, and leaves through whichever of the two its caller stood in.
scope.addEventListener('error', (event) => trap(event.error ?? event.message));
scope.addEventListener('unhandledrejection', (event) => trap(event.reason));

// wgpu's web backend has no name for WebGPU's `subgroups`, so it cannot ask for it: asked for here. The same hook sees the
// device, and so hears of its loss even when nothing is running on it.
if ('GPUAdapter' in scope) {
  const { requestDevice } = GPUAdapter.prototype;
  /** @this {GPUAdapter} @param {GPUDeviceDescriptor} [descriptor] */
  GPUAdapter.prototype.requestDevice = async function (descriptor = {}) {
    const features = new Set(descriptor.requiredFeatures ?? []);
    if (this.features.has('subgroups')) features.add('subgroups');
    const device = await requestDevice.call(this, { ...descriptor, requiredFeatures: [...features] });
    device.lost.then((info) => {
      if (info.reason === 'destroyed') return;
      const told = info.message ? ` (${info.message.replace(/[.\s]+$/, '')})` : '';
      fatal({ code: GPU_LOST, cause: `The graphics driver restarted${told}`, remedy: 'Try again' });
    });
    return device;
  };
}

/** The body of a response, counted while it passes.
 * @param {string} url @param {(done: number, total: number) => void} onBytes @returns {Promise<Response>} */
async function fetchCode(url, onBytes) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw { code: 'fetch.failed', cause: `The engine's program could not be fetched from ${url}`, remedy: 'Check the connection and try again' };
  }
  if (!response.ok || !response.body) {
    throw { code: 'fetch.status', cause: `The engine's program is not at ${url}: the server answered ${response.status}`, remedy: 'Check the address' };
  }
  // With a content encoding the length counts other bytes than the ones that arrive here.
  const total = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length') ?? 0);
  let done = 0;
  const counter = new TransformStream({
    transform(chunk, controller) {
      done += chunk.byteLength;
      onBytes(done, total);
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(counter), { headers: response.headers });
}

/** The engine's program, for every request that will ever come: no single one can stop it.
 * @param {string} assetBase */
async function loadCode(assetBase) {
  /** @param {number} done @param {number} total */
  const tell = (done, total) => watchingCode.forEach((watcher) => watcher({ stage: 'code', done, total }));
  const glue = new URL('lantern_web.js', assetBase).href;
  const url = new URL('lantern_web_bg.wasm', assetBase).href;
  const fetched = fetchCode(url, tell);
  fetched.catch(() => {});
  let wasm;
  try {
    wasm = await import(glue);
  } catch (thrown) {
    throw { code: 'engine.code', cause: `The engine's program is not at ${glue}`, remedy: 'Check the connection and try again' };
  }
  const response = await fetched;
  try {
    await wasm.default({ module_or_path: response });
  } catch (thrown) {
    throw {
      code: 'engine.compile',
      cause: `This browser refused the engine's program: ${toFailure(thrown).cause}`,
      remedy: "Update the browser. A site that sets a Content-Security-Policy needs script-src 'wasm-unsafe-eval'",
    };
  }
  return wasm;
}

/** Runs `work` with a Rust stop flag that follows the signal.
 * @template T @param {any} wasm @param {AbortSignal} signal @param {(stop: any) => Promise<T>} work @returns {Promise<T>} */
async function stoppable(wasm, signal, work) {
  const stop = new wasm.StopFlag();
  const raise = () => stop.raise();
  signal.addEventListener('abort', raise, { once: true });
  if (signal.aborted) raise();
  try {
    return await work(stop);
  } finally {
    signal.removeEventListener('abort', raise);
    stop.free();
  }
}

/** The executor for a device and a tier, made once.
 * @param {string} assetBase @param {string} device @param {string} tier */
function engineFor(assetBase, device, tier) {
  const key = `${device}/${tier}`;
  const known = engines.get(key);
  if (known) return known;
  code ??= loadCode(assetBase);
  const made = code.then((wasm) => wasm.Engine.create(device, tier));
  engines.set(key, made);
  // A failed attempt is not kept: the next request tries again.
  code.catch(() => (code = undefined));
  made.catch(() => engines.delete(key));
  return made;
}

/** The device first, since it decides what is worth fetching; a file that runs everywhere need not wait for it.
 * @param {ToWorker & {type: 'open'}} request @param {string} key @returns {Model} */
function startLoad(request, key) {
  const stop = new AbortController();
  /** @type {Set<Watcher>} */
  const watching = new Set();
  /** @type {Set<Hearer>} */
  const hearing = new Set();
  /** @param {Progress} progress */
  const tell = (progress) => watching.forEach((watcher) => watcher(progress));
  /** @param {Known} known */
  const hear = (known) => {
    model.known = known;
    hearing.forEach((hearer) => hearer(known));
  };
  const [{ ahead = '' }] = /** @type {{ahead?: string}[]} */ (request.sources);
  const headStart = ahead && !code ? new HeadStart(ahead, stop.signal) : null;
  const loading = engineFor(request.assetBase, request.device, request.tier).then(async (engine) => ({
    engine,
    .../** @type {{model: number, info: Opened['model'], notice: Failure | null}} */ (
      await stoppable(await code, stop.signal, (flag) => engine.load_model(request.demo, request.sources, new Library(stop.signal, headStart), flag, tell, hear))
    ),
  }));
  loading.then(() => headStart?.drop(), () => headStart?.drop());
  /** @type {Model} */
  const model = { key, loading, users: 0, stop, watching, known: null, hearing };
  return model;
}

/** @param {ToWorker & {type: 'open'}} request @param {AbortSignal} signal */
async function open(request, signal) {
  /** @param {Progress} progress */
  const progress = (progress) => send({ type: 'progress', id: request.id, progress });
  /** @type {Hearer} */
  const hearer = (known) => send({ type: 'known', id: request.id, known });
  const key = `${request.demo}/${request.device}/${request.tier}/${request.modelKey}`;
  const model = models.get(key) ?? startLoad(request, key);
  models.set(key, model);
  model.users += 1;
  model.watching.add(progress);
  model.hearing.add(hearer);
  if (model.known) hearer(model.known);
  watchingCode.add(progress);
  try {
    const { engine, model: handle, info, notice } = await unlessAborted(model.loading, signal);
    const inner = await stoppable(await code, signal, (flag) => engine.open_session(handle, flag, progress));
    const session = nextSession++;
    sessions.set(session, { engine, session: inner, model });
    return { session, device: engine.info(), model: info, kept: notice };
  } catch (thrown) {
    await leave(model);
    throw thrown;
  } finally {
    model.watching.delete(progress);
    model.hearing.delete(hearer);
    watchingCode.delete(progress);
  }
}

/** One user of a model less; the last one frees it, or stops its load.
 * @param {Model} model */
async function leave(model) {
  if (--model.users > 0) return;
  models.delete(model.key);
  model.stop.abort();
  await model.loading.then(({ engine, model: handle }) => engine.close_model(handle)).catch(() => {});
}

/** @template T @param {Promise<T>} promise @param {AbortSignal} signal @returns {Promise<T>} */
function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(cancelled());
    signal.addEventListener('abort', () => reject(cancelled()), { once: true });
    promise.then(resolve, reject);
  });
}

/** @param {number} session @returns {OpenSession} */
function sessionOf(session) {
  const found = sessions.get(session);
  if (!found) throw { code: 'session.closed', cause: `Session ${session} is closed`, remedy: 'Open a new one' };
  return found;
}

/** @param {ToWorker & {type: 'generate'}} request @param {AbortSignal} signal */
async function generate(request, signal) {
  const { engine, session } = sessionOf(request.session);
  const { id } = request;
  return stoppable(await code, signal, (flag) =>
    engine.generate(
      session,
      request,
      flag,
      (/** @type {Uint32Array} */ ids, /** @type {number} */ first) => send({ type: 'prompt', id, ids: [...ids], first }),
      (/** @type {number} */ token, /** @type {string} */ text) => send({ type: 'token', id, token, text }),
    ),
  );
}

/** A picture into its latents, or latents back into a picture.
 * @param {ToWorker & {type: 'encode' | 'decode'}} request @param {AbortSignal} signal */
async function picture(request, signal) {
  const { engine, session } = sessionOf(request.session);
  /** @param {Progress} progress */
  const progress = (progress) => send({ type: 'progress', id: request.id, progress });
  return stoppable(await code, signal, (flag) =>
    request.type === 'encode' ? engine.encode(session, request, flag, progress) : engine.decode(session, request, flag, progress),
  );
}

/** @param {number} session */
async function close(session) {
  const { engine, session: inner, model } = sessionOf(session);
  sessions.delete(session);
  engine.close_session(inner);
  await leave(model);
}

async function stats() {
  const made = (await Promise.allSettled(engines.values())).flatMap((r) => (r.status === 'fulfilled' ? [r.value] : []));
  let gpuBytes = 0;
  let cpuBytes = 0;
  for (const engine of made) {
    if (engine.info().device === 'gpu') gpuBytes += engine.memory_bytes();
    else cpuBytes += engine.memory_bytes();
  }
  const wasmBytes = code ? (await code.then((wasm) => wasm.heap_bytes(), () => 0)) : 0;
  return { gpuBytes, cpuBytes, wasmBytes, models: models.size, sessions: sessions.size };
}

/** What can be had and what is here. @param {ToWorker & {type: 'models'}} request @param {AbortSignal} signal */
async function list(request, signal) {
  const engine = await unlessAborted(engineFor(request.assetBase, request.device, request.tier), signal);
  return engine.list_models(new Library(signal), request.base);
}

/** @param {ToWorker & {type: 'remove'}} request @param {AbortSignal} signal */
async function remove(request, signal) {
  return (await (code ??= loadCode(request.assetBase))).remove_model(new Library(signal), request.key);
}

/** @param {ToWorker} request */
async function answer(request) {
  const { id } = request;
  const stop = new AbortController();
  running.set(id, stop);
  try {
    /** @type {any} */
    let value;
    if (request.type === 'open') value = await open(request, stop.signal);
    else if (request.type === 'generate') value = await generate(request, stop.signal);
    else if (request.type === 'encode' || request.type === 'decode') value = await picture(request, stop.signal);
    else if (request.type === 'close') value = await close(request.session);
    else if (request.type === 'models') value = await list(request, stop.signal);
    else if (request.type === 'remove') value = await remove(request, stop.signal);
    else if (request.type === 'stats') value = await stats();
    // Pixels and latents are fresh arrays of their own: they move over without a copy.
    send({ type: 'done', id, value }, [value?.pixels?.buffer, value?.latents?.buffer].filter((buffer) => buffer instanceof ArrayBuffer));
  } catch (thrown) {
    // What is not one of ours came out of WebAssembly as a trap.
    if (thrown instanceof WebAssembly.RuntimeError) trap(thrown);
    else send({ type: 'error', id, failure: isFailure(thrown) ? thrown : toFailure(thrown) });
  } finally {
    running.delete(id);
  }
}

scope.addEventListener('message', (event) => {
  const request = /** @type {ToWorker} */ (event.data);
  if (request.type === 'cancel') running.get(request.target)?.abort();
  else void answer(request);
});
