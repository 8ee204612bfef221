use std::collections::BTreeSet;

use portolan_api::{
    Error, Reason, Who, descriptors, options, policies,
    prost_reflect::{DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value as Field, prost::Message as _},
};
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::{
    roles::{Person, create, identity},
    server::{Answer, Server, har},
};

/// The RPCs that can give rights, each with a case of this file, or of the one named, that tries to give too many.
const CARRIERS: &[(&str, &str)] = &[
    ("/portolan.identity.v1.AccountsService/AddAdministrator", "a_customer_is_no_vendor"),
    ("/portolan.identity.v1.AccountsService/CreateAccount", "a_customer_is_no_vendor"),
    ("/portolan.identity.v1.AccountsService/RemoveAdministrator", "a_customer_is_no_vendor"),
    ("/portolan.identity.v1.AccountsService/SaveSubscription", "guards::every_rpc_refuses_whom_its_rule_refuses"),
    ("/portolan.identity.v1.ManagedUsersService/CreateManagedUser", "a_customer_is_no_vendor"),
    ("/portolan.identity.v1.RolesService/CreateRole", "nobody_hands_out_more_than_they_hold"),
    ("/portolan.identity.v1.RolesService/UpdateRole", "nobody_hands_out_more_than_they_hold"),
    ("/portolan.identity.v1.TeamService/CreateInvitation", "nobody_hands_out_more_than_they_hold"),
    ("/portolan.identity.v1.TeamService/CreatePasswordReset", "nobody_hands_out_more_than_they_hold"),
    ("/portolan.identity.v1.TeamService/UpdateMemberCollections", "nobody_hands_out_more_than_they_hold"),
    ("/portolan.identity.v1.TeamService/UpdateMemberRole", "nobody_hands_out_more_than_they_hold"),
    ("/portolan.identity.v1.TeamService/UpdateScopeRoles", "nobody_hands_out_more_than_they_hold"),
    ("/portolan.inventory.v1.GroupService/ShareGroup", "group_parts::a_group_alone_is_read_everywhere"),
    ("/portolan.tokens.v1.AccessProfilesService/CreateAccessProfile", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.AccessProfilesService/EnableAccessProfile", "bounds::bounded_keys_make_bounded_things"),
    (
        "/portolan.tokens.v1.AccessProfilesService/RefreshAccessProfileSecret",
        "bounds::bounded_keys_make_bounded_things",
    ),
    ("/portolan.tokens.v1.AccessProfilesService/UpdateAccessProfile", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.OrganizationTokensService/CreateOrganizationToken", "a_token_acts_where_it_was_made"),
    ("/portolan.tokens.v1.OrganizationTokensService/RegenerateOrganizationToken", "a_token_acts_where_it_was_made"),
    ("/portolan.tokens.v1.OrganizationTokensService/UpdateOrganizationToken", "a_token_acts_where_it_was_made"),
    ("/portolan.tokens.v1.ApiClientsService/CreateClientKey", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.ApiClientsService/EnableClientKey", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.ApiClientsService/RefreshClientKeySecret", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.ApiClientsService/UpdateApiClient", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.ApiClientsService/UpdateClientKey", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.ApiKeysService/CreateSlackWebhook", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.ApiKeysService/RotateApiKey", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.TokensService/CreateApiKey", "bounds::bounded_keys_make_bounded_things"),
    ("/portolan.tokens.v1.TokensService/DeleteApiKey", "bounds::bounded_keys_make_bounded_things"),
];

/// An RPC whose request says something of rights cannot be added without a place in the list above.
pub async fn every_rpc_that_can_carry_rights_is_known(_: TestDb) {
    let carriers = policies().values().filter(|policy| policy.rights.carries || policy.rights.bounds);
    let carriers: BTreeSet<&str> = carriers.map(|policy| policy.path.as_str()).collect();
    assert_eq!(carriers, CARRIERS.iter().map(|(path, _)| *path).collect());
    // A write that answers a secret gives rights, whatever its request says of them.
    let exempt = crate::guards::exempt("secrets");
    for policy in policies().values().filter(|policy| !matches!(policy.who, Who::Public | Who::Internal)) {
        let gives = !policy.audit.is_empty() && answers_secret(&method(&policy.path).output());
        let is_known = carriers.contains(policy.path.as_str()) || exempt.contains(policy.path.as_str());
        assert!(!gives || is_known, "{} answers a secret and is not known to carry rights", policy.path);
        assert!(gives || !exempt.contains(policy.path.as_str()), "{} answers no secret", policy.path);
    }
}

/// The RPC of this path.
pub fn method(path: &str) -> MethodDescriptor {
    let (service, method) = path[1..].split_once('/').unwrap();
    let service = descriptors().get_service_by_name(service).unwrap();
    service.methods().find(|candidate| candidate.name() == method).unwrap()
}

fn answers_secret(message: &MessageDescriptor) -> bool {
    message.fields().any(|field| {
        let inner = match field.kind() {
            Kind::Message(inner) if inner.package_name().starts_with("portolan") && inner != *message => {
                answers_secret(&inner)
            }
            _ => false,
        };
        inner || options::field(&field).secret
    })
}

async fn key_of(server: &Server, person: &Person<'_>) -> String {
    let made = person.post("/api/addApiToken", json!({"tokenUtility": "EXTERNAL_API"})).await.expect(200).json();
    assert_eq!(server.api_key.len(), 40);
    made["apiTokenList"][0]["key"].as_str().unwrap().to_owned()
}

async fn workspace(server: &Server) -> i64 {
    let body = json!({"name": "Customer", "external_id": "c1"});
    let made = server.call("POST", "/api/managed_users", &server.api_key, body).await.expect(200).json();
    made["result"]["id"].as_i64().unwrap()
}

/// Whoever administers a customer's workspace, or another account, has no authority over the organization.
pub async fn a_customer_is_no_vendor(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let customer = workspace(&server).await;
    let organization = server.get("/v1/organization").await.expect(200).json();
    let (id, public_id) = (organization["id"].as_str().unwrap(), organization["publicId"].as_str().unwrap());
    let tokens = format!("/core/v1/organizations/{public_id}/api_tokens");
    let new = json!({"properties": {"name": "mine", "scopes": ["identity:read"]}});
    let made = server.call("POST", &tokens, &server.api_key, new.clone()).await.expect(200).json();
    let token = format!("/core/v1/api_tokens/{}", made["api_token"]["id"].as_str().unwrap());
    let second = server.post("/api/createNewAccount", json!({"newAccountName": "Second"})).await;
    // An API key makes it, and cannot move into it.
    second.expect_error(422, "The account was created. An API key cannot switch to it. Log in instead");
    for (account_id, login) in
        [(customer, "c@example.org"), (1_000_001 + i64::from(customer == 1_000_001), "s@example.org")]
    {
        create(&deps, account_id, login, "ADMIN").await;
        let person = Person::log_in(&server, login).await;
        let key = key_of(&server, &person).await;
        let missing = "/core/v1/api_tokens/tok_0000000000000000";
        let no_such = server.call("DELETE", missing, &key, Value::Null).await.expect(404);
        for (verb, path, body) in [
            ("GET", tokens.as_str(), Value::Null),
            ("POST", &tokens, new.clone()),
            ("PATCH", &token, new.clone()),
            ("POST", &format!("{token}/regenerate_secret"), json!({})),
            ("DELETE", &token, Value::Null),
            ("GET", "/v1/organization", Value::Null),
            ("GET", "/v1/usage?accountId=1000000", Value::Null),
            ("GET", "/api/managed_users", Value::Null),
            ("POST", "/api/managed_users", json!({"name": "Mine"})),
            ("GET", "/v1/organizationAdministrators", Value::Null),
            ("POST", "/v1/organizationAdministrators", json!({"email": login})),
            ("DELETE", "/v1/organizationAdministrators/1", Value::Null),
        ] {
            let answer = server.call(verb, path, &key, body).await;
            assert_eq!(answer.status, 404, "{login} {verb} {path}: {}", answer.body);
        }
        let hidden = server.call("DELETE", &token, &key, Value::Null).await;
        assert_eq!((hidden.status, &hidden.body), (no_such.status, &no_such.body));
        let plan = json!({
            "customerId": id, "planId": "free", "billingPeriod": "monthly",
            "successUrl": "https://example.org", "cancelUrl": "https://example.org",
        });
        for (path, body) in [
            ("/api/provisionSubscription", plan),
            ("/api/refreshUsageDataForOrg", json!({})),
            ("/api/getCustomerStiggDetails", json!({"customerId": id})),
            ("/api/createNewAccount", json!({"newAccountName": "Mine"})),
            ("/api/updateUsernameAndOrganization", json!({"username": "me", "organization": "Mine"})),
        ] {
            let answer = person.post(path, body).await;
            answer.expect_error(422, "Organization not found");
        }
        // Their own usage and name stay theirs.
        let usage = server.call("GET", "/v1/usage", &key, Value::Null).await.expect(200).json();
        for feature in usage["usage"].as_array().unwrap() {
            assert_eq!(feature["organizationUsage"], feature["usage"], "{feature}");
        }
        person.post("/api/updateUsernameAndOrganization", json!({"username": "me"})).await.expect(200);
    }
    let after = server.get("/v1/organization").await.expect(200).json();
    assert_eq!(after["name"], organization["name"]);
    server.call("GET", &tokens, &server.api_key, Value::Null).await.expect(200);
}

/// An ADMIN of the vendor's account without authority over the organization finds no customer, through any RPC that names
/// one; neither does a role that is an ADMIN's in name.
pub async fn customers_are_the_organizations(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let id = workspace(&server).await.to_string();
    role(&server, "clerk", "ADMIN", json!({"allowedFeaturesForUser": ["ADMIN_ACTIONS"]})).await;
    role(&server, "reader", "ADMIN", json!({"allowedFeaturesForUser": ["API_COLLECTIONS"]})).await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut asked = 0;
    for role in ["ADMIN", "clerk", "reader"] {
        let login = format!("{}@x.org", role.to_lowercase());
        create(&deps, 1_000_000, &login, role).await;
        let person = Person::log_in(&server, &login).await;
        let headers = vec![("cookie", person.cookie.clone()), ("access-token", person.token.clone())];
        for policy in policies().values() {
            let input = method(&policy.path).input();
            let names = ["managed_user_id", "managedUserId"];
            let Some(field) = names.iter().find_map(|name| input.get_field_by_name(name)) else { continue };
            if policy.who == Who::Internal {
                continue;
            }
            for name in [id.clone(), "Ec1".to_owned()] {
                let mut request = DynamicMessage::new(input.clone());
                request.set_field(&field, Field::String(name));
                let answer = crate::guards::call(&channel, &policy.path, &headers, request.encode_to_vec()).await;
                let reason = Error::from_status(&answer.expect_err(&policy.path)).reason();
                let hides = [Reason::ManagedUserNotFound, Reason::NotFound].contains(&reason);
                assert!(hides, "{} by {role}: {reason:?}", policy.path);
                asked += 1;
            }
        }
    }
    assert!(asked > 3 * 2 * 20, "{asked}");
    println!("{asked} questions about a customer by who does not administer the organization");
}

/// A token is listed and acts in the account in which it was made, and gives no more than it has.
pub async fn a_token_acts_where_it_was_made(test: TestDb) {
    let server = Server::start(&test).await;
    let organization = server.get("/v1/organization").await.expect(200).json();
    let tokens = format!("/core/v1/organizations/{}/api_tokens", organization["publicId"].as_str().unwrap());
    let login = json!({"username": "admin@localhost", "password": "correct horse battery staple"}).to_string();
    let opened = server.send(server.request("/auth/login").body(login)).await.unwrap().expect(200);
    let session = |answer: &Answer| {
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        (cookie, answer.header("access-token").to_owned())
    };
    let post = async |(cookie, token): &(String, String), path: &str, body: Value| {
        let request = server.request(path).header("cookie", cookie).header("access-token", token);
        server.send(request.body(body.to_string())).await.unwrap().expect(200)
    };
    let moved = post(&session(&opened), "/api/createNewAccount", json!({"newAccountName": "Second"})).await;
    let second = session(&moved);
    let key = post(&second, "/api/addApiToken", json!({"tokenUtility": "EXTERNAL_API"})).await.json();
    let key = key["apiTokenList"][0]["key"].as_str().unwrap().to_owned();
    let scopes = json!(["api_tokens", "identity:read", "inventory"]);
    let new = json!({"properties": {"name": "second", "scopes": scopes, "expires_at": 4_000_000_000_i64,
        "authorized_ip_addresses": ["127.0.0.0/8", "192.0.2.0/24", "::1"]}});
    let made = server.call("POST", &tokens, &key, new).await.expect(200).json();
    let secret = made["api_token"]["secret"].as_str().unwrap();
    let names = async |bearer: &str| {
        let list = server.call("GET", &tokens, bearer, Value::Null).await.expect(200).json();
        let names =
            list["api_tokens"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&server.api_key).await, [""; 0]);
    assert_eq!((names(&key).await, names(secret).await), (vec!["second".to_owned()], vec!["second".to_owned()]));
    server.call("POST", "/v1/dataTypes", secret, json!({"name": "ONLY_HERE", "valuePattern": "^only$"})).await;
    let first = server.get("/v1/dataTypes").await.expect(200).body;
    assert!(!first.contains("ONLY_HERE"), "{first}");

    // Another token, bounded less tightly, is out of its reach; so is lifting bounds, its own too.
    let wide = json!({"properties": {"name": "wide", "scopes": ["api_tokens", "billing"]}});
    let wide = server.call("POST", &tokens, &key, wide).await.expect(200).json();
    let wide = format!("/core/v1/api_tokens/{}", wide["api_token"]["id"].as_str().unwrap());
    let own = format!("/core/v1/api_tokens/{}", made["api_token"]["id"].as_str().unwrap());
    for (verb, path, properties) in [
        ("POST", tokens.as_str(), json!({"name": "x", "scopes": ["api_tokens"]})),
        ("POST", &tokens, json!({"name": "x", "scopes": ["billing"], "expires_at": 3_000_000_000_i64})),
        ("PATCH", &own, json!({"expires_at": null})),
        ("PATCH", &own, json!({"authorized_ip_addresses": []})),
        ("PATCH", &wide, json!({"name": "mine"})),
        ("POST", &format!("{wide}/regenerate_secret"), json!({})),
        ("DELETE", &wide, json!({})),
    ] {
        let answer = server.call(verb, path, secret, json!({ "properties": properties })).await;
        assert_eq!(answer.status, 403, "{verb} {path} {properties}: {}", answer.body);
    }
}

async fn role(server: &Server, name: &str, base: &str, more: Value) {
    let mut body = json!({"roleName": name, "baseRole": base});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/api/createCustomRole", body).await.expect(200);
}

/// Features, collections and authority bound what somebody gives; nobody changes what they hold.
pub async fn nobody_hands_out_more_than_they_hold(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let (shown, hidden) = (server.create_collection("Shown").await, server.create_collection("Hidden").await);
    role(&server, "books", "MEMBER", json!({"apiCollectionIds": [shown]})).await;
    role(&server, "more", "MEMBER", json!({"apiCollectionIds": [shown, hidden]})).await;
    role(&server, "host", "MEMBER", json!({"allowedFeaturesForUser": ["INVITE_MEMBERS"]})).await;
    role(&server, "clerk", "ADMIN", json!({"allowedFeaturesForUser": ["ADMIN_ACTIONS", "INVITE_MEMBERS"]})).await;
    let ids =
        [("books", "b@x.org"), ("host", "h@x.org"), ("clerk", "k@x.org"), ("MEMBER", "m@x.org"), ("ADMIN", "a@x.org")];
    let mut member_id = 0;
    for (role, login) in ids {
        let id = create(&deps, 1_000_000, login, role).await;
        if role == "MEMBER" {
            member_id = id;
        }
    }
    let refused = "no access to modify this role";
    for (login, role, allowed) in [
        ("b@x.org", "MEMBER", false),
        ("b@x.org", "more", false),
        ("b@x.org", "books", true),
        ("h@x.org", "MEMBER", false),
        ("h@x.org", "GUEST", false),
        ("h@x.org", "host", true),
        ("m@x.org", "DEVELOPER", true),
        ("m@x.org", "books", true),
        ("k@x.org", "ADMIN", false),
        ("k@x.org", "MEMBER", false),
        ("a@x.org", "ADMIN", true),
    ] {
        let person = Person::log_in(&server, login).await;
        let invite = json!({"inviteeEmail": format!("new-{role}@x.org"), "inviteeName": "N", "inviteeRole": role});
        let answer = person.post("/api/inviteUsers", invite).await;
        match allowed {
            true => assert_eq!(answer.status, 200, "{login} invites {role}: {}", answer.body),
            false => assert!(answer.status == 422 && answer.body.contains(refused), "{login} {role}: {}", answer.body),
        }
    }
    let clerk = Person::log_in(&server, "k@x.org").await;
    let own = json!({"roleName": "clerk", "baseRole": "ADMIN", "allowedFeaturesForUser": []});
    clerk.post("/api/updateCustomRole", own).await.expect_error(422, "cannot perform on yourself");
    let lists = json!({"userCollectionMap": {member_id.to_string(): []}});
    for (path, body) in [
        ("/api/updateCustomRole", json!({"roleName": "host", "baseRole": "MEMBER", "allowedFeaturesForUser": []})),
        ("/api/updateCustomRole", json!({"roleName": "more", "baseRole": "MEMBER", "defaultInviteRole": true})),
        ("/api/createCustomRole", json!({"roleName": "full", "baseRole": "ADMIN"})),
        ("/api/makeAdmin", json!({"email": "m@x.org", "userRole": "ADMIN"})),
        ("/api/makeAdmin", json!({"email": "a@x.org", "userRole": "clerk"})),
        ("/api/updateUserScopeRoleMapping", json!({"email": "m@x.org", "scopeRoleMapping": {"API": "ADMIN"}})),
        ("/api/updateUserCollections", lists),
        ("/api/resetUserPassword", json!({"userEmail": "a@x.org"})),
        ("/api/removeUser", json!({"email": "a@x.org"})),
    ] {
        let answer = clerk.post(path, body.clone()).await;
        assert!(
            answer.status == 422 && answer.body.contains(refused),
            "{path} {body}: {} {}",
            answer.status,
            answer.body
        );
    }
    // An ADMIN without authority over the organization has none over who has it.
    let admin = Person::log_in(&server, "a@x.org").await;
    for (path, body) in [
        ("/api/makeAdmin", json!({"email": "admin@localhost", "userRole": "MEMBER"})),
        ("/api/resetUserPassword", json!({"userEmail": "admin@localhost"})),
        ("/api/removeUser", json!({"email": "admin@localhost"})),
    ] {
        let answer = admin.post(path, body).await;
        assert!(answer.status == 422 && answer.body.contains(refused), "{path}: {} {}", answer.status, answer.body);
    }
    // Nor does an invitation to less take the place of one to more.
    let invite = |role: &str| json!({"inviteeEmail": "rival@x.org", "inviteeName": "R", "inviteeRole": role});
    server.post("/api/inviteUsers", invite("ADMIN")).await.expect(200);
    let member = Person::log_in(&server, "m@x.org").await;
    let answer = member.post("/api/inviteUsers", invite("GUEST")).await;
    assert!(answer.status == 422 && answer.body.contains(refused), "{} {}", answer.status, answer.body);
    server.post("/api/inviteUsers", invite("GUEST")).await.expect(200);
    member.post("/api/inviteUsers", invite("GUEST")).await.expect(200);
    // What an inviter lost before the acceptance is not given any more.
    let invite = json!({"inviteeEmail": "late@x.org", "inviteeName": "L", "inviteeRole": "MEMBER"});
    let link = Person::log_in(&server, "m@x.org").await.post("/api/inviteUsers", invite).await.expect(200).json();
    let code = link["finalInviteCode"].as_str().unwrap().split("signupInvitationCode=").nth(1).unwrap().to_owned();
    let code = code.split('&').next().unwrap();
    server.post("/api/makeAdmin", json!({"email": "m@x.org", "userRole": "books"})).await.expect(200);
    let accept = json!({"email": "late@x.org", "password": "a password of its own", "invitationCode": code});
    let answer = server.send(server.request("/signup-email").body(accept.to_string())).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.body);
}

/// The role of a collection's scope decides, and for what belongs to the account that of the API scope.
pub async fn a_scope_belongs_to_the_thing(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let id = server.create_collection("Of API").await;
    let capture = har(&[("GET", "http://api.test/books/1", "", 200, r#"{"secret": "s3cr3t"}"#)]);
    let upload = json!({"harString": capture, "apiCollectionId": id, "skipKafka": true});
    server.post("/api/uploadHar", upload).await.expect(200);
    let scoped = async |request: reqwest::RequestBuilder, path: &str, body: &Value| {
        let answer = server.send(request.header("x-context-source", "DAST").body(body.to_string())).await.unwrap();
        assert!(!answer.body.contains("s3cr3t") && !answer.body.contains("Of API"), "{path}: {}", answer.body);
        answer
    };
    let import = async |request: reqwest::RequestBuilder, collection: &Value| {
        let document = json!({"openapi": "3.0.3", "info": {"title": "D", "version": "1"}, "paths": {"/declared": {"get": {
            "responses": {"200": {"description": "good"}}}}}});
        let body = json!({"openAPIString": document.to_string(), "apiCollectionId": collection});
        server.send(request.body(body.to_string())).await.unwrap().expect(200);
    };
    let path = "/api/importDataFromOpenApiSpec";
    import(server.request(path).header("x-api-key", &server.api_key), &json!(id)).await;
    let jobs = server.get("/v1/jobs").await.expect(200).json();
    let job = format!("/v1/jobs/{}", jobs["jobs"][0]["jobId"].as_str().unwrap());
    assert!(jobs.to_string().contains("Of API"), "{jobs}");
    create(&deps, 1_000_000, "none@x.org", "MEMBER").await;
    create(&deps, 1_000_000, "guest@x.org", "MEMBER").await;
    for (login, api, dast) in [("none@x.org", "NO_ACCESS", "MEMBER"), ("guest@x.org", "GUEST", "ADMIN")] {
        let mapping = json!({"email": login, "scopeRoleMapping": {"API": api, "DAST": dast}});
        server.post("/api/updateUserScopeRoleMapping", mapping).await.expect(200);
        let person = Person::log_in(&server, login).await;
        let request =
            |path: &str| server.request(path).header("cookie", &person.cookie).header("access-token", &person.token);
        let of_api = json!({"apiCollectionId": id, "apiCollectionIds": [id], "apiCollections": [{"id": id}],
            "url": "http://api.test/books/INTEGER", "method": "GET"});
        for path in [
            "/api/getAllCollections",
            "/api/getCollection",
            "/api/fetchAllSampleData",
            "/api/fetchSampleData",
            "/api/fetchApiInfosForCollection",
            "/api/deactivateCollections",
            "/api/deleteMultipleCollections",
        ] {
            scoped(request(path), path, &of_api).await;
        }
        for (path, body) in [
            ("/api/getPostmanCredential", json!({})),
            ("/api/addOrUpdatePostmanCred", json!({"workspaceId": "w", "apiKey": "k"})),
            ("/api/addApiToken", json!({"tokenUtility": "BURP"})),
            ("/api/provisionSubscription", json!({})),
            ("/api/inviteUsers", json!({"inviteeEmail": "x@x.org", "inviteeRole": "GUEST"})),
            ("/api/updatePartnerIps", json!({"partnerIpList": []})),
            ("/v1/slackWebhooks", json!({"url": "https://hooks.example.org/x"})),
            ("/v1/dataTypes", json!({"name": "MINE", "valuePattern": "x"})),
        ] {
            if path == "/api/getPostmanCredential" && api == "GUEST" {
                continue;
            }
            let answer = scoped(request(path), path, &body).await;
            assert_eq!(answer.status, 403, "{login} {path}: {}", answer.body);
        }
        // Jobs tell of collections, and so belong to the scopes of those.
        for (path, status) in [("/v1/jobs", 200), (job.as_str(), 404)] {
            let url = format!("{}{path}", server.http);
            let request = reqwest::Client::new().get(url).header("cookie", &person.cookie);
            let request = request.header("access-token", &person.token).header("x-context-source", "DAST");
            let answer = server.send(request).await.unwrap();
            assert!(answer.status == status && !answer.body.contains("Of API"), "{login} {path}: {}", answer.body);
        }
        // What is made in a scope belongs there, and is seen nowhere else.
        let made = json!({"collectionName": format!("Scan of {api}")});
        scoped(request("/api/createCollection"), "create", &made).await.expect(200);
        let listed = scoped(request("/api/getAllCollections"), "list", &json!({})).await.expect(200).body;
        assert!(listed.contains(&format!("Scan of {api}")), "{listed}");
        let in_api = server.post("/api/getAllCollections", json!({})).await.expect(200).body;
        assert!(in_api.contains("Of API") && !in_api.contains("Scan of"), "{in_api}");
        let made: Value = serde_json::from_str(&listed).unwrap();
        import(request(path).header("x-context-source", "DAST"), &made["apiCollections"][0]["id"]).await;
        let in_api = server.get("/v1/jobs").await.expect(200).body;
        assert!(in_api.contains("Of API") && !in_api.contains("Scan of"), "{in_api}");
    }
    // The called one and the declared one.
    assert_eq!(server.endpoints(id).await.len(), 2);
}
