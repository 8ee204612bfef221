//! What stands in front of an installation says who calls and under which name it was asked.

use std::net::{IpAddr, Ipv4Addr};

use portolan_api::{
    Error,
    tokens::v1::{
        ListOrganizationTokensRequest, OrganizationLookup,
        organization_tokens_service_client::OrganizationTokensServiceClient,
    },
};
use portolan_testkit::TestDb;
use serde_json::{Value, json};
use tonic::{Request, transport::Channel};

use crate::{katapult::organization, server::Server};

/// A token that may be used from nowhere here: its refusals tell the address from which it was used.
struct Probe {
    organization: String,
    secret: String,
}

impl Probe {
    async fn new(server: &Server, test: &TestDb) -> Self {
        let (organization, _) = organization(test).await;
        let body = json!({"properties": {
            "name": "probe", "scopes": ["api_tokens"], "authorized_ip_addresses": ["198.51.100.1"],
        }});
        let path = format!("/organizations/{organization}/api_tokens");
        let made = server.call("POST", &path, &server.api_key, body).await.expect(200).json();
        Self { organization, secret: made["api_token"]["secret"].as_str().unwrap().to_owned() }
    }

    /// The address over REST.
    async fn rest(&self, server: &Server, client: &reqwest::Client, headers: &[(&str, &str)]) -> String {
        let path = format!("/organizations/organization/api_tokens?organization[id]={}", self.organization);
        let mut request = client.get(format!("{}{path}", server.http)).bearer_auth(&self.secret);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = server.send(request).await.unwrap().json();
        answer["detail"]["ip_address"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The address over gRPC.
    async fn grpc(&self, channel: &Channel, headers: &[(&'static str, &str)]) -> String {
        let lookup = OrganizationLookup { id: Some(self.organization.clone()), sub_domain: None };
        let message = ListOrganizationTokensRequest { organization: Some(lookup), ..Default::default() };
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.secret);
        for (name, value) in [("authorization", bearer.as_str())].into_iter().chain(headers.iter().copied()) {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        let mut client = OrganizationTokensServiceClient::new(channel.clone());
        let error = Error::from_status(&client.list_organization_tokens(request).await.unwrap_err());
        let detail: Value = serde_json::from_str(&error.metadata()["detail_json"]).unwrap();
        detail["ip_address"].as_str().unwrap_or_else(|| panic!("{error}")).to_owned()
    }
}

async fn channel(address: &str, from: Option<IpAddr>) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.local_address(from).connect().await.unwrap()
}

/// One proxy by number: the last entry of the chain is the client, over REST and gRPC, in every form; and the host that the
/// proxy was asked for is the installation's.
pub async fn a_proxy_speaks_for_its_clients(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let server = Server::start_with(&test, data_dir, &[("PORTOLAN__HTTP__TRUSTED_PROXY_HOPS", "1")]).await;
    let probe = Probe::new(&server, &test).await;
    let client = reqwest::Client::new();
    let channel = channel(&server.grpc, None).await;
    for (header, told, expected) in [
        ("x-forwarded-for", "203.0.113.9, 192.0.2.7", "192.0.2.7"),
        ("x-forwarded-for", "203.0.113.9, [2001:db8::5]:443", "2001:db8::5"),
        ("x-forwarded-for", "203.0.113.9, ::ffff:192.0.2.7", "192.0.2.7"),
        ("x-forwarded-for", "203.0.113.9, unknown", "127.0.0.1"),
        ("forwarded", "for=203.0.113.9, for=\"[fe80::1%25eth0]:80\";proto=https", "fe80::1"),
        ("forwarded", "for=203.0.113.9, for=_hidden", "127.0.0.1"),
        ("x-portolan-client-address", "203.0.113.9", "127.0.0.1"),
    ] {
        assert_eq!(probe.rest(&server, &client, &[(header, told)]).await, expected, "REST: {header}: {told}");
        assert_eq!(probe.grpc(&channel, &[(header, told)]).await, expected, "gRPC: {header}: {told}");
    }

    let login = json!({"username": "admin@localhost", "password": "correct horse battery staple"}).to_string();
    let session = server.send(server.request("/auth/login").body(login)).await.unwrap().expect(200);
    let cookie = session.header("set-cookie").split(';').next().unwrap().to_owned();
    let token = session.header("access-token").to_owned();
    let write = async |headers: &[(&str, &str)]| {
        let name = format!("From a browser {:016x}", rand::random::<u64>());
        let request = server.request("/api/createCollection").header("cookie", &cookie).header("access-token", &token);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        server.send(request.body(json!({"collectionName": name}).to_string())).await.unwrap().status
    };
    let origin = ("origin", "https://portolan.example.org");
    assert_eq!(write(&[origin, ("x-forwarded-host", "portolan.example.org:443")]).await, 200);
    assert_eq!(write(&[origin, ("forwarded", "for=192.0.2.7;host=portolan.example.org;proto=https")]).await, 200);
    assert_eq!(write(&[origin]).await, 403);
    assert_eq!(write(&[("origin", "https://evil.example"), ("x-forwarded-host", "portolan.example.org")]).await, 403);
}

/// Behind the edge of `deploy/envoy` REST and gRPC see the client's address and not Envoy's, whatever the client says.
pub async fn the_edge_says_who_calls(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let server = Server::start_six(&test, data_dir, &[]).await;
    let probe = Probe::new(&server, &test).await;
    let near = IpAddr::from(Ipv4Addr::new(127, 0, 0, 9));
    let client = reqwest::Client::builder().local_address(near).build().unwrap();
    let channel = channel(&server.grpc, Some(near)).await;
    for header in ["x-portolan-edge-client", "x-forwarded-for", "x-portolan-client-address", "x-envoy-external-address"]
    {
        let forged = [(header, "203.0.113.9")];
        assert_eq!(probe.rest(&server, &client, &forged).await, "127.0.0.9", "REST: {header}");
        assert_eq!(probe.grpc(&channel, &forged).await, "127.0.0.9", "gRPC: {header}");
    }
}
