use portolan_api::Result;
use portolan_runtime::{Secrets, sealed::SealedPlace};
use portolan_store::Row;

use crate::model::auth_settings::AuthSettings;

/// The column `jwt_secret`: the secret sealed, or as it was found where it cannot be opened.
pub(super) fn sealed(secrets: &Secrets, place: &SealedPlace, auth: &AuthSettings) -> Option<Vec<u8>> {
    let secret = auth.jwt_secret.as_deref().map(|secret| secrets.seal(place, secret.as_bytes()));
    secret.or_else(|| auth.unopened_secret.clone())
}

/// The column `jwt_secret`, opened into the settings. One that cannot be opened, as one sealed with another key, is left
/// out and hides nothing else: the edge lets nobody in by it.
pub(super) fn open_into(auth: &mut AuthSettings, row: &Row, secrets: &Secrets, place: &SealedPlace) -> Result<()> {
    let Some(sealed) = row.get::<Option<Vec<u8>>>("jwt_secret")? else { return Ok(()) };
    auth.jwt_secret = secrets.open(place, &sealed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if auth.jwt_secret.is_none() {
        tracing::error!(%place, "the stored jwt_secret cannot be opened with the key of this installation: set it anew");
        auth.unopened_secret = Some(sealed);
    }
    Ok(())
}
