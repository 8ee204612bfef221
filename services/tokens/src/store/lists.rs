use portolan_api::{Error, Result};
use portolan_store::Row;

/// A list as it is stored.
pub(super) fn json(list: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(list).map_err(Error::internal)
}

/// A stored list.
pub(super) fn list_of<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<Vec<T>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| Error::internal(format!("stored {column}: {error}")))
}
