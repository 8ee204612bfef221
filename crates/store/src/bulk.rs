use std::fmt::Write as _;
use std::sync::OnceLock;

use crate::{Dialect, Sql, Value};

/// Arguments of one statement at most. The databases allow 32,766 and more; beyond this a statement saves little, since
/// each costs one exchange with the database, and its text is kept with every connection.
const ARGUMENTS_MAX: usize = 2_048;
/// Rows per statement are powers of four, so that any number of rows needs at most five prepared texts per bulk.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// A statement that writes many rows of `N` columns: `prefix VALUES ($1, $2), ($3, $4) … suffix`. On SQLite its markers
/// are `?`: the driver looks a marker up by its name, among all of the statement, for each argument.
///
/// Declared once as a `static`, so that its texts are built once:
/// ```
/// # use portolan_store::Bulk;
/// static INSERT_TAGS: Bulk<2> = Bulk::new("INSERT INTO tags (account_id, name)", "ON CONFLICT DO NOTHING");
/// ```
/// Postgres refuses `DO UPDATE` when one statement names the same key twice: fold such rows before.
pub struct Bulk<const N: usize> {
    prefix: &'static str,
    suffix: &'static str,
    sqlite: [OnceLock<Sql>; SIZES.len()],
    postgres: [OnceLock<Sql>; SIZES.len()],
}

impl<const N: usize> Bulk<N> {
    /// `prefix` is everything before `VALUES`, `suffix` everything after the rows, possibly empty; neither has markers.
    pub const fn new(prefix: &'static str, suffix: &'static str) -> Self {
        assert!(N > 0 && N <= ARGUMENTS_MAX, "a bulk writes 1 to 2,048 columns");
        Self {
            prefix,
            suffix,
            sqlite: [const { OnceLock::new() }; SIZES.len()],
            postgres: [const { OnceLock::new() }; SIZES.len()],
        }
    }

    /// The next statement and its arguments; `None` when no row is left.
    pub(crate) fn next_statement(
        &self,
        dialect: Dialect,
        rows: &mut std::vec::IntoIter<[Value; N]>,
    ) -> Option<(Sql, Vec<Value>)> {
        let left = rows.len();
        let fits = |size: usize| size <= left && (size == 1 || size * N <= ARGUMENTS_MAX);
        let texts = match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
        };
        let (text, size) = texts.iter().zip(SIZES).find(|(_, size)| fits(*size))?;
        let sql = text.get_or_init(|| self.text(dialect, size)).clone();
        Some((sql, rows.take(size).flatten().collect()))
    }

    fn text(&self, dialect: Dialect, rows: usize) -> Sql {
        let mut text = format!("{} VALUES ", self.prefix);
        for marker in 1..=rows * N {
            text.push_str(if marker % N == 1 || N == 1 { if marker == 1 { "(" } else { ", (" } } else { ", " });
            match dialect {
                Dialect::Sqlite => text.push('?'),
                // Writing to a string cannot fail.
                Dialect::Postgres => _ = write!(text, "${marker}"),
            }
            if marker % N == 0 {
                text.push(')');
            }
        }
        if !self.suffix.is_empty() {
            text.push(' ');
            text.push_str(self.suffix);
        }
        Sql::assembled(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<const N: usize>(dialect: Dialect, rows: usize) -> Vec<(usize, String)> {
        let bulk = Bulk::<N>::new("INSERT INTO t", "ON CONFLICT DO NOTHING");
        let rows: Vec<[Value; N]> = (0..rows).map(|_| std::array::from_fn(|_| Value::I64(7))).collect();
        let mut rows = rows.into_iter();
        std::iter::from_fn(|| bulk.next_statement(dialect, &mut rows))
            .map(|(sql, args)| match sql {
                Sql::Assembled(text) => (args.len(), text.to_string()),
                Sql::Literal(text) => (args.len(), text.to_owned()),
            })
            .collect()
    }

    #[test]
    fn marks_arguments_row_by_row() {
        let text = &texts::<2>(Dialect::Postgres, 4)[0].1;
        assert_eq!(text, "INSERT INTO t VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) ON CONFLICT DO NOTHING");
        assert_eq!(texts::<1>(Dialect::Postgres, 1)[0].1, "INSERT INTO t VALUES ($1) ON CONFLICT DO NOTHING");
        let text = &texts::<2>(Dialect::Sqlite, 4)[0].1;
        assert_eq!(text, "INSERT INTO t VALUES (?, ?), (?, ?), (?, ?), (?, ?) ON CONFLICT DO NOTHING");
    }

    #[test]
    fn splits_rows_into_few_statement_sizes() {
        let sizes: Vec<usize> = texts::<20>(Dialect::Sqlite, 204).into_iter().map(|(args, _)| args / 20).collect();
        assert_eq!(sizes, [64, 64, 64, 4, 4, 4]);
        assert!(texts::<3>(Dialect::Sqlite, 0).is_empty());
    }

    #[test]
    fn wide_rows_stay_below_the_argument_limit() {
        for (args, _) in texts::<100>(Dialect::Postgres, 50) {
            assert!(args <= ARGUMENTS_MAX, "{args} arguments in one statement");
        }
    }
}
