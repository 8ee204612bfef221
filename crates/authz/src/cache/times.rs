//! How long what stands under a key counts.

/// A value that stands in the cache at most this long; with the lease before it, a value is never older than 60 s.
pub const VALUE_MS: u64 = 50_000;
/// A reader that takes longer than this to read from the owner fills nothing.
pub const LEASE_MS: u64 = 5_000;
/// How long the tombstone of a writer that died keeps readers asking the owner.
pub const TOMBSTONE_MS: u64 = 30_000;
/// Outlives every value that rests on it.
pub const GENERATION_MS: u64 = 120_000;
