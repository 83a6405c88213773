// Shared by every kernel.
//
// A dispatch is at most 65,535 workgroups a dimension, so grids are folded into x and y and unfolded here.

fn workgroup_number(id: vec3<u32>, count: vec3<u32>) -> u32 {
    return id.x + id.y * count.x;
}

// Coordinates of element `i` of a contiguous tensor of four dimensions.
fn coordinates(i: u32, dims: vec4<u32>) -> vec4<u32> {
    let w = i % dims.w;
    let rest = i / dims.w;
    let z = rest % dims.z;
    let rest2 = rest / dims.z;
    return vec4<u32>(rest2 / dims.y, rest2 % dims.y, z, w);
}

fn at(position: vec4<u32>, strides: vec4<u32>) -> u32 {
    let offsets = position * strides;
    return offsets.x + offsets.y + offsets.z + offsets.w;
}
