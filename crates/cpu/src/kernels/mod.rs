//! The arithmetic, on row-major slices; and, at each file's end, what it costs and how a step calls it, where that is more than a
//! line. Shapes were checked before; nothing here allocates in proportion to a model.

pub mod attention;
pub mod conv;
pub mod elementwise;
pub mod gemm;
pub mod halves;
pub mod layout;
pub mod parallel;
pub mod picture;
pub mod product;
pub mod quantized;
pub mod reduce;
pub mod tiles;
