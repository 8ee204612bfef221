//! Stigg's GraphQL interface over HTTP, as far as the product calls it: it keeps what it is told and fails on demand.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};

/// The key that callers show.
pub const SERVER_KEY: &str = "server-key";
/// Features that every customer has without a limit.
const GRANTED: [&str; 4] = ["RBAC_FEATURE", "AKTO_EXTERNAL_API", "API_COLLECTIONS", "ACTIVE_ACCOUNTS"];

/// How the server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mood {
    /// It does what it is asked for.
    #[default]
    Well,
    /// Status 500, before anything is done.
    Failing,
    /// Does what it is told, and then answers with status 502.
    LosingAnswers,
    /// Status 200 with something that is no JSON.
    Babbling,
}

/// What the server was told, and how it is to answer.
#[derive(Default)]
pub struct Told {
    /// How it answers from now on.
    pub mood: Mood,
    /// What it was asked to provision.
    pub customers: Vec<Value>,
    /// What it was asked to subscribe.
    pub subscriptions: Vec<Value>,
    /// Usages in the order of arrival.
    pub usages: Vec<Value>,
    /// How often it was called.
    pub calls: usize,
    /// Limit of ACTIVE_ENDPOINTS.
    pub limit: i64,
    /// Seconds of grace that its entitlements have.
    pub grace_s: i64,
    /// A subscription begins without a checkout.
    pub is_paid: bool,
    /// A feature id that is refused.
    pub unknown_feature: String,
    /// A customer id that is refused.
    pub refused_customer: String,
}

/// The server; it listens until the process of the test ends.
#[derive(Clone, Default)]
pub struct StiggServer {
    /// What it was told so far.
    pub told: Arc<Mutex<Told>>,
    /// Where it listens.
    pub url: String,
}

impl StiggServer {
    /// Listens on a free port until the test ends.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/graphql", listener.local_addr().unwrap());
        let server = Self { told: Arc::default(), url };
        let router = Router::new().route("/graphql", post(answer)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// Changes how it answers.
    pub fn set(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap());
    }

    /// Looks at what it was told.
    pub fn get<T>(&self, read: impl FnOnce(&Told) -> T) -> T {
        read(&self.told.lock().unwrap())
    }
}

async fn answer(State(server): State<StiggServer>, headers: HeaderMap, body: String) -> Response {
    let mut told = server.told.lock().unwrap();
    told.calls += 1;
    if headers.get("x-api-key").is_none_or(|key| key != SERVER_KEY) {
        return refusal("Unauthenticated", "no server key");
    }
    match told.mood {
        Mood::Failing => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::Babbling => return "<html>".into_response(),
        Mood::Well | Mood::LosingAnswers => {}
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let (query, variables) = (body["query"].as_str().unwrap(), &body["variables"]);
    let input = &variables["input"];
    let answer = if query.contains("getCustomerByRefId(") {
        match told.customers.iter().find(|customer| customer["customerId"] == input["customerId"]) {
            None => return refusal("CustomerNotFound", "no such customer"),
            Some(customer) => {
                let notes = json!({"GRACE_PERIOD_END_EPOCH": told.grace_s.to_string(), "PLAN_TYPE": "FREE"});
                let customer_id = &customer["customerId"];
                json!({"getCustomerByRefId": {"customerId": customer_id, "additionalMetaData": notes}})
            }
        }
    } else if query.contains("provisionCustomer(") {
        if input["customerId"] == told.refused_customer.as_str() {
            return refusal("InvalidEmail", "no such address");
        }
        told.customers.push(input.clone());
        json!({"provisionCustomer": {"customer": {"customerId": input["customerId"]}}})
    } else if query.contains("provisionSubscription(") {
        if input["planId"] == "gold" {
            return refusal("PlanNotFound", "no such plan");
        }
        told.subscriptions.push(input.clone());
        let plan = json!({"plan": {"id": input["planId"]}});
        if told.is_paid {
            json!({"provisionSubscription": {"status": "SUCCESS", "checkoutUrl": null, "subscription": plan}})
        } else {
            let url = "https://checkout.stigg.example/1";
            json!({"provisionSubscription": {"status": "PAYMENT_REQUIRED", "checkoutUrl": url, "subscription": null}})
        }
    } else if query.contains("reportUsageBulk(") {
        let usages = input["usages"].as_array().unwrap().clone();
        if usages.iter().any(|usage| usage["featureId"] == told.unknown_feature.as_str()) {
            return refusal("FeatureNotFound", "no such feature");
        }
        told.usages.extend(usages);
        json!({"reportUsageBulk": []})
    } else if query.contains("entitlements(") {
        assert_eq!(variables["query"]["customerId"], told.customers[0]["customerId"]);
        let entitlement = |key: &str, limit: Value, is_granted: bool| {
            json!({"currentUsage": 0, "usageLimit": limit, "isGranted": is_granted, "entitlementUpdatedAt": "0",
                "feature": {"id": "1", "refId": "feature", "additionalMetaData": {"key": key}}})
        };
        let limited = entitlement("ACTIVE_ENDPOINTS", json!(told.limit), true);
        let refused = entitlement("SSO_ONLY_LOGIN", Value::Null, false);
        let granted = GRANTED.map(|feature| entitlement(feature, Value::Null, true));
        let all: Vec<_> = [limited, refused].into_iter().chain(granted).collect();
        json!({ "entitlements": all })
    } else {
        return refusal("GRAPHQL_VALIDATION_FAILED", query);
    };
    if told.mood == Mood::LosingAnswers {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    json!({ "data": answer }).to_string().into_response()
}

fn refusal(code: &str, message: &str) -> Response {
    let error = json!({"message": message, "extensions": {"code": code}});
    json!({"data": null, "errors": [error]}).to_string().into_response()
}
