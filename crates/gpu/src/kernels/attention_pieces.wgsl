// One query's keys in pieces, each a workgroup's, and what they leave for `attention_join.wgsl`. The host counts likewise:
// `step::Pieces`.

// Keys a workgroup takes at once, and how many it takes alone: they are done before another dispatch could begin.
const BLOCK: u32 = ${BLOCK}u;
const ALONE: u32 = ${ALONE}u;

fn count_pieces(keys: u32, most: u32) -> u32 {
    return select(clamp((keys + BLOCK - 1u) / BLOCK, 1u, most), 1u, keys <= ALONE);
}
