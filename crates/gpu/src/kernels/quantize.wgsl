// Activations to int8, a group an invocation.

struct Params {
    groups: u32,
}

@auto var<storage, read> x: array<vec4<f32>>;
#include "int8_group.wgsl"
@auto var<uniform> p: Params;

#include "each.wgsl"

fn value4(i: u32) -> vec4<f32> {
    return x[i];
}

fn each(g: u32) {
    if (g < p.groups) {
        put_group(g);
    }
}
