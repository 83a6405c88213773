// GGUF files made from nothing and written piece by piece: of true shapes and random weights, or with holes of gigabytes.

import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TYPES = { u32: 4, i32: 5, f32: 6, string: 8, array: 9 };
export const F32 = { code: 0, values: 1, bytes: 4 };
export const F16 = { code: 1, values: 1, bytes: 2 };
export const Q4_0 = { code: 2, values: 32, bytes: 18 };
const ALIGNMENT = 32n;

const number = (bits, value) => {
  const bytes = Buffer.alloc(bits / 8);
  if (bits === 64) bytes.writeBigUInt64LE(BigInt(value));
  else bytes.writeUInt32LE(value);
  return bytes;
};

const text = (value) => {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([number(64, bytes.length), bytes]);
};

const scalar = {
  u32: (value) => number(32, value),
  i32: (value) => number(32, value >>> 0),
  f32: (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return bytes;
  },
  string: text,
};

/** @param {[string, keyof typeof scalar, any]} entry an array's type is its elements' */
function entry([key, type, value]) {
  const body = Array.isArray(value)
    ? [number(32, TYPES.array), number(32, TYPES[type]), number(64, value.length), ...value.map(scalar[type])]
    : [number(32, TYPES[type]), scalar[type](value)];
  return Buffer.concat([text(key), ...body]);
}

const align = (at) => ((at + ALIGNMENT - 1n) / ALIGNMENT) * ALIGNMENT;

/** A half's bits, for positive normal numbers. */
function half(value) {
  const exponent = Math.floor(Math.log2(value));
  return ((exponent + 15) << 10) | Math.floor((value / 2 ** exponent - 1) * 1024);
}

/** Numbers that look random and are the same at each run: xorshift (Marsaglia 2003). */
function* noise(seed) {
  for (let state = seed >>> 0 || 1; ; ) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield (state >>>= 0);
  }
}

/** A megabyte or so of random weights of such a spread that activations keep theirs; repeated as long as is needed. */
function pool(type, columns, seed) {
  const numbers = noise(seed);
  const random = () => /** @type {number} */ (numbers.next().value);
  const bytes = Buffer.alloc(type.bytes * 65_521);
  for (let at = 0; at < bytes.length; at += type.bytes) {
    // Uniform between −√3/√columns and √3/√columns.
    const most = Math.sqrt(3 / columns);
    if (type === F16) bytes.writeUInt16LE(half(Math.max(1e-4, (most * (random() >>> 8)) / 2 ** 24)) | (random() & 0x8000), at);
    else {
      bytes.writeUInt16LE(half(most / 8), at);
      for (let word = 2; word < 18; word += 4) bytes.writeUInt32LE(random(), at + word);
    }
  }
  return bytes;
}

/** A tensor: rows outermost. `values`: one number for all, or a function of the index; random weights without. `hole`: bytes
 * left unwritten before it, which take no room on the disk.
 * @typedef {{name: string, shape: number[], type: typeof F32, values?: number | ((index: number) => number), hole?: bigint}} Tensor */

/** Writes a file. @param {string} path @param {[string, any, any][]} metadata @param {Tensor[]} tensors */
function write(path, metadata, tensors) {
  let end = 0n;
  const placed = tensors.map((tensor) => {
    const values = tensor.shape.reduce((product, side) => product * side, 1);
    const bytes = BigInt((values / tensor.type.values) * tensor.type.bytes);
    const offset = align(end + (tensor.hole ?? 0n));
    end = offset + bytes;
    return { ...tensor, offset, bytes, count: values };
  });
  const table = placed.map(({ name, shape, type, offset }) =>
    Buffer.concat([text(name), number(32, shape.length), ...shape.toReversed().map((side) => number(64, side)), number(32, type.code), number(64, offset)]));
  const head = Buffer.concat([
    Buffer.from('GGUF'), number(32, 3), number(64, tensors.length), number(64, metadata.length), ...metadata.map(entry), ...table,
  ]);
  const file = openSync(path, 'w');
  try {
    writeSync(file, head, 0, head.length, 0);
    const start = align(BigInt(head.length));
    for (const [at, tensor] of placed.entries()) {
      const { type, shape, values, count } = tensor;
      let block = Buffer.alloc(0);
      if (values === undefined) block = pool(type, shape.at(-1), 1 + at);
      else {
        block = Buffer.alloc(4 * count);
        for (let i = 0; i < count; i += 1) block.writeFloatLE(typeof values === 'number' ? values : values(i), 4 * i);
      }
      for (let done = 0n; done < tensor.bytes; done += BigInt(block.length)) {
        const left = tensor.bytes - done;
        const length = left < BigInt(block.length) ? Number(left) : block.length;
        // Node takes a position past 2³¹ as a bigint or as an exact double.
        writeSync(file, block, 0, length, Number(start + tensor.offset + done));
      }
    }
  } finally {
    closeSync(file);
  }
}

