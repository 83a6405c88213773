// One row of f32 activations.
#include "${INTERFACE}_interface.wgsl"
#include "gemv_f32.wgsl"
#include "gemv_lanes.wgsl"
