//! The protocol of the cache: in memory, in a real Redis, the one compared with the other, and every interleaving of a
//! small model.

mod model;
mod protocol;
mod same;
