//! The arithmetic, on row-major slices. Shapes were checked before; nothing here allocates in proportion to a model.

pub mod attention;
pub mod elementwise;
pub mod layout;
pub mod product;
pub mod reduce;
