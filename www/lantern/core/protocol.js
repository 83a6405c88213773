// @ts-check
// Everything that the page and the engine's Worker say to each other, whichever demo it is for. What a demo says of its own (the
// payloads below) is in its folder's `messages.js`.
//
// Every message to the Worker carries an `id`; it is answered with any number of `progress` and `message`, and then exactly one
// `done` or `error`. `fatal` stands alone: the Worker is of no use any more, and the page makes a new one.

/** What happened, why, and what to do now: the same three in Rust, on the command line and here.
 * @typedef {{code: string, cause: string, remedy: string}} Failure */

/** @typedef {'code' | 'weights' | 'upload' | 'compile' | 'run'} Stage */

/** Of weights: where they come from, and what came between. `stored`: from this device. `resumed`: after what was here.
 * `changed`, `no-range`: from the first byte again, since the file is another one by now, or the server gives no parts.
 * `broken`: a pause before the next attempt. `checking`: what was here is read for its hash. `other-tab`: another tab of this site
 * fetches it. `spilled`: into memory, since the device has no room.
 * @typedef {'begun' | 'resumed' | 'changed' | 'no-range' | 'broken' | 'checking' | 'other-tab' | 'spilled' | 'stored'} How */

/** Bytes for code, weights and upload; pipelines for compile; tokens or FLOPs for run. `total` 0: not known.
 * @typedef {{stage: Stage, done: number, total: number, how?: How}} Progress */

/** @typedef {'auto' | 'cpu' | 'gpu'} DeviceChoice */

/** What computes: the device, and for tests and measurements its tier, kernels' variants (`gemv=core`, with commas between), and on
 * the processor the number of threads; empty for the engine's own choice.
 * @typedef {{device: DeviceChoice, tier: string, variant: string, threads: string}} ExecutorChoice */

/** A model's file by address (`own`: one the page's author gave, and may be of the page's own server), one of the catalogue
 * (`base`: the folder of the page's own models; `ahead`: its address, where it may be asked for before the engine's program is
 * here), or one the visitor picked: the Worker reads it in slices, nothing is sent anywhere.
 * @typedef {{url: string, own?: boolean} | {model: string, base: string, ahead?: string} | {file: File}} ModelSource */

/** A kernel that failed its self-test on this driver at this tier, and runs at a plainer one.
 * @typedef {{kernel: string, tier: string, reason: string}} StepDown */

/** The variant of a kernel that was the fastest on this graphics card.
 * @typedef {{kernel: string, variant: string}} Raced */

/** `notice` says why this is not the device that was hoped for.
 * @typedef {{device: 'cpu' | 'gpu', tier: string, adapter: string, notice: Failure | null, stepDowns: StepDown[], raced: Raced[]}} DeviceInfo */

/** A session. `info`: what the demo says of its model. `kept`: what the visitor should know of how the model's files are kept.
 * @template [I=any] @typedef {{session: number, device: DeviceInfo, info: I, kept: Failure | null}} Opened */

/** A model that can be had, or that is here, of however many files. `id`: in the catalogue. `demo`: whose it is, and `converses`
 * whether it answers, where the catalogue says. `key`: of its files in storage. `bytes`: of its files, 0 where nobody said; `exact` or
 * rounded. `site`: it lies on the page's own site, and no other host is asked for it. `needs`: bytes of this device's memory, 0
 * where unknown. `stored`: bytes of it that are here, `whole` or a part. `verdict`: whether this device can run it, `reason` why not.
 * @typedef {object} ListedModel
 * @property {string | null} id
 * @property {string | null} demo
 * @property {boolean | null} converses
 * @property {string} key
 * @property {string | null} url
 * @property {string} name
 * @property {string} about
 * @property {{name: string, url: string} | null} licence
 * @property {string} type
 * @property {number} bytes
 * @property {boolean} exact
 * @property {boolean} site
 * @property {number} needs
 * @property {number} stored
 * @property {boolean} whole
 * @property {'fits' | 'doubtful' | 'no'} verdict
 * @property {Failure | null} reason */

/** `kind`: where models are kept. `used`: bytes of them. `free`: bytes that may still be stored, where the browser says.
 * @typedef {{models: ListedModel[], kind: 'opfs' | 'cache' | 'memory', used: number, free: number | null, notice: Failure | null}} ModelList */

/** Live bytes: `gpuBytes` in GPU buffers, `cpuBytes` in tensors of the processor's executor, `wasmBytes` the size of the
 * WebAssembly heap (which never shrinks). `bySession`: what each session holds of them.
 * @typedef {{gpuBytes: number, cpuBytes: number, wasmBytes: number, models: number, sessions: number, bySession: SessionMemory[]}} Stats */

/** Of one session, by its number: `weights` of its model, which other sessions may share, and `work`, what it computes and remembers
 * in, pictures apart.
 * @typedef {{session: number, weights: number, work: number}} SessionMemory */

/** `open` loads a demo's model where nobody has it open, and opens a session on it: `modelKey` says which ask for the same. A
 * `request` is for the session's demo; one session does one at a time. `cancel` ends what an earlier message (`target`) began.
 * @typedef {(
 *   | {type: 'open', demo: string, assetBase: string, sources: ModelSource[], modelKey: string, executor: ExecutorChoice}
 *   | {type: 'request', session: number, kind: string, payload: unknown}
 *   | {type: 'close', session: number}
 *   | {type: 'models', assetBase: string, executor: ExecutorChoice, base: string}
 *   | {type: 'remove', assetBase: string, key: string}
 *   | {type: 'stats'}
 *   | {type: 'cancel', target: number}
 * ) & {id: number}} ToWorker */

/** A message before it has its number.
 * @template {ToWorker} [T=ToWorker] @typedef {T extends ToWorker ? Omit<T, 'id'> : never} Unsent */

/** What `done` brings, for each.
 * @typedef {{open: Opened, request: unknown, close: void, models: ModelList, remove: void, stats: Stats, cancel: never}} Replies */

/** `message`: of the demo's own. Those of a load are told again to who joins it later: the latest of each kind.
 * @typedef {(
 *   | {type: 'progress', id: number, progress: Progress}
 *   | {type: 'message', id: number, kind: string, payload: unknown}
 *   | {type: 'done', id: number, value: unknown}
 *   | {type: 'error', id: number, failure: Failure}
 *   | {type: 'fatal', failure: Failure}
 * )} FromWorker */

/** The stages of a start, in order.
 * @type {readonly Stage[]} */
export const STAGES = ['code', 'weights', 'upload', 'compile', 'run'];

/** Codes that end a Worker: after them only a new one helps. */
export const GPU_LOST = 'gpu.lost';
export const ENGINE_TRAP = 'engine.trap';
export const CANCELLED = 'run.cancelled';

/** @param {unknown} value @returns {value is Failure} */
export function isFailure(value) {
  return typeof value === 'object' && value !== null && 'code' in value && 'cause' in value && 'remedy' in value;
}

/** Whatever was thrown, as a failure one can read.
 * @param {unknown} thrown @returns {Failure} */
export function toFailure(thrown) {
  if (isFailure(thrown)) return { code: thrown.code, cause: thrown.cause, remedy: thrown.remedy };
  const cause = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return { code: 'page.unexpected', cause, remedy: 'Reload the page. If it happens again, copy the details and report them.' };
}

/** @returns {Failure} */
export function cancelled() {
  return { code: CANCELLED, cause: 'Stopped on request', remedy: 'Start again when you like' };
}
