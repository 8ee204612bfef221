use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Answer, Server, har};

const PASSWORD: &str = "a password of its own";
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";

/// A person with a session.
pub struct Person<'a> {
    pub server: &'a Server,
    pub cookie: String,
    pub token: String,
}

impl<'a> Person<'a> {
    pub async fn log_in(server: &'a Server, login: &str, password: &str) -> Self {
        let body = json!({"username": login, "password": password}).to_string();
        Self::of(server, server.send(server.request("/auth/login").body(body)).await.unwrap().expect(200))
    }

    /// The session that an answer begins.
    pub fn of(server: &'a Server, answer: Answer) -> Self {
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Self { server, cookie, token: answer.header("access-token").to_owned() }
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, body, "x-none", "").await
    }

    pub async fn post_with(&self, path: &str, body: Value, name: &str, value: &str) -> Answer {
        let request = self.server.request(path).header("cookie", &self.cookie).header("access-token", &self.token);
        self.server.send(request.header(name, value).body(body.to_string())).await.unwrap()
    }
}

/// Invites and accepts; answers the session of the new member.
pub async fn join<'a>(server: &'a Server, email: &str, role: &str) -> Person<'a> {
    let invite = json!({"inviteeEmail": email, "inviteeRole": role});
    let link = server.post("/api/inviteUsers", invite).await.expect(200).json();
    let body = json!({"email": email, "password": PASSWORD, "invitationCode": code_of(&link)}).to_string();
    Person::of(server, server.send(server.request("/signup-email").body(body)).await.unwrap().expect(200))
}

pub fn code_of(invited: &Value) -> String {
    let link = invited["finalInviteCode"].as_str().unwrap();
    link.split_once("signupInvitationCode=").unwrap().1.split('&').next().unwrap().to_owned()
}

