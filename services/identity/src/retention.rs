//! Removes what has ended: sessions, networks of old logins, links that nobody followed, keys that sign no more.

use portolan_api::Result;

use crate::{
    Deps,
    sessions::{AGE_MAX_S, IDLE_MAX_S, PLACE_LIFE_S},
    signing, store,
};

/// What cannot be removed stays until the next time.
pub async fn sweep(deps: &Deps) {
    let now = deps.clock.now();
    let links_before = now - deps.ended_links_s;
    let note = |what: &str, outcome: Result<()>| {
        if let Err(error) = outcome {
            tracing::warn!(%error, "{what} could not be removed");
        }
    };
    let ended = store::delete_ended_sessions(&deps.db, now - IDLE_MAX_S, now - AGE_MAX_S).await;
    note("ended sessions", ended.map(drop));
    note("networks of old logins", store::delete_login_places(&deps.db, now - PLACE_LIFE_S).await.map(drop));
    note("invitations that have ended", store::delete_ended_invitations(&deps.db, links_before).await);
    note("links to reset a password", store::delete_old_resets(&deps.db, links_before).await);
    note("old keys of caller tokens", signing::forget_old_keys(&deps.db, now).await);
}