/** @typedef {{vocab: number, hidden: number, feedForward: number, layers: number, heads: number, kvHeads: number, context: number}} Shape */

/** @param {Shape} shape */
function metadata({ vocab, hidden, feedForward, layers, heads, kvHeads, context }) {
  const special = ['<unk>', '<s>', '</s>', '\u2581', ...'abcdefghijklmnopqrstuvwxyz'];
  const pieces = Array.from({ length: vocab }, (_, id) => special[id] ?? `\u2581t${id}`);
  return [
    ['general.architecture', 'string', 'llama'],
    ['general.name', 'string', 'Random weights'],
    ['llama.context_length', 'u32', context],
    ['llama.embedding_length', 'u32', hidden],
    ['llama.block_count', 'u32', layers],
    ['llama.feed_forward_length', 'u32', feedForward],
    ['llama.attention.head_count', 'u32', heads],
    ['llama.attention.head_count_kv', 'u32', kvHeads],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
    ['tokenizer.ggml.model', 'string', 'llama'],
    ['tokenizer.ggml.tokens', 'string', pieces],
    ['tokenizer.ggml.scores', 'f32', pieces.map((_, id) => -id)],
    ['tokenizer.ggml.token_type', 'i32', pieces.map((_, id) => [2, 3, 3][id] ?? 1)],
  ];
}

/** A Llama's tensors; `values(name)` as in `Tensor`. @param {Shape} shape @returns {Tensor[]} */
function tensors({ vocab, hidden, feedForward, layers, heads, kvHeads }, type, tied, values = () => undefined) {
  const kv = (hidden / heads) * kvHeads;
  const matrix = (name, rows, columns) => ({ name: `${name}.weight`, shape: [rows, columns], type, values: values(name) });
  const norm = (name) => ({ name: `${name}.weight`, shape: [hidden], type: F32, values: 1 });
  const block = (i) => [
    norm(`blk.${i}.attn_norm`),
    matrix(`blk.${i}.attn_q`, hidden, hidden),
    matrix(`blk.${i}.attn_k`, kv, hidden),
    matrix(`blk.${i}.attn_v`, kv, hidden),
    matrix(`blk.${i}.attn_output`, hidden, hidden),
    norm(`blk.${i}.ffn_norm`),
    matrix(`blk.${i}.ffn_gate`, feedForward, hidden),
    matrix(`blk.${i}.ffn_up`, feedForward, hidden),
    matrix(`blk.${i}.ffn_down`, hidden, feedForward),
  ];
  return [
    matrix('token_embd', vocab, hidden),
    ...Array.from({ length: layers }, (_, i) => block(i)).flat(),
    norm('output_norm'),
    ...(tied ? [] : [matrix('output', vocab, hidden)]),
  ];
}

/** A folder of its own, gone at the end of the test. @param {Pick<import('node:test').TestContext, 'after'>} t */
function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'lantern-gguf-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A Llama of that shape with random weights, and `more` metadata. Gives the file's path.
 * @param {Pick<import('node:test').TestContext, 'after'>} t @param {Shape} shape */
export function randomLlama(t, shape, { type, tied, more = [] }) {
  const path = join(folder(t), 'random.gguf');
  write(path, [...metadata(shape), ...more], tensors(shape, type, tied));
  return path;
}

/** A Llama that says "h" to everything, whose output layer lies `hole` bytes behind the rest. Gives the file's path.
 * @param {import('node:test').TestContext} t @param {bigint} hole @param {[string, any, any][]} [more] metadata */
export function sparseLlama(t, hole, more = []) {
  const shape = { vocab: 40, hidden: 32, feedForward: 64, layers: 1, heads: 2, kvHeads: 2, context: 64 };
  // Token 11 is "h".
  const says = (index) => (Math.floor(index / shape.hidden) === 11 ? 1 : 0);
  const values = (name) => ({ token_embd: 1, output: says })[name] ?? 0;
  const all = tensors(shape, F32, false, values);
  all.at(-1).hole = hole;
  const path = join(folder(t), 'sparse.gguf');
  write(path, [...metadata(shape), ...more], all);
  return path;
}
