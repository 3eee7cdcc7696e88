//! pouch
fn main() {}
