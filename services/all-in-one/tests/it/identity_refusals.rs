//! Every reason for which identity refuses, provoked over REST, with its exact status and text.

use std::collections::BTreeSet;

use portolan_api::Reason;
use portolan_identity::{model::organizations::State, organizations};
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::{
    billing::wait_for_usage,
    identity_team::{ADMIN_PASSWORD, Person, code_of, join},
    roles::identity,
    server::{Answer, PATIENCE, Server},
};

/// `REASON CASE WHY` on each line: what another case provokes, and why.
const ELSEWHERE: &str = include_str!("../unprovoked_reasons.txt");
const CASES: &str = include_str!("main.rs");
/// What identity answers beside the reasons that are its own.
const SHARED: [Reason; 9] = [
    Reason::Unauthenticated,
    Reason::RoleHasNoAccess,
    Reason::NoProductAccess,
    Reason::KeyNotAllowed,
    Reason::RateLimited,
    Reason::TooManyIds,
    Reason::PageTokenInvalid,
    Reason::FeatureNotInPlan,
    Reason::FeatureLimitExceeded,
];
/// Numbers of the catalog that belong to identity.
const OWN: std::ops::Range<i32> = 101..200;
const PLANS: &str = r#"
default_plan = "small"
[plans.small.features]
ACTIVE_ACCOUNTS = 1
AKTO_EXTERNAL_API = true
[plans.full]
everything = true
"#;
const PASSWORD: &str = "a password of its own";

/// The reasons that were provoked.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    fn note(&mut self, answer: &Answer) {
        self.0.insert(answer.header("x-portolan-error").to_owned());
    }

    #[track_caller]
    fn akto(&mut self, answer: Answer, status: u16, text: &str) -> Answer {
        self.note(&answer);
        let at = answer.header("retry-after").to_owned();
        assert_eq!((status == 429, at.is_empty()), (status == 429, status != 429), "{}", answer.body);
        assert_eq!((answer.status, answer.json()["actionErrors"].clone()), (status, json!([text])), "{}", answer.body);
        answer
    }

    /// Every reason of identity must have been seen, or stand in the list of what another case provokes.
    fn complete(mut self) {
        for line in ELSEWHERE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut parts = line.splitn(3, ' ');
            let (reason, case, why) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or_default());
            assert!(Reason::from_str_name(reason).is_some(), "{reason} is no reason");
            assert!(CASES.contains(&format!("    {case},")) && why.len() > 10, "{reason} is provoked nowhere");
            assert!(self.0.insert(reason.to_owned()), "{reason} is provoked here: its line can go");
        }
        let own = OWN.filter_map(|number| Reason::try_from(number).ok());
        let expected: BTreeSet<_> = own.chain(SHARED).map(|reason| reason.as_str_name().to_owned()).collect();
        let missing: Vec<_> = expected.difference(&self.0).collect();
        assert!(missing.is_empty(), "nothing provokes {missing:?}");
    }
}

