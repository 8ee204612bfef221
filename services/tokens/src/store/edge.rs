//! Statements of the edge: the feed of changes, who follows it, and shadow endpoints.

use std::cell::Cell;

use portolan_api::{Error, Result};
use portolan_ids::{AccountId, ApiClientId, ProfileId};
use portolan_store::{Db, Row, Tx, args};
use serde::de::DeserializeOwned;

use crate::model::{
    edge::{
        AccessToken, Digest, FeedPosition, ProfileChange, ProfileRow, ShadowCount, ShadowEndpoint, ShadowKey,
        parse_digest,
    },
    sealed::{CLIENT_SECRET, PROFILE_SECRET},
};

const POSITION: &str = "SELECT s.next - 1 AS version, r.applied AS applied
    FROM token_sequences s LEFT JOIN edge_replicas r ON r.replica_id = $1 WHERE s.name = 'change'";

pub(crate) async fn position(db: &Db, replica_id: &str) -> Result<FeedPosition> {
    let row = db.fetch_one(POSITION, args![replica_id]).await?;
    Ok(FeedPosition { version: row.get("version")?, applied: row.get("applied")? })
}

const REGISTER: &str = "INSERT INTO edge_replicas (replica_id, applied) VALUES ($1, $2) ON CONFLICT DO NOTHING";

pub(crate) async fn register(db: &Db, replica_id: &str, applied: i64) -> Result<()> {
    db.execute(REGISTER, args![replica_id, applied]).await?;
    Ok(())
}

const ACKNOWLEDGE: &str = "UPDATE edge_replicas SET applied = $2 WHERE replica_id = $1";

/// False when the row is gone: changes may have been answered without waiting for this replica.
pub(crate) async fn acknowledge(db: &Db, replica_id: &str, applied: i64) -> Result<bool> {
    Ok(db.execute(ACKNOWLEDGE, args![replica_id, applied]).await? == 1)
}

const UNREGISTER: &str = "DELETE FROM edge_replicas WHERE replica_id = $1";

pub(crate) async fn unregister(db: &Db, replica_id: &str) -> Result<()> {
    db.execute(UNREGISTER, args![replica_id]).await?;
    Ok(())
}

const BEHIND: &str = "SELECT CAST(count(*) AS BIGINT) AS behind FROM edge_replicas WHERE applied < $1";

/// How many replicas have not applied this change.
pub(crate) async fn behind(db: &Db, version: i64) -> Result<i64> {
    Ok(db.fetch_one(BEHIND, args![version]).await?.get("behind")?)
}

const DROP_BEHIND: &str = "DELETE FROM edge_replicas WHERE applied < $1";

pub(crate) async fn drop_behind(db: &Db, version: i64) -> Result<()> {
    db.execute(DROP_BEHIND, args![version]).await?;
    Ok(())
}

macro_rules! profile_columns {
    () => {
        "p.profile_id, p.account_id, p.client_id, p.version, p.active, p.deleted, p.is_legacy, p.auth_type,
         p.secret_digest, p.ip_allow_list, p.ip_deny_list, p.grant_version,
         p.collection_ids, p.jwt_method, p.jwt_secret, p.oidc_issuer, p.oidc_jwks_uri, p.access_profile_claim,
         p.required_claims, p.allowed_issuers,
         c.version AS c_version, c.deleted AS c_deleted, c.auth_type AS c_auth_type, c.api_policy_id,
         c.collection_ids AS c_collection_ids, c.jwt_method AS c_jwt_method, c.jwt_secret AS c_jwt_secret,
         c.oidc_issuer AS c_oidc_issuer, c.oidc_jwks_uri AS c_oidc_jwks_uri,
         c.access_profile_claim AS c_access_profile_claim, c.required_claims AS c_required_claims,
         c.allowed_issuers AS c_allowed_issuers, c.mtls_enabled, c.validation_formula,
         p.allow_preflight, c.allow_preflight AS c_allow_preflight"
    };
}

