use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::{Buf as _, BufMut as _};
use portolan_api::{Access, Dialect, Error, Feature, KeyUtility, MethodPolicy, Reason, Who, policies};
use portolan_authz::{
    CALLER_HEADER, Credential, Identities as _, Role, SERVICE_HEADER, Scope, features_named, service_of,
};
use portolan_identity::{Deps, grants::OwnIdentities};
use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::json;
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataKey, MetadataValue},
    transport::Channel,
};

use crate::{
    roles::{Person, create, identity},
    server::Server,
};

/// `CHECK PATH REASON` on each line: what a check leaves out, and why.
const EXEMPT: &str = include_str!("../exempt_rpcs.txt");
/// The only answers of the guard itself to callers that are known.
const REFUSALS: [Reason; 5] = [
    Reason::Unauthenticated,
    Reason::NotCallable,
    Reason::KeyNotAllowed,
    Reason::NoProductAccess,
    Reason::RoleHasNoAccess,
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Nobody,
    /// In the first account, without authority over the organization.
    Role(Role),
    /// The same, of a custom role that narrows a built-in one to a feature.
    Custom(Role, &'static str),
    /// The first ADMIN, who administers the organization.
    Administrator,
    /// Of another account of the organization.
    SecondAdmin,
    /// Of a customer workspace.
    WorkspaceAdmin,
    Key(KeyUtility),
    /// Of the first ADMIN, with an end.
    EndingKey,
    /// An organization token with these scopes, and whether it is bounded to addresses.
    Token(&'static [&'static str], bool),
}

/// Roles that are less than their name says, each by one feature.
const CUSTOM: [(Role, &str); 4] = [
    (Role::Admin, "ADMIN_ACTIONS"),
    (Role::Admin, "INVENTORY"),
    (Role::Member, "INVITE_MEMBERS"),
    (Role::Guest, "BILLING"),
];
const TOKENS: [(&[&str], bool); 3] = [
    (&["identity:read", "access_profiles:read"], false),
    (&["api_tokens", "access_profiles", "identity", "inventory"], true),
    (&["billing", "imports"], false),
];

pub type Headers = Vec<(&'static str, String)>;

struct Caller {
    kind: Kind,
    /// For every dialect but katapult, and for that one.
    headers: [Headers; 2],
    /// Of a user. Katapult takes no sessions at its edge; what the guard decides of a user is the same behind it.
    credential: Option<Credential>,
}

/// What the contract says, written down once more and without the guard.
fn expected(policy: &MethodPolicy, kind: Kind) -> Option<Reason> {
    let bounded = (policy.rights.carries && !policy.rights.bounds).then_some(Reason::CredentialBounded);
    match (&policy.who, kind) {
        (Who::Nobody | Who::Internal, _) => Some(Reason::NotCallable),
        (Who::Public, _) => None,
        (_, Kind::Nobody) if policy.dialect == Dialect::Katapult => Some(Reason::MissingApiToken),
        (_, Kind::Nobody) => Some(Reason::Unauthenticated),
        (_, Kind::Key(utility)) if policy.also_for_keys.contains(&utility) => None,
        (Who::VendorAdmin, Kind::Key(_)) => Some(Reason::NotFound),
        (Who::Scoped, Kind::Key(_)) => Some(Reason::PermissionDenied),
        (_, Kind::Key(_)) => Some(Reason::KeyNotAllowed),
        (_, Kind::Administrator) => None,
        (_, Kind::EndingKey) => bounded,
        (who, Kind::Token(scopes, has_networks)) => {
            match policy.scopes.iter().any(|own| scopes.contains(&own.as_str())) {
                true => bounded.filter(|_| has_networks),
                false if *who == Who::VendorAdmin => Some(Reason::NotFound),
                false => Some(Reason::ScopeNotGranted),
            }
        }
        (_, Kind::SecondAdmin | Kind::WorkspaceAdmin) => policy.organization,
        (who, Kind::Role(role)) => expected_of_role(policy, who, role, u64::MAX),
        (who, Kind::Custom(role, feature)) => {
            let allowed = features_named(feature).unwrap() | 1 << Feature::UserActions as i32;
            expected_of_role(policy, who, role, allowed)
        }
    }
}

fn expected_of_role(policy: &MethodPolicy, who: &Who, role: Role, allowed: u64) -> Option<Reason> {
    let has = |feature: Feature, access: Access| role.features(access) & allowed & 1 << feature as i32 != 0;
    let is_admin = has(Feature::AdminActions, Access::ReadWrite);
    match who {
        Who::VendorAdmin if !is_admin => Some(Reason::NotFound),
        Who::Scoped if !is_admin => Some(Reason::PermissionDenied),
        _ if role == Role::NoAccess => Some(Reason::NoProductAccess),
        Who::AnyOf(needs) if !needs.iter().any(|(feature, access)| has(*feature, *access)) => {
            Some(Reason::RoleHasNoAccess)
        }
        _ => policy.organization,
    }
}

/// The RPCs that a check leaves out.
pub fn exempt(check: &str) -> BTreeSet<&'static str> {
    let lines = EXEMPT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parts = lines.map(|line| {
        let mut parts = line.splitn(3, ' ');
        let (check, path) = (parts.next().unwrap(), parts.next().unwrap());
        assert!(parts.next().is_some_and(|reason| reason.len() > 10), "{path} is exempt without a reason");
        assert!(policies().contains_key(path), "{path} is exempt and does not exist");
        (check, path)
    });
    parts.filter(|(name, _)| *name == check).map(|(_, path)| path).collect()
}