/// Each condition of the contract has its status and text, and no reason of the catalog is left out.
pub async fn every_refusal_has_its_text(test: TestDb) {
    let mut seen = Seen::default();
    let data_dir = tempfile::tempdir().unwrap().keep();
    let plans = data_dir.join("plans.toml");
    std::fs::write(&plans, PLANS).unwrap();
    let plans = ("PORTOLAN__BILLING__PLANS_FILE", plans.to_str().unwrap());
    let open = [plans, ("PORTOLAN__IDENTITY__OPEN_SIGNUP", "true"), ("PORTOLAN__IDENTITY__INVITE_DOMAINS", DOMAINS)];
    let server = Server::start_with(&test, data_dir, &open).await;
    what_plan_and_operator_forbid(&server, &mut seen).await;
    let data_dir = server.kill().await;

    let server = Server::start_with(&test, data_dir, &[plans]).await;
    let admin = Person::log_in(&server, "admin@localhost", ADMIN_PASSWORD).await;
    let member = join(&server, KNOWN, "MEMBER").await;
    let role = |name: &str, base: &str| json!({"roleName": name, "baseRole": base});
    for body in [role("taken", "GUEST"), role("boss", "ADMIN")] {
        server.post("/api/createCustomRole", body).await.expect(200);
    }
    let default = json!({"roleName": "usual", "baseRole": "GUEST", "defaultInviteRole": true});
    let boss = join(&server, "boss@example.org", "boss").await;
    let invite = json!({"inviteeEmail": "open@example.org", "inviteeRole": "taken"});
    server.post("/api/inviteUsers", invite).await.expect(200);
    what_an_inviter_gets_wrong(&admin, &mut seen).await;
    server.post("/api/createCustomRole", default).await.expect(200);
    for (path, body, text) in refusals(KNOWN) {
        let answer = admin.post(path, body.clone()).await;
        seen.note(&answer);
        let shown = body.to_string().chars().take(200).collect::<String>();
        assert_eq!((answer.status, answer.json()), (422, json!({"actionErrors": [text]})), "{path} {shown}");
    }
    what_a_lesser_caller_may_not(&server, &admin, &member, &mut seen).await;
    last_admins_stay(&admin, &boss, &mut seen).await;
    last_administrators_stay(&server, &mut seen).await;
    passwords_and_ways_in(&server, &admin, &member, &mut seen).await;
    workspaces_and_audit(&server, &mut seen).await;
    organizations_that_are_shut(&test, &server, &mut seen).await;
    what_is_counted(&server, &mut seen).await;
    seen.complete();
}

const KNOWN: &str = "member@example.org";
const FOUNDER: &str = "founder@elsewhere.example";
const DOMAINS: &str = "own, example.org";

async fn sign_up(server: &Server, email: &str, password: &str, code: &str) -> Answer {
    let body = json!({"email": email, "password": password, "invitationCode": code}).to_string();
    server.send(server.request("/signup-email").body(body)).await.unwrap()
}

/// Authority over the organization goes to ADMINs, and never away altogether.
async fn last_administrators_stay(server: &Server, seen: &mut Seen) {
    const PATH: &str = "/v1/organizationAdministrators";
    let no_admin = server.post(PATH, json!({ "email": KNOWN })).await;
    let only = server.get(PATH).await.expect(200).json()["administrators"][0]["userId"].as_i64().unwrap();
    let last = server.call("DELETE", &format!("{PATH}/{only}"), &server.api_key, Value::Null).await;
    for (answer, text) in [
        (no_admin, "Only an ADMIN of this account can administer the organization"),
        (last, "The last administrator of the organization cannot be removed"),
    ] {
        seen.note(&answer);
        assert_eq!((answer.status, answer.json()["detail"].clone()), (422, json!(text)), "{}", answer.body);
    }
}

/// On a small plan, with sign-up open and invitations bound to domains.
async fn what_plan_and_operator_forbid(server: &Server, seen: &mut Seen) {
    const ABSENT: &str = "This feature is not available in your plan.";
    let role = json!({"roleName": "small", "baseRole": "GUEST"});
    for path in ["/api/createCustomRole", "/api/updateCustomRole", "/api/deleteCustomRole"] {
        seen.akto(server.post(path, role.clone()).await, 403, ABSENT);
    }
    wait_for_usage(server, "ACTIVE_ACCOUNTS", 1).await;
    let account = server.post("/api/createNewAccount", json!({"newAccountName": "Second"})).await;
    seen.akto(account, 403, "You have exceeded the limit of this feature.");
    let invite = |email: &str, mapping: Value| {
        server.post("/api/inviteUsers", json!({"inviteeEmail": email, "scopeRoleMapping": mapping}))
    };
    let foreign = invite("x@other.example", json!({"API": "GUEST"})).await;
    seen.akto(foreign, 422, "Invitations to other.example are not allowed");
    // Scopes that the plan does not open; ENDPOINT is open unless a plan says no.
    for scope in ["AGENTIC", "dast"] {
        let closed = invite("x@example.org", json!({scope: "GUEST"})).await;
        seen.akto(closed, 422, &format!("Invalid product scope: {scope}"));
    }
    let open = json!({"API": "GUEST", "ENDPOINT": "GUEST", "AGENTIC": "NO_ACCESS"});
    invite("x@example.org", open).await.expect(200);

    sign_up(server, FOUNDER, PASSWORD, "").await.expect(200);
    seen.akto(sign_up(server, FOUNDER, PASSWORD, "").await, 422, "A user with this email already exists");
    let me = server.post("/api/me", json!({})).await.expect(200).json();
    let subscription = json!({"customerId": me["user"]["organizationId"], "planId": "full", "billingPeriod": "monthly",
        "successUrl": "https://app.test/done", "cancelUrl": "https://app.test/back"});
    server.post("/api/provisionSubscription", subscription).await.expect(200);
}

