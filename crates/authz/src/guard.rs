use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use portolan_api::{Access, Dialect, Error, Feature, KeyUtility, MethodPolicy, Reason, Who};
use portolan_ids::{AccountId, UserId};
use portolan_proxies::Proxies;
use tonic::{
    body::Body,
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};
use tower::{Layer, Service};

use crate::{
    CALLER_HEADER, CLIENT_ADDRESS_HEADER, Caller, CallerVerifier, Credential, CredentialKind, FailedAuthentication,
    Grant, PEER_FAULT_HEADER, PeerFault, REQUEST_ID_HEADER, Redis, RequestInfo, Role, SCOPE_HEADER, SERVICE_HEADER,
    Scope, ServiceAuth, Shown, VerifyingKeys, WRITE_ID_HEADER, credential::unreadable, near::NearCredentials,
    roads::service_of, token::CallerClaims, watched::Watched,
};

/// Where an error carries the fault of the peer to its answer.
const PEER_FAULT: &str = "peer_fault";

/// A future behind a pointer, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a guard asks identity.
pub trait Identities: Send + Sync {
    /// Checks an edge credential and returns a caller token with which this process calls `service`.
    fn authenticate<'a>(
        &'a self,
        credential: &'a Credential,
        scope: Scope,
        client_address: &'a str,
        service: &'a str,
    ) -> BoxFuture<'a, Result<String, Error>>;

    /// What the user may do at this moment.
    fn grant(&self, account_id: AccountId, user_id: UserId, scope: Scope) -> BoxFuture<'_, Result<Arc<Grant>, Error>>;

    /// The public keys of caller tokens.
    fn verifying_keys(&self) -> BoxFuture<'_, Result<VerifyingKeys, Error>>;
}

/// Where a guard records what the audit must have.
pub trait AuditSink: Send + Sync {
    /// A caller who is known was refused.
    fn refused<'a>(
        &'a self,
        policy: &'static MethodPolicy,
        claims: &'a CallerClaims,
        reason: Reason,
    ) -> BoxFuture<'a, ()>;

    /// A credential was refused. Nobody waits for it.
    fn unauthenticated(&self, failure: FailedAuthentication);

    /// A write succeeded whose handler put nothing into the audit itself.
    fn wrote(&self, caller: Caller) -> BoxFuture<'_, ()>;
}

/// What a guard asks billing.
pub trait PlanLimits: Send + Sync {
    /// Refuses when the plan of the account's organization does not allow more of a feature.
    fn check<'a>(&'a self, account_id: AccountId, feature: &'a str) -> BoxFuture<'a, Result<(), Error>>;
}

/// The checks before every handler.
#[derive(Clone)]
pub struct Guard {
    identities: Arc<dyn Identities>,
    verifier: CallerVerifier,
    services: ServiceAuth,
    audit: Option<Arc<dyn AuditSink>>,
    limits: Option<Arc<dyn PlanLimits>>,
    proxies: Arc<Proxies>,
    near: Option<NearCredentials>,
}

impl Guard {
    /// A guard that asks `identities` who a credential belongs to and trusts the tokens that `services` signs.
    pub fn new(identities: Arc<dyn Identities>, services: ServiceAuth) -> Self {
        let proxies = Arc::default();
        let verifier = CallerVerifier::default();
        Self { identities, verifier, services, audit: None, limits: None, proxies, near: None }
    }

    /// Takes the address of a client from these proxies, where it calls through them; without them it is that of the
    /// connection.
    #[must_use]
    pub fn behind(mut self, proxies: Arc<Proxies>) -> Self {
        self.proxies = proxies;
        self
    }

    /// Keeps copies of checked credentials, where the processes of the installation share a Redis: there the end of a
    /// credential is answered when they have ended. Called within a runtime.
    #[must_use]
    pub fn with_near_copies(mut self, redis: Option<&Redis>) -> Self {
        self.near = redis.map(NearCredentials::new);
        self
    }