/// Every RPC of the contract, called over gRPC by nobody, by each role and by narrowed ones, by keys of tools, by bounded
/// credentials and by tokens: refused with the reason that its rule gives, or, when it only reads, let through.
pub async fn every_rpc_refuses_whom_its_rule_refuses(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let server = Server::start_with(&test, data_dir, &[("PORTOLAN__TOKENS__ORGANIZATION_RATE_LIMIT", "100000")]).await;
    let deps = identity(&test, &server).await;
    let identities = OwnIdentities(deps.clone());
    let callers = callers(&deps, &server).await;
    let gateway = portolan_runtime::Keys::load(&server.data_dir.join("secret-key")).unwrap().auth("gateway");
    let channel = Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap();
    let open = exempt("open");
    let policies: BTreeMap<_, _> = policies().iter().collect();
    let public: BTreeSet<&str> =
        policies.values().filter(|policy| policy.who == Who::Public).map(|policy| policy.path.as_str()).collect();
    assert_eq!(public, open, "RPCs open to anybody must stand in exempt_rpcs.txt, and only these");

    let (mut refused, mut passed, mut wrong) = (0, 0, Vec::new());
    for policy in policies.values().filter(|policy| policy.who != Who::Public) {
        for caller in &callers {
            let expected = expected(policy, caller.kind);
            let reads = policy.audit.is_empty() && !policy.streams_request;
            if expected.is_none() && !reads {
                continue;
            }
            let is_katapult = policy.dialect == Dialect::Katapult;
            let mut headers = match &caller.credential {
                // Made at each use: its life is shorter than that of this test on a slow machine.
                Some(credential) if is_katapult => {
                    let token = identities.authenticate(credential, Scope::Api, "127.0.0.1", "tokens").await.unwrap();
                    vec![(CALLER_HEADER, token)]
                }
                _ => caller.headers[usize::from(is_katapult)].clone(),
            };
            if headers.iter().any(|(name, _)| *name == CALLER_HEADER) && policy.who != Who::Internal {
                let token = gateway.token(service_of(&policy.path)).unwrap();
                headers.push((SERVICE_HEADER, token.as_ref().to_owned()));
            }
            let outcome = call(&channel, &policy.path, &headers, Vec::new()).await;
            let reason = outcome.err().map(|status| Error::from_status(&status).reason());
            let right = match expected {
                Some(expected) => reason == Some(expected),
                None => !reason.is_some_and(|reason| REFUSALS.contains(&reason)),
            };
            if !right {
                wrong.push(format!("{} by {:?}: {reason:?}, not {expected:?}", policy.path, caller.kind));
            }
            if expected.is_some() {
                refused += 1;
            } else {
                passed += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    println!("{} RPCs, {} callers: {refused} refusals, {passed} reads let through", policies.len(), callers.len());
}

async fn callers(deps: &Deps, server: &Server) -> Vec<Caller> {
    let mut callers = vec![Caller { kind: Kind::Nobody, headers: [Vec::new(), Vec::new()], credential: None }];
    let accounts = "INSERT INTO accounts (account_id, organization_id, name, created_at, vendor_account_id)
        SELECT 2000000, organization_id, 'Other', 0, NULL FROM accounts WHERE account_id = 1000000
        UNION ALL SELECT 3000000, organization_id, 'Customer', 0, 1000000 FROM accounts WHERE account_id = 1000000";
    deps.db.execute(accounts, args![]).await.unwrap();
    let mut people: Vec<_> =
        Role::ALL.iter().map(|role| (Kind::Role(*role), 1_000_000, role.name().to_owned())).collect();
    people.push((Kind::SecondAdmin, 2_000_000, Role::Admin.name().to_owned()));
    people.push((Kind::WorkspaceAdmin, 3_000_000, Role::Admin.name().to_owned()));
    for (base, feature) in CUSTOM {
        let name = format!("{}-{feature}", base.name());
        let role = json!({"roleName": name, "baseRole": base.name(), "allowedFeaturesForUser": [feature]});
        server.post("/api/createCustomRole", role).await.expect(200);
        people.push((Kind::Custom(base, feature), 1_000_000, name));
    }
    for (kind, account_id, role) in people {
        let login = format!("{}-{account_id}@guards.example.org", role.to_lowercase());
        create(deps, account_id, &login, &role).await;
        let person = Person::log_in(server, &login).await;
        let session = person.cookie.split_once('=').unwrap().1.to_owned();
        let credential = Credential::Session { session, access_token: person.token.clone() };
        let session = vec![("cookie", person.cookie.clone()), ("access-token", person.token.clone())];
        callers.push(Caller { kind, headers: [session, Vec::new()], credential: Some(credential) });
    }
    let bearer = vec![("authorization", format!("Bearer {}", server.api_key))];
    let headers = [vec![("x-api-key", server.api_key.clone())], bearer];
    callers.push(Caller { kind: Kind::Administrator, headers, credential: None });
    for (kind, name, ends_at) in [
        (Kind::Key(KeyUtility::Burp), "BURP", None),
        (Kind::Key(KeyUtility::Cicd), "CICD", None),
        (Kind::EndingKey, "EXTERNAL_API", Some(4_000_000_000_i64)),
    ] {
        let mut body = json!({ "tokenUtility": name });
        if let Some(at) = ends_at {
            body["expiresAt"] = json!(at);
        }
        let made = server.post("/api/addApiToken", body).await.expect(200).json();
        let key = made["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
        let bearer = vec![("authorization", format!("Bearer {key}"))];
        callers.push(Caller { kind, headers: [vec![("x-api-key", key)], bearer], credential: None });
    }
    let organization = server.get("/v1/organization").await.expect(200).json();
    let tokens = format!("/core/v1/organizations/{}/api_tokens", organization["publicId"].as_str().unwrap());
    for (scopes, has_networks) in TOKENS {
        let networks = if has_networks { json!(["127.0.0.0/8", "::1"]) } else { json!([]) };
        let new = json!({"properties": {"name": "guards", "scopes": scopes, "authorized_ip_addresses": networks}});
        let made = server.call("POST", &tokens, &server.api_key, new).await.expect(200).json();
        let bearer =
            vec![("authorization", format!("Bearer {}", made["api_token"]["secret"].as_str().unwrap().to_owned()))];
        let headers = [bearer.clone(), bearer];
        callers.push(Caller { kind: Kind::Token(scopes, has_networks), headers, credential: None });
    }
    callers
}

/// Sends one message and takes every message of the answer; the wire does not tell a unary call from a stream of one.
pub async fn call(channel: &Channel, path: &str, headers: &Headers, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut request = Request::new(futures::stream::iter([message]));
    for (name, value) in headers {
        let name: MetadataKey<Ascii> = name.parse().unwrap();
        request.metadata_mut().insert(name, value.parse::<MetadataValue<Ascii>>().unwrap());
    }
    let mut client = tonic::client::Grpc::new(channel.clone());
    let whole = async {
        client.ready().await.unwrap();
        let mut answer = client.streaming(request, path.parse().unwrap(), Raw).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(message) = answer.message().await? {
            bytes.extend(message);
        }
        Ok(bytes)
    };
    tokio::time::timeout(Duration::from_secs(20), whole).await.unwrap_or_else(|_| panic!("{path} does not answer"))
}

/// Messages as their bytes.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
