use portolan_api::tokens::v1::{
    access_profiles_service_server::AccessProfilesServiceServer, api_clients_service_server::ApiClientsServiceServer,
    api_keys_service_server::ApiKeysServiceServer, edge_service_server::EdgeServiceServer,
    oauth_service_server::OauthServiceServer, organization_tokens_service_server::OrganizationTokensServiceServer,
    revocation_service_server::RevocationServiceServer, tokens_service_server::TokensServiceServer,
};
use portolan_runtime::{Config, Opened, Process, Secrets, Service, Tasks, process::BoxError, reseal};
use portolan_store::Tables;
use tonic::service::Routes;

use crate::{
    deps::Deps,
    enforce,
    migrations::TABLES,
    model::sealed::SEALED,
    options::Options,
    rpc::{Rpc, check::Check, edge::EdgeRpc},
    worker,
};

/// The tokens service.
pub struct Tokens;

impl Service for Tokens {
    const NAME: &'static str = "tokens";
    const PACKAGE: &'static str = "portolan.tokens.v1";
    const TABLES: &'static [Tables] = &[TABLES];

    async fn open(process: &Process) -> Result<Opened, BoxError> {
        let options = Options::read(&process.config)?;
        let deps = Deps::open(process, process.db(Self::NAME).await?, &options).await?;
        let tasks = Tasks::default();
        let guard = portolan_outbox::guard(process, &deps.db, process.remote_guard(), &tasks).await?;
        worker::start(&deps, &tasks);
        reseal::start(&tasks, &deps.db, &deps.secrets, &SEALED);
        let edge = deps.edge.clone();
        let rpc = Rpc::new(deps);
        let routes = Routes::new(TokensServiceServer::new(rpc.clone()))
            .add_service(OrganizationTokensServiceServer::new(rpc.clone()))
            .add_service(AccessProfilesServiceServer::new(rpc.clone()))
            .add_service(ApiClientsServiceServer::new(rpc.clone()))
            .add_service(ApiKeysServiceServer::new(rpc.clone()))
            .add_service(RevocationServiceServer::new(rpc.clone()))
            .add_service(OauthServiceServer::new(rpc))
            .add_service(EdgeServiceServer::new(EdgeRpc::new(edge.clone())))
            .add_service(Check::server(edge));
        Ok(Opened { routes, guard, tasks })
    }
}

/// Reads everything that the service reads of a configuration.
///
/// # Errors
/// The first key whose value cannot be used, and what is wrong with it.
pub fn check(config: &Config) -> Result<(), BoxError> {
    let options = Options::read(config)?;
    enforce::EdgeRules::read(&options.edge)?;
    Ok(())
}

/// The secret that proxies show to the edge. `secrets` derives the one that stands where none is configured.
///
/// # Errors
/// As [`check`], and those of `secrets`.
pub fn edge_token(config: &Config, secrets: impl FnOnce() -> Result<Secrets, BoxError>) -> Result<String, BoxError> {
    let options = Options::read(config)?;
    let configured = enforce::EdgeRules::read(&options.edge)?.token;
    if configured.is_empty() { Ok(enforce::derived_token(&secrets()?)) } else { Ok(configured) }
}
