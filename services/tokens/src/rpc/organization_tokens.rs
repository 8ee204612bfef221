use portolan_api::{
    Reason,
    tokens::v1::{
        Annotation as WireAnnotation, ApiTokenArguments, ApiTokenLookup, ApiTokenPagination,
        AuthenticateOrganizationTokenRequest, AuthenticateOrganizationTokenResponse, CreateOrganizationTokenRequest,
        CreateOrganizationTokenResponse, DeleteOrganizationTokenRequest, DeleteOrganizationTokenResponse, DeletedToken,
        ListOrganizationTokensRequest, ListOrganizationTokensResponse, OrganizationLookup, OrganizationToken,
        RegenerateOrganizationTokenRequest, RegenerateOrganizationTokenResponse, UpdateOrganizationTokenRequest,
        UpdateOrganizationTokenResponse, organization_tokens_service_server::OrganizationTokensService,
    },
};
use portolan_authz::Caller;
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::organization_tokens::{self, Annotation, Lookup, Properties, Shown, Token};

#[tonic::async_trait]
impl OrganizationTokensService for Rpc {
    async fn list_organization_tokens(
        &self,
        request: Request<ListOrganizationTokensRequest>,
    ) -> RpcResult<ListOrganizationTokensResponse> {
        let (caller, request) = Caller::split(request)?;
        let ListOrganizationTokensRequest { organization, annotations, page, per_page } = request;
        let having: Vec<_> = annotations.into_iter().map(Annotation::from).collect();
        let page =
            organization_tokens::list(&self.deps, &caller, lookup(organization)?, page, per_page, &having).await?;
        let total = (!page.is_large()).then_some(page.total);
        let pagination = ApiTokenPagination {
            current_page: page.number,
            total_pages: total.map(|total| (total + page.per_page - 1) / page.per_page),
            total,
            per_page: page.per_page,
            large_set: page.is_large(),
        };
        let tokens = page.tokens.into_iter().map(|token| self.wire(token, &page.organization, None));
        Ok(Response::new(ListOrganizationTokensResponse { api_tokens: tokens.collect(), pagination: Some(pagination) }))
    }

    async fn create_organization_token(
        &self,
        request: Request<CreateOrganizationTokenRequest>,
    ) -> RpcResult<CreateOrganizationTokenResponse> {
        let (caller, request) = Caller::split(request)?;
        let mut properties = Properties::from(request.properties.unwrap_or_default());
        properties.annotations = Some(request.annotations.into_iter().map(Annotation::from).collect());
        let lookup = lookup(request.organization)?;
        let (token, annotations) =
            self.with_annotations(organization_tokens::create(&self.deps, &caller, lookup, properties).await?);
        Ok(Response::new(CreateOrganizationTokenResponse { api_token: Some(token), annotations }))
    }

    async fn update_organization_token(
        &self,
        request: Request<UpdateOrganizationTokenRequest>,
    ) -> RpcResult<UpdateOrganizationTokenResponse> {
        let (caller, request) = Caller::split(request)?;
        let mut properties = Properties::from(request.properties.unwrap_or_default());
        let gives_annotations = request.given.iter().any(|name| name == "annotations");
        if gives_annotations || !request.annotations.is_empty() {
            properties.annotations = Some(request.annotations.into_iter().map(Annotation::from).collect());
        }
        let id = token_id(request.api_token);
        let (token, annotations) =
            self.with_annotations(organization_tokens::update(&self.deps, &caller, &id, properties).await?);
        Ok(Response::new(UpdateOrganizationTokenResponse { api_token: Some(token), annotations }))
    }

    async fn delete_organization_token(
        &self,
        request: Request<DeleteOrganizationTokenRequest>,
    ) -> RpcResult<DeleteOrganizationTokenResponse> {
        let (caller, request) = Caller::split(request)?;
        let token = organization_tokens::delete(&self.deps, &caller, &token_id(request.api_token)).await?;
        let deleted = DeletedToken { id: token.id, name: token.name };
        Ok(Response::new(DeleteOrganizationTokenResponse { api_token: Some(deleted) }))
    }