/// These answers carry the text twice.
async fn what_an_inviter_gets_wrong(admin: &Person<'_>, seen: &mut Seen) {
    let missing = "Either inviteeRole or scopeRoleMapping is required";
    for (path, body, text) in [
        ("/api/inviteUsers", json!({"inviteeEmail": "x"}), "Invalid email address"),
        ("/api/inviteUsers", json!({"inviteeEmail": KNOWN, "inviteeRole": "GUEST"}), "User is already in this account"),
        ("/api/inviteUsers", json!({"inviteeEmail": "n@example.org"}), missing),
        ("/api/inviteUsers", json!({"inviteeEmail": "n@example.org", "inviteeRole": "x"}), "invalid user role"),
        ("/api/removeUser", json!({"email": "none@example.org"}), "User not found"),
        ("/api/removeUser", json!({"email": "admin@localhost"}), "cannot perform on yourself"),
    ] {
        let answer = admin.post(path, body.clone()).await;
        seen.note(&answer);
        let expected = (422, json!({"actionErrors": [text], "error": text}));
        assert_eq!((answer.status, answer.json()), expected, "{path} {body}");
    }
}

async fn what_a_lesser_caller_may_not(server: &Server, admin: &Person<'_>, member: &Person<'_>, seen: &mut Seen) {
    // A member invites below themselves only, and withdraws their own invitations only.
    let above = json!({"inviteeEmail": "n@example.org", "inviteeRole": "ADMIN"});
    seen.akto(member.post("/api/inviteUsers", above).await, 422, "no access to modify this role");
    let foreign = member.post("/api/removeInvitation", json!({"email": "open@example.org"})).await;
    seen.akto(foreign, 422, "not allowed to remove this invitation");
    let role = json!({"roleName": "mine", "baseRole": "GUEST"});
    let no_access = "The role 'SECURITY ENGINEER' does not have access.";
    seen.akto(member.post("/api/createCustomRole", role.clone()).await, 403, no_access);
    let other = member.post_with("/api/getRoleHierarchy", json!({}), "x-context-source", "DAST").await;
    assert_eq!(other.header("x-no-access-error"), "true");
    seen.akto(other, 403, "You do not have access to this product. Ask an admin of your account.");
    // A page of another site cannot use the cookie.
    let evil = admin.post_with("/api/createCustomRole", role, "origin", "https://evil.example").await;
    seen.akto(evil, 403, "Requests from other sites are not allowed");
    let switch = server.post("/api/goToAccount", json!({"newAccountId": 1_000_000})).await;
    seen.akto(switch, 422, "An API key cannot switch accounts. Log in instead");
    let made = server.post("/api/addApiToken", json!({"tokenUtility": "BURP"})).await.expect(200).json();
    let tool = server.request("/api/me").header("x-api-key", made["apiTokenList"][0]["key"].as_str().unwrap());
    let tool = server.send(tool.body("{}")).await.unwrap();
    seen.akto(tool, 403, "This API key may not call this endpoint");
}

