//! Test kit: runs every storage case on SQLite and on Postgres, each on a fresh database of its own.
//!
//! A test target declares `harness = false` and lists its cases, which become `sqlite::name` and `postgres::name`:
//! ```text
//! portolan_testkit::suite! { create_then_list, roles::name_taken }
//!
//! /// A created role is listed.
//! async fn create_then_list(test: TestDb) { … }
//! ```
//!
//! # Invariants
//! - Postgres cases need the server that `PORTOLAN_TEST_POSTGRES` names (`deploy/dev/test-env.sh` starts one); without
//!   it they show as ignored, with the reason, never as passed.
//! - So do cases that need another server, which they name: no case passes because it returned early.
//! - A case's database is removed when the case ends, also after a panic.
//!
//! Start reading at [`suite!`] and [`TestDb`]; [`RedisServer`], [`KafkaServer`] and [`PostgresServer`] are servers
//! to stop and kill, and to speak to over TLS; [`stigg`] stands in for the billing provider.

mod certificates;
mod database;
mod kafka;
mod ports;
mod postgres;
mod process;
mod redis;
mod sizes;
pub mod stigg;
mod suite;

pub use certificates::Certificates;
pub use database::{PostgresDatabase, TestDb};
pub use kafka::KafkaServer;
pub use ports::free_port;
pub use postgres::PostgresServer;
pub use redis::RedisServer;
pub use sizes::changes_of_test;
pub use suite::{Case, POSTGRES_VARIABLE, Plain, run, run_plain, runtime};
