//! Log: the durable, partitioned log between producers of ingest records and their one consumer, kept in the store's
//! database. It owns the tables `log_batches`, `log_partitions`, `log_producers` and `log_rejected`.
//!
//! A topic has [`PARTITIONS`] partitions; records of one key share a partition and keep their order. Each record has
//! an offset, counted from 0 in its partition without gaps. Consumers keep their own position, in the transaction that
//! writes what they read, and ask from there.
//!
//! # Invariants
//! - `append` answers only when all its records are durable; one call is one transaction.
//! - A repeated `(producer_id, sequence)` appends nothing and answers the positions of the first call.
//! - Offsets become visible in order: who reads up to an offset has read everything below it.
//! - Trimming removes whole batches, and never moves an offset.
//!
//! Start reading at [`Log`]; `batch.rs` is the stored form of records.

mod batch;
mod embedded;
mod error;
mod log;
mod partition;

pub use error::Error;
pub use log::{Log, Message, Positions, Rejected, Stored};
pub use partition::{PARTITIONS, partition_of};
