//! What is left of values in the files and tables of an installation after their redaction or deletion.

use std::{
    fs,
    path::{Path, PathBuf},
};

use portolan_store::{Sql, Value as Argument};
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{PATIENCE, Server, har};

const SERVICES: [&str; 5] = ["identity", "tokens", "inventory", "imports", "billing"];

/// Where a value stands: files of the data directory and of SQLite, tables of Postgres.
struct Places<'a> {
    test: &'a TestDb,
    directories: Vec<PathBuf>,
}

impl<'a> Places<'a> {
    fn new(test: &'a TestDb, server: &Server) -> Self {
        let database = test.url.strip_prefix("sqlite:").map(PathBuf::from);
        Self { test, directories: [Some(server.data_dir.clone()), database].into_iter().flatten().collect() }
    }

    async fn of(&self, value: &str) -> Vec<String> {
        let mut found = Vec::new();
        for directory in &self.directories {
            look_in(directory, value.as_bytes(), &mut found);
        }
        if self.test.url.starts_with("postgres") {
            for service in SERVICES {
                self.look_in_tables(service, value, &mut found).await;
            }
        }
        found
    }

    async fn look_in_tables(&self, service: &'static str, value: &str, found: &mut Vec<String>) {
        const TABLES: &str = "SELECT cast(table_name AS text) AS name FROM information_schema.tables \
             WHERE table_schema = current_schema()";
        let db = self.test.store.service(service).await.unwrap();
        for table in db.fetch_all(TABLES, Vec::new()).await.unwrap() {
            let table: String = table.get("name").unwrap();
            let rows =
                Sql::assembled(format!("SELECT count(*) AS n FROM \"{table}\" AS r WHERE cast(r AS text) LIKE $1"));
            let rows = db.fetch_one(rows, vec![Argument::from(format!("%{value}%"))]).await.unwrap();
            if rows.get::<i64>("n").unwrap() > 0 {
                found.push(format!("{value} in {service}.{table}"));
            }
        }
    }

    /// Fails unless the value is somewhere.
    async fn expect(&self, value: &str) {
        assert!(!self.of(value).await.is_empty(), "{value} was never written");
    }

    /// Waits until the value is nowhere.
    async fn await_gone(&self, value: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.of(value).await;
            if found.is_empty() {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{found:?}");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

fn look_in(directory: &Path, value: &[u8], found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_in(&path, value, found);
        } else if fs::read(&path).is_ok_and(|bytes| bytes.windows(value.len()).any(|window| window == value)) {
            found.push(format!("{} in {}", String::from_utf8_lossy(value), path.display()));
        }
    }
}

/// A capture whose address, body and answer hold the word.
fn capture(word: &str) -> String {
    let (url, body) = (format!("http://api.test/orders?note={word}"), format!(r#"{{"note":"{word}"}}"#));
    har(&[("POST", &url, &body, 200, &body)])
}

/// Fills a collection by both doors of a capture: through the request, and through the spool.
async fn fill(server: &Server, name: &str, word: &str) -> i64 {
    let id = server.create_collection(name).await;
    let upload = json!({"harString": capture(word), "apiCollectionId": id, "skipKafka": "true"});
    server.post("/api/uploadHar", upload).await.expect(200);
    let request = reqwest::Client::new()
        .post(format!("{}/v1/imports?collectionId={id}", server.http))
        .header("x-api-key", &server.api_key)
        .body(capture(word));
    let job = server.send(request).await.unwrap().expect(200).json();
    assert_eq!(server.wait_for_job(job["jobId"].as_str().unwrap()).await["state"], "SUCCEEDED");
    id
}

async fn succeed(server: &Server, path: &str, body: Value) {
    let answer = server.post(path, body).await.expect(200).json();
    assert_eq!(server.wait_for_job(answer["jobId"].as_str().unwrap()).await["state"], "SUCCEEDED", "{path}");
}

/// A redaction and every deletion end when no byte of the values is in the database, its log and the spool.
pub async fn no_byte_is_left_of_what_is_redacted_or_deleted(test: TestDb) {
    let server = Server::start(&test).await;
    let places = Places::new(&test, &server);

    let id = fill(&server, "Redacted", "wordredacted").await;
    places.expect("wordredacted").await;
    succeed(&server, "/api/redactCollection", json!({"apiCollectionId": id, "redacted": true})).await;
    assert_eq!(places.of("wordredacted").await, Vec::<String>::new());

    let id = fill(&server, "Endpoint", "wordendpoint").await;
    places.expect("wordendpoint").await;
    let key = json!({"apiCollectionId": id, "url": "http://api.test/orders", "method": "POST"});
    server.post("/api/deleteApis", json!({"apiList": [key]})).await.expect(200);
    assert_eq!(server.endpoints(id).await, Vec::<String>::new());
    assert_eq!(places.of("wordendpoint").await, Vec::<String>::new());

    let id = fill(&server, "Deleted", "worddeleted").await;
    places.expect("worddeleted").await;
    succeed(&server, "/api/deleteCollection", json!({"apiCollectionId": id})).await;
    assert_eq!(places.of("worddeleted").await, Vec::<String>::new());

    let collection = json!({
        "info": {"name": "Reviewed", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
        "item": [{"name": "a", "request": {"method": "GET", "url": "http://api.test/orders?note=wordupload"}}],
    });
    let upload = json!({"postmanCollectionFile": collection.to_string(), "allowReplay": false});
    let upload = server.post("/api/importDataFromPostmanFile", upload).await.expect(200).json();
    places.expect("wordupload").await;
    server.post("/api/deletePostmanImportLogs", json!({"uploadId": upload["uploadId"]})).await.expect(200);
    places.await_gone("wordupload").await;
}
