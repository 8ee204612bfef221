//! The check of a credential through the guard of the services: who calls, from where, and may they.

use std::net::{IpAddr, SocketAddr};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use portolan_api::{Error, Reason, Result, Who};
use portolan_authz::{
    CALLER_HEADER, CLIENT_ADDRESS_HEADER, CredentialKind, Guard, REQUEST_ID_HEADER, SERVICE_HEADER, ServiceAuth,
};

use crate::ports::{Arrival, Authenticator, Identified};

/// Asks the guard; services check again, so a fault here opens nothing.
pub struct GuardAuthenticator {
    guard: Guard,
    auth: ServiceAuth,
    proxies: Vec<IpNet>,
}

impl GuardAuthenticator {
    /// `trusted_proxies`: addresses and ranges separated by commas; forwarded headers of others are ignored.
    pub fn new(guard: Guard, auth: ServiceAuth, trusted_proxies: &str) -> Self {
        let parse =
            |text: &str| text.trim().parse::<IpNet>().or_else(|_| text.trim().parse::<IpAddr>().map(IpNet::from));
        Self { guard, auth, proxies: trusted_proxies.split(',').filter_map(|text| parse(text).ok()).collect() }
    }

    async fn check(&self, arrival: Arrival<'_>) -> Result<Identified> {
        let address = client_address(arrival.headers, arrival.peer, &self.proxies).to_string();
        let mut metadata = vec![
            header(SERVICE_HEADER, &self.auth.token()?)?,
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
                    account_id: claims.account_id,
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

/// The address of the client: that of the connection, unless it is a trusted proxy's; then the last entry of
/// `x-forwarded-for`, read right to left, that is no trusted proxy. An entry that cannot be read ends the walk.
fn client_address(headers: &HeaderMap, peer: SocketAddr, proxies: &[IpNet]) -> IpAddr {
    let trusted = |address: IpAddr| proxies.iter().any(|range| range.contains(&address));
    let mut client = peer.ip().to_canonical();
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    for entry in lines.iter().flat_map(|line| line.split(',')).rev() {
        if !trusted(client) {
            break;
        }
        let entry = entry.trim();
        let address =
            entry.parse::<IpAddr>().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
        match address {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

fn header(name: &'static str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    Ok((HeaderName::from_static(name), HeaderValue::from_str(value).map_err(Error::internal)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, lines: &[&str], expected: &str) {
        let headers: HeaderMap = lines
            .iter()
            .map(|line| (HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap()))
            .collect();
        let proxies = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        assert_eq!(client_address(&headers, peer, &proxies).to_string(), expected, "{lines:?}");
    }

    #[test]
    fn forwarded_headers_of_strangers_are_ignored() {
        check("203.0.113.5", &["1.2.3.4"], "203.0.113.5");
    }

    #[test]
    fn the_first_untrusted_hop_from_the_right_wins() {
        check("10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4");
        check("10.0.0.1", &["6.6.6.6", "1.2.3.4, 10.9.9.9"], "1.2.3.4");
        check("::1", &["1.2.3.4:5678"], "1.2.3.4");
        check("::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4");
    }

    #[test]
    fn garbage_ends_the_walk() {
        check("10.0.0.1", &["1.2.3.4, garbage"], "10.0.0.1");
        check("10.0.0.1", &[], "10.0.0.1");
    }
}