    /// Records refusals of known callers, and writes that do not record themselves.
    #[must_use]
    pub fn with_audit(mut self, audit: Arc<dyn AuditSink>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Asks for the limits of metered RPCs; without it these are refused.
    #[must_use]
    pub fn with_limits(mut self, limits: Arc<dyn PlanLimits>) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Returns the claims of an edge credential with the token to pass on.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, in the katapult dialect its own reasons; those of an organization token's limits;
    /// `UNAVAILABLE` when identity does not answer.
    pub async fn authenticate(
        &self,
        policy: &MethodPolicy,
        headers: &HeaderMap,
        client_address: &str,
    ) -> Result<(Arc<CallerClaims>, Arc<str>), Error> {
        let credential = Credential::in_dialect(policy.dialect, headers).inspect_err(|error| {
            if let Some((shown, text)) = unreadable(policy.dialect, headers) {
                self.note_failure(FailedAuthentication::new(shown, &text, client_address, error.reason()));
            }
        })?;
        let scope = Scope::parse(text(headers, SCOPE_HEADER));
        let service = service_of(&policy.path);
        let strictly = || self.ask(&credential, scope, client_address, service);
        let checked = match &self.near {
            Some(near) => near.check(&credential, scope, (client_address, service), strictly).await,
            None => strictly().await,
        };
        let checked = checked.map_err(|mut error| {
            let account_id = FailedAuthentication::take_account(&mut error);
            let (shown, text) = credential.shown();
            self.note_failure(FailedAuthentication::new(shown, text, client_address, error.reason()).of(account_id));
            error
        });
        checked.map_err(|error| match (error.reason(), policy.dialect, &credential) {
            (Reason::Unauthenticated, Dialect::Katapult, Credential::CapabilitiesToken(_)) => {
                Reason::InvalidCapabilitiesToken.into()
            }
            (Reason::Unauthenticated, Dialect::Katapult, _) => Reason::InvalidApiToken.into(),
            _ => error,
        })
    }

    /// Has identity check a credential.
    async fn ask(
        &self,
        credential: &Credential,
        scope: Scope,
        client_address: &str,
        service: &str,
    ) -> Result<(Arc<CallerClaims>, Arc<str>), Error> {
        let token = self.identities.authenticate(credential, scope, client_address, service).await?;
        match self.verify(&token).await {
            Ok(claims) => Ok((claims, token.into())),
            // Identity made it a moment ago, so the caller is not to blame.
            Err(error) if error.reason() == Reason::Unauthenticated => {
                PeerFault::Clock.note("identity", "a caller token that it made this moment does not count here");
                Err(Reason::Unavailable.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a failed authentication into the audit, unless the failure is ours.
    fn note_failure(&self, failure: FailedAuthentication) {
        if let Some(audit) = &self.audit
            && FailedAuthentication::is_failure(failure.reason)
        {
            audit.unauthenticated(failure);
        }
    }

    /// Which service of this installation calls; `None` for a client.
    ///
    /// # Errors
    /// `UNAVAILABLE` for a service that has another key or clock, or means another service: what it asks is nobody's fault
    /// but the operator's.
    fn speaker(&self, request: &Request<Body>) -> Result<Option<Arc<str>>, Error> {
        let token = text(request.headers(), SERVICE_HEADER);
        if token.is_empty() {
            return Ok(None);
        }
        let audience = Some(service_of(request.uri().path())).filter(|service| !service.is_empty());
        let distrusted = match self.services.verify(token, audience) {
            Ok(speaker) => return Ok(Some(speaker)),
            Err(distrusted) => distrusted,
        };
        let address = peer_address(request).map(|address| address.to_string()).unwrap_or_default();
        self.note_failure(FailedAuthentication::new(Shown::ServiceToken, token, &address, Reason::Unauthenticated));
        let Some((fault, peer, cause)) = distrusted.fault() else { return Ok(None) };
        fault.note(format!("{} at {address}", if peer.is_empty() { "a service" } else { peer }), cause);
        Err(Error::new(Reason::Unavailable).with(PEER_FAULT, fault.name()))
    }

    /// Whether this caller may call an RPC for users; answers the scope whose role decided, and what the caller may do
    /// there at this moment.
    ///
    /// # Errors
    /// `KEY_NOT_ALLOWED`, `NO_PRODUCT_ACCESS`, `ROLE_HAS_NO_ACCESS`, `SCOPE_NOT_GRANTED`, `PERMISSION_DENIED`,
    /// `NOT_FOUND` and what else stands for a missing id, `CREDENTIAL_BOUNDED`; `NOT_CALLABLE` for RPCs that are not for users; `UNAVAILABLE` when identity does not answer.
    pub async fn authorize(
        &self,
        policy: &'static MethodPolicy,
        claims: &CallerClaims,
    ) -> Result<(Scope, Arc<Grant>), Error> {
        let outcome = self.decide(policy, claims).await;
        if let (Err(error), Some(audit)) = (&outcome, &self.audit)
            && error.reason() != Reason::Unavailable
            && error.reason() != Reason::Internal
        {
            audit.refused(policy, claims, error.reason()).await;
        }
        outcome
    }

    /// Returns the scope whose role decided, and what it gives.
    async fn decide(&self, policy: &MethodPolicy, claims: &CallerClaims) -> Result<(Scope, Arc<Grant>), Error> {
        if matches!(policy.who, Who::Nobody | Who::Internal) {
            return Err(Reason::NotCallable.into());
        }
        let (scope, grant) = if claims.credential == CredentialKind::OrganizationToken {
            (claims.scope, allow_scopes(policy, claims)?)
        } else {
            allow_key(policy, claims)?;
            self.decide_role(policy, claims).await?
        };
        if let Some(missing) = policy.organization
            && !grant.administers_organization()
        {
            return Err(missing.into());
        }
        // What an RPC gives without bounds is not given by what has some.
        let bound = match (claims.valid_until, claims.has_networks) {
            (Some(_), _) => "ends at a set time",
            (None, true) => "is bounded to addresses",
            (None, false) => return Ok((scope, grant)),
        };
        if policy.rights.carries && !policy.rights.bounds {
            return Err(Error::new(Reason::CredentialBounded).with("bound", bound));
        }
        Ok((scope, grant))
    }

    /// A collection belongs to a scope, which the header names: a reader of collections shows those of that scope alone.
    /// What belongs to the account is decided in the API scope, whatever the header says.
    async fn decide_role(&self, policy: &MethodPolicy, claims: &CallerClaims) -> Result<(Scope, Arc<Grant>), Error> {
        let grant = async |scope| self.identities.grant(claims.account_id, claims.user_id, scope).await;
        let of_collections = |need: &&(Feature, Access)| !policy.account && is_of_collections(need.0);
        let (named, rest): (Vec<_>, Vec<_>) = match &policy.who {
            Who::AnyOf(needs) => needs.iter().partition(of_collections),
            _ => (Vec::new(), Vec::new()),
        };
        let header_decides = !named.is_empty() || (policy.who == Who::AnyUser && policy.organization.is_none());
        if claims.scope == Scope::Api || !header_decides {
            let in_api = grant(Scope::Api).await?;
            // A header that names a product without access refuses too; it never opens.
            if claims.scope != Scope::Api && asks_for_product(policy) {
                let named = grant(claims.scope).await?;
                if named.base_role == Role::NoAccess {
                    return Err(grant_refusal(&named));
                }
            }
            allow_role(policy, &in_api)?;
            return Ok((Scope::Api, in_api));
        }
        let in_scope = grant(claims.scope).await?;
        let outcome = match named.is_empty() || named.iter().any(|(feature, access)| in_scope.allows(*feature, *access))
        {
            true => allow_role(policy, &in_scope),
            false => Err(grant_refusal(&in_scope)),
        };
        match outcome {
            Ok(()) => Ok((claims.scope, in_scope)),
            Err(refused) if rest.is_empty() => Err(refused),
            Err(refused) => {
                let in_api = grant(Scope::Api).await?;
                let allowed = rest.iter().any(|(feature, access)| in_api.allows(*feature, *access));
                if allowed { Ok((Scope::Api, in_api)) } else { Err(refused) }
            }
        }
    }

    /// Finds out whether the caller may call, and puts a [`Caller`] or [`RequestInfo`] beside the message.
    async fn check(&self, policy: &'static MethodPolicy, request: &mut Request<Body>) -> Result<Option<Caller>, Error> {
        let speaker = self.speaker(request)?;
        let from_service = speaker.is_some();
        let mut info = request_info(request, speaker.as_deref(), &self.proxies);
        info.action = &policy.audit;
        match &policy.who {
            Who::Nobody => return Err(Reason::NotCallable.into()),
            Who::Internal if !from_service => return Err(Reason::NotCallable.into()),
            Who::Internal | Who::Public => {
                request.extensions_mut().insert(info);
                return Ok(None);
            }
            Who::AnyUser | Who::AnyOf(_) | Who::Scoped | Who::VendorAdmin => {}
        }
        let presented = text(request.headers(), CALLER_HEADER);
        let (claims, token) = if presented.is_empty() {
            self.authenticate(policy, request.headers(), &info.client_address).await?
        } else {
            let note = |error: &Error| {
                let (shown, address) = (Shown::CallerToken, &info.client_address);
                self.note_failure(FailedAuthentication::new(shown, presented, address, error.reason()));
            };
            let claims = self.verify(presented).await.inspect_err(note)?;
            let may_come = speaker.is_some_and(|speaker| claims.may_come_from(&speaker));
            if !may_come || !claims.is_for(service_of(&policy.path)) {
                let error = Error::new(Reason::Unauthenticated);
                note(&error);
                return Err(error);
            }
            (claims, presented.into())
        };
        info.client_address.clone_from(&claims.client_address);
        info.valid_until = claims.valid_until;
        let (scope, grant) = self.authorize(policy, &claims).await?;
        if !policy.metered.is_empty() {
            let limits = self.limits.as_ref().ok_or_else(|| Error::unavailable("no limits can be asked for"))?;
            limits.check(claims.account_id, &policy.metered).await?;
        }
        let caller = Caller {
            account_id: claims.account_id,
            user_id: claims.user_id,
            organization_id: claims.organization_id.clone(),
            scope,
            credential: claims.credential,
            credential_id: claims.credential_id.clone(),
            info,
            grant,
            token,
        };
        request.extensions_mut().insert(caller.clone());
        Ok(Some(caller))
    }

    /// Puts a successful write into the audit, unless its handler did.
    async fn note(&self, caller: Option<Caller>, failed: bool) {
        let (Some(audit), Some(caller)) = (&self.audit, caller) else { return };
        if !caller.info.action.is_empty() && !failed && !caller.info.audited.get() {
            audit.wrote(caller).await;
        }
    }

    /// A token under a key that is not known yet is worth one question to identity: keys rotate.
    async fn verify(&self, token: &str) -> Result<Arc<CallerClaims>, Error> {
        if let Ok(claims) = self.verifier.verify(token) {
            return Ok(claims);
        }
        if !self.verifier.knows_key_of(token) {
            self.verifier.set_keys(&self.identities.verifying_keys().await?);
        }
        self.verifier.verify(token)
    }
}

fn allow_key(policy: &MethodPolicy, claims: &CallerClaims) -> Result<(), Error> {
    match claims.credential.utility() {
        None | Some(KeyUtility::ExternalApi) => Ok(()),
        Some(utility) if policy.also_for_keys.contains(&utility) => Ok(()),
        Some(_) if policy.who == Who::VendorAdmin => Err(Reason::NotFound.into()),
        Some(_) if policy.who == Who::Scoped => Err(Reason::PermissionDenied.into()),
        Some(_) => Err(Reason::KeyNotAllowed.into()),
    }
}

/// Any one of the policy's scopes suffices.
fn allow_scopes(policy: &MethodPolicy, claims: &CallerClaims) -> Result<Arc<Grant>, Error> {
    if policy.scopes.iter().any(|scope| claims.scopes.contains(scope)) {
        return Ok(Arc::new(Grant::of_organization_token(claims.scopes.clone())));
    }
    if policy.who == Who::VendorAdmin {
        return Err(Reason::NotFound.into());
    }
    let quoted: Vec<_> = policy.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    Err(Error::new(Reason::ScopeNotGranted).with("detail_json", format!("{{\"scopes\":[{}]}}", quoted.join(","))))
}

/// Features of what a collection holds. All others are of the account.
fn is_of_collections(feature: Feature) -> bool {
    use Feature::{ApiCollections, Issues, SampleData, SensitiveData};
    matches!(feature, ApiCollections | SensitiveData | SampleData | Issues)
}

/// Whether the caller must have access to the product that a header names, beside the role in the API scope.
fn asks_for_product(policy: &MethodPolicy) -> bool {
    let Who::AnyOf(needs) = &policy.who else { return false };
    policy.organization.is_none() && !needs.iter().any(|(feature, _)| *feature == Feature::AdminActions)
}

fn grant_refusal(grant: &Grant) -> Error {
    match grant.base_role {
        Role::NoAccess => Reason::NoProductAccess.into(),
        _ => Error::new(Reason::RoleHasNoAccess).with("role", grant.display_role()),
    }
}

fn allow_role(policy: &MethodPolicy, grant: &Grant) -> Result<(), Error> {
    match policy.who {
        Who::Scoped if !grant.allows(Feature::AdminActions, Access::ReadWrite) => {
            return Err(Reason::PermissionDenied.into());
        }
        // A role made of ADMIN may have less than an ADMIN has.
        Who::VendorAdmin
            if grant.base_role != Role::Admin || !grant.allows(Feature::AdminActions, Access::ReadWrite) =>
        {
            return Err(Reason::NotFound.into());
        }
        _ => {}
    }
    if grant.base_role == Role::NoAccess {
        return Err(grant_refusal(grant));
    }
    match &policy.who {
        Who::AnyOf(needs) if !needs.iter().any(|(feature, access)| grant.allows(*feature, *access)) => {
            Err(grant_refusal(grant))
        }
        _ => Ok(()),
    }
}

fn request_info(request: &Request<Body>, speaker: Option<&str>, proxies: &Proxies) -> RequestInfo {
    let headers = request.headers();
    let request_id = text(headers, REQUEST_ID_HEADER).to_owned();
    // Ids and addresses told by anybody but a service of the installation would let a caller speak for others.
    let (write_id, client_address) = if speaker.is_some() {
        (text(headers, WRITE_ID_HEADER).to_owned(), text(headers, CLIENT_ADDRESS_HEADER).to_owned())
    } else {
        let client = peer_address(request).map(|peer| proxies.client(peer, headers).to_string());
        (String::new(), client.unwrap_or_default())
    };
    let write_id = if write_id.is_empty() { fresh_id() } else { write_id };
    RequestInfo {
        request_id: if request_id.is_empty() { write_id.clone() } else { request_id },
        write_id,
        client_address,
        speaker: speaker.unwrap_or_default().to_owned(),
        ..RequestInfo::default()
    }
}

/// The address at the other end of the connection; `None` where there is none.
fn peer_address(request: &Request<Body>) -> Option<IpAddr> {
    let extensions = request.extensions();
    let secured = extensions.get::<TlsConnectInfo<TcpConnectInfo>>().map(TlsConnectInfo::get_ref);
    let peer = extensions.get::<TcpConnectInfo>().or(secured).and_then(TcpConnectInfo::remote_addr);
    peer.map(|address| address.ip())
}

/// A refusal, with what is wrong with the calling process where that is the reason.
fn refusal(mut error: Error) -> Response<Body> {
    let fault = error.take(PEER_FAULT).and_then(|fault| fault.parse().ok());
    let mut response = tonic::Status::from(error).into_http();
    if let Some(fault) = fault {
        response.headers_mut().insert(PEER_FAULT_HEADER, fault);
    }
    response
}

fn fresh_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Puts a [`Guard`] before a gRPC service.
#[derive(Clone)]
pub struct GuardLayer(pub Guard);

impl<S> Layer<S> for GuardLayer {
    type Service = GuardService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardService { guard: self.0.clone(), inner }
    }
}

/// A service behind a [`Guard`]; made by [`GuardLayer`].
#[derive(Clone)]
pub struct GuardService<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request<Body>> for GuardService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The clone takes the place of the service that was polled ready.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let guard = self.guard.clone();
        Box::pin(async move {
            let path = request.uri().path();
            // Health and reflection tell nothing of any tenant; a path outside the contract is refused by the router.
            let Some(policy) = portolan_api::policy(path) else {
                return match guard.speaker(&request) {
                    Err(error) => Ok(refusal(error)),
                    Ok(_) => inner.call(request).await,
                };
            };
            let mut watched = Watched::of(&request, policy, &guard.services);
            match guard.check(policy, &mut request).await {
                Err(error) => {
                    let response = refusal(error);
                    watched.tell(&response);
                    Ok(response)
                }
                Ok(caller) => {
                    watched.note(caller.as_ref());
                    let response = inner.call(request).await?;
                    watched.tell(&response);
                    // A refused call is answered by headers alone, which then hold the status.
                    let failed = response.headers().get("grpc-status").is_some_and(|status| status != "0");
                    guard.note(caller, failed).await;
                    Ok(response)
                }
            }
        })
    }
}
