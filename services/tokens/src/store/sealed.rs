use portolan_api::{Error, Result};
use portolan_runtime::Secrets;
use portolan_store::Row;

/// The column `jwt_secret`, sealed.
pub(super) fn sealed(secrets: &Secrets, place: &str, secret: Option<&str>) -> Option<Vec<u8>> {
    secret.map(|secret| secrets.seal(place, secret.as_bytes()))
}

/// The column `jwt_secret`, opened.
pub(super) fn opened(row: &Row, secrets: &Secrets, place: &str) -> Result<Option<String>> {
    let Some(sealed) = row.get::<Option<Vec<u8>>>("jwt_secret")? else { return Ok(None) };
    let bytes = secrets.open(place, &sealed).map_err(Error::internal)?;
    Ok(Some(String::from_utf8(bytes).map_err(Error::internal)?))
}
