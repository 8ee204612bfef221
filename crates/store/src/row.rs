use std::sync::Arc;

use crate::Error;

/// One row of an answer.
pub struct Row {
    columns: Arc<[String]>,
    cells: Vec<Cell>,
}

/// A value as a database answers it.
#[derive(Debug)]
pub(crate) enum Cell {
    Null,
    I64(i64),
    F64(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Row {
    /// As many cells as columns.
    pub(crate) fn new(columns: Arc<[String]>, cells: Vec<Cell>) -> Self {
        Self { columns, cells }
    }

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
        self.cells.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn cell(&self, position: usize) -> &Cell {
        self.cells.get(position).unwrap_or(&Cell::Null)
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
        let position = row.columns.iter().position(|name| name == self);
        position.ok_or_else(|| Error::Inconsistency(format!("the answer has no column {self}")))
    }
}

/// A Rust type that a column can be read into.
pub trait FromColumn: Sized {
    /// The error text becomes part of [`Error::Inconsistency`].
    fn read(row: &Row, position: usize) -> Result<Self, String>;
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn read(row: &Row, position: usize) -> Result<Self, String> {
        match row.cell(position) {
            Cell::Null => Ok(None),
            _ => T::read(row, position).map(Some),
        }
    }
}

macro_rules! from_cell {
    ($($type:ty, $cell:ident;)*) => {$(
        impl FromColumn for $type {
            fn read(row: &Row, position: usize) -> Result<Self, String> {
                match row.cell(position) {
                    Cell::$cell(value) => Ok(value.clone()),
                    other => Err(format!("it is {}", other.type_name())),
                }
            }
        }
    )*};
}

from_cell! {
    i64, I64;
    f64, F64;
    String, Text;
    Vec<u8>, Bytes;
}

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

from_i64!(i32, u32, u64);

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

impl Cell {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::I64(_) => "an integer",
            Self::F64(_) => "a float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }
}