const PROFILES: &str = concat!(
    "SELECT ",
    profile_columns!(),
    " FROM api_profiles p JOIN api_clients c ON c.account_id = p.account_id AND c.client_id = p.client_id
     WHERE p.version > $1 ORDER BY p.version LIMIT $2"
);

/// Profiles that changed, in the order of changes.
pub(crate) async fn profiles(db: &Db, after: i64, limit: i64) -> Result<Vec<ProfileChange>> {
    db.fetch_all(PROFILES, args![after, limit]).await?.iter().map(profile).collect()
}

const PROFILES_OF_CLIENTS: &str = concat!(
    "SELECT ",
    profile_columns!(),
    " FROM api_clients c JOIN api_profiles p ON p.account_id = c.account_id AND p.client_id = c.client_id
     WHERE c.version >= $1 AND (c.version > $1 OR p.profile_id > $2) ORDER BY c.version, p.profile_id LIMIT $3"
);

/// Profiles of clients that changed, after this client version and profile.
pub(crate) async fn profiles_of_clients(db: &Db, after: (i64, ProfileId), limit: i64) -> Result<Vec<ProfileChange>> {
    db.fetch_all(PROFILES_OF_CLIENTS, args![after.0, after.1, limit]).await?.iter().map(profile).collect()
}

fn list<T: DeserializeOwned>(json: &str, name: &'static str, is_readable: &Cell<bool>) -> Vec<T> {
    serde_json::from_str(json).unwrap_or_else(|error| {
        tracing::warn!(%error, name, "a stored list of an access profile cannot be read: the profile lets nobody in");
        is_readable.set(false);
        Vec::new()
    })
}

fn profile(row: &Row) -> Result<ProfileChange> {
    let flag = |name: &str| Ok::<_, Error>(row.get::<i64>(name)? != 0);
    let is_legacy = flag("is_legacy")?;
    let (profile_id, client_id): (ProfileId, ApiClientId) = (row.get("profile_id")?, row.get("client_id")?);
    // Settings stand on the profile in the first generation and on the client in the second.
    let of = |own: &'static str, of_client: &'static str| if is_legacy { own } else { of_client };
    let text = |own, of_client| row.get::<Option<String>>(of(own, of_client));
    // A profile whose settings cannot be read lets nobody in, and holds up no other profile.
    let is_readable = Cell::new(true);
    let texts = |name: &'static str| Ok::<_, Error>(list::<String>(&row.get::<String>(name)?, name, &is_readable));
    let ids = of("collection_ids", "c_collection_ids");
    let collection_ids = list(&row.get::<String>(ids)?, ids, &is_readable);
    let (ip_allow_list, ip_deny_list) = (texts("ip_allow_list")?, texts("ip_deny_list")?);
    let required_claims = texts(of("required_claims", "c_required_claims"))?;
    let allowed_issuers = texts(of("allowed_issuers", "c_allowed_issuers"))?;
    Ok(ProfileChange {
        version: row.get("version")?,
        client_version: row.get("c_version")?,
        is_there: !flag("deleted")? && !flag("c_deleted")?,
        place: if is_legacy { PROFILE_SECRET.row(profile_id.get()) } else { CLIENT_SECRET.row(client_id.get()) },
        row: ProfileRow {
            profile_id,
            account_id: row.get("account_id")?,
            client_id,
            active: flag("active")? && is_readable.get(),
            auth_type: row.get(of("auth_type", "c_auth_type"))?,
            secret_digest: row.get("secret_digest")?,
            ip_allow_list,
            ip_deny_list,
            collection_ids,
            jwt_method: text("jwt_method", "c_jwt_method")?,
            jwt_secret: row.get(of("jwt_secret", "c_jwt_secret"))?,
            oidc_issuer: text("oidc_issuer", "c_oidc_issuer")?,
            oidc_jwks_uri: text("oidc_jwks_uri", "c_oidc_jwks_uri")?,
            access_profile_claim: text("access_profile_claim", "c_access_profile_claim")?,
            required_claims,
            allowed_issuers,
            allow_preflight: flag(of("allow_preflight", "c_allow_preflight"))?,
            policy_id: row.get("api_policy_id")?,
            grant_version: row.get("grant_version")?,
            mtls_enabled: row.get::<Option<i64>>("mtls_enabled")?.unwrap_or_default() != 0,
            validation_formula: row.get("validation_formula")?,
        },
    })
}

