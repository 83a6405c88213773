//! The arithmetic, on row-major slices. Shapes were checked before; nothing here allocates in proportion to a model.

pub mod attention;
pub mod conv;
pub mod elementwise;
pub mod gemm;
pub mod layout;
pub mod parallel;
pub mod picture;
pub mod product;
pub mod reduce;
