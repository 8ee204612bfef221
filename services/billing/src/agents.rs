//! What users ask AI agents: records on their way in, analyses on their way out.

use std::collections::HashSet;

use portolan_api::{Error, Reason, Result};
use portolan_ids::AccountId;
use serde_json::Value;

use crate::{Deps, store};

pub use crate::model::agents::{Analysis, Query, SeenHarm};

/// Most records in one batch.
pub const BATCH_MAX: usize = 1_000;
/// Analyses in one list.
const LISTED_MAX: i64 = 1_000;
const ID_CHARS_MAX: usize = 255;
const NAME_CHARS_MAX: usize = 255;
/// A shorter query says too little to be classified.
const QUERY_CHARS_MIN: usize = 20;
/// So much of a query is classified: what it is about stands at its beginning.
const CLASSIFIED_CHARS_MAX: usize = 4_000;
/// Characters of a token, roughly, where nobody counted.
const CHARS_PER_TOKEN: i64 = 4;
/// Topics and harms of one agent and device that are answered.
const TOPICS_MAX: i64 = 1_000;
const TOKENS_MAX: i64 = 1_000_000_000;

/// A record as it was sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Tells queries of the account apart: a repeat counts once.
    pub id: Option<String>,
    /// Which agent was asked.
    pub agent_id: Option<String>,
    /// From which device.
    pub device_id: Option<String>,
    /// Who asked.
    pub user_name: Option<String>,
    /// What was asked; judged, and not kept.
    pub query: Option<String>,
    /// What the agent answered; not kept.
    pub response: Option<String>,
    /// Unix milliseconds.
    pub timestamp: Option<i64>,
    /// Of the query, as the agent counts them.
    pub input_tokens: Option<i64>,
    /// Of the answer.
    pub output_tokens: Option<i64>,
    /// In place of the topic that the text is found to have.
    pub topic: Option<String>,
    /// As `topic`.
    pub sub_topic: Option<String>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// How many count.
    pub accepted: usize,
    /// How many counted before.
    pub duplicates: usize,
    /// Position and reason.
    pub rejected: Vec<(usize, String)>,
}

/// Counts the records of a batch, each once by its id.
///
/// # Errors
/// `BATCH_TOO_LARGE`, `UNAVAILABLE`.
pub async fn ingest(deps: &Deps, account_id: AccountId, sent: &[Sent]) -> Result<Ingested> {
    if sent.len() > BATCH_MAX {
        return Err(Error::new(Reason::BatchTooLarge).with("limit", BATCH_MAX).with("member", "agentQueries"));
    }
    let now_ms = deps.clock.now().saturating_mul(1_000);
    let mut ingested = Ingested::default();
    let mut queries: Vec<Query> = Vec::with_capacity(sent.len());
    let mut ids = HashSet::with_capacity(sent.len());
    for (index, record) in sent.iter().enumerate() {
        match read(deps, record, now_ms) {
            Ok(query) if ids.insert(query.id.clone()) => queries.push(query),
            Ok(_) => ingested.duplicates += 1,
            Err(reason) => ingested.rejected.push((index, reason)),
        }
    }
    queries.sort_by(|a, b| a.id.cmp(&b.id));
    if !queries.is_empty() {
        ingested.accepted = store::agents::record(&deps.db, account_id, &queries, now_ms / 1_000).await?;
    }
    ingested.duplicates += queries.len() - ingested.accepted;
    Ok(ingested)
}

/// The analysis of an agent on a device, else the one of a user that changed last.
///
/// # Errors
/// `USERNAME_REQUIRED`, `BILLING_MEMBER_REQUIRED`.
pub async fn get(
    deps: &Deps,
    account_id: AccountId,
    agent_id: Option<&str>,
    device_id: Option<&str>,
    username: Option<&str>,
) -> Result<Option<Analysis>> {
    let given = |value: Option<&str>| value.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned);
    let missing = |member: &str| Err(Error::new(Reason::BillingMemberRequired).with("member", member));
    let found = match (given(agent_id), given(device_id), given(username)) {
        (Some(agent_id), Some(device_id), _) => store::agents::get(&deps.db, account_id, &agent_id, &device_id).await?,
        (_, _, Some(username)) => store::agents::find_by_user(&deps.db, account_id, &username).await?,
        (Some(_), None, None) => return missing("deviceId"),
        (None, Some(_), None) => return missing("agentId"),
        (None, None, None) => return Err(Reason::UsernameRequired.into()),
    };
    let Some(mut analysis) = found else { return Ok(None) };
    store::agents::fill(&deps.db, account_id, &mut analysis, TOPICS_MAX).await?;
    Ok(Some(analysis))
}

