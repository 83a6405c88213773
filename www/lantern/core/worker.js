// @ts-check
/// <reference lib="webworker" />
// The engine's Worker: brings the WebAssembly in, hands it requests, and sends back what it says. All decisions are in Rust
// (crates/web); what is here cannot be there: it must run before the module does, or needs the browser's streams.

import { HeadStart } from './head-start.js';
import { Browser } from './browser.js';
import { ENGINE_TRAP, GPU_LOST, cancelled, toFailure } from './protocol.js';
import * as races from './races.js';

/** @import { ExecutorChoice, Failure, FromWorker, Progress, ToWorker } from './protocol.js' */

/** Who hears of a call. @typedef {{progress: (progress: Progress) => void, message: (kind: string, payload: any) => void}} Listener */

/** One loaded model: shared by its sessions, freed with the last of them. `said`: the latest message of each kind, for who comes
 * later.
 * @typedef {{key: string, loading: Promise<{engine: any, model: number, info: any, notice: Failure | null}>, users: number,
 * stop: AbortController, listeners: Set<Listener>, said: Map<string, any>}} Model */

/** `working`: ends what it does. @typedef {{engine: any, session: number, model: Model, working: Set<AbortController>}} OpenSession */

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @type {Promise<any> | undefined} */ let code;
/** @type {Set<Listener>} */ const watchingCode = new Set();
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
  const tell = (done, total) => watchingCode.forEach(({ progress }) => progress({ stage: 'code', done, total }));
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

/** Runs `work` with a port: what it tells goes to the listener, and the signal stops it.
 * @template T @param {AbortSignal} signal @param {Listener} listener @param {(port: any) => Promise<T>} work @returns {Promise<T>} */
async function withPort(signal, { progress, message }, work) {
  const wasm = await code;
  const port = new wasm.Port(progress, message);
  const stop = () => port.stop();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await work(port);
  } finally {
    signal.removeEventListener('abort', stop);
    port.free();
  }
}

/** A request's own listener. @param {number} id @returns {Listener} */
function listenerOf(id) {
  return {
    progress: (progress) => send({ type: 'progress', id, progress }),
    message: (kind, payload) => send({ type: 'message', id, kind, payload }),
  };
}

/** A Worker that computes beside this one; resolves when it listens. @param {string} assetBase
 * @returns {(memory: object, program: WebAssembly.Module) => Promise<void>} */
function helperStarter(assetBase) {
  return (memory, program) => new Promise((resolve, reject) => {
    const helper = new Worker(new URL('./crew.js', import.meta.url), { type: 'module', name: 'lantern thread' });
    helper.addEventListener('message', () => resolve(), { once: true });
    helper.addEventListener('error', (event) => {
      // Told to who waits; the page goes on without it.
      event.preventDefault();
      reject(event);
    });
    helper.postMessage({ glue: new URL('lantern_web.js', assetBase).href, program, memory });
  });
}

/** @param {ExecutorChoice} executor */
const nameOf = ({ device, tier, variant, threads }) => [device, tier, variant, threads].join('/');

/** @param {any} wasm @param {string} assetBase @param {ExecutorChoice} executor */
async function makeEngine(wasm, assetBase, executor) {
  const engine = await wasm.Engine.create(executor, helperStarter(assetBase));
  const key = engine.race_key();
  if (key) engine.remember(await races.recall(key));
  return engine;
}

/** The executor that is asked for, made once.
 * @param {string} assetBase @param {ExecutorChoice} executor */
function engineFor(assetBase, executor) {
  const key = nameOf(executor);
  const known = engines.get(key);
  if (known) return known;
  code ??= loadCode(assetBase);
  const made = code.then((wasm) => makeEngine(wasm, assetBase, executor));
  engines.set(key, made);
  // A failed attempt is not kept: the next request tries again.
  code.catch(() => (code = undefined));
  made.catch(() => engines.delete(key));
  return made;
}

/** The device first, since it decides what is worth fetching; a file that runs everywhere need not wait for it.
 * @param {ToWorker & {type: 'open'}} request @param {string} key @returns {Model} */
