//! Credentials that identity refuses by itself, on their way into the audit.

use portolan_api::Reason;
use portolan_authz::{FailedAuthentication, Shown};

use crate::{Deps, model::users::login_key, store};

/// Counts a failure of a secret; `subject` is the secret or what names it.
pub(crate) fn note(deps: &Deps, shown: Shown, subject: &str, address: &str, reason: Reason) {
    deps.failures.note(FailedAuthentication::new(shown, subject, address, reason));
}

/// Counts a failed password, in the first account of the user whose login it is. Who that is is looked up after the
/// answer, which takes no longer for one that is known.
pub(crate) fn note_password(deps: &Deps, login: &str, address: &str, reason: Reason) {
    let login_key = login_key(login);
    let failure = FailedAuthentication::new(Shown::Password, &login_key, address, reason);
    let db = deps.db.clone();
    deps.failures.note_after(failure, async move {
        let user = store::find_user_by_login(&db, &login_key).await.ok()??;
        let accounts = store::list_accounts_of_user(&db, user.id).await.ok()?;
        Some((accounts.into_keys().next()?, user.id))
    });
}