/// The analyses of an account, those that changed last first.
pub async fn list(deps: &Deps, account_id: AccountId) -> Result<Vec<Analysis>> {
    Ok(store::agents::list(&deps.db, account_id, LISTED_MAX).await?)
}

fn read(deps: &Deps, sent: &Sent, now_ms: i64) -> Result<Query, String> {
    let required = |value: &Option<String>, member: &str, chars_max: usize| match value.as_deref().map(str::trim) {
        None | Some("") => Err(format!("{member} is required")),
        Some(value) if value.chars().count() > chars_max => {
            Err(format!("{member} must not be longer than {chars_max} characters"))
        }
        Some(value) => Ok(value.to_owned()),
    };
    let id = required(&sent.id, "id", ID_CHARS_MAX)?;
    let agent_id = required(&sent.agent_id, "serviceId", NAME_CHARS_MAX)?;
    let device_id = required(&sent.device_id, "deviceId", NAME_CHARS_MAX)?;
    let user_name = shortened(sent.user_name.as_deref().unwrap_or_default());
    let query = sent.query.as_deref().unwrap_or_default().trim();
    let response = sent.response.as_deref().unwrap_or_default();
    if query.chars().count() < QUERY_CHARS_MIN {
        return Err(format!("queryPayload must have at least {QUERY_CHARS_MIN} characters"));
    }
    if sent.input_tokens.unwrap_or(0) == 0 && sent.output_tokens.unwrap_or(0) == 0 && is_tool_use(query) {
        return Err("the record is the use of a tool".to_owned());
    }
    let tokens = |given: Option<i64>, text: &str| match given {
        Some(tokens) if tokens > 0 => tokens.min(TOKENS_MAX),
        _ => text.chars().count() as i64 / CHARS_PER_TOKEN,
    };
    let time = sent.timestamp.unwrap_or(now_ms);
    if !(0..=now_ms + 86_400_000).contains(&time) {
        return Err("timestamp is before 1970 or more than a day ahead".to_owned());
    }
    let classified: String = query.chars().take(CLASSIFIED_CHARS_MAX).collect();
    let verdict = deps.classifier.classify(&classified);
    let named = sent.topic.as_deref().map(str::trim).filter(|topic| !topic.is_empty());
    let (topic, sub_topic) = match named {
        Some(topic) => {
            let sub_topic = sent.sub_topic.as_deref().map(str::trim).filter(|sub| !sub.is_empty());
            (shortened(topic), shortened(sub_topic.unwrap_or("General")))
        }
        None => (verdict.topic.to_owned(), verdict.sub_topic.to_owned()),
    };
    Ok(Query {
        input_tokens: tokens(sent.input_tokens, query),
        output_tokens: tokens(sent.output_tokens, response),
        harm: verdict.harm,
        id,
        agent_id,
        device_id,
        user_name,
        time,
        topic,
        sub_topic,
    })
}

fn shortened(name: &str) -> String {
    name.trim().chars().take(NAME_CHARS_MAX).collect()
}

/// Whether a query is an object or list of objects that names a tool: the step of an agent, not the wish of a user.
fn is_tool_use(query: &str) -> bool {
    let names_tool = |value: &Value| {
        let kind = value["type"].as_str().unwrap_or_default();
        ["tool_use", "tool_result", "function_call", "tool_call"].contains(&kind)
            || ["tool_calls", "tool_use_id", "toolName", "tool_name"].iter().any(|key| value.get(key).is_some())
    };
    match serde_json::from_str::<Value>(query) {
        Ok(Value::Array(items)) => !items.is_empty() && items.iter().all(names_tool),
        Ok(value) => names_tool(&value),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_use_is_told_from_questions() {
        assert!(is_tool_use(r#"[{"type":"tool_use","id":"1","input":{}}]"#));
        assert!(is_tool_use(r#"{"tool_calls":[{"id":"1"}]}"#));
        assert!(!is_tool_use("what does tool_use mean in this answer?"));
        assert!(!is_tool_use(r#"{"question":"how are you today?"}"#));
        assert!(!is_tool_use("[]"));
    }
}
