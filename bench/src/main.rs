//! The figures of Sportello: each a ratio to a peer measured in the same run (`bench/README.md`).
fn main() {}