const ACCESS_TOKENS: &str = "SELECT token_digest, profile_id, grant_version, expires_at, version FROM access_tokens
    WHERE version > $1 ORDER BY version, token_digest LIMIT $2";

/// Access tokens that were given out after a change, with the version of each.
pub(crate) async fn access_tokens(db: &Db, after: i64, limit: i64) -> Result<Vec<(i64, Option<Digest>, AccessToken)>> {
    let read = |row: &Row| {
        let digest: String = row.get("token_digest")?;
        // A digest that cannot be read is that of no token: it lets nobody in, and holds up no other.
        let digest = parse_digest(&digest);
        let token = AccessToken {
            profile_id: row.get("profile_id")?,
            grant_version: row.get("grant_version")?,
            expires_at: row.get("expires_at")?,
        };
        Ok((row.get("version")?, digest, token))
    };
    db.fetch_all(ACCESS_TOKENS, args![after, limit]).await?.iter().map(read).collect()
}

const COUNT_SHADOW: &str = "UPDATE edge_shadow_endpoints SET calls = calls + $5,
    last_seen = CASE WHEN last_seen < $6 THEN $6 ELSE last_seen END
    WHERE account_id = $1 AND host = $2 AND method = $3 AND path = $4";
const ADD_SHADOW: &str = "INSERT INTO edge_shadow_endpoints
    (account_id, host, method, path, calls, first_seen, last_seen)
    SELECT $1, $2, $3, $4, $5, $6, $6
    WHERE (SELECT count(*) FROM edge_shadow_endpoints WHERE account_id = $1) < $7
    ON CONFLICT (account_id, host, method, path) DO UPDATE
    SET calls = edge_shadow_endpoints.calls + excluded.calls, last_seen = excluded.last_seen";

/// Adds to a count. A new shadow endpoint is left out when its account has `rows_max` already.
pub(crate) async fn count_shadow(tx: &mut Tx, key: &ShadowKey, count: ShadowCount, rows_max: i64) -> Result<()> {
    let known = args![key.account_id, &key.host, &key.method, &key.path, count.calls, count.last_seen];
    if tx.execute(COUNT_SHADOW, known).await? == 0 {
        let new = args![key.account_id, &key.host, &key.method, &key.path, count.calls, count.last_seen, rows_max];
        tx.execute(ADD_SHADOW, new).await?;
    }
    Ok(())
}

const LIST_SHADOW: &str = "SELECT host, method, path, calls, first_seen, last_seen FROM edge_shadow_endpoints
    WHERE account_id = $1 AND (host > $2 OR (host = $2 AND (method > $3 OR (method = $3 AND path > $4))))
    ORDER BY host, method, path LIMIT $5";

/// Shadow endpoints of an account after this host, method and path.
pub(crate) async fn list_shadow(
    db: &Db,
    account_id: AccountId,
    after: &[String; 3],
    limit: i64,
) -> Result<Vec<ShadowEndpoint>> {
    let read = |row: &Row| {
        Ok(ShadowEndpoint {
            host: row.get("host")?,
            method: row.get("method")?,
            path: row.get("path")?,
            calls: row.get("calls")?,
            first_seen: row.get("first_seen")?,
            last_seen: row.get("last_seen")?,
        })
    };
    let [host, method, path] = after;
    db.fetch_all(LIST_SHADOW, args![account_id, host, method, path, limit]).await?.iter().map(read).collect()
}
