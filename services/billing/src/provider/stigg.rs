//! Stigg's GraphQL interface: the calls that plans and usage need.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use portolan_api::{Error, Reason, Result};
use portolan_ids::{CustomerId, PlanId};
use serde_json::{Value, json};

use crate::model::{
    entitlements::{Access, Entitlements, UNLIMITED},
    subscriptions::{Checkout, Customer, Order, SigningKey},
};

/// Requests end well within the deadline of the request that waits for them.
const TIMEOUT: Duration = Duration::from_secs(5);
/// After a failure the last answer is used for so long before Stigg is asked again.
const REST: Duration = Duration::from_secs(5);
/// The largest answer that is read: entitlements are some hundred bytes each.
const ANSWER_BYTES_MAX: usize = 4 << 20;

const ENTITLEMENTS: &str = "query Entitlements($query: FetchEntitlementsQuery!) { entitlements(query: $query) { \
     currentUsage usageLimit isGranted entitlementUpdatedAt feature { id refId additionalMetaData } } }";
const CUSTOMER: &str = "query Customer($input: GetCustomerByRefIdInput!) { getCustomerByRefId(input: $input) { \
     customerId additionalMetaData } }";
const PROVISION_CUSTOMER: &str = "mutation ProvisionCustomer($input: ProvisionCustomerInput!) { \
     provisionCustomer(input: $input) { customer { customerId } } }";
const PROVISION_SUBSCRIPTION: &str = "mutation ProvisionSubscription($input: ProvisionSubscriptionInput!) { \
     provisionSubscription(input: $input) { status checkoutUrl subscription { plan { id } } } }";
const REPORT_USAGE: &str =
    "mutation ReportUsage($input: ReportUsageBulkInput!) { reportUsageBulk(input: $input) { id } }";

/// How to reach Stigg.
#[derive(Clone)]
pub struct StiggConfig {
    /// Of its GraphQL interface.
    pub url: String,
    /// By which it knows the installation.
    pub server_key: String,
    /// By which it knows customers.
    pub signing_key: String,
    /// The plan of a new customer; empty for none.
    pub first_plan_id: PlanId,
    /// Our features to Stigg's feature ids; others are not reported.
    pub feature_ids: BTreeMap<String, String>,
}

/// A client of Stigg.
pub struct Stigg {
    config: StiggConfig,
    client: reqwest::Client,
    pub(super) signing_key: SigningKey,
    failed_at: Mutex<Option<Instant>>,
}

/// One usage to report, as the value that it is set to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whose usage it is.
    pub customer_id: CustomerId,
    /// What is counted, by Stigg's id.
    pub feature_id: String,
    /// How much of it is used.
    pub value: i64,
}

/// Why Stigg gave no answer.
enum Failure {
    /// It cannot be reached, or fails.
    Down(String),
    /// It refused what was asked; the texts are its own.
    Refused { code: String, message: String },
}

