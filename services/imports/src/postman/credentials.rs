//! The Postman key and workspace of an account, sealed at rest and masked when they are read.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_outbox::Change;
use portolan_store::retrying;
use serde_json::json;

use crate::store::credentials::{self as rows, Sealed};
use crate::{Deps, Error, now_s};

/// The place that a key is sealed for, with the account.
const SEALED_FOR: &str = "imports/postman";

/// A credential as it is used.
#[derive(Clone)]
pub struct Credential {
    pub api_key: String,
    pub workspace_id: String,
}

impl Credential {
    /// The first three and the last four characters of the key; of a short one nothing.
    pub fn masked_key(&self) -> String {
        let characters: Vec<char> = self.api_key.chars().collect();
        if characters.len() < 14 {
            return "*".repeat(8);
        }
        let (first, last) = (&characters[..3], &characters[characters.len() - 4..]);
        format!("{}{}{}", first.iter().collect::<String>(), "*".repeat(8), last.iter().collect::<String>())
    }
}

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
    let sealed = deps.secrets.seal(&place(caller.account_id), api_key.trim().as_bytes());
    let row = Sealed { workspace_id: workspace_id.trim().to_owned(), api_key: hex::encode(sealed) };
    let row = &row;
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        rows::put(&mut tx, caller.account_id, row, caller.user_id, now_s()).await?;
        let change = Change::of("postman_credential", caller.account_id);
        portolan_outbox::audit(&mut tx, caller, change.after(&json!({ "workspace_id": row.workspace_id }))).await?;
        tx.commit().await?;
        Ok(())
    })
    .await
}

/// The credential of an account.
pub async fn find(deps: &Deps, account_id: i64) -> Result<Option<Credential>, Error> {
    let Some(row) = rows::get(&deps.db, account_id).await? else { return Ok(None) };
    let sealed = hex::decode(&row.api_key).map_err(portolan_api::Error::internal)?;
    let key = deps.secrets.open(&place(account_id), &sealed).map_err(portolan_api::Error::internal)?;
    let api_key = String::from_utf8(key).map_err(portolan_api::Error::internal)?;
    Ok(Some(Credential { api_key, workspace_id: row.workspace_id }))
}

/// The credential of an account, which must have one.
///
/// # Errors
/// `POSTMAN_CREDENTIAL_REQUIRED`.
pub async fn get(deps: &Deps, account_id: i64) -> Result<Credential, Error> {
    let found = find(deps, account_id).await?.filter(|credential| !credential.api_key.is_empty());
    Ok(found.ok_or(Reason::PostmanCredentialRequired)?)
}

fn place(account_id: i64) -> String {
    format!("{SEALED_FOR}/{account_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked() {
        let masked = |key: &str| Credential { api_key: key.to_owned(), workspace_id: String::new() }.masked_key();
        assert_eq!(masked("PMAK-0123456789-abcd"), "PMA********abcd");
        assert_eq!(masked("short"), "********");
        assert_eq!(masked("ééééééééééééééé"), "ééé********éééé");
    }
}
