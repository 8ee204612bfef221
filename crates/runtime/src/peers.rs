use std::{sync::Arc, time::Duration};

use portolan_api::{
    billing::v1::{
        job_service_client::JobServiceClient as BillingJobServiceClient, metering_service_client::MeteringServiceClient,
    },
    identity::v1::{
        collection_lists_service_client::CollectionListsServiceClient,
        directory_service_client::DirectoryServiceClient, identity_service_client::IdentityServiceClient,
        identity_usage_service_client::IdentityUsageServiceClient,
        notifications_service_client::NotificationsServiceClient, tenants_service_client::TenantsServiceClient,
    },
    imports::v1::uploads_service_client::UploadsServiceClient,
    inventory::v1::{
        collection_service_client::CollectionServiceClient, endpoint_service_client::EndpointServiceClient,
        ingest_service_client::IngestServiceClient, job_service_client::JobServiceClient,
    },
    tokens::v1::{
        SettleEdgeRequest, api_keys_service_client::ApiKeysServiceClient, edge_service_client::EdgeServiceClient,
        organization_tokens_service_client::OrganizationTokensServiceClient,
        revocation_service_client::RevocationServiceClient, tokens_service_client::TokensServiceClient,
    },
};
use portolan_authz::{CALLER_HEADER, Caller, REQUEST_ID_HEADER, SERVICE_HEADER, ServiceAuth, WRITE_ID_HEADER};
use tonic::{Request, Status, service::interceptor::InterceptedService};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{Channel, Config, tls::Tls};

/// Longest wait for the edge; its own bound is shorter.
const SETTLE_WAIT: Duration = Duration::from_secs(5);

/// The other services of the installation.
#[derive(Clone)]
pub struct Peers {
    /// The way to users, roles, grants, and the audit.
    pub identity: Channel,
    /// The way to API keys, profiles, and the edge.
    pub tokens: Channel,
    /// The way to collections, endpoints, and ingest.
    pub inventory: Channel,
    /// The way to uploads and their jobs.
    pub imports: Channel,
    /// The way to plans, limits, and usage.
    pub billing: Channel,
    /// Signs what this process says to them.
    pub auth: ServiceAuth,
}

type Called<C> = InterceptedService<C, Attach>;

impl Peers {
    /// Local roads for services without an address in `[peers]`, TCP for the rest.
    ///
    /// # Errors
    /// The address that cannot be read, or needs certificates that are not there.
    pub fn new(config: &Config, auth: ServiceAuth) -> Result<Self, String> {
        Self::with_tls(config, auth, None)
    }

    /// The same, with certificates for `https` addresses.
    ///
    /// # Errors
    /// The address that cannot be read, or needs certificates that are not there.
    pub fn with_tls(config: &Config, auth: ServiceAuth, tls: Option<Arc<Tls>>) -> Result<Self, String> {
        let road = |addresses: &String| match addresses.as_str() {
            "" => Ok(Channel::local()),
            addresses => Channel::remote(addresses, tls.clone()),
        };
        let peers = &config.shared.peers;
        Ok(Self {
            identity: road(&peers.identity)?,
            tokens: road(&peers.tokens)?,
            inventory: road(&peers.inventory)?,
            imports: road(&peers.imports)?,
            billing: road(&peers.billing)?,
            auth,
        })
    }

    /// The services of other processes, by name.
    pub fn remote(&self) -> Vec<(&'static str, Channel)> {
        let services = [
            ("identity", &self.identity),
            ("tokens", &self.tokens),
            ("inventory", &self.inventory),
            ("imports", &self.imports),
            ("billing", &self.billing),
        ];
        let remote = services.into_iter().filter(|(_, channel)| channel.is_remote());
        remote.map(|(name, channel)| (name, channel.clone())).collect()
    }

