//! The Postman key and workspace of an account, sealed at rest and masked when they are read.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{AccountId, WorkspaceId};
use portolan_outbox::Change;
use portolan_runtime::now_s;
use portolan_store::{Tx, retrying};
use serde_json::json;

use crate::model::credentials::{Credential, Sealed};
use crate::model::sealed::POSTMAN_KEY;
use crate::store::credentials as rows;
use crate::{Deps, Error};

/// Keeps the credential of the caller's account.
///
/// # Errors
/// `MEMBER_REQUIRED` when one of the two is absent; empty ones are kept.
pub async fn save(
    deps: &Deps,
    caller: &Caller,
    api_key: Option<String>,
    workspace_id: Option<String>,
) -> Result<(), Error> {
    let required = |member: &str| portolan_api::Error::new(Reason::MemberRequired).with("member", member);
    let api_key = api_key.ok_or_else(|| required("api_key"))?;
    let workspace_id = workspace_id.ok_or_else(|| required("workspace_id"))?;
    let credential = Credential { api_key: api_key.trim().to_owned(), workspace_id: workspace_id.trim().into() };
    let row = &seal(deps, caller.account_id, &credential);
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        rows::put(&mut tx, caller.account_id, row, caller.user_id, now_s()).await?;
        audit(&mut tx, caller, &row.workspace_id).await?;
        tx.commit().await?;
        Ok(())
    })
    .await
}

/// Says whose credential takes the place of the account's.
pub async fn audit(tx: &mut Tx, caller: &Caller, workspace_id: &WorkspaceId) -> Result<(), Error> {
    let change = Change::of("postman_credential", caller.account_id);
    Ok(portolan_outbox::audit(tx, caller, change.after(&json!({ "workspace_id": workspace_id }))).await?)
}

/// A credential as it is kept for an account.
pub fn seal(deps: &Deps, account_id: AccountId, credential: &Credential) -> Sealed {
    let sealed = deps.secrets.seal(&POSTMAN_KEY.row(account_id), credential.api_key.as_bytes());
    Sealed { workspace_id: credential.workspace_id.clone(), api_key: hex::encode(sealed) }
}

/// # Errors
/// When it was sealed for another account, or with another key.
fn open(deps: &Deps, account_id: AccountId, sealed: Sealed) -> Result<Credential, Error> {
    let key = hex::decode(&sealed.api_key).map_err(portolan_api::Error::internal)?;
    let key = deps.secrets.open(&POSTMAN_KEY.row(account_id), &key).map_err(portolan_api::Error::internal)?;
    let api_key = String::from_utf8(key).map_err(portolan_api::Error::internal)?;
    Ok(Credential { api_key, workspace_id: sealed.workspace_id })
}

/// The credential of an account.
pub async fn find(deps: &Deps, account_id: AccountId) -> Result<Option<Credential>, Error> {
    let found = rows::get(&deps.db, account_id).await?;
    found.map(|sealed| open(deps, account_id, sealed)).transpose()
}

/// The credential of an account, which must have one.
///
/// # Errors
/// `POSTMAN_CREDENTIAL_REQUIRED`.
pub async fn get(deps: &Deps, account_id: AccountId) -> Result<Credential, Error> {
    let found = find(deps, account_id).await?.filter(|credential| !credential.api_key.is_empty());
    Ok(found.ok_or(Reason::PostmanCredentialRequired)?)
}
