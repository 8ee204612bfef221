//! The decision on one request. The order of the steps is part of the contract: it says which of several reasons to
//! refuse a caller learns.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portolan_api::Reason;
use portolan_authz::{
    FailedAuthentication,
    Shown::{EdgeAccessToken, EdgeSignedToken, EdgeToken, Unreadable},
};
use portolan_ids::AccountId;
use portolan_jwks::{Jws, serde_json};
use portolan_path::StrictPath;
use portolan_runtime::now_s;
use subtle::ConstantTimeEq as _;

use super::{
    credential::{self, Credential, Removed},
    host::host_name,
    inner::Inner,
    method::Method,
    path,
    profile::{Auth, Keys, Profile, Signed},
    profiles::Profiles,
    routes::RouteMatch,
    verdict::{Call, Caller, Refusal, Verdict},
    verified::VerifiedToken,
};
use crate::model::edge::{Digest, digest_of};

pub(super) async fn decide(edge: &Inner, call: &Call<'_>) -> Verdict {
    let mut addressed = AccountId(0);
    match check(edge, call, &mut addressed).await {
        Ok(verdict) => verdict,
        Err(refusal) => {
            if let Some(reason) = refusal.of_credential() {
                note_failure(edge, call, addressed, reason);
            }
            Verdict::Refuse(refusal)
        }
    }
}

/// Puts a credential that was refused into the audit of the account that was called.
fn note_failure(edge: &Inner, call: &Call<'_>, account_id: AccountId, reason: Reason) {
    let query = call.target.split_once('?').map_or("", |(_, query)| query);
    let (shown, text) = match Credential::find(call.headers, query) {
        Some(Credential::Token(text)) => (EdgeToken, text),
        Some(Credential::AccessToken(text)) => (EdgeAccessToken, text),
        Some(Credential::Signed(text)) => (EdgeSignedToken, text),
        // Nothing at all is no failure; what is shown twice or in another form is one.
        None => match Removed::find(call.headers, query, true) {
            removed if removed == Removed::default() => return,
            _ => (Unreadable, call.headers.get("authorization").cloned().unwrap_or_default()),
        },
    };
    let address = client(edge, call).map(|address| address.to_string());
    let failure = FailedAuthentication::new(shown, &text, &address.unwrap_or_default(), reason);
    edge.failures.note(failure.of(account_id));
}

/// `addressed` becomes the account whose endpoint is called, once it is known.
async fn check(edge: &Inner, call: &Call<'_>, addressed: &mut AccountId) -> Result<Verdict, Refusal> {
    if !edge.fresh.is_current(&edge.rules) {
        return Err(Refusal::NotReady);
    }
    let (raw_path, query) = call.target.split_once('?').unwrap_or((call.target, ""));
    // Behind a fragment one reader sees parameters and another none.
    if query.contains('#') {
        return Err(Refusal::Ambiguous);
    }
    let method = Method::parse(call.method).ok_or(Refusal::Ambiguous)?;
    let host = host_name(call.host).ok_or(Refusal::Ambiguous)?;
    let path = path::read(raw_path).map_err(|_| Refusal::Ambiguous)?;
    if method.name == "OPTIONS" && may_preflight(edge, call, &host, &path) {
        return Ok(Verdict::Pass { caller: None, removed: Removed::find(call.headers, query, true) });
    }
    let found = {
        let routes = edge.routes();
        let found = routes.find(&host, &path.segments, method, call.bound_account);
        if let RouteMatch::Unknown { account_id } = found {
            edge.shadow.saw(account_id, &host, call.method, &path);
            if !routes.allows_unknown(&host) {
                return Err(Refusal::Unknown);
            }
        }
        found
    };
    let (account_id, collection_ids) = match found {
        RouteMatch::Endpoint { account_id, collection_ids } => (account_id, collection_ids),
        RouteMatch::Inactive => return Err(Refusal::Inactive),
        RouteMatch::Shut => return Err(Refusal::TenantShut),
        RouteMatch::Contested => return Err(Refusal::HostContested),
        RouteMatch::OtherMethod => return Err(Refusal::Unknown),
        RouteMatch::Unknown { .. } => {
            let removed = Removed::find(call.headers, query, shows_ours(edge, call));
            return Ok(Verdict::Pass { caller: None, removed });
        }
    };

    *addressed = account_id;
    let credential = Credential::find(call.headers, query).ok_or(Refusal::NoCredential)?;
    let Identified { profile, proof } = identify(edge, &credential)?;
    if !profile.active {
        return Err(Refusal::ProfileDisabled);
    }
    allow_address(edge, &profile, call)?;
    let claims = verify(edge, &profile, proof).await?;
    if profile.account_id != account_id || !profile.reaches(&collection_ids) {
        return Err(Refusal::Collection);
    }
    edge.limiter.take(profile.id, edge.rules.policies.of(profile.policy_id)).await?;
    if profile.mtls.as_ref().is_some_and(|formula| !formula.accepts(call.certificate)) {
        return Err(Refusal::Certificate);
    }
    let caller = Caller { profile_id: profile.id, client_id: profile.client_id, claims };
    Ok(Verdict::Pass { caller: Some(caller), removed: Removed::find(call.headers, query, true) })
}