    /// Whether a service says that it is ready.
    ///
    /// # Errors
    /// What keeps it, or its answer.
    pub async fn expect_ready(&self, service: &'static str, channel: Channel) -> Result<String, String> {
        let mut client = HealthClient::with_interceptor(channel, self.as_service(service));
        let answer = client.check(HealthCheckRequest::default()).await.map_err(|status| status.message().to_owned())?;
        match answer.into_inner().status() {
            ServingStatus::Serving => Ok("serves".to_owned()),
            _ => Err("it is not ready itself".to_owned()),
        }
    }

    /// Whether the addresses fit the certificates, without a road to any of them.
    ///
    /// # Errors
    /// The key whose address needs certificates that are not configured.
    pub fn check(config: &Config) -> Result<(), String> {
        if !config.shared.tls.cert.is_empty() {
            return Ok(());
        }
        for (service, addresses) in config.shared.peers.each() {
            if let Some(address) = addresses.split(',').map(str::trim).find(|a| a.starts_with("https:")) {
                return Err(format!("peers.{service}: `{address}` needs the certificates of [tls]"));
            }
        }
        Ok(())
    }

    /// Users, sessions, and grants.
    pub fn identity(&self) -> IdentityServiceClient<Called<Channel>> {
        IdentityServiceClient::with_interceptor(self.identity.clone(), self.as_service("identity"))
    }

    /// Push messages to the users of an account.
    pub fn notifications(&self) -> NotificationsServiceClient<Called<Channel>> {
        NotificationsServiceClient::with_interceptor(self.identity.clone(), self.as_service("identity"))
    }

    /// Organizations, account settings and customer workspaces.
    pub fn directory(&self) -> DirectoryServiceClient<Called<Channel>> {
        DirectoryServiceClient::with_interceptor(self.identity.clone(), self.as_service("identity"))
    }

    /// Which accounts are open.
    pub fn tenants(&self) -> TenantsServiceClient<Called<Channel>> {
        TenantsServiceClient::with_interceptor(self.identity.clone(), self.as_service("identity"))
    }

    /// Usage and limits, kept by billing.
    pub fn metering(&self) -> MeteringServiceClient<Called<Channel>> {
        MeteringServiceClient::with_interceptor(self.billing.clone(), self.as_service("billing"))
    }

    /// Counts that identity keeps for billing.
    pub fn identity_usage(&self) -> IdentityUsageServiceClient<Called<Channel>> {
        IdentityUsageServiceClient::with_interceptor(self.identity.clone(), self.as_service("identity"))
    }

    /// Asks identity to forget collections.
    pub fn collection_lists(&self) -> CollectionListsServiceClient<Called<Channel>> {
        CollectionListsServiceClient::with_interceptor(self.identity.clone(), self.as_service("identity"))
    }

    /// Owners of API keys.
    pub fn tokens(&self) -> TokensServiceClient<Called<Channel>> {
        TokensServiceClient::with_interceptor(self.tokens.clone(), self.as_service("tokens"))
    }

    /// Uses of API keys, and messages for accounts.
    pub fn api_keys(&self) -> ApiKeysServiceClient<Called<Channel>> {
        ApiKeysServiceClient::with_interceptor(self.tokens.clone(), self.as_service("tokens"))
    }

    /// The ends of credentials whose owner has gone.
    pub fn revocations(&self) -> RevocationServiceClient<Called<Channel>> {
        RevocationServiceClient::with_interceptor(self.tokens.clone(), self.as_service("tokens"))
    }

    /// Owners of organization tokens.
    pub fn organization_tokens(&self) -> OrganizationTokensServiceClient<Called<Channel>> {
        OrganizationTokensServiceClient::with_interceptor(self.tokens.clone(), self.as_service("tokens"))
    }

    /// What imports keep of collections.
    pub fn uploads(&self) -> UploadsServiceClient<Called<Channel>> {
        UploadsServiceClient::with_interceptor(self.imports.clone(), self.as_service("imports"))
    }

