use std::collections::{HashMap, HashSet};

use portolan_ids::AccountId;
use portolan_store::{Bulk, Db, Error, Row, Tx, args, retrying};

use crate::model::agents::{self, Addition, Analysis, Query, SeenHarm};

static INSERT_QUERIES: Bulk<3> = Bulk::new(
    "INSERT INTO agent_queries (account_id, query_id, recorded_at)",
    "ON CONFLICT DO NOTHING RETURNING query_id",
);

/// Claims the records, sorted by id, and adds the new ones, in one transaction; answers how many were new.
pub async fn record(db: &Db, account_id: AccountId, queries: &[Query], now: i64) -> Result<usize, Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        let rows = queries.iter().map(|query| [account_id.into(), (&query.id).into(), now.into()]);
        let claimed = tx.bulk_returning(&INSERT_QUERIES, rows).await?;
        let claimed = claimed.iter().map(|row| row.get("query_id")).collect::<Result<HashSet<String>, _>>()?;
        let additions = agents::additions(queries.iter().filter(|query| claimed.contains(&query.id)));
        for ((agent_id, device_id), addition) in additions {
            add(&mut tx, account_id, (agent_id, device_id), &addition, now).await?;
        }
        db.fault("agents.added").await?;
        tx.commit().await?;
        Ok(claimed.len())
    })
    .await
}

