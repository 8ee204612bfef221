use std::collections::BTreeMap;

use portolan_api::billing::v1::{
    agent_analysis_service_server::AgentAnalysisServiceServer, billing_service_server::BillingServiceServer,
    job_service_server::JobServiceServer, metering_service_server::MeteringServiceServer,
    subscription_service_server::SubscriptionServiceServer,
};
use portolan_jobs::Clock;
use portolan_runtime::{Opened, Process, Secrets, Service, Tasks, process::BoxError};
use portolan_store::Tables;
use tonic::service::Routes;

use crate::{
    deps::Deps,
    migrations::TABLES,
    model::{plans::Plans, subscriptions::SigningKey},
    options::{Options, ProviderName, StiggOptions},
    provider::{
        Provider,
        stigg::{Stigg, StiggConfig},
    },
    rpc::Rpc,
    worker,
};

/// The billing service.
pub struct Billing;

impl Service for Billing {
    const NAME: &'static str = "billing";
    const PACKAGE: &'static str = "portolan.billing.v1";
    const TABLES: &'static [Tables] = &[TABLES];

    async fn open(process: &Process) -> Result<Opened, BoxError> {
        let options = Options::read(&process.config)?;
        let (provider, plans) =
            (provider(&options, &process.secrets(Self::NAME)?)?, plans(&options.billing.plans_file)?);
        let db = process.db(Self::NAME).await?;
        let tasks = Tasks::default();
        let guard = portolan_outbox::guard(process, &db, process.remote_guard(), &tasks).await?;
        let (peers, rules) = (process.peers.clone(), options.rules());
        let deps = Deps::new(db, peers, provider, plans, Clock::system(), rules).await?;
        worker::start(&deps, &tasks);
        let rpc = Rpc::new(deps);
        let routes = Routes::new(BillingServiceServer::new(rpc.clone()))
            .add_service(SubscriptionServiceServer::new(rpc.clone()))
            .add_service(MeteringServiceServer::new(rpc.clone()))
            .add_service(JobServiceServer::new(rpc.clone()))
            .add_service(AgentAnalysisServiceServer::new(rpc));
        Ok(Opened { routes, guard, tasks })
    }
}

/// The plans of a file; without one, those that are compiled in.
/// The plans of a file; one plan without limits where none is named.
///
/// # Errors
/// The file, and what is wrong with it.
pub fn plans(path: &str) -> Result<Plans, BoxError> {
    if path.is_empty() {
        return Ok(Plans::compiled_in());
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("billing: {path}: {error}"))?;
    Plans::parse(&text).map_err(|problem| format!("billing: {path}: {problem}").into())
}

fn provider(options: &Options, secrets: &Secrets) -> Result<Provider, BoxError> {
    if options.billing.provider == ProviderName::BuiltIn {
        return Ok(Provider::BuiltIn(SigningKey::new(secrets.derive("customer token"))));
    }
    let StiggOptions { url, server_key, signing_key, first_plan_id, feature_ids } = options.stigg.clone();
    let pairs = feature_ids.split(',').filter_map(|pair| pair.split_once('='));
    let feature_ids: BTreeMap<_, _> = pairs.map(|(f, id)| (f.trim().to_owned(), id.trim().to_owned())).collect();
    Ok(Provider::Stigg(Stigg::new(StiggConfig {
        url,
        server_key,
        signing_key,
        first_plan_id: first_plan_id.into(),
        feature_ids,
    })?))
}