impl Stigg {
    /// # Errors
    /// When no HTTPS client can be made.
    pub fn new(config: StiggConfig) -> Result<Self, String> {
        // One provider for every TLS connection of the process; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        let signing_key = SigningKey::new(config.signing_key.as_bytes());
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { config, client, signing_key, failed_at: Mutex::new(None) })
    }

    /// Stigg's id of a feature that is reported to it.
    pub fn feature_id(&self, feature: &str) -> Option<&str> {
        self.config.feature_ids.get(feature).map(String::as_str)
    }

    /// Whether Stigg failed a moment ago.
    pub fn is_resting(&self) -> bool {
        self.failed_at.lock().is_ok_and(|failed| failed.is_some_and(|at| at.elapsed() < REST))
    }

    /// What the plan of a customer includes.
    ///
    /// # Errors
    /// `BILLING_PROVIDER_UNAVAILABLE`.
    pub async fn entitlements(&self, customer_id: &CustomerId) -> Result<Entitlements> {
        let data = self.call(ENTITLEMENTS, json!({"query": {"customerId": customer_id}})).await?;
        let Some(listed) = data["entitlements"].as_array() else { return Err(unusable("entitlements")) };
        let features = listed.iter().filter_map(entitlement).collect();
        let customer = self.call(CUSTOMER, json!({"input": {"customerId": customer_id}})).await?;
        let notes = &customer["getCustomerByRefId"]["additionalMetaData"];
        Ok(Entitlements {
            plan_id: text(&notes["PLAN_ID"]).into(),
            plan_type: text(&notes["PLAN_TYPE"]),
            // Named an end, it is a duration in seconds.
            grace_s: text(&notes["GRACE_PERIOD_END_EPOCH"]).parse().unwrap_or(0),
            expired: text(&notes["EXPIRED"]).eq_ignore_ascii_case("true"),
            everything: false,
            features,
        })
    }

    /// Whether Stigg knows a customer.
    ///
    /// # Errors
    /// `BILLING_PROVIDER_UNAVAILABLE`.
    pub async fn has_customer(&self, customer_id: &CustomerId) -> Result<bool> {
        match self.send(CUSTOMER, json!({"input": {"customerId": customer_id}})).await {
            Ok(data) => Ok(!data["getCustomerByRefId"].is_null()),
            Err(Failure::Refused { code, .. }) if is_missing(&code) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Makes a customer on the first plan.
    ///
    /// # Errors
    /// `BILLING_PROVIDER_UNAVAILABLE`.
    pub async fn provision_customer(&self, customer: &Customer<'_>) -> Result<()> {
        let mut input = json!({"customerId": customer.id, "name": customer.name, "email": customer.email});
        if !self.config.first_plan_id.is_empty() {
            input["subscriptionParams"] = json!({"planId": self.config.first_plan_id, "billingPeriod": "ANNUALLY"});
        }
        self.call(PROVISION_CUSTOMER, json!({ "input": input })).await.map(drop)
    }

    /// Subscribes a customer to a plan.
    ///
    /// # Errors
    /// `PLAN_UNKNOWN`, `BILLING_PROVIDER_UNAVAILABLE`.
    pub async fn provision_subscription(&self, order: &Order<'_>) -> Result<Checkout> {
        let input = json!({
            "customerId": order.customer_id,
            "planId": order.plan_id,
            "billingPeriod": order.period.name(),
            "checkoutOptions": {
                "successUrl": order.success_url,
                "cancelUrl": order.cancel_url,
                "allowPromoCodes": true,
                "collectBillingAddress": true,
            },
        });
        let data = match self.send(PROVISION_SUBSCRIPTION, json!({ "input": input })).await {
            Ok(data) => data,
            Err(Failure::Refused { code, .. }) if code.contains("Plan") && is_missing(&code) => {
                return Err(Reason::PlanUnknown.into());
            }
            Err(failure) => return Err(failure.into()),
        };
        let outcome = &data["provisionSubscription"];
        match (outcome["status"].as_str(), outcome["checkoutUrl"].as_str()) {
            (Some("PAYMENT_REQUIRED"), Some(url)) => Ok(Checkout::Pending(url.to_owned())),
            (Some("SUCCESS"), _) => Ok(Checkout::Success),
            _ => Err(unusable("provisionSubscription")),
        }
    }

    /// Sets usage at Stigg; answers for each report whether Stigg took it. One that it refuses holds up no other.
    ///
    /// # Errors
    /// `BILLING_PROVIDER_UNAVAILABLE` when Stigg cannot be reached; all reports are then to be repeated.
    pub async fn report_usage(&self, reports: &[Report]) -> Result<Vec<bool>> {
        match self.send_reports(reports).await {
            Ok(()) => Ok(vec![true; reports.len()]),
            Err(Failure::Down(cause)) => Err(Failure::Down(cause).into()),
            Err(Failure::Refused { .. }) => {
                let mut taken = Vec::with_capacity(reports.len());
                for report in reports {
                    taken.push(match self.send_reports(std::slice::from_ref(report)).await {
                        Ok(()) => true,
                        Err(Failure::Refused { code, message }) => {
                            tracing::warn!(feature_id = report.feature_id, code, message, "a usage report was refused");
                            false
                        }
                        Err(down) => return Err(down.into()),
                    });
                }
                Ok(taken)
            }
        }
    }

    async fn send_reports(&self, reports: &[Report]) -> Result<(), Failure> {
        let usage = |Report { customer_id, feature_id, value }: &Report| json!({"customerId": customer_id, "featureId": feature_id, "value": value, "updateBehavior": "SET"});
        let usages: Vec<_> = reports.iter().map(usage).collect();
        self.send(REPORT_USAGE, json!({"input": {"usages": usages}})).await.map(drop)
    }

    async fn call(&self, query: &str, variables: Value) -> Result<Value> {
        Ok(self.send(query, variables).await?)
    }

    /// Sends one query and returns its `data`.
    async fn send(&self, query: &str, variables: Value) -> Result<Value, Failure> {
        let outcome = self.exchange(query, variables).await;
        if let Ok(mut failed_at) = self.failed_at.lock() {
            *failed_at = matches!(outcome, Err(Failure::Down(_))).then(Instant::now);
        }
        outcome
    }

    async fn exchange(&self, query: &str, variables: Value) -> Result<Value, Failure> {
        // The URL may hold credentials, which an error would repeat.
        let down = |error: reqwest::Error| Failure::Down(error.without_url().to_string());
        let request = self.client.post(&self.config.url).header("x-api-key", &self.config.server_key);
        let body = json!({"query": query, "variables": variables}).to_string();
        let request = request.header("content-type", "application/json").body(body);
        let mut response = request.send().await.map_err(down)?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(down)? {
            if answer.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Failure::Down("the answer is too large".to_owned()));
            }
            answer.extend_from_slice(&piece);
        }
        let answer: Value = match serde_json::from_slice(&answer) {
            Ok(answer) => answer,
            Err(_) => return Err(Failure::Down(format!("status {status} without JSON"))),
        };
        if let Some(error) = answer["errors"].as_array().and_then(|errors| errors.first()) {
            let code = text(&error["extensions"]["code"]);
            return Err(Failure::Refused { code, message: text(&error["message"]) });
        }
        if !status.is_success() {
            return Err(Failure::Down(format!("status {status}")));
        }
        Ok(answer["data"].clone())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let cause = match failure {
            Failure::Down(cause) => cause,
            Failure::Refused { code, message } => format!("{code}: {message}"),
        };
        tracing::warn!(%cause, "the billing provider gave no answer");
        Self::new(Reason::BillingProviderUnavailable)
    }
}

fn unusable(part: &str) -> Error {
    Failure::Down(format!("the answer has no usable {part}")).into()
}

fn is_missing(code: &str) -> bool {
    let code = code.replace('_', "").to_ascii_lowercase();
    code.contains("notfound")
}

/// The name that we know a feature by, and what is said of it. A number limits; without one the feature is either
/// there or not.
fn entitlement(listed: &Value) -> Option<(String, Access)> {
    let name = listed["feature"]["additionalMetaData"]["key"].as_str().filter(|name| !name.is_empty())?;
    let limit = match &listed["usageLimit"] {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|limit| limit as i64))?,
        _ => UNLIMITED,
    };
    Some((name.to_owned(), Access { is_granted: listed["isGranted"].as_bool() == Some(true), limit }))
}

/// Texts, and what else stands where a text should.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
