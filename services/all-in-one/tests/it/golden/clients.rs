//! Credentials of tools, of an organization, and of clients in customer workspaces.

use serde_json::{Value, json};

use super::{
    inventory::DOCUMENT,
    written::{By, Golden},
};

/// API keys of tools.
pub async fn api_keys(golden: &mut Golden<'_>) {
    let made = golden.post("/api/addApiToken", json!({"tokenUtility": "CICD"})).await;
    let id = made["apiTokenList"][0]["id"].clone();
    golden.post("/api/fetchApiTokens", json!({})).await;
    let grace = json!({"gracePeriodSeconds": 60});
    let target = format!("/v1/apiKeys/{id}:rotate");
    golden.call(By::Admin, "POST", "/v1/apiKeys/{api_key_id}:rotate", &target, grace).await;
    golden.post("/api/deleteApiToken", json!({ "apiTokenId": id })).await;
    let leaked = golden.server.post("/api/addApiToken", json!({"tokenUtility": "BURP"})).await.expect(200).json();
    let leaked = json!({"key": leaked["apiTokenList"][0]["key"]});
    golden.call(By::Nobody, "POST", "/v1/leakedKeys:revoke", "/v1/leakedKeys:revoke", leaked).await;
    let (hook, one) = ("/v1/slackWebhooks/{slack_webhook_id}", "/v1/slackWebhooks/7");
    golden.call(By::Admin, "DELETE", hook, one, Value::Null).await;
}

/// Tokens of the organization.
pub async fn organization_tokens(golden: &mut Golden<'_>) {
    const LIST: &str = "/core/v1/organizations/{organization}/api_tokens";
    const ONE: &str = "/core/v1/api_tokens/{api_token}";
    let admin = golden.server.api_key.clone();
    let organization = golden.server.get("/v1/organization").await.expect(200).json();
    let list = LIST.replace("{organization}", organization["publicId"].as_str().unwrap());
    let new = json!({"properties": {"name": "CI", "scopes": ["api_tokens"]},
        "annotations": [{"key": "team", "value": "edge"}]});
    let made = golden.call(By::Bearer(&admin), "POST", LIST, &list, new).await;
    let text = |name: &str| made["api_token"][name].as_str().unwrap().to_owned();
    let (one, secret) = (ONE.replace("{api_token}", &text("id")), text("secret"));
    let by = By::Bearer(&secret);
    golden.call(by, "GET", LIST, &format!("{list}?per_page=10"), Value::Null).await;
    golden.call(by, "PATCH", ONE, &one, json!({"properties": {"name": "Build"}})).await;
    let route = format!("{ONE}/regenerate_secret");
    let by = By::Bearer(&admin);
    golden.call(by, "POST", &route, &format!("{one}/regenerate_secret"), Value::Null).await;
    golden.call(by, "DELETE", ONE, &one, Value::Null).await;
    golden.call(by, "DELETE", ONE, &one, Value::Null).await;
}

/// Customer workspaces of a vendor, with their clients and keys of both generations.
pub async fn workspaces(golden: &mut Golden<'_>) {
    const WORKSPACES: &str = "/api/managed_users";
    const ONE: &str = "/api/managed_users/{managed_user_id}";
    let admin = golden.server.api_key.clone();
    let by = By::Bearer(&admin);
    golden.call(by, "POST", WORKSPACES, WORKSPACES, json!({"name": "Customer", "external_id": "A2300"})).await;
    golden.call(by, "POST", WORKSPACES, WORKSPACES, json!({"name": " "})).await;
    golden.call(by, "GET", WORKSPACES, "/api/managed_users?per_page=10", Value::Null).await;
    let at = |route: &str| route.replace("{managed_user_id}", "EA2300");
    golden.call(by, "GET", ONE, &at(ONE), Value::Null).await;
    golden.call(by, "PUT", ONE, &at(ONE), json!({"name": "Customer Inc."})).await;

    let route = format!("{ONE}/api_collections");
    let made = golden
        .call(
            by,
            "POST",
            &route,
            &at(&route),
            json!({"name": "Pets", "openapi_spec": {"content": DOCUMENT, "format": "json"}}),
        )
        .await;
    golden.call(by, "GET", &route, &at(&route), Value::Null).await;
    let collection = made["id"].clone();
    let route = format!("{ONE}/api_endpoints");
    let endpoints = golden.call(by, "GET", &route, &at(&route), Value::Null).await;
    let endpoint = endpoints["result"][0]["id"].to_string();
    for verb in ["disable", "enable"] {
        let route = format!("{ONE}/api_endpoints/{{api_endpoint_id}}/{verb}");
        let target = at(&route).replace("{api_endpoint_id}", &endpoint);
        golden.call(by, "PUT", &route, &target, Value::Null).await;
    }
    access_profiles(golden, by, &collection).await;
    clients(golden, by, &collection).await;
    golden.call(by, "DELETE", ONE, &at(ONE), Value::Null).await;
}

