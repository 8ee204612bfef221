//! The services of a process, connected to each other.

use std::sync::Arc;

use portolan_authz::Guard;
use portolan_billing::Billing;
use portolan_gateway::Backends;
use portolan_identity::Identity;
use portolan_imports::Imports;
use portolan_inventory::Inventory;
use portolan_log::Log;
use portolan_runtime::{
    Channel, GrpcService, Opened, Process, Readiness, Service, Tasks, guarded, options::kept_s, process::BoxError,
    readiness::check,
};
use portolan_tokens::Tokens;
use tonic::service::Routes;

use crate::roles::{Role, Roles};

/// Services that run in this process.
pub(crate) struct Services {
    /// Goes before every one of them, and before the gateway.
    pub(crate) guard: Guard,
    parts: Vec<Part>,
    /// Of the services, in the order of their ends; what serves several of them comes last.
    tasks: Vec<Tasks>,
    log: Option<Log>,
    identity: Option<portolan_identity::Deps>,
}

/// A service as it is served.
struct Part {
    package: &'static str,
    /// Without a guard.
    routes: Routes,
    /// With one.
    service: GrpcService,
}

impl Services {
    /// Migrates and opens each of the roles. In a whole process one guard and one relay serve all of them; otherwise
    /// each works as it does in a process of its own.
    pub(crate) async fn open(process: &Process, roles: &Roles) -> Result<Self, BoxError> {
        // One for all: a reader of the embedded log is woken by what is appended through the same handle.
        let log = if roles.use_log() { Some(portolan_log::open(process).await?) } else { None };
        let (services, identity) = open_each(process, roles, log.as_ref()).await?;
        let shared = Tasks::default();
        let guard = match (services.first(), &identity) {
            // The guard of identity asks identity without the wire, which every request would pay for.
            (Some((_, _, first)), Some(identity)) if process.is_whole => {
                serve_all(process, &shared).await?;
                first.guard.clone().with_audit(Arc::new(portolan_outbox::AuditLog::new(identity.db.clone())))
            }
            (Some((_, _, first)), _) => first.guard.clone(),
            (None, _) => {
                let db = process.db(Role::Gateway.name()).await?;
                let (guard, relay) = portolan_outbox::start(process, &db, process.remote_guard()).await?;
                shared.stopping(relay.stop());
                guard
            }
        };
        let (mut parts, mut tasks) = (Vec::new(), Vec::new());
        for (package, channel, Opened { routes, tasks: own, .. }) in services {
            let service = guarded(routes.clone(), guard.clone());
            channel.connect_local(service.clone());
            parts.push(Part { package, routes, service });
            tasks.push(own);
        }
        tasks.reverse();
        tasks.push(shared);
        Ok(Self { guard, parts, tasks, log, identity })
    }

    /// Identity, where it runs in this process.
    pub(crate) fn identity(&self) -> Option<&portolan_identity::Deps> {
        self.identity.as_ref()
    }

    /// The proto packages that are served here.
    pub(crate) fn packages(&self) -> Vec<&'static str> {
        self.parts.iter().map(|part| part.package).collect()
    }

    /// The routes of every service, without a guard.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Routes> {
        self.parts.iter().map(|part| part.routes.clone())
    }

    /// Where the gateway of this process finds each service: here without the wire, or at its address.
    pub(crate) fn backends(&self, process: &Process) -> Backends {
        let mut backends = Backends::of(&process.peers);
        for part in &self.parts {
            backends.insert(part.package, part.service.clone());
        }
        backends
    }

    /// What the services need beside store and cache.
    pub(crate) fn needs(&self, process: &Process, readiness: Readiness) -> Readiness {
        let Some(log) = self.log.clone() else { return readiness };
        let store = process.store.clone();
        readiness.with(
            "log",
            match self.packages().contains(&Inventory::PACKAGE) {
                true => check(move || portolan_inventory::log_readiness(store.clone(), log.clone())),
                false => check(move || portolan_log::is_there(log.clone())),
            },
        )
    }

    /// Ends background work at its next safe point.
    pub(crate) async fn stop(self) {
        for tasks in self.tasks {
            tasks.stop().await;
        }
    }
}

/// A service that is open, with its package and the way to it.
type Ready<'p> = (&'static str, &'p Channel, Opened);

async fn open_each<'p>(
    process: &'p Process,
    roles: &Roles,
    log: Option<&Log>,
) -> Result<(Vec<Ready<'p>>, Option<portolan_identity::Deps>), BoxError> {
    let peers = &process.peers;
    // Beside processes of other services each speaks by its own name, as their keys and rules expect.
    let seen = |service: &str| if process.is_whole { process.clone() } else { process.speaking_as(service) };
    let (mut services, mut identity) = (Vec::new(), None);
    if roles.have(Role::Identity) {
        let (opened, deps) = Identity::open_with_deps(&seen(Identity::NAME)).await?;
        services.push((Identity::PACKAGE, &peers.identity, opened));
        identity = Some(deps);
    }
    if roles.have(Role::Tokens) {
        services.push((Tokens::PACKAGE, &peers.tokens, Tokens::open(&seen(Tokens::NAME)).await?));
    }
    if let (true, Some(log)) = (roles.have(Role::Inventory), log) {
        let opened = Inventory::open_on(&seen(Inventory::NAME), log.clone()).await?;
        services.push((Inventory::PACKAGE, &peers.inventory, opened));
    }
    if let (true, Some(log)) = (roles.have(Role::Imports), log) {
        let opened = Imports::open_on(&seen(Imports::NAME), log.clone()).await?;
        services.push((Imports::PACKAGE, &peers.imports, opened));
    }
    if roles.have(Role::Billing) {
        services.push((Billing::PACKAGE, &peers.billing, Billing::open(&seen(Billing::NAME)).await?));
    }
    Ok((services, identity))
}

/// Begins the one relay and the one meter of a whole process.
async fn serve_all(process: &Process, tasks: &Tasks) -> Result<(), BoxError> {
    let mut relay = portolan_outbox::Relay::to_services(&process.peers)
        .keeping_refused(kept_s(process.config.shared.retention.refused_events_days));
    for service in ["identity", "tokens", "inventory", "imports"] {
        relay = relay.with_db(&process.db(service).await?);
    }
    let relay = relay.start();
    let meter = portolan_meter::start(&[process.db("identity").await?, process.db("inventory").await?]);
    tasks.stopping(async move {
        meter.stop().await;
        relay.stop().await;
    });
    Ok(())
}
