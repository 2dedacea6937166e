//! The SierraDB server.
fn main() {}
