// A batch of products with free strides: transposed and broadcast operands are strides.

struct Params {
    dims: vec4<u32>,     // batch, batch, m, n
    stride_a: vec4<u32>, // batch, batch, m, k
    stride_b: vec4<u32>, // batch, batch, k, n
    n: u32,
    k: u32,
}

@auto var<storage, read> a: array<f32>;
@auto var<storage, read> b: array<f32>;
@auto var<storage, read_write> y: array<f32>;
@auto var<uniform> p: Params;
