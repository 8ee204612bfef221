use portolan_authz::Cache;
use portolan_identity::{Deps, Options, grants, users};
use portolan_runtime::{Config, Keys, Peers, Secrets};
use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Answer, Server, har};

const PASSWORD: &str = "a password of its own";

/// Identity on the database of a running server, to make what no route makes yet.
pub async fn identity(test: &TestDb, server: &Server) -> Deps {
    let keys = Keys::load(&server.data_dir.join("secret-key")).unwrap();
    let secrets = Secrets::of(&keys, "identity").unwrap();
    let config = Config::load(server.data_dir.clone(), None, []).unwrap();
    let peers = Peers::new(&config, keys.auth("gateway")).unwrap();
    let db = test.store.service("identity").await.unwrap();
    Deps::open(db, peers, secrets, Cache::Off, Cache::Off, &Options::read(&config).unwrap()).await.unwrap()
}

/// A logged-in user.
pub struct Person<'a> {
    server: &'a Server,
    pub cookie: String,
    pub token: String,
}

impl<'a> Person<'a> {
    pub async fn log_in(server: &'a Server, login: &str) -> Self {
        let body = json!({"username": login, "password": PASSWORD}).to_string();
        let answer = server.send(server.request("/auth/login").body(body)).await.unwrap().expect(200);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Self { server, cookie, token: answer.header("access-token").to_owned() }
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.server.request(path).header("cookie", &self.cookie).header("access-token", &self.token);
        self.server.send(request.body(body.to_string())).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = reqwest::Client::new().get(format!("{}{path}", self.server.http));
        let request = request.header("cookie", &self.cookie).header("access-token", &self.token);
        self.server.send(request).await.unwrap()
    }
}

pub async fn create(deps: &Deps, account_id: i64, login: &str, role: &str) -> i64 {
    let user = users::NewUser { account_id: account_id.into(), login, password: PASSWORD, role };
    users::create(deps, user).await.unwrap().into()
}

/// What a role may not do is refused with its name; what it may, it may.
pub async fn a_role_bounds_what_a_user_may(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    for (role, shown, path, status) in [
        ("GUEST", "GUEST", "/api/createCollection", 403),
        ("GUEST", "GUEST", "/api/getAllCollections", 200),
        ("GUEST", "GUEST", "/api/addApiToken", 403),
        ("DEVELOPER", "DEVELOPER", "/api/loadSensitiveParameters", 403),
        ("DEVELOPER", "DEVELOPER", "/api/fetchApiTokens", 200),
        ("MEMBER", "SECURITY ENGINEER", "/api/loadSensitiveParameters", 200),
        ("THREAT_VIEWER", "THREAT VIEWER", "/api/getAllCollections", 200),
        ("NOBODY_KNOWS", "", "/api/me", 403),
    ] {
        let login = format!("{}-{status}{}@example.org", role.to_lowercase(), path.replace('/', "-"));
        create(&deps, 1_000_000, &login, role).await;
        let person = Person::log_in(&server, &login).await;
        let answer = person.post(path, json!({"collectionName": "Mine", "tokenUtility": "BURP"})).await;
        assert_eq!(answer.status, status, "{role} {path}: {}", answer.body);
        if status == 403 && !shown.is_empty() {
            answer.expect_error(403, &format!("The role '{shown}' does not have access."));
        } else if status == 403 {
            assert_eq!(answer.header("x-no-access-error"), "true");
        }
    }
}

/// A restricted user sees the collections of their list, and the ones they make.
pub async fn a_restricted_user_sees_their_own_collections(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let (shown, hidden) = (server.create_collection("Shown").await, server.create_collection("Hidden").await);
    let user_id = create(&deps, 1_000_000, "restricted@example.org", "MEMBER").await;
    grants::set_collections(&deps, 1_000_000.into(), user_id.into(), &[i32::try_from(shown).unwrap().into()])
        .await
        .unwrap();
    let person = Person::log_in(&server, "restricted@example.org").await;
    let names = async || {
        let list = person.post("/api/getAllCollections", json!({})).await.expect(200).json();
        let names = list["apiCollections"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["Shown"]);
    let missing = person.post("/api/fetchCollectionWiseApiEndpoints", json!({"apiCollectionId": 999_999})).await;
    let foreign = person.post("/api/fetchCollectionWiseApiEndpoints", json!({ "apiCollectionId": hidden })).await;
    assert_eq!((foreign.status, &foreign.body), (missing.status, &missing.body));
    let described = json!({"apiCollectionId": hidden, "description": "mine now"});
    person.post("/api/saveCollectionDescription", described).await.expect_error(422, "No such collection exists");
    person.post("/api/createCollection", json!({"collectionName": "Made"})).await.expect(200);
    assert_eq!(names().await, ["Shown", "Made"]);
}

/// To a user of another account, an id of this one is as good as a missing one, and nothing changes.
pub async fn another_account_is_out_of_sight(test: TestDb) {
    let server = Server::start(&test).await;
    let deps = identity(&test, &server).await;
    let id = server.create_collection("Private").await;
    let capture = har(&[("GET", "http://api.test/books/1", "", 200, "{}")]);
    let upload = json!({"harString": capture, "apiCollectionId": id, "skipKafka": true});
    server.post("/api/uploadHar", upload.clone()).await.expect(200);
    let new_account = "INSERT INTO accounts (account_id, organization_id, name, created_at)
        SELECT 2000000, organization_id, 'Other', 0 FROM accounts WHERE account_id = 1000000";
    deps.db.execute(new_account, args![]).await.unwrap();
    create(&deps, 2_000_000, "other@example.org", "ADMIN").await;
    let other = Person::log_in(&server, "other@example.org").await;

    let before = server.post("/api/getAllCollections", json!({})).await.expect(200).body;
    let endpoint = json!({"apiCollectionId": id, "url": "http://api.test/books/INTEGER", "method": "GET"});
    let with = |more: Value| {
        let mut body = endpoint.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (path, body) in [
        ("/api/getCollection", endpoint.clone()),
        ("/api/saveCollectionDescription", with(json!({"description": "x"}))),
        ("/api/saveEndpointDescription", with(json!({"description": "x"}))),
        ("/api/deleteMultipleCollections", json!({"apiCollectionIds": [id]})),
        ("/api/fetchApiInfosForCollection", endpoint.clone()),
        ("/api/fetchCollectionWiseApiEndpoints", endpoint.clone()),
        ("/api/getSingleEndpoint", endpoint.clone()),
        ("/api/loadParamsOfEndpoint", endpoint.clone()),
        ("/api/loadSensitiveParameters", endpoint.clone()),
        ("/api/fetchSampleData", endpoint.clone()),
        ("/api/generateOpenApiFile", endpoint.clone()),
        ("/api/uploadHar", upload),
    ] {
        let foreign = other.post(path, body.clone()).await;
        let mut missing = body;
        if let Some(id) = missing.get_mut("apiCollectionId") {
            *id = json!(999_999);
        } else {
            missing["apiCollectionIds"] = json!([999_999]);
        }
        let missing = other.post(path, missing).await;
        assert_eq!((foreign.status, &foreign.body), (missing.status, &missing.body), "{path}");
        assert!(!foreign.body.contains("books"), "{path}: {}", foreign.body);
    }
    assert_eq!(server.post("/api/getAllCollections", json!({})).await.expect(200).body, before);
    assert_eq!(server.endpoints(id).await.len(), 1);
}
