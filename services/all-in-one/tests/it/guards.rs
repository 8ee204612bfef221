use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::{Buf as _, BufMut as _};
use portolan_api::{Dialect, Error, KeyUtility, MethodPolicy, Reason, Who, policies};
use portolan_authz::{CALLER_HEADER, Credential, Identities as _, Role, SERVICE_HEADER, Scope, service_of};
use portolan_identity::grants::OwnIdentities;
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
    /// The first ADMIN, who administers the organization.
    Administrator,
    /// Of another account of the organization.
    SecondAdmin,
    /// Of a customer workspace.
    WorkspaceAdmin,
    Key(KeyUtility),
}

pub type Headers = Vec<(&'static str, String)>;

struct Caller {
    kind: Kind,
    /// For every dialect but katapult, and for that one.
    headers: [Headers; 2],
}

/// What the contract says, written down once more and without the guard.
fn expected(policy: &MethodPolicy, kind: Kind) -> Option<Reason> {
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
        (_, Kind::Role(Role::Admin) | Kind::SecondAdmin | Kind::WorkspaceAdmin) => policy.organization,
        (Who::VendorAdmin, Kind::Role(_)) => Some(Reason::NotFound),
        (Who::Scoped, Kind::Role(_)) => Some(Reason::PermissionDenied),
        (_, Kind::Role(Role::NoAccess)) => Some(Reason::NoProductAccess),
        (Who::AnyUser, Kind::Role(_)) => policy.organization,
        (Who::AnyOf(needs), Kind::Role(role)) => {
            let meets = needs.iter().any(|(feature, access)| role.features(*access) & 1 << *feature as i32 != 0);
            if meets { policy.organization } else { Some(Reason::RoleHasNoAccess) }
        }
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

/// Every RPC of the contract, called over gRPC by nobody, by each role, and by keys of tools: refused with the reason
/// that its rule gives, or, when it only reads, let through.
pub async fn every_rpc_refuses_whom_its_rule_refuses(test: TestDb) {
    let server = Server::start(&test).await;
    let callers = callers(&test, &server).await;
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
            let mut headers = caller.headers[usize::from(is_katapult)].clone();
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

async fn callers(test: &TestDb, server: &Server) -> Vec<Caller> {
    let deps = identity(test, server).await;
    let identities = OwnIdentities(deps.clone());
    let mut callers = vec![Caller { kind: Kind::Nobody, headers: [Vec::new(), Vec::new()] }];
    let accounts = "INSERT INTO accounts (account_id, organization_id, name, created_at, vendor_account_id)
        SELECT 2000000, organization_id, 'Other', 0, NULL FROM accounts WHERE account_id = 1000000
        UNION ALL SELECT 3000000, organization_id, 'Customer', 0, 1000000 FROM accounts WHERE account_id = 1000000";
    deps.db.execute(accounts, args![]).await.unwrap();
    let in_first = Role::ALL.map(|role| (Kind::Role(role), 1_000_000, role));
    let elsewhere = [(Kind::SecondAdmin, 2_000_000, Role::Admin), (Kind::WorkspaceAdmin, 3_000_000, Role::Admin)];
    for (kind, account_id, role) in in_first.into_iter().chain(elsewhere) {
        let login = format!("{}-{account_id}@guards.example.org", role.name().to_lowercase());
        create(&deps, account_id, &login, role.name()).await;
        let person = Person::log_in(server, &login).await;
        let session = person.cookie.split_once('=').unwrap().1.to_owned();
        let credential = Credential::Session { session, access_token: person.token.clone() };
        // Katapult takes no sessions at its edge; what the guard decides of a user is the same behind it.
        let token = identities.authenticate(&credential, Scope::Api, "127.0.0.1", "tokens").await.unwrap();
        let session = vec![("cookie", person.cookie.clone()), ("access-token", person.token.clone())];
        callers.push(Caller { kind, headers: [session, vec![(CALLER_HEADER, token)]] });
    }
    let bearer = vec![("authorization", format!("Bearer {}", server.api_key))];
    callers.push(Caller { kind: Kind::Administrator, headers: [vec![("x-api-key", server.api_key.clone())], bearer] });
    for (utility, name) in [(KeyUtility::Burp, "BURP"), (KeyUtility::Cicd, "CICD")] {
        let made = server.post("/api/addApiToken", json!({ "tokenUtility": name })).await.expect(200).json();
        let key = made["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
        let bearer = vec![("authorization", format!("Bearer {key}"))];
        callers.push(Caller { kind: Kind::Key(utility), headers: [vec![("x-api-key", key)], bearer] });
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
