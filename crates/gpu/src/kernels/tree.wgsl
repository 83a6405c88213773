// Values of neighbouring invocations together, in halvings: LANES of them, to the place of the first. All invocations of the
// workgroup come here, after each has put its own value into `tree`; readers of another's place wait once more.

#if PAIRS
alias Leaf = vec2<f32>;
#else
alias Leaf = f32;
#endif

var<workgroup> tree: array<Leaf, WG>;

fn add_up(local: u32) {
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (local % LANES < half) {
            tree[local] += tree[local + half];
        }
    }
}

fn find_largest(local: u32) {
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (local % LANES < half) {
            tree[local] = max(tree[local], tree[local + half]);
        }
    }
}
