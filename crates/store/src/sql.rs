use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// Prepared statements that a connection keeps; of more, those that were used last. Some services have 200.
pub(crate) const STATEMENTS_MAX: usize = 256;

/// The text of one statement. Literals convert by themselves; assembled text is named as such, so that a reader can
/// find every place that builds statements.
#[derive(Clone, Debug)]
pub enum Sql {
    /// A constant of the program.
    Literal(&'static str),
    /// Put together of constants; never of values.
    Assembled(Arc<str>),
}

impl Sql {
    /// A statement built at run time, from program constants and numbered markers only: values are arguments.
    /// Keep the number of distinct texts small, each is a prepared statement.
    pub fn assembled(text: impl Into<Arc<str>>) -> Self {
        Self::Assembled(text.into())
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Assembled(text) => text,
        }
    }

    pub(crate) fn into_driver(self) -> SqlStr {
        match self {
            Self::Literal(text) => text.into_sql_str(),
            Self::Assembled(text) => AssertSqlSafe(text).into_sql_str(),
        }
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Literal(text)
    }
}

impl From<&Sql> for Sql {
    fn from(sql: &Sql) -> Self {
        sql.clone()
    }
}
