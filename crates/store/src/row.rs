use sqlx::any::AnyRow;
use sqlx::{Row as _, ValueRef as _};

use crate::Error;

/// One row of an answer.
pub struct Row(pub(crate) AnyRow);

impl Row {
    /// The value of one column, by its position from 0 or by its name.
    ///
    /// # Errors
    /// [`Error::Inconsistency`] when the column is missing, null without `Option`, or of another type.
    pub fn get<T: FromColumn>(&self, column: impl ColumnIndex) -> Result<T, Error> {
        let position = column.position(self)?;
        T::read(self, position).map_err(|reason| Error::Inconsistency(format!("column {position}: {reason}")))
    }

    /// How many columns it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How a column is named: `usize` or `&str`.
pub trait ColumnIndex {
    /// Its place in the row, from 0.
    fn position(&self, row: &Row) -> Result<usize, Error>;
}

impl ColumnIndex for usize {
    fn position(&self, row: &Row) -> Result<usize, Error> {
        if *self < row.len() {
            Ok(*self)
        } else {
            Err(Error::Inconsistency(format!("the answer has no column {self}")))
        }
    }
}

impl ColumnIndex for &str {
    fn position(&self, row: &Row) -> Result<usize, Error> {
        sqlx::ColumnIndex::index(self, &row.0)
            .map_err(|_| Error::Inconsistency(format!("the answer has no column {self}")))
    }
}

/// A Rust type that a column can be read into.
pub trait FromColumn: Sized {
    /// The error text becomes part of [`Error::Inconsistency`].
    fn read(row: &Row, position: usize) -> Result<Self, String>;
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn read(row: &Row, position: usize) -> Result<Self, String> {
        if row.0.try_get_raw(position).map_err(text)?.is_null() { Ok(None) } else { T::read(row, position).map(Some) }
    }
}

macro_rules! from_driver {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn read(row: &Row, position: usize) -> Result<Self, String> {
                row.0.try_get(position).map_err(text)
            }
        }
    )*};
}

from_driver!(i64, i32, f64, String, Vec<u8>);

macro_rules! from_i64 {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn read(row: &Row, position: usize) -> Result<Self, String> {
                let value = i64::read(row, position)?;
                Self::try_from(value).map_err(|_| format!("{value} is out of range"))
            }
        }
    )*};
}

from_i64!(u32, u64);

impl FromColumn for bool {
    fn read(row: &Row, position: usize) -> Result<Self, String> {
        i64::read(row, position).map(|value| value != 0)
    }
}

macro_rules! from_number {
    ($($name:ident($number:ident);)*) => {$(
        impl FromColumn for portolan_ids::$name {
            fn read(row: &Row, position: usize) -> Result<Self, String> {
                <$number>::read(row, position).map(Self)
            }
        }
    )*};
}

portolan_ids::for_each_number!(from_number);

macro_rules! from_text {
    ($($name:ident;)*) => {$(
        impl FromColumn for portolan_ids::$name {
            fn read(row: &Row, position: usize) -> Result<Self, String> {
                String::read(row, position).map(Self::from)
            }
        }
    )*};
}

portolan_ids::for_each_text!(from_text);

fn text(error: sqlx::Error) -> String {
    error.to_string()
}
