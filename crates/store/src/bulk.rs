use std::fmt::Write as _;
use std::sync::OnceLock;

use crate::{Sql, Value};

/// Arguments of one statement at most. The databases allow 32,766 and more, but the SQLite driver looks up every marker
/// by its name: measured on SQLite, 10,000 rows of four columns take 80 ms with 256, 130 ms with 1,024 and 310 ms with
/// 4,096 arguments per statement.
const ARGUMENTS_MAX: usize = 256;
/// Rows per statement are powers of four, so that any number of rows needs at most five prepared texts per bulk.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// A statement that writes many rows of `N` columns: `prefix VALUES ($1, $2), ($3, $4) … suffix`.
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
    texts: [OnceLock<Sql>; SIZES.len()],
}

impl<const N: usize> Bulk<N> {
    /// `prefix` is everything before `VALUES`, `suffix` everything after the rows, possibly empty.
    pub const fn new(prefix: &'static str, suffix: &'static str) -> Self {
        assert!(N > 0 && N <= ARGUMENTS_MAX, "a bulk writes 1 to 256 columns");
        Self { prefix, suffix, texts: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// The next statement and its arguments; `None` when no row is left.
    pub(crate) fn next_statement(&self, rows: &mut std::vec::IntoIter<[Value; N]>) -> Option<(Sql, Vec<Value>)> {
        let left = rows.len();
        let fits = |size: usize| size <= left && (size == 1 || size * N <= ARGUMENTS_MAX);
        let (text, size) = self.texts.iter().zip(SIZES).find(|(_, size)| fits(*size))?;
        let sql = text.get_or_init(|| self.text(size)).clone();
        Some((sql, rows.take(size).flatten().collect()))
    }

    fn text(&self, rows: usize) -> Sql {
        let mut text = format!("{} VALUES ", self.prefix);
        for marker in 1..=rows * N {
            text.push_str(if marker % N == 1 || N == 1 { if marker == 1 { "(" } else { ", (" } } else { ", " });
            // Writing to a string cannot fail.
            let _ = write!(text, "${marker}");
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

    fn texts<const N: usize>(rows: usize) -> Vec<(usize, String)> {
        let bulk = Bulk::<N>::new("INSERT INTO t", "ON CONFLICT DO NOTHING");
        let rows: Vec<[Value; N]> = (0..rows).map(|_| std::array::from_fn(|_| Value::I64(7))).collect();
        let mut rows = rows.into_iter();
        std::iter::from_fn(|| bulk.next_statement(&mut rows))
            .map(|(sql, args)| match sql {
                Sql::Assembled(text) => (args.len(), text.to_string()),
                Sql::Literal(text) => (args.len(), text.to_owned()),
            })
            .collect()
    }

    #[test]
    fn numbers_markers_row_by_row() {
        let text = &texts::<2>(4)[0].1;
        assert_eq!(text, "INSERT INTO t VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) ON CONFLICT DO NOTHING");
        assert_eq!(texts::<1>(1)[0].1, "INSERT INTO t VALUES ($1) ON CONFLICT DO NOTHING");
    }

    #[test]
    fn splits_rows_into_few_statement_sizes() {
        let sizes: Vec<usize> = texts::<3>(300).into_iter().map(|(args, _)| args / 3).collect();
        assert_eq!(sizes, [64, 64, 64, 64, 16, 16, 4, 4, 4]);
        assert!(texts::<3>(0).is_empty());
    }

    #[test]
    fn wide_rows_stay_below_the_argument_limit() {
        for (args, _) in texts::<100>(5) {
            assert!(args <= ARGUMENTS_MAX, "{args} arguments in one statement");
        }
    }
}