/// Whether this is a preflight request (Fetch, 4.8) for an endpoint whose profiles let those pass. Browsers send no
/// credential with it; the answer is the upstream's.
fn may_preflight(edge: &Inner, call: &Call<'_>, host: &str, path: &StrictPath<'_>) -> bool {
    let Some(asked) = call.headers.get("access-control-request-method").and_then(|name| Method::parse(name)) else {
        return false;
    };
    if !call.headers.contains_key("origin") {
        return false;
    }
    match edge.routes().find(host, &path.segments, asked, call.bound_account) {
        RouteMatch::Endpoint { account_id, collection_ids } => {
            edge.profiles().allow_preflight(account_id, &collection_ids)
        }
        _ => false,
    }
}

/// Whether the header `authorization` carries a credential of the edge, alive or not. Nobody was asked for one, and one
/// of the upstream's own goes on.
fn shows_ours(edge: &Inner, call: &Call<'_>) -> bool {
    let authorization = call.headers.get("authorization").map_or("", String::as_str);
    let is_ours = |shown: credential::Shown| match shown {
        credential::Shown::Token => true,
        // The form that the edge's own tokens have.
        credential::Shown::Bearer(Credential::AccessToken(text) | Credential::Token(text)) => {
            text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        credential::Shown::Bearer(Credential::Signed(text)) => {
            Jws::parse(&text).is_ok_and(|jws| profile_of(&edge.profiles(), &jws).is_some())
        }
    };
    credential::shown(authorization).any(is_ours)
}

struct Identified {
    profile: Arc<Profile>,
    proof: Proof,
}

/// What is left to be verified of a credential.
enum Proof {
    /// Nothing: who knows the secret is the caller.
    Known,
    Signed {
        jws: Box<Jws>,
        token: Digest,
    },
    /// The signature was verified before.
    SignedBefore(Arc<VerifiedToken>),
}

fn identify(edge: &Inner, credential: &Credential) -> Result<Identified, Refusal> {
    let profiles = edge.profiles();
    let known = |profile: Option<Arc<Profile>>, is_kind: fn(&Auth) -> bool| {
        let profile = profile.filter(|profile| is_kind(&profile.auth)).ok_or(Refusal::CredentialUnknown)?;
        Ok(Identified { profile, proof: Proof::Known })
    };
    match credential {
        Credential::Token(token) => {
            let digest = digest_of(token);
            let profile = profiles.by_digest(&digest);
            // The map found it by parts of the digest; the whole is compared in a time that tells nothing.
            let profile = profile.filter(|profile| profile.digest.is_some_and(|own| own.ct_eq(&digest).into()));
            known(profile, |auth| matches!(auth, Auth::Token))
        }
        Credential::AccessToken(token) => {
            known(profiles.by_access_token(&digest_of(token), now_s()), |auth| matches!(auth, Auth::OAuth2))
        }
        Credential::Signed(text) => {
            let token = digest_of(text);
            if let Some(before) = edge.verified.get(&token)
                && let Some(profile) = before.profile.digest.and_then(|digest| profiles.by_digest(&digest))
                && Arc::ptr_eq(&profile, &before.profile)
            {
                return Ok(Identified { profile, proof: Proof::SignedBefore(before) });
            }
            let jws = Jws::parse(text).map_err(|_| Refusal::Proof)?;
            let profile = profile_of(&profiles, &jws).ok_or(Refusal::CredentialUnknown)?;
            Ok(Identified { profile, proof: Proof::Signed { jws: Box::new(jws), token } })
        }
    }
}

/// The claims that carry a profile's key, the first one that is filled counting.
const KEY_CLAIMS: [&str; 3] = ["https://www.workato.com/sub", "workato_sub", "sub"];

/// The profile that an unverified token means. A profile with a claim of its own is found through that claim alone, every
/// other one through the usual claims and the `kid`.
fn profile_of(profiles: &Profiles, jws: &Jws) -> Option<Arc<Profile>> {
    let claim = |name: &str| jws.claims.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let find = |key: &str, through: Option<&str>| {
        let profile = profiles.by_digest(&digest_of(key))?;
        (matches!(profile.auth, Auth::Signed(_)) && profile.claim() == through).then_some(profile)
    };
    let kid = || jws.compact.kid.as_deref().filter(|kid| !kid.is_empty());
    let usual = KEY_CLAIMS.into_iter().find_map(claim).or_else(kid).and_then(|key| find(key, None));
    usual.or_else(|| profiles.claims().find_map(|name| find(claim(name)?, Some(name))))
}

/// Deny wins over allow; an address that is not known is in no list that allows.
fn allow_address(edge: &Inner, profile: &Profile, call: &Call<'_>) -> Result<(), Refusal> {
    if profile.allow.is_empty() && profile.deny.is_empty() {
        return Ok(());
    }
    let client = client(edge, call).ok_or(Refusal::Address)?;
    let is_allowed = profile.allow.is_empty() || profile.allow.contains(client);
    if profile.deny.contains(client) || !is_allowed { Err(Refusal::Address) } else { Ok(()) }
}

/// From where a request comes; nothing where the proxy does not say it.
fn client(edge: &Inner, call: &Call<'_>) -> Option<IpAddr> {
    // Envoy joins the lines of a header.
    let lines = |name: &str| call.headers.get(name).map(|line| Cow::Borrowed(line.as_str())).into_iter().collect();
    Some(edge.rules.proxies.client_told(call.peer?, lines))
}

/// Returns the claims as they are passed on.
async fn verify(edge: &Inner, profile: &Arc<Profile>, proof: Proof) -> Result<Option<String>, Refusal> {
    let (signed, verified) = match (&profile.auth, proof) {
        (Auth::Token | Auth::OAuth2, Proof::Known) => return Ok(None),
        (Auth::Signed(signed), Proof::SignedBefore(before)) => {
            if !is_still_signed(edge, signed, &before).await? {
                return Err(Refusal::Proof);
            }
            (signed, before)
        }
        (Auth::Signed(signed), Proof::Signed { jws, token }) => {
            let verified = Arc::new(verify_signature(edge, profile, signed, *jws).await?);
            edge.verified.put(token, verified.clone());
            (signed, verified)
        }
        _ => return Err(Refusal::Proof),
    };
    let rules = signed.rules(edge.rules.leeway_s, edge.rules.requires_exp);
    rules.check(&verified.claims, now_s()).map_err(|_| Refusal::Claims)?;
    Ok(Some(verified.claims_header.clone()))
}

async fn verify_signature(
    edge: &Inner,
    profile: &Arc<Profile>,
    signed: &Signed,
    jws: Jws,
) -> Result<VerifiedToken, Refusal> {
    if !jws.compact.is_access_token() {
        return Err(Refusal::Proof);
    }
    let (kid, algorithm) = (jws.compact.kid.clone(), jws.compact.algorithm);
    let key = match &signed.keys {
        Keys::Own(key) => jws.compact.verify(key).is_ok().then(|| *key.fingerprint()),
        Keys::Published(source) => {
            let keys = edge.keys.keys(source, kid.as_deref()).await.map_err(|_| Refusal::KeysUnavailable)?;
            let mut candidates = keys.candidates(kid.as_deref(), algorithm);
            candidates.find(|key| jws.compact.verify(key).is_ok()).map(|key| *key.fingerprint())
        }
    };
    let claims_header = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&jws.claims).map_err(|_| Refusal::Proof)?);
    Ok(VerifiedToken {
        profile: profile.clone(),
        key: key.ok_or(Refusal::Proof)?,
        kid,
        algorithm,
        claims: jws.claims,
        claims_header,
    })
}

/// Whether the key that signed is still a key of the profile's provider. The profile's own key is: it did not change.
async fn is_still_signed(edge: &Inner, signed: &Signed, before: &VerifiedToken) -> Result<bool, Refusal> {
    let Keys::Published(source) = &signed.keys else { return Ok(true) };
    let kid = before.kid.as_deref();
    let keys = edge.keys.keys(source, kid).await.map_err(|_| Refusal::KeysUnavailable)?;
    Ok(keys.candidates(kid, before.algorithm).any(|key| *key.fingerprint() == before.key))
}