/// Invite, accept, a custom role limited to one collection, what that person sees, demotion, and the refusal of the very
/// next request.
pub async fn a_person_from_invitation_to_refusal(test: TestDb) {
    let server = Server::start(&test).await;
    let (shown, hidden) = (server.create_collection("Shown").await, server.create_collection("Hidden").await);
    for (id, host) in [(shown, "shown.test"), (hidden, "hidden.test")] {
        let capture = har(&[("GET", &format!("http://{host}/books/1"), "", 200, r#"{"a":1}"#)]);
        let upload = json!({"harString": capture, "apiCollectionId": id, "skipKafka": true});
        server.post("/api/uploadHar", upload).await.expect(200);
    }
    let role = json!({"roleName": "Books-Only", "baseRole": "MEMBER", "apiCollectionIds": [shown],
        "allowedFeaturesForUser": ["INVENTORY", "SENSITIVE_DATA"]});
    server.post("/api/createCustomRole", role).await.expect(200);
    let person = join(&server, "ann@example.org", "books-only").await;
    let me = person.post("/api/me", json!({})).await.expect(200).json();
    assert_eq!(me["user"]["scopeRoleMapping"], json!({"API": "Books-Only"}));
    assert_eq!((&me["user"]["role"], &me["user"]["login"]), (&json!("MEMBER"), &json!("ann@example.org")));

    let list = person.post("/api/getAllCollections", json!({})).await.expect(200);
    assert!(list.body.contains("Shown") && !list.body.contains("Hidden"), "{}", list.body);
    let search = person.post("/api/fetchCollectionWiseApiEndpoints", json!({"apiCollectionId": hidden})).await;
    assert!(!search.body.contains("hidden.test"), "{}", search.body);
    // A feature of the base role that the custom role does not list is closed.
    let closed = person.post("/api/fetchApiTokens", json!({})).await;
    closed.expect_error(403, "The role 'BOOKS-ONLY' does not have access.");
    // Another scope than the mapping's is closed, whatever the header says.
    let other = person.post_with("/api/getAllCollections", json!({}), "x-context-source", "DAST").await.expect(403);
    assert_eq!(other.header("x-no-access-error"), "true");

    // The held role cannot go; what it allows can change, and does so at once.
    let held = server.post("/api/deleteCustomRole", json!({"roleName": "BOOKS-ONLY"})).await;
    held.expect_error(422, "Role is in use by users of this account");
    let wider = json!({"roleName": "books-only", "baseRole": "MEMBER", "apiCollectionIds": [shown, hidden]});
    server.post("/api/updateCustomRole", wider).await.expect(200);
    let list = person.post("/api/getAllCollections", json!({})).await.expect(200);
    assert!(list.body.contains("Hidden"), "{}", list.body);
    person.post("/api/createCollection", json!({"collectionName": "Mine"})).await.expect(200);

    server.post("/api/makeAdmin", json!({"email": "ann@example.org", "userRole": "guest"})).await.expect(200);
    let refused = person.post("/api/createCollection", json!({"collectionName": "Again"})).await;
    refused.expect_error(403, "The role 'GUEST' does not have access.");
    server.post("/api/deleteCustomRole", json!({"roleName": "books-only"})).await.expect(200);
    server.post("/api/removeUser", json!({"email": "ann@example.org"})).await.expect(200);
    person.post("/api/me", json!({})).await.expect_error(401, "Authentication is required");
    let again = json!({"username": "ann@example.org", "password": PASSWORD}).to_string();
    let again = server.send(server.request("/auth/login").body(again)).await.unwrap();
    again.expect_error(401, "Email or password is wrong");
}

/// Of 16 who race for one name, and of 16 who race for the default, one wins each time.
pub async fn racing_roles_keep_one_name_and_one_default(test: TestDb) {
    let server = Server::start(&test).await;
    let create = |name: String, is_default: bool| {
        let body = json!({"roleName": name, "baseRole": "GUEST", "defaultInviteRole": is_default});
        server.post("/api/createCustomRole", body)
    };
    let case = |i: usize| if i.is_multiple_of(2) { "Racing" } else { "RACING" }.to_owned();
    let same = futures::future::join_all((0..16).map(|i| create(case(i), false))).await;
    let defaults = futures::future::join_all((0..16).map(|i| create(format!("default-{i}"), true))).await;
    for (answers, text) in
        [(same, "Role already exists"), (defaults, "Another role is already the default invite role")]
    {
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for answer in answers.into_iter().filter(|answer| answer.status != 200) {
            answer.expect_error(422, text);
        }
    }
    let roles = server.post("/api/getCustomRoles", json!({})).await.expect(200).json();
    let roles = roles["roles"].as_array().unwrap().clone();
    assert_eq!(roles.len(), 2);
    assert_eq!(roles.iter().filter(|role| role["defaultInviteRole"] == json!(true)).count(), 1);
    // An invitation that names no role takes the default.
    let invite = json!({"inviteeEmail": "new@example.org"});
    let invited = server.post("/api/inviteUsers", invite).await.expect(200).json();
    assert!(invited["inviteeRole"].as_str().unwrap().starts_with("default-"), "{invited}");
    // The database itself refuses both, whoever writes.
    let db = test.store.service("identity").await.unwrap();
    for name in ["RACING", "DEFAULT-X"] {
        let insert = format!(
            "INSERT INTO custom_roles (account_id, name_key, name, base_role, collection_ids, features, \
             threat_protection, is_default, created_at) VALUES (1000000, '{name}', 'x', 'GUEST', '[]', '[]', 0, 1, 0)"
        );
        let refused = db.execute(portolan_store::Sql::assembled(insert), Vec::new()).await.unwrap_err();
        assert!(refused.unique_violation().is_some(), "{refused}");
    }
}

/// Two ADMINs who demote each other at the same time leave one; a session moves between accounts and is new each time.
pub async fn the_last_admin_stays(test: TestDb) {
    let server = Server::start(&test).await;
    let admin = Person::log_in(&server, "admin@localhost", ADMIN_PASSWORD).await;
    let second = join(&server, "second@example.org", "ADMIN").await;
    let (a, b) = tokio::join!(
        admin.post("/api/makeAdmin", json!({"email": "second@example.org", "userRole": "GUEST"})),
        second.post("/api/makeAdmin", json!({"email": "admin@localhost", "userRole": "GUEST"})),
    );
    let statuses = [a.status, b.status];
    assert!(statuses.contains(&200) && statuses.iter().any(|status| *status != 200), "{statuses:?}");
    let winner = if a.status == 200 { &admin } else { &second };
    let team = winner.post("/api/getTeamData", json!({})).await.expect(200);
    let admins = team.json().as_array().unwrap().iter().filter(|member| member["role"] == json!("ADMIN")).count();
    assert_eq!(admins, 1, "{}", team.body);

    let moved = winner.post("/api/createNewAccount", json!({"newAccountName": "Second"})).await.expect(200);
    let moved = Person::of(&server, moved);
    winner.post("/api/me", json!({})).await.expect(401);
    let me = moved.post("/api/me", json!({})).await.expect(200).json();
    assert_eq!(me["user"]["activeAccount"], json!(1_000_001));
    let back = moved.post("/api/goToAccount", json!({"newAccountId": 1_000_000})).await.expect(200);
    moved.post("/api/me", json!({})).await.expect(401);
    let back = Person::of(&server, back);
    assert_eq!(back.post("/api/me", json!({})).await.expect(200).json()["user"]["activeAccount"], json!(1_000_000));
}

/// Customer workspaces live with their vendor; to others nothing of them exists.
pub async fn workspaces_of_a_vendor(test: TestDb) {
    let server = Server::start(&test).await;
    let key = server.api_key.clone();
    let call = |verb: &'static str, path: &'static str, body: Value| server.call(verb, path, &key, body);
    let new = |name: &str| json!({"name": name, "external_id": "a/b c"});
    let made = call("POST", "/api/managed_users", new("Customer")).await.expect(200);
    assert_eq!(made.json()["result"]["external_id"], json!("a/b c"));
    let taken = call("POST", "/api/managed_users", new("Other")).await.expect(400);
    assert_eq!(taken.json()["errors"], json!({"external_id": ["has already been taken"]}));
    let blank = call("POST", "/api/managed_users", json!({"name": " "})).await.expect(400);
    assert_eq!(blank.json(), json!({"message": "Validation failed", "errors": {"name": ["can't be blank"]}}));
    let found = call("GET", "/api/managed_users/Ea%2Fb%20c", json!({})).await.expect(200).json();
    assert_eq!(found["result"]["id"], made.json()["result"]["id"]);
    let cleared = json!({"name": "Renamed", "external_id": null});
    let updated = call("PUT", "/api/managed_users/Ea%2Fb%20c", cleared).await.expect(200).json();
    assert_eq!((&updated["result"]["name"], &updated["result"]["external_id"]), (&json!("Renamed"), &json!(null)));
    let list = call("GET", "/api/managed_users?per_page=1", json!({})).await.expect(200).json();
    assert_eq!(list["result"].as_array().unwrap().len(), 1);
    let gone = call("GET", "/api/managed_users/Ea%2Fb%20c", json!({})).await.expect(404);
    assert_eq!(gone.json(), json!({"message": "Not found"}));
    let member = join(&server, "member@example.org", "MEMBER").await;
    let request = reqwest::Client::new().get(format!("{}/api/managed_users", server.http));
    let request = request.header("cookie", &member.cookie).header("authorization", format!("Bearer {}", member.token));
    assert_eq!(server.send(request).await.unwrap().status, 404);
    let path = format!("/api/managed_users/{}", made.json()["result"]["id"]);
    server.call("DELETE", &path, &key, json!({})).await.expect(200);
    server.call("GET", &path, &key, json!({})).await.expect(404);
}

/// The operator's command shuts an organization and opens it; the audit tells of it, and a loss in it is noticed.
pub async fn a_suspended_organization_is_refused(test: TestDb) {
    let server = Server::start(&test).await;
    let organization = server.get("/v1/organization").await.expect(200).json();
    assert_eq!(organization["state"], json!("ACTIVE"));
    let public_id = organization["publicId"].as_str().unwrap().to_owned();
    let run = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.args(arguments).arg("--data-dir").arg(&server.data_dir).env("PORTOLAN__STORE__URL", &test.url);
        command.output().await.unwrap()
    };
    let a_moment = || tokio::time::sleep(std::time::Duration::from_millis(1_500));
    assert!(run(&["organizations", "suspend", &public_id]).await.status.success());
    a_moment().await;
    server.post("/api/me", json!({})).await.expect_error(403, "The organization is suspended");
    assert!(run(&["organizations", "activate", &public_id]).await.status.success());
    a_moment().await;
    server.post("/api/me", json!({})).await.expect(200);

    let events = server.get("/v1/auditEvents?action=organization.state.update&pageSize=1").await.expect(200).json();
    assert_eq!(events["auditEvents"][0]["after"], json!("ACTIVE"));
    let token = events["nextPageToken"].as_str().unwrap();
    let next = format!("/v1/auditEvents?action=organization.state.update&pageSize=1&pageToken={token}");
    let events = server.get(&next).await.expect(200).json();
    assert_eq!((&events["auditEvents"][0]["after"], &events["nextPageToken"]), (&json!("SUSPENDED"), &json!("")));
    let own = server.get("/v1/auditEvents?actor=nobody@example.org").await.expect(200).json();
    assert_eq!(own["auditEvents"], json!([]));
    assert!(run(&["audit", "verify"]).await.status.success());
    let db = test.store.service("identity").await.unwrap();
    db.execute("DELETE FROM audit_events WHERE account_id = 1000000 AND seq = 1", Vec::new()).await.unwrap();
    let broken = run(&["audit", "verify"]).await;
    assert!(!broken.status.success());
    assert!(String::from_utf8_lossy(&broken.stdout).contains("an event is missing"), "{broken:?}");
}
