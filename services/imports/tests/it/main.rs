//! The service on both databases, against a log and a small inventory of its own.
fn main() {}
