// @ts-check
// What Four planes' element and its part of the engine (crates/web/src/demos/autoencode.rs) say to each other.

/** `peak`: the most that a picture of this size holds on the device on its way there and back, weights and all, in bytes.
 * @typedef {{
 *   info: AutoencoderInfo,
 *   requests: {
 *     encode: {asked: EncodeRequest, reply: Encoded},
 *     decode: {asked: DecodeRequest, reply: Decoded},
 *     peak: {asked: {width: number, height: number}, reply: number},
 *   },
 *   messages: {},
 * }} Autoencode */

/** An autoencoder, or the half of one. `bytes`: of its files. `downscale`: pixels a side for one latent.
 * @typedef {{family: 'taesd' | 'autoencoder_kl', encoder: boolean, decoder: boolean, bytes: number, downscale: number}} AutoencoderInfo */

/** `picture`: opaque, handed over. The session remembers it, on its device.
 * @typedef {{picture: ImageBitmap}} EncodeRequest */

/** `latents`: `[height, width, channels]`; the session remembers them. `ms`: of the run alone.
 * @typedef {{latents: Float32Array, width: number, height: number, channels: number, ms: number}} Encoded */

/** `gains` multiply the planes, one for each. `journal`: what was encoded, handed over, and its latents, for a session that does not
 * remember them. `canvas`: handed over to a session that has none; what comes back is painted on it, then and from then on.
 * @typedef {{gains: number[], journal?: {original: ImageBitmap, latents: Float32Array, width: number, height: number},
 * canvas?: OffscreenCanvas}} DecodeRequest */

/** What is on the canvas. `psnrDb`: against the picture that was encoded; infinite for equal pictures.
 * @typedef {{width: number, height: number, ms: number, psnrDb: number}} Decoded */

export {};
