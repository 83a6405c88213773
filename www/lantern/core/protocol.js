// @ts-check
// Everything the page and the engine's Worker say to each other, in one place.
//
// A request carries an `id`; the Worker answers it with any number of `progress`, `known`, `prompt` and `token` messages and then
// exactly one `done` or `error`. `fatal` stands alone: the Worker is of no use any more, and the page makes a new one.

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

/** What a session is for. @typedef {'chat' | 'autoencode'} Demo */

/** A model's file by address (`own`: one the page's author gave, and may be of the page's own server), one of the catalogue
 * (`base`: the folder of the page's own models; `ahead`: its address, where it may be asked for before the engine's program is
 * here), or one the visitor picked: the Worker reads it in slices, nothing is sent anywhere.
 * @typedef {{url: string, own?: boolean} | {model: string, base: string, ahead?: string} | {file: File}} ModelSource */

/** A kernel that failed its self-test on this driver at this tier, and runs at a plainer one.
 * @typedef {{kernel: string, tier: string, reason: string}} StepDown */

/** `notice` says why this is not the device that was hoped for.
 * @typedef {{device: 'cpu' | 'gpu', tier: string, adapter: string, notice: Failure | null, stepDowns: StepDown[]}} DeviceInfo */

/** What kind of model it is, as soon as anything says so. `chat`: it is known how a conversation is written down for it; any
 * model continues a text. `instructions`: what a conversation begins with reaches it; some templates leave that out.
 * @typedef {{chat: boolean, instructions: boolean}} Known */

/** `parameters` counts weights. `notices`: what the visitor should know of how its file was read.
 * @typedef {Known & {name: string, weights: string, parameters: number, bytes: number, context: number, notices: Failure[]}} ModelInfo */

/** An autoencoder, or the half of one. `bytes`: of its files. `downscale`: pixels a side for one latent.
 * @typedef {{family: 'taesd' | 'autoencoder_kl', encoder: boolean, decoder: boolean, bytes: number, downscale: number}} AutoencoderInfo */

/** `model`: of the demo the session is for. `kept`: what the visitor should know of how its file is kept.
 * @typedef {{session: number, device: DeviceInfo, model: ModelInfo | AutoencoderInfo, kept: Failure | null}} Opened */

/** A model that can be had, or that is here, of however many files. `id`: in the catalogue. `demo`: whose it is, and `converses`
 * whether it answers, where the catalogue says. `key`: of its files in storage. `bytes`: of its files, 0 where nobody said; `exact` or
 * rounded. `site`: it lies on the page's own site, and no other host is asked for it. `needs`: bytes of this device's memory, 0
 * where unknown. `stored`: bytes of it that are here, `whole` or a part. `verdict`: whether this device can run it, `reason` why not.
 * @typedef {object} ListedModel
 * @property {string | null} id
 * @property {Demo | null} demo
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

/** @typedef {{role: 'system' | 'user' | 'assistant', content: string}} Turn */

/** Either everything the text holds so far plus what the visitor added, or a conversation for the file's chat template.
 * The Worker answers with `prompt`: all the ids it starts from, and how many of the `first` are never forgotten. Sending those
 * again, with the tokens drawn since and an empty text, takes an answer up where it was lost.
 * @typedef {{ids: number[], text: string, first?: number} | {turns: Turn[]}} Prompt */

/** `firstStep`: how many tokens of this answer were drawn before, so that a replayed answer goes on with the same draw.
 * @typedef {object} GenerateRequest
 * @property {number} session
 * @property {Prompt} prompt
 * @property {number} maxTokens
 * @property {number} temperature 0: always the likeliest token
 * @property {number} [topK] the likeliest tokens that stay; 0, as without it: all
 * @property {number} [topP] the share of probability that those which stay hold; 1, as without it: all
 * @property {number} [minP] how likely a token must be to stay, relative to the likeliest; 0, as without it: all stay
 * @property {number} [repeatPenalty] makes tokens less likely that were just there; 1, as without it: not
 * @property {number} [repeatLastN] how many tokens that looks back; -1: all; without it 64
 * @property {string[]} [stop] texts at which the answer ends, before them
 * @property {'stop' | 'slide'} [overflow] what happens where the model's memory is full: the answer ends, as without it, or the
 *   oldest of the text is forgotten, the system prompt excepted
 * @property {number} seed
 * @property {number} firstStep */

/** @typedef {'end' | 'stop-string' | 'max-tokens' | 'context-full' | 'cancelled'} Finish */

/** @typedef {object} Generated
 * @property {number[]} tokens
 * @property {Finish} finish
 * @property {number} promptTokens
 * @property {number} dropped tokens that were forgotten
 * @property {number} prefillMs
 * @property {number} decodeMs
 * @property {number} dispatchesPerToken
 * @property {number} bytesPerToken
 * @property {number} readBytesPerToken read back from the device for a draw, in the mean */

/** `pixels`: RGBA, 8 bits, handed over.
 * @typedef {{session: number, pixels: Uint8ClampedArray, width: number, height: number}} EncodeRequest */

/** `latents`: `[height, width, channels]`. `ms`: of the run alone. `peakBytes`: the most that a picture of this size holds on
 * the device on its way there and back, weights and all.
 * @typedef {{latents: Float32Array, width: number, height: number, channels: number, ms: number, peakBytes: number}} Encoded */

/** `gains` multiply the planes, one for each. `original`: the pixels that the result is compared with, handed over.
 * @typedef {{session: number, latents: Float32Array, width: number, height: number, gains: number[],
 * picture: {width: number, height: number}, original: Uint8ClampedArray}} DecodeRequest */

/** `psnrDb`: infinite for equal pictures.
 * @typedef {{pixels: Uint8ClampedArray, width: number, height: number, ms: number, psnrDb: number}} Decoded */

/** Live bytes: `gpuBytes` in GPU buffers, `cpuBytes` in tensors of the processor's executor, `wasmBytes` the size of the
 * WebAssembly heap (which never shrinks).
 * @typedef {{gpuBytes: number, cpuBytes: number, wasmBytes: number, models: number, sessions: number}} Stats */

/** @typedef {(
 *   | {type: 'open', demo: Demo, assetBase: string, sources: ModelSource[], modelKey: string, device: DeviceChoice, tier: string}
 *   | ({type: 'generate'} & GenerateRequest)
 *   | ({type: 'encode'} & EncodeRequest)
 *   | ({type: 'decode'} & DecodeRequest)
 *   | {type: 'close', session: number}
 *   | {type: 'models', assetBase: string, device: DeviceChoice, tier: string, base: string}
 *   | {type: 'remove', assetBase: string, key: string}
 *   | {type: 'stats'}
 *   | {type: 'cancel', target: number}
 * ) & {id: number}} ToWorker */

/** A request before it has its number.
 * @template {ToWorker} [T=ToWorker] @typedef {T extends ToWorker ? Omit<T, 'id'> : never} Unsent */

/** What `done` brings, for each request.
 * @typedef {{open: Opened, generate: Generated, encode: Encoded, decode: Decoded, close: void, models: ModelList, remove: void,
 * stats: Stats, cancel: never}} Replies */

/** @typedef {(
 *   | {type: 'progress', id: number, progress: Progress}
 *   | {type: 'known', id: number, known: Known}
 *   | {type: 'prompt', id: number, ids: number[], first: number}
 *   | {type: 'token', id: number, token: number, text: string}
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