function startLoad({ demo, sources, assetBase, executor }, key) {
  const stop = new AbortController();
  /** @type {Set<Listener>} */
  const listeners = new Set();
  /** @type {Map<string, any>} */
  const said = new Map();
  /** @type {Listener} */
  const all = {
    progress: (progress) => listeners.forEach((listener) => listener.progress(progress)),
    message: (kind, payload) => {
      said.set(kind, payload);
      listeners.forEach((listener) => listener.message(kind, payload));
    },
  };
  const ahead = sources.map((source) => 'ahead' in source && source.ahead).find(Boolean);
  const headStart = ahead && !code ? new HeadStart(ahead, stop.signal) : null;
  const loading = engineFor(assetBase, executor).then(async (engine) => ({
    engine,
    ...(await withPort(stop.signal, all, (port) => engine.load(demo, sources, new Browser(stop.signal, headStart), port))),
  }));
  loading.then(() => headStart?.drop(), () => headStart?.drop());
  return { key, loading, users: 0, stop, listeners, said };
}

/** @param {ToWorker & {type: 'open'}} request @param {AbortSignal} signal */
async function open(request, signal) {
  const listener = listenerOf(request.id);
  const key = `${request.demo}/${nameOf(request.executor)}/${request.modelKey}`;
  const model = models.get(key) ?? startLoad(request, key);
  models.set(key, model);
  model.users += 1;
  model.listeners.add(listener);
  model.said.forEach((payload, kind) => listener.message(kind, payload));
  watchingCode.add(listener);
  try {
    const { engine, model: handle, info, notice } = await unlessAborted(model.loading, signal);
    const inner = await withPort(signal, listener, (port) => engine.open(handle, port));
    const session = nextSession++;
    sessions.set(session, { engine, session: inner, model, working: new Set() });
    const device = engine.info();
    if (device.raced.length) void races.keep(engine.race_key(), device.raced);
    return { session, device, info, kept: notice };
  } catch (thrown) {
    await leave(model);
    throw thrown;
  } finally {
    model.listeners.delete(listener);
    watchingCode.delete(listener);
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

/** What the session's demo does with it. Gives the answer, and what of it goes over without a copy.
 * @param {ToWorker & {type: 'request'}} request @param {AbortController} stop @returns {Promise<{value: any, transfer: Transferable[]}>} */
async function request({ id, session: number, kind, payload }, stop) {
  const { engine, session, working } = sessionOf(number);
  working.add(stop);
  try {
    return await withPort(stop.signal, listenerOf(id), (port) => engine.request(session, kind, payload, port));
  } finally {
    working.delete(stop);
  }
}

/** @param {number} session */
async function close(session) {
  const { engine, session: inner, model, working } = sessionOf(session);
  sessions.delete(session);
  working.forEach((stop) => stop.abort());
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
  const bySession = [...sessions].map(([session, { engine, session: inner }]) => ({ session, ...engine.session_memory(inner) }));
  return { gpuBytes, cpuBytes, wasmBytes, models: models.size, sessions: sessions.size, bySession };
}

/** What can be had and what is here. @param {ToWorker & {type: 'models'}} request @param {AbortSignal} signal */
async function list(request, signal) {
  const engine = await unlessAborted(engineFor(request.assetBase, request.executor), signal);
  return engine.list_models(new Browser(signal), request.base);
}

/** @param {ToWorker & {type: 'remove'}} request @param {AbortSignal} signal */
async function remove(request, signal) {
  return (await (code ??= loadCode(request.assetBase))).remove_model(new Browser(signal), request.key);
}

/** @param {ToWorker} message @param {AbortController} stop @returns {Promise<{value: any, transfer?: Transferable[]}>} */
async function answerTo(message, stop) {
  switch (message.type) {
    case 'open':
      return { value: await open(message, stop.signal) };
    case 'request':
      return request(message, stop);
    case 'close':
      return { value: await close(message.session) };
    case 'models':
      return { value: await list(message, stop.signal) };
    case 'remove':
      return { value: await remove(message, stop.signal) };
    case 'stats':
      return { value: await stats() };
    default:
      throw { code: 'web.request', cause: `The engine's Worker knows no ${message.type}`, remedy: 'Reload the page: its parts are of different versions' };
  }
}

/** @param {ToWorker} message */
async function answer(message) {
  const { id } = message;
  const stop = new AbortController();
  running.set(id, stop);
  try {
    const { value, transfer } = await answerTo(message, stop);
    send({ type: 'done', id, value }, transfer);
  } catch (thrown) {
    // What is not one of ours came out of WebAssembly as a trap.
    if (thrown instanceof WebAssembly.RuntimeError) trap(thrown);
    else send({ type: 'error', id, failure: toFailure(thrown) });
  } finally {
    running.delete(id);
  }
}

scope.addEventListener('message', (event) => {
  const message = /** @type {ToWorker} */ (event.data);
  if (message.type === 'cancel') running.get(message.target)?.abort();
  else void answer(message);
});
