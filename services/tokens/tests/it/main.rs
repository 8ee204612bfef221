//! Tokens on a real database: SQLite and Postgres.

mod migrations;

portolan_testkit::suite! {
    migrations::run_twice,
}
