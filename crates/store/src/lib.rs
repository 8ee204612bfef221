//! Store: the one door to SQLite and Postgres. It owns connections, transactions, migrations and the meaning of
//! database errors; no other crate names a database driver.
//!
//! One statement text serves both databases: `$1` markers, TEXT ids, BIGINT for numbers, flags and times, BYTEA or
//! BLOB for bytes, JSON as TEXT, `ON CONFLICT … DO UPDATE`, `RETURNING`. Three rules keep the answers equal:
//! Postgres migrations declare sorted text as `TEXT COLLATE "C"` (SQLite compares bytes), aggregates are cast
//! (`cast(sum(x) as bigint)`), and text holds no NUL character (Postgres refuses it).
//!
//! # Invariants
//! - All handles of one [`Store`] on one SQLite file share one writer connection; reads run beside it.
//! - A transaction with a failed statement never commits, on either database.
//! - `commit` answers `Ok` only for a durable transaction (SQLite: its write-ahead log is on the disk; Postgres: as its
//!   server is set).
//! - Migrations run once, in order, under a lock. A database whose applied steps are no beginning of the program's is
//!   refused before anything is changed, and so is one from which a newer program took something away.
//! - Statement text is a constant of the program; values travel as arguments only.
//!
//! Start reading at [`Store`], then [`Db`] and [`Tx`].

mod bulk;
mod db;
mod dialect;
mod error;
mod fault;
mod file;
mod ledger;
mod listener;
mod migrate;
mod pace;
mod pool;
mod postgres;
mod reach;
mod retry;
mod row;
mod server;
pub mod setting;
mod sql;
mod sqlite;
mod steps;
mod store;
mod turns;
mod tx;
mod value;
mod wal;

pub use bulk::Bulk;
pub use db::Db;
pub use dialect::Dialect;
pub use error::Error;
pub use fault::{FaultPoint, Faults};
pub use listener::Listener;
pub use pace::{Held, Pace};
pub use pool::Usage;
pub use postgres::Connections;
pub use reach::Reach;
pub use retry::{Repeatable, retrying};
pub use row::{ColumnIndex, FromColumn, Row};
pub use setting::Setting;
pub use sql::Sql;
pub use steps::{Migration, Migrations, Tables};
pub use store::Store;
pub use turns::{apart, on_behalf_of, on_behalf_of_all};
pub use tx::Tx;
pub use value::{Type, Value};

/// The present time in Unix seconds.
pub fn now_s() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_secs() as i64)
}
