//! Tokens on a real database: SQLite and Postgres.

mod changes;
mod migrations;
mod revocations;
mod sealed;
mod world;

portolan_testkit::suite! {
    changes::numbers_become_visible_in_order,
    migrations::run_twice,
    revocations::tokens_of_a_closed_account_end,
    sealed::one_secret_that_cannot_be_opened_hides_no_other,
}
