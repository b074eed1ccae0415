//! Tests, benchmarks and checks of the project.
fn main() {}
