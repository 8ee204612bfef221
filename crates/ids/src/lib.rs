//! What things are called by: one type an id, so that the id of one thing is not taken for that of another.
//!
//! Below every crate of the workspace. Ids are made from and into plain values at the wire (`From`, `Into`), at the
//! driver of the database (`portolan_store` reads and binds each of them), and in JSON, where an id is the number or
//! text that it holds.

#[macro_use]
mod number;
#[macro_use]
mod text;

numbers! {
    /// An account.
    AccountId(i64);
    /// A user of the installation.
    UserId(i64);
    /// A collection of an account.
    CollectionId(i32);
    /// A collection as a client of the interface names it: perhaps beyond the range of those that exist.
    NamedCollectionId(i64);
    /// An endpoint of the inventory.
    EndpointId(i64);
    /// An API key of a user.
    ApiKeyId(i32);
    /// A client of the APIs behind the edge.
    ApiClientId(i64);
    /// An access profile.
    ProfileId(i64);
    /// The policy of limits that an access profile is under.
    PolicyId(i64);
    /// A project in which an organization keeps its API clients.
    ProjectId(i64);
    /// A portal from which an API client comes.
    PortalId(i64);
    /// A bundle of certificates.
    CertBundleId(i64);
    /// A Slack webhook of an account.
    WebhookId(i32);
}

texts! {
    /// An organization.
    OrganizationId;
    /// A job of a service.
    JobId;
    /// An upload.
    UploadId;
    /// A plan of the provider.
    PlanId;
    /// An organization as the provider of plans knows it.
    CustomerId;
    /// A workspace of Postman.
    WorkspaceId;
}

impl From<CollectionId> for NamedCollectionId {
    fn from(id: CollectionId) -> Self {
        Self(id.0.into())
    }
}

impl TryFrom<NamedCollectionId> for CollectionId {
    type Error = std::num::TryFromIntError;

    fn try_from(named: NamedCollectionId) -> Result<Self, Self::Error> {
        named.0.try_into().map(Self)
    }
}
