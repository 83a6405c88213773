//! The operations, a file for each family: what it is, the method that builds it, its cost and its derivative.

pub(crate) mod attention;
