//! The token endpoint of RFC 6749 for profiles of the kind `oauth2`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_api::{Error, Reason, Result};
use portolan_authz::{FailedAuthentication, Shown};
use portolan_ids::AccountId;
use portolan_runtime::{digest, now_s};
use subtle::ConstantTimeEq as _;

use crate::{
    Deps, changes,
    model::{profiles::Profile, secret},
    peers,
    store::{access_tokens, profiles},
};

/// Life of an access token. The answer says a second less, for the way to the client.
const LIFE_S: i64 = 3600;
const CLIENT_CREDENTIALS: &str = "client_credentials";

/// What a client asks with.
#[derive(Debug, Default)]
pub struct Request {
    /// `client_credentials`.
    pub grant_type: Option<String>,
    /// Which profile it is.
    pub client_id: Option<String>,
    /// What proves it.
    pub client_secret: Option<String>,
    /// The header `authorization`.
    pub authorization: Option<String>,
}

/// An access token that was just made.
#[derive(Debug)]
pub struct AccessToken {
    /// Shown once.
    pub token: String,
    /// Seconds.
    pub expires_in: i64,
}

/// # Errors
/// `OAUTH_INVALID_REQUEST`, `OAUTH_UNSUPPORTED_GRANT_TYPE`, `OAUTH_INVALID_CLIENT`.
pub async fn create(deps: &Deps, request: Request, address: &str) -> Result<AccessToken> {
    let mut asked = Asked::default();
    create_for(deps, request, &mut asked).await.inspect_err(|error| {
        if error.reason() == Reason::OauthInvalidClient {
            let (shown, reason) = (Shown::OauthClient, error.reason());
            let failure = FailedAuthentication::new(shown, &asked.client_id, address, reason);
            deps.failures.note(failure.of(asked.account_id));
        }
    })
}

/// Who asks, as far as it is known when a request is refused.
#[derive(Default)]
struct Asked {
    client_id: String,
    /// 0 for a client that nobody knows.
    account_id: AccountId,
}

async fn create_for(deps: &Deps, request: Request, asked: &mut Asked) -> Result<AccessToken> {
    match request.grant_type.as_deref() {
        None | Some("") => return Err(invalid("grant_type is missing")),
        Some(CLIENT_CREDENTIALS) => {}
        Some(_) => {
            let error = Error::new(Reason::OauthUnsupportedGrantType);
            return Err(error.with("detail", "only client_credentials is taken"));
        }
    }
    let (client_id, client_secret) = client(request)?;
    asked.client_id.clone_from(&client_id);
    let given = digest(&client_secret);
    let mut tx = deps.db.begin_read().await?;
    let found = profiles::find_by_oauth_client(&mut tx, &deps.secrets, &client_id).await?;
    tx.rollback().await?;
    asked.account_id = found.as_ref().map_or(AccountId(0), |(profile, _)| profile.account_id);
    let profile = authenticated(found, &given)?;
    // Asked last, so that a token costs identity nothing until the client is known, and while no transaction is held. An
    // account that shuts after this ends the token at the edge.
    if !peers::is_open(&deps.peers, profile.account_id).await? {
        return Err(refused());
    }
    let now = now_s();
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    // Read again under the lock of the feed: a profile that is being disabled gets no token any more.
    let found = profiles::find_by_oauth_client(&mut tx, &deps.secrets, &client_id).await?;
    let profile = authenticated(found, &given)?;
    let token = secret::random_hex();
    access_tokens::delete_expired(&mut tx, now).await?;
    access_tokens::insert(&mut tx, &profile, &digest(&token), now, now + LIFE_S, version).await?;
    deps.edge.commit(tx).await?;
    Ok(AccessToken { token, expires_in: LIFE_S - 1 })
}

/// The profile of a client with this digest of a secret, when it is active.
fn authenticated(found: Option<(Profile, String)>, given: &str) -> Result<Profile> {
    // An unknown client takes the time of a wrong secret.
    let kept = found.as_ref().map_or("", |(_, digest)| digest.as_str());
    let is_right = kept.len() == given.len() && bool::from(kept.as_bytes().ct_eq(given.as_bytes()));
    let profile = found.map(|(profile, _)| profile).filter(|profile| is_right && profile.active);
    profile.ok_or_else(refused)
}

fn refused() -> Error {
    Error::new(Reason::OauthInvalidClient).with("detail", "the client is unknown, disabled or not authenticated")
}

/// The client's id and secret, from the header or the body but not from both.
fn client(request: Request) -> Result<(String, String)> {
    let in_body = match (request.client_id, request.client_secret) {
        (None, None) => None,
        // A client may name itself in the body and prove it in the header.
        (id, None) => Some((id.unwrap_or_default(), None)),
        (id, secret) => Some((id.unwrap_or_default(), secret)),
    };
    let in_header = request.authorization.as_deref().map(basic).transpose()?;
    match (in_header, in_body) {
        (Some(header), None) => Ok(header),
        (Some(header), Some((id, None))) if id == header.0 => Ok(header),
        (Some(_), Some(_)) => Err(invalid("the client authenticates in two ways")),
        (None, Some((id, Some(secret)))) if !id.is_empty() && !secret.is_empty() => Ok((id, secret)),
        (None, _) => Err(Error::new(Reason::OauthInvalidClient).with("detail", "the client does not authenticate")),
    }
}

/// Ids and secrets are hex, so the form encoding that RFC 6749 2.3.1 puts inside the header changes nothing.
fn basic(header: &str) -> Result<(String, String)> {
    let refused = || Error::new(Reason::OauthInvalidClient).with("detail", "the header authorization is no HTTP Basic");
    let (scheme, value) = header.trim().split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refused());
    }
    let bytes = STANDARD.decode(value.trim()).map_err(|_| refused())?;
    let text = String::from_utf8(bytes).map_err(|_| refused())?;
    let (id, secret) = text.split_once(':').ok_or_else(refused)?;
    Ok((id.to_owned(), secret.to_owned()))
}

fn invalid(detail: &str) -> Error {
    Error::new(Reason::OauthInvalidRequest).with("detail", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&str>, id: Option<&str>, secret: Option<&str>, expected: Result<(&str, &str), Reason>) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let authorization = header.map(|text| format!("Basic {}", STANDARD.encode(text)));
        let request = Request { client_id: owned(id), client_secret: owned(secret), authorization, grant_type: None };
        let found = client(request).map_err(|error| error.reason());
        assert_eq!(found, expected.map(|(id, secret)| (id.to_owned(), secret.to_owned())));
    }

    #[test]
    fn a_client_authenticates_in_one_way() {
        check(Some("a:b:c"), None, None, Ok(("a", "b:c")));
        check(Some("a:b"), Some("a"), None, Ok(("a", "b")));
        check(None, Some("a"), Some("b"), Ok(("a", "b")));
        check(Some("a:b"), Some("a"), Some("b"), Err(Reason::OauthInvalidRequest));
        check(Some("a:b"), Some("x"), None, Err(Reason::OauthInvalidRequest));
        check(Some("ab"), None, None, Err(Reason::OauthInvalidClient));
        check(None, Some("a"), None, Err(Reason::OauthInvalidClient));
        check(None, None, None, Err(Reason::OauthInvalidClient));
    }
}