async fn access_profiles(golden: &mut Golden<'_>, by: By<'_>, collection: &Value) {
    const CLIENTS: &str = "/api/managed_users/{managed_user_id}/api_clients";
    const LIST: &str = "/api/managed_users/{managed_user_id}/api_access_profiles";
    const ONE: &str = "/api/managed_users/{managed_user_id}/api_access_profiles/{api_access_profile_id}";
    let at = |route: &str| route.replace("{managed_user_id}", "EA2300");
    golden.call(by, "POST", CLIENTS, &at(CLIENTS), json!({"name": "Acme"})).await;
    golden.call(by, "GET", CLIENTS, &at(CLIENTS), Value::Null).await;
    let new = json!({"name": "Shop", "api_collection_ids": [collection], "auth_type": "oauth2"});
    let made = golden.call(by, "POST", LIST, &at(LIST), new).await;
    golden.call(by, "POST", LIST, &at(LIST), json!({"name": "Shop"})).await;
    golden.call(by, "GET", LIST, &at(LIST), Value::Null).await;
    let grant = json!({"grant_type": "client_credentials", "client_id": made["oauth_client_id"],
        "client_secret": made["oauth_client_secret"]});
    golden.call(By::Nobody, "POST", "/oauth2/token", "/oauth2/token", grant).await;
    let at = |route: &str| at(route).replace("{api_access_profile_id}", &made["id"].to_string());
    golden.call(by, "PUT", ONE, &at(ONE), json!({"auth_type": "token", "ip_allow_list": ["203.0.113.0/24"]})).await;
    for verb in ["disable", "enable", "refresh_secret"] {
        let route = format!("{ONE}/{verb}");
        golden.call(by, "PUT", &route, &at(&route), Value::Null).await;
    }
}

async fn clients(golden: &mut Golden<'_>, by: By<'_>, collection: &Value) {
    const LIST: &str = "/api/v2/managed_users/{managed_user_id}/api_clients";
    const ONE: &str = "/api/v2/managed_users/{managed_user_id}/api_clients/{api_client_id}";
    let at = |route: &str| route.replace("{managed_user_id}", "EA2300");
    let new = json!({"name": "Partner", "api_collection_ids": [collection], "auth_type": "token"});
    let client = golden.call(by, "POST", LIST, &at(LIST), new).await["data"]["id"].to_string();
    golden.call(by, "GET", LIST, &at(LIST), Value::Null).await;
    let at = |route: &str| at(route).replace("{api_client_id}", &client);
    golden.call(by, "GET", ONE, &at(ONE), Value::Null).await;
    let changed = json!({"name": "Partner 2", "api_collection_ids": [collection]});
    golden.call(by, "PUT", ONE, &at(ONE), changed).await;

    let keys = format!("{ONE}/api_keys");
    let key = golden.call(by, "POST", &keys, &at(&keys), json!({"name": "Production", "active": true})).await;
    golden.call(by, "GET", &keys, &at(&keys), Value::Null).await;
    let one = format!("{keys}/{{api_key_id}}");
    let at = |route: &str| at(route).replace("{api_key_id}", &key["data"]["id"].to_string());
    golden.call(by, "PUT", &one, &at(&one), json!({"name": "Production 2"})).await;
    for verb in ["disable", "enable", "refresh_secret"] {
        let route = format!("{one}/{verb}");
        golden.call(by, "PUT", &route, &at(&route), Value::Null).await;
    }
    golden.call(by, "DELETE", ONE, &at(ONE), Value::Null).await;
}
