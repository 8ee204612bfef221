//! Members who left: what they made in other services ends with their membership.

use portolan_api::Result;
use portolan_ids::{AccountId, UserId};
use portolan_outbox::REVOCATIONS;
use portolan_store::Tx;
use serde_json::json;

use crate::{Deps, model::departures::Departure, peers};

/// Everybody in an account.
pub(crate) const EVERYBODY: UserId = UserId(0);

/// Memberships that end with a transaction. From its commit on tokens learns of them until it has deleted their
/// credentials, whatever happens to this process.
#[must_use = "call finish after the commit"]
pub(crate) struct Departures(Vec<Departure>);

/// Notes that users leave accounts, in the transaction that ends their memberships.
pub(crate) async fn note(deps: &Deps, tx: &mut Tx, owners: Vec<(AccountId, UserId)>) -> Result<Departures> {
    let mut noted = Vec::new();
    for (account_id, user_id) in owners {
        let ended_at = deps.clock.now();
        let payload = json!({ "accountId": account_id, "userId": user_id, "endedAt": ended_at }).to_string();
        let id = uuid::Uuid::now_v7().to_string();
        portolan_outbox::put(tx, REVOCATIONS, &account_id.to_string(), &id, &payload).await?;
        noted.push(Departure { account_id, user_id, ended_at });
    }
    Ok(Departures(noted))
}

impl Departures {
    /// Has the credentials deleted now, so that they are gone with the answer. Should tokens not answer, they stay useless
    /// without a membership, and go with the note.
    pub(crate) async fn finish(self, deps: &Deps) {
        if let Err(error) = peers::revoke_credentials(&deps.peers, &self.0).await {
            tracing::warn!(%error, "credentials of members who left are deleted later");
        }
    }
}
