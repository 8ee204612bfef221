//! Log: the durable, partitioned log between producers of ingest records and their one consumer, kept in the store's
//! database or in a broker that speaks the Kafka protocol. It owns the tables `log_batches`, `log_partitions`,
//! `log_producers` and `log_rejected`.
//!
//! A topic has [`Log::partitions`] partitions; records of one key share a partition and keep their order. Each record
//! has an offset that grows within its partition. Consumers keep their own position, in the transaction that writes what
//! they read, under [`Log::source`], and ask from there.
//!
//! # Invariants
//! - `append` answers only when all its records are durable; in the database one call is one transaction.
//! - A repeated `(producer_id, sequence)` adds no record for a reader: the database appends nothing, and records of a
//!   broker carry a [`ProducerMark`].
//! - Offsets become visible in order: who reads up to an offset has read everything below it.
//! - Trimming removes whole batches, and never moves an offset.
//!
//! Start reading at [`Log`]; `batch.rs` is the stored form of records, `kafka` the broker.

mod appended;
mod batch;
mod deletion;
mod embedded;
mod error;
mod kafka;
mod log;
mod message;
mod open;
mod partition;
mod rejected;

pub use appended::CHANNEL;
pub use embedded::TABLES;
pub use error::Error;
pub use log::{Log, is_there};
pub use message::{Message, Positions, ProducerMark, Shown, Stored};
pub use open::open;
pub use partition::{PARTITIONS, partition_of};
pub use rejected::{Accounts, FORGOTTEN, Rejected, RejectedPlace};
