//! The check of a credential through the guard of the services: who calls, from where, and may they.

use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue};
use portolan_api::{Error, Reason, Result, Who};
use portolan_authz::{
    CALLER_HEADER, CLIENT_ADDRESS_HEADER, CredentialKind, Guard, REQUEST_ID_HEADER, SERVICE_HEADER, ServiceAuth,
    service_of,
};

use crate::ports::{Arrival, Authenticator, Identified};

/// Asks the guard; services check again, so a fault here opens nothing.
pub struct GuardAuthenticator {
    guard: Guard,
    auth: ServiceAuth,
}

impl GuardAuthenticator {
    /// Asks `guard` who calls, and speaks to the services by `auth`.
    pub fn new(guard: Guard, auth: ServiceAuth) -> Self {
        Self { guard, auth }
    }

    async fn check(&self, arrival: Arrival<'_>) -> Result<Identified> {
        let address = arrival.client.to_string();
        let mut metadata = vec![
            header(SERVICE_HEADER, &self.auth.token(service_of(&arrival.policy.path))?)?,
            header(REQUEST_ID_HEADER, arrival.request_id)?,
            header(CLIENT_ADDRESS_HEADER, &address)?,
        ];
        match arrival.policy.who {
            Who::Nobody | Who::Internal => Err(Reason::NotCallable.into()),
            Who::Public => Ok(Identified { metadata, ..Identified::default() }),
            Who::AnyUser | Who::AnyOf(_) | Who::Scoped | Who::VendorAdmin => {
                let (claims, token) = self.guard.authenticate(arrival.policy, arrival.headers, &address).await?;
                // Here too, and not only in the service: a stored answer is repeated without asking the service.
                self.guard.authorize(arrival.policy, &claims).await?;
                metadata.push(header(CALLER_HEADER, &token)?);
                let caller_key = match claims.credential {
                    CredentialKind::OrganizationToken => format!("token/{}", claims.credential_id),
                    _ => format!("{}/{}", claims.account_id, claims.user_id),
                };
                Ok(Identified {
                    metadata,
                    caller_key,
                    account_id: claims.account_id.into(),
                    credential_id: claims.credential_id.clone(),
                })
            }
        }
    }
}

impl Authenticator for GuardAuthenticator {
    fn authenticate<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Result<Identified>> {
        Box::pin(self.check(arrival))
    }
}

fn header(name: &'static str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    Ok((HeaderName::from_static(name), HeaderValue::from_str(value).map_err(Error::internal)?))
}