    /// Collections of the inventory.
    pub fn collections(&self) -> CollectionServiceClient<Called<Channel>> {
        CollectionServiceClient::with_interceptor(self.inventory.clone(), self.as_service("inventory"))
    }

    /// Endpoints of the inventory, and the feed of those that the edge enforces.
    pub fn endpoints(&self) -> EndpointServiceClient<Called<Channel>> {
        EndpointServiceClient::with_interceptor(self.inventory.clone(), self.as_service("inventory"))
    }

    /// How far the inventory has read, what it counts for billing, and room for the endpoints of imports.
    pub fn ingest(&self) -> IngestServiceClient<Called<Channel>> {
        IngestServiceClient::with_interceptor(self.inventory.clone(), self.as_service("inventory"))
    }

    /// The processes that decide at the edge.
    pub fn edge(&self) -> EdgeServiceClient<Called<Channel>> {
        EdgeServiceClient::with_interceptor(self.tokens.clone(), self.as_service("tokens"))
    }

    /// Waits until the edge decides by what is committed; to be called before the answer of what ends calls. Without an
    /// answer the edge follows by itself, a little later.
    pub async fn settle_edge(&self) {
        let settled = tokio::time::timeout(SETTLE_WAIT, async { self.edge().settle_edge(SettleEdgeRequest {}).await });
        match settled.await {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => tracing::warn!(%status, "the edge learns of a change later"),
            Err(_) => tracing::warn!("the edge learns of a change later: it does not answer"),
        }
    }

    /// The durable work of the inventory.
    pub fn inventory_jobs(&self) -> JobServiceClient<Called<Channel>> {
        JobServiceClient::with_interceptor(self.inventory.clone(), self.as_service("inventory"))
    }

    /// The durable work of billing.
    pub fn billing_jobs(&self) -> BillingJobServiceClient<Called<Channel>> {
        BillingJobServiceClient::with_interceptor(self.billing.clone(), self.as_service("billing"))
    }

    /// Collections of the inventory, with the rights of a user.
    pub fn collections_as(&self, caller: &Caller) -> CollectionServiceClient<Called<Channel>> {
        CollectionServiceClient::with_interceptor(self.inventory.clone(), self.as_caller("inventory", caller))
    }

    /// Calls a service as a service of the installation, for clients that have no method here.
    pub fn as_service(&self, audience: &'static str) -> Attach {
        Attach { auth: self.auth.clone(), audience, caller: None }
    }

    /// Calls a service with the rights of a user, for clients that have no method here. Only identity and imports pass such
    /// rights on, to the inventory.
    pub fn as_caller(&self, audience: &'static str, caller: &Caller) -> Attach {
        let caller = CallerMetadata {
            token: caller.token.clone(),
            request_id: caller.info.request_id.as_str().into(),
            write_id: caller.info.write_id.as_str().into(),
        };
        Attach { auth: self.auth.clone(), audience, caller: Some(caller) }
    }
}

/// Attaches who calls to the metadata of an outgoing call.
#[derive(Clone)]
pub struct Attach {
    auth: ServiceAuth,
    audience: &'static str,
    caller: Option<CallerMetadata>,
}

#[derive(Clone)]
struct CallerMetadata {
    token: Arc<str>,
    request_id: Arc<str>,
    write_id: Arc<str>,
}

impl tonic::service::Interceptor for Attach {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        let mut insert = |name: &'static str, value: &str| {
            let value = value.parse().map_err(|_| Status::internal("metadata is not ASCII"))?;
            metadata.insert(name, value);
            Ok::<_, Status>(())
        };
        insert(SERVICE_HEADER, &self.auth.token(self.audience)?)?;
        if let Some(caller) = &self.caller {
            insert(CALLER_HEADER, &caller.token)?;
            insert(REQUEST_ID_HEADER, &caller.request_id)?;
            insert(WRITE_ID_HEADER, &caller.write_id)?;
        }
        Ok(request)
    }
}
