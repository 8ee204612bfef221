use portolan_api::{Error, Result};
use portolan_ids::AccountId;
use portolan_store::{Db, Row, Tx, args, setting::understood};

use super::{AccountReader, one};
use crate::model::{invitations::Invitation, users::login_key};

const UPSERT_INVITATION: &str = "INSERT INTO invitations
    (account_id, email_key, email, name, code_digest, issuer_id, scope_roles, expires_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (account_id, email_key) DO UPDATE SET email = excluded.email, name = excluded.name,
        code_digest = excluded.code_digest, issuer_id = excluded.issuer_id, scope_roles = excluded.scope_roles,
        expires_at = excluded.expires_at, created_at = excluded.created_at";

pub(crate) async fn upsert_invitation(tx: &mut Tx, invitation: &Invitation, now: i64) -> Result<()> {
    let scope_roles = serde_json::to_string(&invitation.scope_roles).map_err(Error::internal)?;
    let values = args![
        invitation.account_id,
        login_key(&invitation.email),
        &invitation.email,
        &invitation.name,
        &invitation.code_digest,
        invitation.issuer_id,
        scope_roles,
        invitation.expires_at,
        now,
    ];
    one(tx.execute(UPSERT_INVITATION, values).await?)
}

const LIST_INVITATIONS: &str = "SELECT account_id, email, name, code_digest, issuer_id, scope_roles, expires_at
    FROM invitations WHERE account_id = $1 ORDER BY email_key";

/// Those that can still be accepted.
pub(crate) async fn list_invitations(
    db: impl AccountReader,
    account_id: AccountId,
    now: i64,
) -> Result<Vec<Invitation>> {
    let rows = db.rows(LIST_INVITATIONS, account_id).await?;
    let all = rows.iter().map(invitation).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().flatten().filter(|invitation| invitation.expires_at > now).collect())
}

const FIND_INVITATION: &str = "SELECT account_id, email, name, code_digest, issuer_id, scope_roles, expires_at
    FROM invitations WHERE account_id = $1 AND email_key = $2";

pub(crate) async fn find_invitation(tx: &mut Tx, account_id: AccountId, email_key: &str) -> Result<Option<Invitation>> {
    tx.fetch_optional(FIND_INVITATION, args![account_id, email_key]).await?.as_ref().map_or(Ok(None), invitation)
}

const FIND_BY_CODE: &str = "SELECT account_id, email, name, code_digest, issuer_id, scope_roles, expires_at
    FROM invitations WHERE code_digest = $1";

pub(crate) async fn find_invitation_by_code(db: &Db, code_digest: &str) -> Result<Option<Invitation>> {
    db.fetch_optional(FIND_BY_CODE, args![code_digest]).await?.as_ref().map_or(Ok(None), invitation)
}

const TAKE_INVITATION: &str = "DELETE FROM invitations WHERE code_digest = $1
    RETURNING account_id, email, name, code_digest, issuer_id, scope_roles, expires_at";

/// Removes it; of two who accept one invitation, one gets it.
pub(crate) async fn take_invitation(tx: &mut Tx, code_digest: &str) -> Result<Option<Invitation>> {
    tx.fetch_optional(TAKE_INVITATION, args![code_digest]).await?.as_ref().map_or(Ok(None), invitation)
}

const DELETE_INVITATION: &str = "DELETE FROM invitations WHERE account_id = $1 AND email_key = $2";

/// Returns whether there was one.
pub(crate) async fn delete_invitation(tx: &mut Tx, account_id: AccountId, email_key: &str) -> Result<bool> {
    Ok(tx.execute(DELETE_INVITATION, args![account_id, email_key]).await? == 1)
}

const DELETE_ENDED: &str = "DELETE FROM invitations WHERE expires_at < $1";

/// Removes those that ended before a time.
pub(crate) async fn delete_ended_invitations(db: &Db, expired_before: i64) -> Result<()> {
    db.execute(DELETE_ENDED, args![expired_before]).await?;
    Ok(())
}

/// Nothing for one whose roles are not understood: nobody is let in by it.
fn invitation(row: &Row) -> Result<Option<Invitation>> {
    let scope_roles: String = row.get("scope_roles")?;
    let Some(scope_roles) = understood("invitations.scope_roles", &scope_roles) else { return Ok(None) };
    Ok(Some(Invitation {
        account_id: row.get("account_id")?,
        email: row.get("email")?,
        name: row.get("name")?,
        code_digest: row.get("code_digest")?,
        issuer_id: row.get("issuer_id")?,
        scope_roles,
        expires_at: row.get("expires_at")?,
    }))
}
