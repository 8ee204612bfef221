//! An account, its people and its usage.

use serde_json::{Value, json};

use super::written::{By, Golden};
use crate::identity_team::code_of;

/// What an account asks about itself: people, roles, networks, agents and usage.
pub async fn calls(golden: &mut Golden<'_>, shop: i64) {
    let role =
        json!({"roleName": "BOOKS-ONLY", "baseRole": "GUEST", "apiCollectionIds": [shop], "defaultInviteRole": false});
    let query = json!({"id": "q1", "serviceId": "cursor", "deviceId": "laptop", "userName": "ann",
        "queryPayload": "List the orders of this month", "responsePayload": "Done.", "timestamp": 1_750_000_000,
        "inputTokens": 10, "outputTokens": 5});
    let event = json!({"specversion": "1.0", "id": "e1", "source": "/golden", "type": "custom_tests",
        "data": {"value": 2}});
    for (path, body) in [
        ("/api/me", json!({})),
        ("/api/updateUsernameAndOrganization", json!({"username": "Ada", "organization": "Books"})),
        ("/api/fetchAdminSettings", json!({})),
        ("/api/updatePrivateCidrIps", json!({"privateCidrList": ["10.0.0.0/8"]})),
        ("/api/updatePartnerIps", json!({"partnerIpList": ["203.0.113.7"]})),
        ("/api/getTeamData", json!({})),
        ("/api/getAllUsersCollections", json!({})),
        ("/api/createCustomRole", role.clone()),
        ("/api/createCustomRole", role.clone()),
        ("/api/updateCustomRole", role),
        ("/api/getCustomRoles", json!({})),
        ("/api/getRoleHierarchy", json!({"userRole": "ADMIN"})),
        ("/api/deleteCustomRole", json!({"roleName": "BOOKS-ONLY"})),
        ("/api/makeAdmin", json!({"email": "admin@localhost", "userRole": "GUEST"})),
        ("/api/removeUser", json!({"email": "admin@localhost"})),
        ("/api/removeInvitation", json!({"email": "none@example.org"})),
        ("/api/updateUserCollections", json!({"userCollectionMap": {"99": []}})),
        ("/api/getLastSeenTrafficInfoForCollections", json!({})),
        ("/v1/agentQueries:batchIngest", json!({"agentQueries": [query]})),
        ("/api/getUserAnalysis", json!({"agentId": "cursor", "deviceId": "laptop", "username": "ann"})),
        ("/api/listUserAnalysis", json!({})),
        ("/v1/usageEvents:batchIngest", json!({"events": [event]})),
        ("/api/refreshUsageDataForOrg", json!({})),
        ("/v1/slackWebhooks", json!({"url": "https://example.org/hook"})),
        ("/api/goToAccount", json!({"newAccountId": 99})),
    ] {
        golden.post(path, body).await;
    }
    // The refresh goes on after its answer.
    let deadline = tokio::time::Instant::now() + crate::server::PATIENCE;
    while !golden.server.get("/v1/usage?feature=CUSTOM_TESTS").await.body.contains("\"state\":\"SUCCEEDED\"") {
        assert!(tokio::time::Instant::now() < deadline, "the refresh does not end");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    golden.get("/v1/usage", "/v1/usage?feature=CUSTOM_TESTS").await;
    let organization = golden.get("/v1/organization", "/v1/organization").await;
    const ADMINISTRATORS: &str = "/v1/organizationAdministrators";
    golden.get(ADMINISTRATORS, ADMINISTRATORS).await;
    golden.post(ADMINISTRATORS, json!({"email": "nobody@example.org"})).await;
    let one = "/v1/organizationAdministrators/{user_id}";
    golden.call(By::Admin, "DELETE", one, "/v1/organizationAdministrators/99", Value::Null).await;
    let order = json!({"customerId": organization["id"], "planId": "self-hosted", "billingPeriod": "monthly",
        "successUrl": "https://app.example.org/done", "cancelUrl": "https://app.example.org/back"});
    golden.post("/api/provisionSubscription", order).await;
    golden.post("/api/getCustomerStiggDetails", json!({"customerId": organization["id"]})).await;
    // The key of a browser, from RFC 8291.
    let keys = json!({"p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg"});
    let device = json!({"endpoint": "https://push.example.org/device/1", "keys": keys});
    golden.post("/api/saveSubscription", json!({ "subscription": device })).await;
    golden.get("/v1/pushKey", "/v1/pushKey").await;
    golden.get("/v1/auditEvents", "/v1/auditEvents?action=role.create&pageSize=1").await;
}

/// An invitation, and the ways of a person in and out.
pub async fn people(golden: &mut Golden<'_>) {
    const EMAIL: &str = "ann@example.org";
    let public = By::Nobody;
    let password = "a long password of mine";
    let invited = golden.post("/api/inviteUsers", json!({"inviteeEmail": EMAIL, "inviteeRole": "MEMBER"})).await;
    let code = code_of(&invited);
    let account = json!({"email": EMAIL, "password": password, "invitationCode": code});
    golden.call(public, "POST", "/signup-email", "/signup-email", account).await;
    let login = |password: &str| json!({"username": EMAIL, "password": password});
    golden.call(public, "POST", "/auth/login", "/auth/login", login(password)).await;
    golden.call(public, "POST", "/auth/login", "/auth/login", login("wrong")).await;
    let forgot = json!({ "forgotPasswordEmail": EMAIL });
    golden.call(public, "POST", "/auth/sendPasswordResetLink", "/auth/sendPasswordResetLink", forgot).await;
    let reset = golden.post("/api/resetUserPassword", json!({ "userEmail": EMAIL })).await;
    let chosen = json!({"resetPasswordToken": reset["passwordResetToken"], "newPassword": "another password of mine"});
    golden.call(public, "POST", "/auth/resetPassword", "/auth/resetPassword", chosen).await;
    let mapping = json!({"email": EMAIL, "scopeRoleMapping": {"API": "GUEST"}});
    golden.post("/api/updateUserScopeRoleMapping", mapping).await;
    golden.post("/api/fetchUserLastLoginTs", json!({})).await;
    golden.post("/api/makeAdmin", json!({"email": EMAIL, "userRole": "DEVELOPER"})).await;
    let team = golden.server.post("/api/getTeamData", json!({})).await.expect(200).json();
    let ann = team.as_array().unwrap().iter().find(|member| member["login"] == EMAIL).unwrap()["id"].to_string();
    golden.post("/api/updateUserCollections", json!({"userCollectionMap": {ann: []}})).await;
    golden.post("/api/removeUser", json!({ "email": EMAIL })).await;
    golden.post("/api/inviteUsers", json!({"inviteeEmail": "bob@example.org", "inviteeRole": "GUEST"})).await;
    golden.post("/api/removeInvitation", json!({"email": "bob@example.org"})).await;
    golden.post("/api/createNewAccount", json!({"newAccountName": "Staging"})).await;
    golden.post("/api/logout", json!({})).await;
}
