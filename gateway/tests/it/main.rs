//! The whole gateway over real HTTP, in front of a small service that answers what each test needs.

mod bodies;
mod harness;
mod idempotency;
mod reference;
mod requests;
mod streams;
