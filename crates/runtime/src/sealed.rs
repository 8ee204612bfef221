//! Columns that hold sealed values, and the place of each value: table, column and row.
//!
//! A value opens in its own row alone: one that was copied into another row, column or table does not open there.

use portolan_store::{Db, Error, Row, Value, args};

/// Values that are read at once.
pub const PAGE_ROWS: usize = 100;

/// What a value is sealed for. A [`Column`] makes it, so that each names a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPlace(String);

impl SealedPlace {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Display for SealedPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What names the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowId {
    /// A BIGINT.
    Number,
    /// A TEXT.
    Text,
}

/// How a column holds bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In a BLOB or BYTEA.
    Bytes,
    /// In lower-case hex, in a TEXT.
    Hex,
}

/// A column whose values are sealed; [`sealed_column`](crate::sealed_column) makes one. Ids of rows are unique in the
/// table, over all accounts.
#[derive(Debug)]
pub struct Column {
    /// The table that it stands in.
    pub table: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What tells the rows of the table apart.
    pub row_id: RowId,
    /// How values are written.
    pub form: Form,
    #[doc(hidden)]
    pub page: &'static str,
    #[doc(hidden)]
    pub count: &'static str,
    #[doc(hidden)]
    pub replace: &'static str,
}

/// A column by the names of its table, of itself and of the column with the ids of rows, with the kind of the ids and the
/// form of the values.
#[macro_export]
macro_rules! sealed_column {
    ($table:literal, $name:literal, $id:literal, $row_id:ident, Bytes) => {
        $crate::sealed_column!(@ $table, $name, $id, $row_id, Bytes, "8")
    };
    ($table:literal, $name:literal, $id:literal, $row_id:ident, Hex) => {
        $crate::sealed_column!(@ $table, $name, $id, $row_id, Hex, "16")
    };
    // The last one is the length of the id of the key, which a sealed value begins with.
    (@ $table:literal, $name:literal, $id:literal, $row_id:ident, $form:ident, $prefix:literal) => {
        $crate::sealed::Column {
            table: $table,
            name: $name,
            row_id: $crate::sealed::RowId::$row_id,
            form: $crate::sealed::Form::$form,
            page: concat!(
                "SELECT ", $id, " AS id, ", $name, " AS sealed FROM ", $table, " WHERE substr(", $name, ", 1, ",
                $prefix, ") = $1 AND ", $id, " > $2 ORDER BY ", $id, " LIMIT $3"
            ),
            count: concat!("SELECT count(*) AS n FROM ", $table, " WHERE substr(", $name, ", 1, ", $prefix, ") = $1"),
            replace: concat!("UPDATE ", $table, " SET ", $name, " = $1 WHERE ", $id, " = $2 AND ", $name, " = $3"),
        }
    };
}

/// A sealed value where it stands.
#[derive(Clone, Debug)]
pub struct SealedRow {
    /// Of the row.
    pub id: Value,
    /// What the value is bound to.
    pub place: SealedPlace,
    /// The value as it stands there.
    pub sealed: Vec<u8>,
}

impl Column {
    /// The place of the value of one row.
    pub fn row(&self, id: impl std::fmt::Display) -> SealedPlace {
        let id = id.to_string();
        debug_assert!(!id.is_empty(), "{}.{}: a value belongs to a row", self.table, self.name);
        SealedPlace(format!("{}.{}/{id}", self.table, self.name))
    }

    /// How many values are sealed under a key.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn count(&self, db: &Db, key_id: &[u8]) -> Result<i64, Error> {
        db.fetch_one(self.count, args![self.written(key_id)]).await?.get("n")
    }

    /// Values that are sealed under a key, in the order of their rows, after one of them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn page(&self, db: &Db, key_id: &[u8], after: Option<&Value>) -> Result<Vec<SealedRow>, Error> {
        let first = match self.row_id {
            RowId::Number => Value::from(i64::MIN),
            RowId::Text => Value::from(String::new()),
        };
        let after = after.cloned().unwrap_or(first);
        let values = args![self.written(key_id), after, PAGE_ROWS as i64];
        db.fetch_all(self.page, values).await?.iter().map(|row| self.sealed_row(row)).collect()
    }

    /// Writes another value in the place of one; false when somebody was faster.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn replace(&self, db: &Db, row: &SealedRow, sealed: &[u8]) -> Result<bool, Error> {
        let values = args![self.written(sealed), row.id.clone(), self.written(&row.sealed)];
        Ok(db.execute(self.replace, values).await? == 1)
    }

    fn sealed_row(&self, row: &Row) -> Result<SealedRow, Error> {
        let (id, place) = match self.row_id {
            RowId::Number => {
                let id: i64 = row.get("id")?;
                (Value::from(id), self.row(id))
            }
            RowId::Text => {
                let id: String = row.get("id")?;
                (Value::from(id.clone()), self.row(id))
            }
        };
        let sealed = match self.form {
            Form::Bytes => row.get("sealed")?,
            Form::Hex => unhex(&row.get::<String>("sealed")?),
        };
        Ok(SealedRow { id, place, sealed })
    }

    fn written(&self, bytes: &[u8]) -> Value {
        match self.form {
            Form::Bytes => Value::from(bytes.to_vec()),
            Form::Hex => Value::from(hex(bytes)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is no hexadecimal text is no sealed value either: it opens nowhere.
fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map_while(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
