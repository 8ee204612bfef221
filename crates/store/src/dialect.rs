/// Which database runs, for the few statements that must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the database of its name")]
pub enum Dialect {
    Sqlite,
    Postgres,
}
