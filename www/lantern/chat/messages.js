// @ts-check
// What the chat's element and its part of the engine (crates/web/src/demos/chat.rs) say to each other.

/** @import { Failure } from '../core/protocol.js' */

/** @typedef {{
 *   info: ModelInfo,
 *   requests: {generate: {asked: GenerateRequest, reply: Generated}},
 *   messages: {known: Known, prompt: Prompted, notice: Failure, token: Token},
 * }} Chat */

/** What kind of model it is, as soon as anything says so. `chat`: it is known how a conversation is written down for it; any
 * model continues a text. `instructions`: what a conversation begins with reaches it; some templates leave that out.
 * @typedef {{chat: boolean, instructions: boolean}} Known */

/** `parameters` counts weights. `notices`: what the visitor should know of how its file was read.
 * @typedef {Known & {name: string, weights: string, parameters: number, bytes: number, context: number, notices: Failure[]}} ModelInfo */

/** @typedef {{role: 'system' | 'user' | 'assistant', content: string}} Turn */

/** Either the text so far and what the visitor added to it, or a conversation for the file's chat template. `held`: how many of
 * the text's first ids the session is sure to have as the page does: none of a text that it did not see, or saw differently. `ids`:
 * those after them. All ids with an empty text take an answer up where it was lost. `first`: of `prompt`, where there was one.
 * @typedef {{held: number, ids: number[], text: string, first?: number} | {held: number, turns: Turn[]}} Prompt */

/** What an answer begins from: the first `kept` ids that the page holds, and `ids` after them; the `first` of all are never
 * forgotten.
 * @typedef {{kept: number, ids: Uint32Array, first: number}} Prompted */

/** `text`: what it completes. @typedef {{id: number, text: string}} Token */

/** `firstStep`: how many tokens of this answer were drawn before, so that a replayed answer goes on with the same draw.
 * @typedef {object} GenerateRequest
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
 * @property {Finish} finish
 * @property {number} promptTokens
 * @property {number} dropped tokens that were forgotten
 * @property {number} prefillMs
 * @property {number} decodeMs
 * @property {number} dispatchesPerToken
 * @property {number} bytesPerToken
 * @property {number} readBytesPerToken read back from the device for a draw, in the mean */

export {};
