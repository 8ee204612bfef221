use portolan_api::identity::v1::{
    CreateManagedUserRequest, CreateManagedUserResponse, DeleteManagedUserRequest, DeleteManagedUserResponse,
    GetManagedUserRequest, GetManagedUserResponse, ListManagedUsersRequest, ListManagedUsersResponse,
    ManagedUser as WireManagedUser, UpdateManagedUserRequest, UpdateManagedUserResponse,
    managed_users_service_server::ManagedUsersService,
};
use portolan_authz::Caller;
use time::{OffsetDateTime, macros::format_description};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::{
    managed_users::{self, Update},
    model::managed_users::ManagedUser,
};

#[tonic::async_trait]
impl ManagedUsersService for Rpc {
    async fn create_managed_user(
        &self,
        request: Request<CreateManagedUserRequest>,
    ) -> RpcResult<CreateManagedUserResponse> {
        let (caller, request) = Caller::split(request)?;
        let CreateManagedUserRequest { name, external_id, notification_email, origin_url } = request;
        let new = ManagedUser { name, external_id, notification_email, origin_url, ..ManagedUser::default() };
        let made = managed_users::create(&self.deps, &caller, new).await?;
        Ok(Response::new(CreateManagedUserResponse { result: Some(wire(made)) }))
    }

    async fn list_managed_users(
        &self,
        request: Request<ListManagedUsersRequest>,
    ) -> RpcResult<ListManagedUsersResponse> {
        let (caller, request) = Caller::split(request)?;
        let found = managed_users::list(&self.deps, &caller, request.page, request.per_page).await?;
        Ok(Response::new(ListManagedUsersResponse { result: found.into_iter().map(wire).collect() }))
    }

    async fn get_managed_user(&self, request: Request<GetManagedUserRequest>) -> RpcResult<GetManagedUserResponse> {
        let (caller, request) = Caller::split(request)?;
        let found = managed_users::get(&self.deps, &caller, &request.managed_user_id).await?;
        Ok(Response::new(GetManagedUserResponse { result: Some(wire(found)) }))
    }

    async fn update_managed_user(
        &self,
        request: Request<UpdateManagedUserRequest>,
    ) -> RpcResult<UpdateManagedUserResponse> {
        let (caller, request) = Caller::split(request)?;
        let given = |name: &str| request.given.iter().any(|given| given == name);
        let update = Update {
            name: given("name").then(|| request.name.clone()),
            external_id: given("external_id").then(|| request.external_id.clone()),
            notification_email: given("notification_email").then(|| request.notification_email.clone()),
            origin_url: given("origin_url").then(|| request.origin_url.clone()),
        };
        let updated = managed_users::update(&self.deps, &caller, &request.managed_user_id, update).await?;
        Ok(Response::new(UpdateManagedUserResponse { result: Some(wire(updated)) }))
    }

    async fn delete_managed_user(
        &self,
        request: Request<DeleteManagedUserRequest>,
    ) -> RpcResult<DeleteManagedUserResponse> {
        let (caller, request) = Caller::split(request)?;
        managed_users::delete(&self.deps, &caller, &request.managed_user_id).await?;
        Ok(Response::new(DeleteManagedUserResponse { success: true }))
    }
}

fn wire(workspace: ManagedUser) -> WireManagedUser {
    WireManagedUser {
        id: workspace.id.into(),
        name: workspace.name,
        external_id: workspace.external_id,
        notification_email: workspace.notification_email,
        origin_url: workspace.origin_url,
        created_at: iso(workspace.created_at),
        updated_at: iso(workspace.updated_at),
    }
}

/// ISO 8601 with offset and milliseconds.
fn iso(seconds: i64) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000+00:00");
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(form).unwrap_or_default()
}
