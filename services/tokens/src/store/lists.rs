use portolan_api::{Error, Result};
use portolan_store::{Row, setting::understood};

/// Why a row is not read.
pub(super) enum Unread {
    /// It holds a setting that is not understood: what it is for does not exist for now.
    NotUnderstood,
    Failed(Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<portolan_store::Error> for Unread {
    fn from(error: portolan_store::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What was read; nothing for a row that is not understood, so that it neither opens anything nor hides another one.
pub(super) fn skipping<T>(read: std::result::Result<T, Unread>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Unread::NotUnderstood) => Ok(None),
        Err(Unread::Failed(error)) => Err(error),
    }
}

/// A list as it is stored.
pub(super) fn json(list: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(list).map_err(Error::internal)
}

/// A stored list.
pub(super) fn list_of<T: serde::de::DeserializeOwned>(
    row: &Row,
    column: &'static str,
) -> std::result::Result<Vec<T>, Unread> {
    understood(column, &row.get::<String>(column)?).ok_or(Unread::NotUnderstood)
}