    async fn regenerate_organization_token(
        &self,
        request: Request<RegenerateOrganizationTokenRequest>,
    ) -> RpcResult<RegenerateOrganizationTokenResponse> {
        let (caller, request) = Caller::split(request)?;
        let shown = organization_tokens::regenerate(&self.deps, &caller, &token_id(request.api_token)).await?;
        let api_token = self.wire(shown.token, &shown.organization, shown.secret);
        Ok(Response::new(RegenerateOrganizationTokenResponse { api_token: Some(api_token) }))
    }

    async fn authenticate_organization_token(
        &self,
        request: Request<AuthenticateOrganizationTokenRequest>,
    ) -> RpcResult<AuthenticateOrganizationTokenResponse> {
        let AuthenticateOrganizationTokenRequest { secret, client_address } = request.into_inner();
        let token = organization_tokens::authenticate(&self.deps, &secret, &client_address).await?;
        Ok(Response::new(AuthenticateOrganizationTokenResponse {
            id: token.id,
            organization_id: token.organization_id.into(),
            scopes: token.scopes,
            account_id: token.account_id.into(),
            valid_until: token.expires_at,
            has_networks: !token.networks.is_empty(),
        }))
    }
}

impl Rpc {
    fn wire(&self, token: Token, organization: &str, secret: Option<String>) -> OrganizationToken {
        OrganizationToken {
            id: token.id,
            name: token.name,
            organization_id: Some(organization.to_owned()),
            authorized_ip_addresses: token.networks,
            expires_at: token.expires_at,
            rate_limit: token.rate_limit.unwrap_or(self.deps.rules.organization_rate_limit),
            scopes: token.scopes,
            secret,
        }
    }

    fn with_annotations(&self, shown: Shown) -> (OrganizationToken, Vec<WireAnnotation>) {
        let annotations = shown.token.annotations.iter().cloned();
        let annotations = annotations.map(|Annotation { key, value }| WireAnnotation { key, value }).collect();
        (self.wire(shown.token, &shown.organization, shown.secret), annotations)
    }
}

/// The gateway lets exactly one member through; a call over gRPC may hold none.
fn lookup(lookup: Option<OrganizationLookup>) -> Result<Lookup, portolan_api::Error> {
    match lookup.unwrap_or_default() {
        OrganizationLookup { id: Some(id), .. } => Ok(Lookup::Id(id)),
        OrganizationLookup { sub_domain: Some(name), .. } => Ok(Lookup::SubDomain(name)),
        OrganizationLookup { id: None, sub_domain: None } => Err(Reason::OrganizationNotFound.into()),
    }
}

fn token_id(lookup: Option<ApiTokenLookup>) -> String {
    lookup.and_then(|lookup| lookup.id).unwrap_or_default()
}

impl From<WireAnnotation> for Annotation {
    fn from(WireAnnotation { key, value }: WireAnnotation) -> Self {
        Self { key, value }
    }
}

impl From<ApiTokenArguments> for Properties {
    /// A member that is null clears; a call over gRPC that names no members gives those that it set.
    fn from(arguments: ApiTokenArguments) -> Self {
        let ApiTokenArguments { name, authorized_ip_addresses, expires_at, scopes, given } = arguments;
        let gives = |name: &str| given.iter().any(|given| given == name);
        Self {
            name: if gives("name") { Some(name.unwrap_or_default()) } else { name },
            networks: (gives("authorized_ip_addresses") || !authorized_ip_addresses.is_empty())
                .then_some(authorized_ip_addresses),
            expires_at: (gives("expires_at") || expires_at.is_some()).then_some(expires_at),
            scopes: (gives("scopes") || !scopes.is_empty()).then_some(scopes),
            annotations: None,
        }
    }
}