/// An ADMIN by a custom role has no say over whoever administers the organization, nor over the role that they hold.
async fn last_admins_stay(admin: &Person<'_>, boss: &Person<'_>, seen: &mut Seen) {
    let demoted = boss.post("/api/makeAdmin", json!({"email": "admin@localhost", "userRole": "GUEST"})).await;
    seen.akto(demoted, 422, "no access to modify this role");
    let lesser = boss.post("/api/updateCustomRole", json!({"roleName": "boss", "baseRole": "GUEST"})).await;
    seen.akto(lesser, 422, "cannot perform on yourself");
    admin.post("/api/getAllUsersCollections", json!({})).await.expect(200);
}

async fn passwords_and_ways_in(server: &Server, admin: &Person<'_>, member: &Person<'_>, seen: &mut Seen) {
    // A second reset waits; the first token works once.
    let reset = admin.post("/api/resetUserPassword", json!({"userEmail": KNOWN})).await.expect(200).json();
    let soon = admin.post("/api/resetUserPassword", json!({"userEmail": KNOWN})).await;
    seen.note(&soon);
    let text = soon.json()["actionErrors"][0].as_str().unwrap().to_owned();
    assert!(["please wait 119 minute(s)", "please wait 120 minute(s)"].contains(&text.as_str()), "{text}");
    assert_eq!(soon.status, 422);
    let redeem = |password: &str| {
        let body = json!({"resetPasswordToken": reset["passwordResetToken"], "newPassword": password}).to_string();
        server.send(server.request("/auth/resetPassword").body(body))
    };
    seen.akto(redeem("short").await.unwrap(), 422, "Password must have at least 8 characters");
    seen.akto(redeem(&"long".repeat(33)).await.unwrap(), 422, "Password must have at most 128 characters");
    seen.akto(redeem("password123").await.unwrap(), 422, "This password is too common");
    let chosen = "another password of mine";
    redeem(chosen).await.unwrap().expect(200);
    seen.akto(redeem(chosen).await.unwrap(), 422, "The password reset link has expired or is invalid");
    seen.akto(member.post("/api/me", json!({})).await, 401, "Authentication is required");
    Person::log_in(server, KNOWN, chosen).await;

    let closed = sign_up(server, "n@example.org", PASSWORD, "").await;
    seen.akto(closed, 422, "Ask an admin to invite you");
    let unknown = sign_up(server, "n@example.org", PASSWORD, "no-code").await;
    seen.akto(unknown, 422, "The invitation is not valid");
    seen.akto(server.get("/auth/oidc/login").await, 422, "Single sign-on is not configured");
    let denied = server.get("/auth/oidc/callback?error=access_denied").await;
    seen.akto(denied, 401, "The single sign-on did not succeed");

    // Somebody who founded an organization of their own joins; their password opens more than this account.
    let invite = json!({"inviteeEmail": FOUNDER, "inviteeRole": "GUEST"});
    let code = code_of(&server.post("/api/inviteUsers", invite).await.expect(200).json());
    seen.akto(sign_up(server, FOUNDER, "not the password", &code).await, 401, "Email or password is wrong");
    sign_up(server, FOUNDER, PASSWORD, &code).await.expect(200);
    let foreign = admin.post("/api/resetUserPassword", json!({"userEmail": FOUNDER})).await;
    let text = "This user is in accounts you do not administer and must reset the password themselves";
    seen.akto(foreign, 422, text);
}

async fn workspaces_and_audit(server: &Server, seen: &mut Seen) {
    let key = server.api_key.clone();
    let workspace = async |verb: &str, path: &str, body: Value| server.call(verb, path, &key, body).await;
    let new = |name: &str| json!({"name": name, "external_id": "E1"});
    workspace("POST", "/api/managed_users", new("Customer")).await.expect(200);
    for (name, member, text) in [("Other", "external_id", "has already been taken"), (" ", "name", "can't be blank")] {
        let answer = workspace("POST", "/api/managed_users", new(name)).await;
        seen.note(&answer);
        let expected = json!({"message": "Validation failed", "errors": {member: [text]}});
        assert_eq!((answer.status, answer.json()), (400, expected));
    }
    let gone = workspace("GET", "/api/managed_users/77", Value::Null).await;
    seen.note(&gone);
    assert_eq!((gone.status, gone.json()), (404, json!({"message": "Not found"})));
    let nobody = workspace("GET", "/core/v1/organizations/organization/api_tokens?organization[id]=org_0", Value::Null);
    let nobody = nobody.await;
    seen.note(&nobody);
    assert_eq!((nobody.status, nobody.json()["code"].clone()), (404, json!("organization_not_found")));
    for (query, text) in
        [("pageSize=0", "pageSize: must be between 1 and 1000"), ("pageToken=x", "pageToken is not valid")]
    {
        let answer = server.get(&format!("/v1/auditEvents?{query}")).await;
        seen.note(&answer);
        assert_eq!((answer.status, answer.json()["detail"].clone()), (400, json!(text)), "{}", answer.body);
    }
}

