//! Tokens on a real database: SQLite and Postgres.

mod changes;
mod migrations;

portolan_testkit::suite! {
    changes::numbers_become_visible_in_order,
    migrations::run_twice,
}
