//! Measures the store: look-ups by key, a bulk of 10,000 rows, and durable commits of one writer and of many, on the
//! database of the first argument (a store URL).
//!
//! `cargo run --release -p portolan-store --example store_throughput -- sqlite:/tmp/throughput`

use std::process::ExitCode;
use std::time::Instant;

use portolan_store::{Bulk, Error, Store, Value, args};
use tokio::task::JoinSet;

const ROWS: i64 = 10_000;
const COMMITS: i64 = 200;
const WRITERS: i64 = 16;
static SAVE: Bulk<4> = Bulk::new(
    "INSERT INTO throughput (id, number, name, body)",
    "ON CONFLICT (id) DO UPDATE SET number = throughput.number + 1",
);

#[tokio::main]
async fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: throughput STORE_URL");
        return ExitCode::from(2);
    };
    match measure(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(url: &str) -> Result<(), Error> {
    let store = Store::connect(url).await?;
    let db = store.service("throughput").await?;
    db.execute("DROP TABLE IF EXISTS throughput", args![]).await?;
    db.execute(
        "CREATE TABLE throughput (id TEXT PRIMARY KEY, number BIGINT NOT NULL, name TEXT NOT NULL, body TEXT)",
        args![],
    )
    .await?;
    for name in ["bulk insert", "bulk update"] {
        let begin = Instant::now();
        let mut tx = db.begin().await?;
        tx.bulk(&SAVE, (0..ROWS).map(row)).await?;
        tx.commit().await?;
        report(name, ROWS, begin);
    }
    let begin = Instant::now();
    for index in 0..ROWS {
        db.fetch_one("SELECT number, name FROM throughput WHERE id = $1", args![key(index)]).await?;
    }
    report("look-ups by key", ROWS, begin);
    let begin = Instant::now();
    for index in 0..COMMITS {
        let mut tx = db.begin().await?;
        tx.execute("UPDATE throughput SET number = number + 1 WHERE id = $1", args![key(index)]).await?;
        tx.commit().await?;
    }
    report("durable commits", COMMITS, begin);
    let begin = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let db = db.clone();
        writers.spawn(async move {
            for index in 0..COMMITS {
                let key = key(writer * COMMITS + index);
                db.execute("UPDATE throughput SET number = number + 1 WHERE id = $1", args![key]).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written.expect("a writer ends")?;
    }
    report("of many writers", WRITERS * COMMITS, begin);
    store.close().await;
    Ok(())
}

fn key(index: i64) -> String {
    format!("{:016x}", (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn row(index: i64) -> [Value; 4] {
    [key(index).into(), index.into(), format!("name {index}").into(), None::<&str>.into()]
}

fn report(name: &str, count: i64, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    println!("{name:<16} {:>10.0} /s  ({:.1} ms for {count})", count as f64 / seconds, seconds * 1_000.0);
}