const ADD_ANALYSIS: &str = "
INSERT INTO agent_analyses (account_id, agent_id, device_id, user_name, input_tokens, output_tokens, queries,
    last_query_at, last_query_id, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (account_id, agent_id, device_id) DO UPDATE SET
    input_tokens = agent_analyses.input_tokens + excluded.input_tokens,
    output_tokens = agent_analyses.output_tokens + excluded.output_tokens,
    queries = agent_analyses.queries + excluded.queries, recorded_at = excluded.recorded_at";

/// The later query names the user; of two at one moment, the one with the larger id.
const SET_LATEST: &str = "
UPDATE agent_analyses SET user_name = $4, last_query_at = $5, last_query_id = $6
WHERE account_id = $1 AND agent_id = $2 AND device_id = $3
    AND (last_query_at < $5 OR (last_query_at = $5 AND last_query_id < $6))";

static ADD_TOPICS: Bulk<6> = Bulk::new(
    "INSERT INTO agent_topics (account_id, agent_id, device_id, topic, sub_topic, queries)",
    "ON CONFLICT (account_id, agent_id, device_id, topic, sub_topic) DO UPDATE SET
     queries = agent_topics.queries + excluded.queries",
);

const ADD_HARM: &str = "
INSERT INTO agent_harms (account_id, agent_id, device_id, category, queries, last_seen_at, last_query_id, last_reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (account_id, agent_id, device_id, category) DO UPDATE SET queries = agent_harms.queries + excluded.queries";

const SET_LATEST_HARM: &str = "
UPDATE agent_harms SET last_seen_at = $5, last_query_id = $6, last_reason = $7
WHERE account_id = $1 AND agent_id = $2 AND device_id = $3 AND category = $4
    AND (last_seen_at < $5 OR (last_seen_at = $5 AND last_query_id < $6))";

async fn add(
    tx: &mut Tx,
    account_id: AccountId,
    (agent_id, device_id): (&str, &str),
    addition: &Addition<'_>,
    now: i64,
) -> Result<(), Error> {
    let Some(latest) = addition.latest else { return Ok(()) };
    let Addition { input_tokens, output_tokens, queries, .. } = addition;
    let Query { id, user_name, time, .. } = latest;
    let row = args![account_id, agent_id, device_id, user_name, input_tokens, output_tokens, queries, time, id, now];
    tx.execute(ADD_ANALYSIS, row).await?;
    tx.execute(SET_LATEST, args![account_id, agent_id, device_id, user_name, time, id]).await?;
    let topics = addition.topics.iter().map(|((topic, sub_topic), queries)| {
        [account_id.into(), agent_id.into(), device_id.into(), (*topic).into(), (*sub_topic).into(), queries.into()]
    });
    tx.bulk(&ADD_TOPICS, topics).await?;
    for (category, (queries, latest)) in &addition.harms {
        let Some((Query { id, time, .. }, reason)) = latest else { continue };
        let row = args![account_id, agent_id, device_id, *category, queries, time, id, *reason];
        tx.execute(ADD_HARM, row).await?;
        tx.execute(SET_LATEST_HARM, args![account_id, agent_id, device_id, *category, time, id, *reason]).await?;
    }
    Ok(())
}

const FORGET_QUERIES: &str = "
DELETE FROM agent_queries WHERE (account_id, query_id) IN (
    SELECT account_id, query_id FROM agent_queries WHERE recorded_at < $1 LIMIT $2)";

/// Forgets some of the queries that were told before a moment, and returns how many.
pub async fn forget_queries(db: &Db, before: i64, limit: i64) -> Result<u64, Error> {
    retrying(|| db.execute(FORGET_QUERIES, args![before, limit])).await
}

const SILENT: &str = "SELECT account_id, agent_id, device_id FROM agent_analyses WHERE recorded_at < $1 LIMIT $2";

/// The analysis goes first: one that a query has just changed stays, with all that belongs to it.
const FORGET_ANALYSIS: &str = "
DELETE FROM agent_analyses WHERE account_id = $1 AND agent_id = $2 AND device_id = $3 AND recorded_at < $4";

const FORGET_PARTS: [&str; 2] = [
    "DELETE FROM agent_topics WHERE account_id = $1 AND agent_id = $2 AND device_id = $3",
    "DELETE FROM agent_harms WHERE account_id = $1 AND agent_id = $2 AND device_id = $3",
];

/// Forgets some of the analyses whose last query was told before a moment, and returns how many were looked at.
pub async fn forget_analyses(db: &Db, before: i64, limit: i64) -> Result<usize, Error> {
    let silent = db.fetch_all(SILENT, args![before, limit]).await?;
    for row in &silent {
        let (agent_id, device_id): (String, String) = (row.get("agent_id")?, row.get("device_id")?);
        let account_id: AccountId = row.get("account_id")?;
        retrying(|| async {
            let mut tx = db.begin().await?;
            if tx.execute(FORGET_ANALYSIS, args![account_id, &agent_id, &device_id, before]).await? == 1 {
                for statement in FORGET_PARTS {
                    tx.execute(statement, args![account_id, &agent_id, &device_id]).await?;
                }
            }
            tx.commit().await
        })
        .await?;
    }
    Ok(silent.len())
}

const GET: &str = "SELECT * FROM agent_analyses WHERE account_id = $1 AND agent_id = $2 AND device_id = $3";

pub async fn get(db: &Db, account_id: AccountId, agent_id: &str, device_id: &str) -> Result<Option<Analysis>, Error> {
    db.fetch_optional(GET, args![account_id, agent_id, device_id]).await?.map(|row| analysis(&row)).transpose()
}

const FIND_BY_USER: &str = "
SELECT * FROM agent_analyses WHERE account_id = $1 AND user_name = $2
ORDER BY last_query_at DESC, agent_id, device_id LIMIT 1";

pub async fn find_by_user(db: &Db, account_id: AccountId, user_name: &str) -> Result<Option<Analysis>, Error> {
    db.fetch_optional(FIND_BY_USER, args![account_id, user_name]).await?.map(|row| analysis(&row)).transpose()
}

const LIST: &str = "
SELECT * FROM agent_analyses WHERE account_id = $1 ORDER BY last_query_at DESC, agent_id, device_id LIMIT $2";

const TOPICS_OF_LIST: &str = "
SELECT t.agent_id AS agent_id, t.device_id AS device_id, t.topic AS topic, t.sub_topic AS sub_topic,
    t.queries AS queries
FROM agent_topics t JOIN (SELECT agent_id, device_id FROM agent_analyses WHERE account_id = $1
    ORDER BY last_query_at DESC, agent_id, device_id LIMIT $2) a
ON a.agent_id = t.agent_id AND a.device_id = t.device_id WHERE t.account_id = $1";

const HARMS_OF_LIST: &str = "
SELECT h.agent_id AS agent_id, h.device_id AS device_id, h.category AS category, h.queries AS queries,
    h.last_seen_at AS last_seen_at, h.last_reason AS last_reason
FROM agent_harms h JOIN (SELECT agent_id, device_id FROM agent_analyses WHERE account_id = $1
    ORDER BY last_query_at DESC, agent_id, device_id LIMIT $2) a
ON a.agent_id = h.agent_id AND a.device_id = h.device_id WHERE h.account_id = $1";

/// The analyses that changed last, whole, at one moment.
pub async fn list(db: &Db, account_id: AccountId, limit: i64) -> Result<Vec<Analysis>, Error> {
    let mut tx = db.begin_read().await?;
    let rows = tx.fetch_all(LIST, args![account_id, limit]).await?;
    let mut analyses = rows.iter().map(analysis).collect::<Result<Vec<_>, _>>()?;
    let places: HashMap<_, _> =
        analyses.iter().enumerate().map(|(i, a)| ((a.agent_id.clone(), a.device_id.clone()), i)).collect();
    let place = |row: &Row| {
        let key = (row.get("agent_id")?, row.get("device_id")?);
        places.get(&key).copied().ok_or_else(|| Error::Inconsistency("a topic of an analysis not listed".into()))
    };
    for row in tx.fetch_all(TOPICS_OF_LIST, args![account_id, limit]).await? {
        add_topic(&mut analyses[place(&row)?], &row)?;
    }
    for row in tx.fetch_all(HARMS_OF_LIST, args![account_id, limit]).await? {
        add_harm(&mut analyses[place(&row)?], &row)?;
    }
    tx.rollback().await?;
    Ok(analyses)
}

fn add_topic(analysis: &mut Analysis, row: &Row) -> Result<(), Error> {
    let topic = analysis.topics.entry(row.get("topic")?).or_default();
    topic.insert(row.get("sub_topic")?, row.get("queries")?);
    Ok(())
}

fn add_harm(analysis: &mut Analysis, row: &Row) -> Result<(), Error> {
    let (queries, last_seen_at) = (row.get("queries")?, row.get("last_seen_at")?);
    let harm = SeenHarm { queries, last_seen_at, last_reason: row.get("last_reason")? };
    analysis.harms.insert(row.get("category")?, harm);
    Ok(())
}

const LIST_TOPICS: &str = "
SELECT topic, sub_topic, queries FROM agent_topics WHERE account_id = $1 AND agent_id = $2 AND device_id = $3
ORDER BY queries DESC, topic, sub_topic LIMIT $4";

const LIST_HARMS: &str = "
SELECT category, queries, last_seen_at, last_reason FROM agent_harms
WHERE account_id = $1 AND agent_id = $2 AND device_id = $3 ORDER BY category LIMIT $4";

/// Adds topics and harms to an analysis.
pub async fn fill(db: &Db, account_id: AccountId, analysis: &mut Analysis, limit: i64) -> Result<(), Error> {
    let args = || args![account_id, &analysis.agent_id, &analysis.device_id, limit];
    let (topics, harms) = (db.fetch_all(LIST_TOPICS, args()).await?, db.fetch_all(LIST_HARMS, args()).await?);
    for row in topics {
        add_topic(analysis, &row)?;
    }
    for row in harms {
        add_harm(analysis, &row)?;
    }
    Ok(())
}

fn analysis(row: &Row) -> Result<Analysis, Error> {
    Ok(Analysis {
        agent_id: row.get("agent_id")?,
        device_id: row.get("device_id")?,
        user_name: row.get("user_name")?,
        input_tokens: row.get("input_tokens")?,
        output_tokens: row.get("output_tokens")?,
        queries: row.get("queries")?,
        last_query_at: row.get("last_query_at")?,
        ..Analysis::default()
    })
}
