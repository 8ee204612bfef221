use portolan_api::inventory::v1::{
    ListCollectionsRequest, collection_service_client::CollectionServiceClient,
    endpoint_service_client::EndpointServiceClient,
};
use portolan_testkit::TestDb;
use serde_json::{Value, json};
use tonic::{Code, Request};

use crate::server::{Answer, Server};

/// The key of the first start is private, works, and is not made anew by a second start.
pub async fn first_start_makes_a_key_that_works(test: TestDb) {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start(&test).await;
    let file = server.data_dir.join("admin-api-key");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(server.api_key.len() == 40 && server.api_key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let me = server.post("/api/me", json!({})).await.expect(200).json();
    assert_eq!((&me["user"]["role"], &me["user"]["activeAccount"]), (&json!("ADMIN"), &json!(1_000_000)));
    assert_eq!(me["user"]["accounts"], json!({"1000000": "My account"}));

    let key = server.api_key.clone();
    let server = Server::start_in(&test, server.kill().await).await;
    assert_eq!(server.api_key, key);
    server.post("/api/me", json!({})).await.expect(200);
    // No credential, a key with a wrong checksum, a well-formed key of nobody, a key where none is read.
    for (name, value) in [("x-none", "1"), ("x-api-key", &key.replace(&key[3..4], "_")), ("x-api-key", "x")] {
        let answer = server.send(server.request("/api/me").header(name, value).body("{}")).await.unwrap();
        answer.expect_error(401, "Authentication is required");
    }
    let in_query = server.send(server.request(&format!("/api/me?x-api-key={key}")).body("{}")).await.unwrap();
    in_query.expect(401);
}

/// A login answers a cookie and a token that only work together, until the logout.
pub async fn sessions_begin_and_end(test: TestDb) {
    let server = Server::start(&test).await;
    let login = |password: &'static str| {
        let body = json!({"username": "Admin@localhost", "password": password}).to_string();
        server.send(server.request("/auth/login").body(body))
    };
    let refused = login("wrong").await.unwrap().expect(401);
    let unknown = json!({"username": "nobody@localhost", "password": "wrong"}).to_string();
    let unknown = server.send(server.request("/auth/login").body(unknown)).await.unwrap();
    assert_eq!(refused.body, unknown.body);

    let answer = login("correct horse battery staple").await.unwrap().expect(200);
    assert_eq!(answer.json(), json!({"code": null, "loginResult": {"redirect": "dashboard/quick-start"}}));
    let cookie = answer.header("set-cookie").to_owned();
    for attribute in ["__Host-portolan-session=", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let (cookie, token) = (cookie.split(';').next().unwrap(), answer.header("access-token"));
    let call = async |path: &str, headers: &[(&str, &str)]| -> Answer {
        let request = headers.iter().fold(server.request(path), |request, (name, value)| request.header(*name, *value));
        server.send(request.body("{}")).await.unwrap()
    };
    call("/api/me", &[("cookie", cookie), ("access-token", token)]).await.expect(200);
    call("/api/me", &[("cookie", cookie)]).await.expect(401);
    call("/api/me", &[("access-token", token)]).await.expect(401);
    let out = call("/api/logout", &[("cookie", cookie), ("access-token", token)]).await.expect(200);
    assert_eq!(out.json(), json!({"logoutUrl": "/login"}));
    call("/api/me", &[("cookie", cookie), ("access-token", token)]).await.expect(401);
}

/// A key is listed masked, works, and is refused from the answer of its deletion on.
pub async fn a_deleted_key_is_refused_at_once(test: TestDb) {
    let server = Server::start(&test).await;
    let made = server.post("/api/addApiToken", json!({"tokenUtility": "EXTERNAL_API"})).await.expect(200).json();
    let token = &made["apiTokenList"][0];
    let key = token["key"].as_str().unwrap().to_owned();
    let list = server.post("/api/fetchApiTokens", json!({})).await.expect(200);
    assert!(!list.body.contains(&key) && !list.body.contains(&server.api_key), "{}", list.body);
    let masked = list.json()["apiTokenList"].as_array().unwrap().iter().find(|t| t["id"] == token["id"]).cloned();
    let masked = masked.unwrap()["key"].as_str().unwrap().to_owned();
    assert!(masked.starts_with(&key[..3]) && masked.ends_with(&key[36..]), "{masked}");

    let me = || server.send(server.request("/api/me").header("x-api-key", &key).body("{}"));
    me().await.unwrap().expect(200);
    let delete = json!({"apiTokenId": token["id"]});
    let deleted = server.post("/api/deleteApiToken", delete.clone()).await.expect(200);
    assert_eq!(deleted.json(), json!({"apiTokenDeleted": true}));
    me().await.unwrap().expect(401);
    let again = server.post("/api/deleteApiToken", delete).await.expect(200);
    assert_eq!(again.json(), json!({"apiTokenDeleted": false}));
    let wrong = server.post("/api/addApiToken", json!({"tokenUtility": "SLACK"})).await;
    wrong.expect_error(422, "tokenUtility must be one of BURP, CICD, EXTERNAL_API");
}

/// Keys made for tools reach the routes of their list and no others.
pub async fn keys_of_tools_stay_in_their_list(test: TestDb) {
    let server = Server::start(&test).await;
    for (utility, allowed, refused) in [
        ("BURP", "/api/uploadHar", "/api/getAllCollections"),
        ("CICD", "/api/getAllCollections", "/api/createCollection"),
        ("CICD", "/api/getAllCollections", "/api/addApiToken"),
    ] {
        let made = server.post("/api/addApiToken", json!({"tokenUtility": utility})).await.expect(200).json();
        let key = made["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
        let call = async |path: &str| {
            server.send(server.request(path).header("x-api-key", &key).body("{}")).await.unwrap().status
        };
        assert_ne!(call(allowed).await, 403, "{utility} {allowed}");
        assert_eq!(call(refused).await, 403, "{utility} {refused}");
    }
}

/// The same key opens the same calls over gRPC, and internal calls stay closed.
pub async fn grpc_takes_the_same_key(test: TestDb) {
    let server = Server::start(&test).await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await;
    let channel = channel.unwrap();
    let mut client = CollectionServiceClient::new(channel.clone());
    let request = |key: Option<&str>| {
        let mut request = Request::new(ListCollectionsRequest::default());
        if let Some(key) = key {
            request.metadata_mut().insert("x-api-key", key.parse().unwrap());
        }
        request
    };
    let listed = client.list_collections(request(Some(&server.api_key))).await.unwrap().into_inner();
    let over_rest: Value = server.post("/api/getAllCollections", json!({})).await.expect(200).json();
    assert_eq!(listed.api_collections.len(), over_rest["apiCollections"].as_array().unwrap().len());
    assert_eq!(client.list_collections(request(None)).await.unwrap_err().code(), Code::Unauthenticated);
    let internal = portolan_api::inventory::v1::CountEndpointsRequest { account_id: 1_000_000 };
    let mut internal = Request::new(internal);
    internal.metadata_mut().insert("x-api-key", server.api_key.parse().unwrap());
    assert_eq!(
        EndpointServiceClient::new(channel).count_endpoints(internal).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}
