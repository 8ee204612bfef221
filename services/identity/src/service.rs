use std::sync::Arc;

use portolan_api::identity::v1::{
    accounts_service_server::AccountsServiceServer, audit_log_service_server::AuditLogServiceServer,
    audit_service_server::AuditServiceServer, collection_lists_service_server::CollectionListsServiceServer,
    directory_service_server::DirectoryServiceServer, identity_service_server::IdentityServiceServer,
    identity_usage_service_server::IdentityUsageServiceServer, managed_users_service_server::ManagedUsersServiceServer,
    notifications_service_server::NotificationsServiceServer, roles_service_server::RolesServiceServer,
    signup_service_server::SignupServiceServer, team_service_server::TeamServiceServer,
    tenants_service_server::TenantsServiceServer,
};
use portolan_authz::{API_KEYS, GRANTS, Guard};
use portolan_limit::Management;
use portolan_runtime::{Opened, PeerLimits, Process, Service, Tasks, guarded, process::BoxError, reseal};
use portolan_store::Tables;
use tonic::service::Routes;

use crate::{
    deps::Deps, grants::OwnIdentities, migrations::TABLES, model::sealed::SEALED, options::Options, rpc::Rpc, worker,
};

/// The identity service.
pub struct Identity;

impl Service for Identity {
    const NAME: &'static str = "identity";
    const PACKAGE: &'static str = "portolan.identity.v1";
    const TABLES: &'static [Tables] = &[TABLES];

    async fn open(process: &Process) -> Result<Opened, BoxError> {
        Ok(Self::open_with_deps(process).await?.0)
    }
}

impl Identity {
    /// As [`Service::open`], for a process whose other services share the caches of identity and ask it without the wire.
    /// Such a process calls [`crate::first_start`] itself when they are open.
    ///
    /// # Errors
    /// As [`Service::open`].
    pub async fn open_with_deps(process: &Process) -> Result<(Opened, Deps), BoxError> {
        let options = Options::read(&process.config)?;
        let db = process.db(Self::NAME).await?;
        let limits = process.durable_limits(&db).await?;
        let (grants, keys) = match process.is_whole {
            true => (process.own_cache(GRANTS), process.own_cache(API_KEYS)),
            false => (process.shared_cache(GRANTS), process.shared_cache(API_KEYS)),
        };
        let (peers, secrets) = (process.peers.clone(), process.secrets(Self::NAME)?);
        let management = Management::new(process.limits(), options.management_rate_limit);
        let deps = Deps::open(db, peers, secrets, grants, keys, &options).await?;
        let deps = deps.with_limits(limits).counting(management);
        let tasks = Tasks::default();
        worker::start(&deps, &tasks);
        reseal::start(&tasks, &deps.db, &deps.secrets, &SEALED);
        let guard = Guard::new(Arc::new(OwnIdentities(deps.clone())), process.peers.auth.clone())
            .with_limits(Arc::new(PeerLimits(process.peers.clone())))
            .behind(process.proxies.clone())
            .with_near_copies(process.redis.as_ref());
        let guard = portolan_outbox::guard(process, &deps.db, guard, &tasks).await?;
        let routes = routes(&deps);
        if !process.is_whole {
            process.peers.identity.connect_local(guarded(routes.clone(), guard.clone()));
            tasks.stopping(portolan_meter::start(std::slice::from_ref(&deps.db)).stop());
            worker::make_first_key(&deps, options.admin, process.config.data_dir.clone(), &tasks);
        }
        Ok((Opened { routes, guard, tasks }, deps))
    }
}

fn routes(deps: &Deps) -> Routes {
    let rpc = Rpc::new(deps.clone());
    Routes::new(IdentityServiceServer::new(rpc.clone()))
        .add_service(DirectoryServiceServer::new(rpc.clone()))
        .add_service(TenantsServiceServer::new(rpc.clone()))
        .add_service(AccountsServiceServer::new(rpc.clone()))
        .add_service(AuditLogServiceServer::new(rpc.clone()))
        .add_service(CollectionListsServiceServer::new(rpc.clone()))
        .add_service(ManagedUsersServiceServer::new(rpc.clone()))
        .add_service(NotificationsServiceServer::new(rpc.clone()))
        .add_service(RolesServiceServer::new(rpc.clone()))
        .add_service(SignupServiceServer::new(rpc.clone()))
        .add_service(TeamServiceServer::new(rpc.clone()))
        .add_service(AuditServiceServer::new(rpc.clone()))
        .add_service(IdentityUsageServiceServer::new(rpc))
}
