//! The address of a service: `http(s)://host:port`.

use http::Uri;

/// Where a service is, by name.
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
}

impl Address {
    pub(crate) fn parse(address: &str) -> Option<Self> {
        let uri = address.parse::<Uri>().ok()?;
        let is_tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
        let port = authority.port_u16().filter(|port| *port > 0 && is_bare)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        (!host.is_empty()).then_some(Self { host, port, is_tls })
    }
}
