// @ts-check
// What <lantern-invert> and its part of the engine (crates/web/src/demos/invert.rs) say to each other.

/** RGBA, 8 bits, rows from the top. @typedef {{pixels: Uint8ClampedArray<ArrayBuffer>, width: number, height: number}} Pixels
 * @typedef {{info: null, requests: {invert: {asked: Pixels, reply: Pixels}}, messages: {}}} Invert */
export {};
