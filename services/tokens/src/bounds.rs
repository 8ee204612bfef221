//! The bounds of the credential of a call. It makes, renews, changes and ends only what is bounded as tightly.

use portolan_api::{Error, Reason, Result};
use portolan_authz::{Caller, CredentialKind};

use crate::{
    Deps,
    model::{bounds::Bounds, profiles::Profile},
    store::{api_keys, organization_tokens},
};

/// Refuses what gives a caller of the edge more than the calling credential has: a profile has no end, and is bounded to
/// the addresses of its list.
///
/// # Errors
/// `CREDENTIAL_BOUNDED`.
pub(crate) fn must_cover_profile(own: &Bounds, given: &Profile) -> Result<()> {
    must_cover(own, &Bounds { networks: given.ip_allow_list.clone(), ..Bounds::default() })
}

/// # Errors
/// `CREDENTIAL_BOUNDED` for what reaches further.
pub(crate) fn must_cover(own: &Bounds, given: &Bounds) -> Result<()> {
    match own.exceeded(given) {
        None => Ok(()),
        Some(bound) => Err(Error::new(Reason::CredentialBounded).with("bound", bound)),
    }
}

/// Those of the calling credential, as they stand at this moment.
///
/// # Errors
/// `UNAUTHENTICATED` when it is gone.
pub(crate) async fn of(deps: &Deps, caller: &Caller) -> Result<Bounds> {
    let gone = || Error::new(Reason::Unauthenticated);
    match caller.credential {
        CredentialKind::Session => Ok(Bounds::default()),
        CredentialKind::OrganizationToken => {
            let found = organization_tokens::find_by_id(&deps.db, &caller.credential_id).await?;
            Ok(Bounds::from(&found.ok_or_else(gone)?))
        }
        CredentialKind::ExternalApiKey | CredentialKind::BurpKey | CredentialKind::CicdKey => {
            let id = caller.credential_id.parse().map_err(|_| gone())?;
            let mut tx = deps.db.begin().await?;
            let found = api_keys::find(&mut tx, caller.account_id, caller.user_id, id).await?;
            tx.rollback().await?;
            // The secret before a rotation ends before its key does.
            let ends_at = found.ok_or_else(gone)?.expires_at.into_iter().chain(caller.info.valid_until).min();
            Ok(Bounds { ends_at, ..Bounds::default() })
        }
    }
}