async fn organizations_that_are_shut(test: &TestDb, server: &Server, seen: &mut Seen) {
    let deps = identity(test, server).await;
    let own = server.get("/v1/organization").await.expect(200).json()["publicId"].as_str().unwrap().to_owned();
    for (state, status, text) in [
        (State::Suspended, 403, "The organization is suspended"),
        (State::NotActivated, 403, "The organization is not activated"),
        (State::Active, 200, ""),
    ] {
        organizations::set_state(&deps.db, &deps.audit, &own, state).await.unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = server.post("/api/me", json!({})).await;
            if answer.status == status && (text.is_empty() || answer.json()["actionErrors"] == json!([text])) {
                seen.note(&answer);
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{state:?}: {}", answer.body);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// What is refused because it was done too often. It comes last: the address is shut afterwards.
async fn what_is_counted(server: &Server, seen: &mut Seen) {
    for n in 0..10 {
        let name = json!({"newAccountName": format!("Account {n}")});
        let made = server.post("/api/createNewAccount", name).await;
        seen.akto(made, 422, "The account was created. An API key cannot switch to it. Log in instead");
    }
    let another = server.post("/api/createNewAccount", json!({"newAccountName": "One more"})).await;
    seen.akto(another, 422, "You cannot be in more than 11 accounts");

    let log_in = || {
        let body = json!({"username": "nobody@example.org", "password": "wrong password"}).to_string();
        server.send(server.request("/auth/login").body(body))
    };
    for _ in 0..10 {
        seen.akto(log_in().await.unwrap(), 401, "Email or password is wrong");
    }
    seen.akto(log_in().await.unwrap(), 429, "Too many attempts. Try again later");

    // 60 resets an hour from one address, whatever they are for; some were made before.
    let blank = || server.send(server.request("/auth/resetPassword").body("{}"));
    let mut refused = blank().await.unwrap();
    for _ in 0..60 {
        if refused.status != 422 {
            break;
        }
        refused = blank().await.unwrap();
    }
    seen.akto(refused, 429, "Too many requests");
    let body = json!({"forgotPasswordEmail": KNOWN}).to_string();
    let forgot = server.send(server.request("/auth/sendPasswordResetLink").body(body)).await.unwrap();
    seen.akto(forgot, 429, "Too many requests");
}

/// What an ADMIN may get wrong: path, body, text.
fn refusals(known: &str) -> Vec<(&'static str, Value, &'static str)> {
    let names = |name: &str, organization: &str| json!({"username": name, "organization": organization});
    let scopes = |email: &str, scope: &str, role: &str| json!({"email": email, "scopeRoleMapping": {scope: role}});
    let role = |name: &str, base: &str| json!({"roleName": name, "baseRole": base});
    let (long, longer) = ("a".repeat(25), "r".repeat(51));
    let update = "/api/updateUsernameAndOrganization";
    let create = "/api/createCustomRole";
    let mapping = "/api/updateUserScopeRoleMapping";
    let unknown = json!({"email": known, "userRole": "GUEST", "scopeRoleMapping": {"API": "x"}});
    let collection = json!({"roleName": "new", "baseRole": "GUEST", "apiCollectionIds": [987]});
    let feature = json!({"roleName": "new", "baseRole": "GUEST", "allowedFeaturesForUser": ["X"]});
    let second_default = json!({"roleName": "new", "baseRole": "GUEST", "defaultInviteRole": true});
    let many = json!({"userCollectionMap": {"1": (0..=10_000).collect::<Vec<_>>()}});
    let evil = json!({"redirectUrl": "https://evil.example"});
    let username = "Username can only contain letters, digits, spaces and hyphens";
    let organization = "Organization name can only contain letters, digits, spaces, '.', '&' and '-'";
    vec![
        ("/api/logout", evil, "redirectUrl must be a path that starts with one slash"),
        ("/api/createNewAccount", json!({}), "newAccountName must have 1 to 100 characters"),
        ("/api/goToAccount", json!({"newAccountId": 77}), "No such account exists"),
        (update, names(" ", "x"), "Username cannot be empty"),
        (update, names("a!", "x"), username),
        (update, names(&long, "x"), "Username cannot be longer than 24 characters"),
        (update, names("a", ""), "Organization name cannot be empty"),
        (update, names("a", "x!"), organization),
        (update, names("a", &long), "Organization name cannot be longer than 24 characters"),
        ("/api/removeInvitation", json!({"email": "none@example.org"}), "invitation not found"),
        ("/api/resetUserPassword", json!({}), "Invalid email address"),
        ("/api/resetUserPassword", json!({"userEmail": "none@example.org"}), "User not found"),
        (create, role("", "GUEST"), "Role name cannot be empty"),
        (create, role(&longer, "GUEST"), "Role name cannot be longer than 50 characters"),
        (create, role("a b", "GUEST"), "Role name can only contain letters, digits, '_' and '-'"),
        (create, role("member", "GUEST"), "Role name is reserved"),
        (create, role("TAKEN", "GUEST"), "Role already exists"),
        (create, second_default, "Another role is already the default invite role"),
        (create, role("new", "NO_ACCESS"), "Base role does not exist"),
        (create, role("new", "taken"), "Base role does not exist"),
        (create, collection, "No such collection exists: 987"),
        (create, feature, "Unknown feature: X"),
        ("/api/updateCustomRole", role("none", "GUEST"), "Role does not exist"),
        ("/api/updateCustomRole", role("taken", ""), "Base role does not exist"),
        ("/api/deleteCustomRole", json!({"roleName": "none"}), "Role does not exist"),
        ("/api/deleteCustomRole", json!({"roleName": "taken"}), "Role is in use by pending invitations"),
        ("/api/deleteCustomRole", json!({"roleName": "boss"}), "Role is in use by users of this account"),
        ("/api/makeAdmin", json!({"email": "none@example.org", "userRole": "GUEST"}), "user doesn't exist"),
        ("/api/makeAdmin", json!({"email": "admin@localhost", "userRole": "GUEST"}), "cannot perform on yourself"),
        ("/api/makeAdmin", json!({"email": known}), "invalid user role"),
        ("/api/makeAdmin", json!({"email": known, "userRole": "NO_ACCESS"}), "no access to modify this role"),
        ("/api/makeAdmin", unknown, "Invalid role: x"),
        (mapping, scopes("none@example.org", "API", "GUEST"), "User not found"),
        (mapping, scopes("admin@localhost", "API", "GUEST"), "cannot perform on yourself"),
        (mapping, scopes(known, "MOON", "GUEST"), "Invalid product scope: MOON"),
        (mapping, scopes(known, "API", "x"), "Invalid role: x"),
        ("/api/saveSubscription", json!({}), "subscription must have an https endpoint and both keys"),
        ("/api/updatePrivateCidrIps", json!({"privateCidrList": ["10.0.0.0"]}), "Invalid CIDR detected"),
        ("/api/updatePartnerIps", json!({"partnerIpList": ["10.0.0.0/8"]}), "Invalid IP detected"),
        ("/api/updateUserCollections", json!({"userCollectionMap": {"99": []}}), "User not found: 99"),
        ("/api/updateUserCollections", many, "At most 10000 ids are taken at once"),
    ]
}
