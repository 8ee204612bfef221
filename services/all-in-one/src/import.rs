//! `portolan import`: sends files to a running installation, waits for their jobs, and prints what came of them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::AsyncRead;
use tokio_util::io::{InspectReader, ReaderStream};
use uuid::Uuid;

use crate::commands::{chain, say};
use crate::folder;

/// Where the first start leaves the key of the administrator.
const LOCAL_KEY_FILE: &str = "./data/admin-api-key";
/// Rows of a table before the rest is only counted.
const REFUSALS_SHOWN: usize = 20;
const ENDPOINTS_SHOWN: usize = 40;
const NOTES_SHOWN: usize = 20;
/// What the note of an operation says that has no endpoint of its own.
const SHARES: &str = " shares the endpoint of ";
/// Longest text of one cell, in characters.
const CELL_CHARS_MAX: usize = 160;
/// A server that restarts is waited for this long while a job runs.
const OUTAGE_MAX: Duration = Duration::from_secs(60);
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Pieces of a file in one write.
const PIECE_BYTES: usize = 256 * 1024;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// HAR captures, OpenAPI, Swagger and AsyncAPI documents, GraphQL schemas, Postman collections, exports of Insomnia and
    /// Bruno, saved items of Burp and Imperva schemas, plain, gzip, zstd or in a zip archive; a folder is sent as one
    /// archive, `-` reads standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Collection to fill, made when there is none; without it the file's title or first host names it.
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Address of the installation.
    #[arg(long, env = "PORTOLAN_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// API key; without it the key of a local installation is read from ./data/admin-api-key.
    #[arg(long, env = "PORTOLAN_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<String>,
    /// Exit with 0 although items were refused; every refusal that is known is then printed.
    #[arg(long)]
    allow_partial: bool,
}

/// Imports the files one after another. The exit code is 0 when every item was imported, or refused items were printed
/// and allowed.
pub(crate) async fn run(arguments: ImportArgs) -> ExitCode {
    let server = match Server::new(&arguments.url, arguments.api_key.as_deref()) {
        Ok(server) => server,
        Err(reason) => return failed(&reason),
    };
    let mut done = Vec::new();
    let mut all_imported = true;
    for file in &arguments.files {
        let name = shown_name(file);
        let begun = Instant::now();
        match import(&server, &arguments, file).await {
            Ok(job) => {
                let job = Job { seconds: begun.elapsed().as_secs_f64(), ..job };
                if let Some(reason) = job.failure() {
                    eprintln!("error: {name}: {}", clean(reason));
                    all_imported = false;
                }
                all_imported &= job.refused_items == 0 || arguments.allow_partial;
                done.push((name, job));
            }
            Err(reason) => {
                eprintln!("error: {name}: {}", clean(&reason));
                all_imported = false;
            }
        }
    }
    if let Err(reason) = report(&server, &done, arguments.allow_partial).await {
        return failed(&reason);
    }
    if all_imported { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("error: {}", clean(reason));
    ExitCode::FAILURE
}

/// Sends one file and waits until its job has ended.
async fn import(server: &Server, arguments: &ImportArgs, file: &Path) -> Result<Job, String> {
    let name = shown_name(file);
    let is_input = file == Path::new("-");
    let path = if is_input { Path::new("/dev/stdin") } else { file };
    let opened = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let metadata = opened.metadata().await.map_err(|error| error.to_string())?;
    let (reader, bytes): (Box<dyn AsyncRead + Send + Unpin>, u64) = if metadata.is_dir() {
        let path = path.to_owned();
        let packed = tokio::task::spawn_blocking(move || folder::archive(&path)).await;
        let packed = packed.map_err(|error| error.to_string())??;
        let bytes = packed.len() as u64;
        (Box::new(Cursor::new(packed)), bytes)
    } else {
        (Box::new(opened), metadata.len())
    };
    let bar = progress_bar(bytes);
    bar.set_message(format!("sending {}", clean(&name)));
    let counted = bar.clone();
    let reader = InspectReader::new(reader, move |piece: &[u8]| counted.inc(piece.len() as u64));
    let mut url = server.at("/v1/imports");
    if let Some(collection) = &arguments.collection {
        url.query_pairs_mut().append_pair("collectionName", collection);
    }
    if !is_input {
        url.query_pairs_mut().append_pair("fileName", &name);
    }
    let request = server
        .client
        .post(url)
        .header("content-type", "application/octet-stream")
        .header("idempotency-key", Uuid::new_v4().to_string())
        .body(reqwest::Body::wrap_stream(ReaderStream::with_capacity(reader, PIECE_BYTES)));
    let created: Created = server.answer(request).await.map_err(|failure| failure.text)?;
    let job = wait(server, &created.job_id, &name, &bar).await;
    bar.finish_and_clear();
    job
}

/// Asks for the job until it has ended.
async fn wait(server: &Server, job_id: &str, name: &str, bar: &ProgressBar) -> Result<Job, String> {
    const PAUSE_MAX: Duration = Duration::from_secs(1);
    let mut pause = Duration::from_millis(25);
    let mut reachable = Instant::now();
    bar.set_message(format!("importing {}", clean(name)));
    loop {
        match server
            .answer::<Job>(server.client.get(server.at(&format!("/v1/jobs/{job_id}"))).timeout(ANSWER_TIMEOUT))
            .await
        {
            Ok(job) if job.ended() => return Ok(job),
            Ok(job) => {
                reachable = Instant::now();
                bar.set_length(job.bytes_total);
                bar.set_position(job.bytes_done);
            }
            Err(failure) if failure.may_pass && reachable.elapsed() < OUTAGE_MAX => {}
            Err(failure) => return Err(failure.text),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Drawn on a terminal only.
fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = if bytes > 0 { ProgressBar::new(bytes) } else { ProgressBar::no_length() };
    let template = "{msg:40!} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The installation that files are sent to.
pub(crate) struct Server {
    pub(crate) client: Client,
    url: Url,
}

/// Why a request failed, as one line.
pub(crate) struct Failure {
    pub(crate) text: String,
    /// The same request may succeed later.
    may_pass: bool,
}

impl Server {
    /// A running installation; without a key, the local one's.
    pub(crate) fn new(url: &Url, api_key: Option<&str>) -> Result<Self, String> {
        let key = match api_key {
            Some(key) => key.to_owned(),
            None => std::fs::read_to_string(LOCAL_KEY_FILE).map_err(|_| {
                format!("no API key: give --api-key or PORTOLAN_API_KEY, or run where {LOCAL_KEY_FILE} is")
            })?,
        };
        let mut value = reqwest::header::HeaderValue::from_str(key.trim())
            .map_err(|_| "the API key has characters that no key has".to_owned())?;
        value.set_sensitive(true);
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(reqwest::header::HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static("x-api-key"),
                value,
            )]))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, url: url.clone() })
    }

    pub(crate) fn at(&self, path: &str) -> Url {
        below(&self.url, path)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, String> {
        let request = self.client.post(self.at(path)).timeout(ANSWER_TIMEOUT).json(&body);
        self.answer(request).await.map_err(|failure| failure.text)
    }

    pub(crate) async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let unreachable = |error: reqwest::Error| {
            let why = match error.is_timeout() {
                true => "did not answer in time".to_owned(),
                false => format!("cannot be reached: {}", chain(&error.without_url())),
            };
            Failure { text: format!("the server at {} {why}", shown(&self.url)), may_pass: true }
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| Failure {
                text: format!("the server at {} answered something else than expected: {error}", shown(&self.url)),
                may_pass: false,
            });
        }
        let may_pass = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        Err(Failure { text: refusal_text(status, &body), may_pass })
    }
}

/// An address for people, without what it may hold of a password.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // An address that cannot have them has none.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.to_string()
}

/// An address below the one that was given, which may have a path of its own.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// The reason in an error answer of any form.
fn refusal_text(status: StatusCode, body: &[u8]) -> String {
    if status == StatusCode::UNAUTHORIZED {
        return "the API key is not valid".to_owned();
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let places = ["/actionErrors/0", "/detail", "/title", "/message"];
    match places.iter().find_map(|place| body.pointer(place)?.as_str()) {
        Some(text) => text.to_owned(),
        None => format!("the server answered {status}"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    job_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Job {
    state: String,
    format: String,
    collection_id: Option<i64>,
    collection_name: Option<String>,
    total_items: u64,
    imported_items: u64,
    refused_items: u64,
    refusals: Vec<Refusal>,
    notes: Vec<String>,
    bytes_done: u64,
    bytes_total: u64,
    error: Option<String>,
    /// From the first byte sent to the last record in the inventory.
    #[serde(skip)]
    seconds: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    item: String,
    reason: String,
}

impl Job {
    fn ended(&self) -> bool {
        !matches!(self.state.as_str(), "PENDING" | "RUNNING")
    }

    fn failure(&self) -> Option<&str> {
        (self.state != "SUCCEEDED").then(|| self.error.as_deref().unwrap_or("the import did not end"))
    }
}

/// What the inventory knows of one collection.
#[derive(Default)]
struct Collection {
    endpoints: Vec<Endpoint>,
    /// Types of sensitive parameters by (url, method).
    sensitive: BTreeMap<(String, String), BTreeSet<String>>,
    sensitive_parameters: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    id: EndpointId,
    #[serde(default)]
    actual_auth_type: Vec<String>,
    #[serde(default)]
    kind: String,
    /// With the names of variables.
    #[serde(default)]
    url_template: String,
}

impl Endpoint {
    /// Whether it is a page or a part of one, which lists of APIs leave to the end.
    fn is_folded(&self) -> bool {
        ["page", "asset"].contains(&self.kind.as_str())
    }
}

#[derive(Clone, Deserialize)]
struct EndpointId {
    url: String,
    method: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoints {
    api_info_list: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Sensitive {
    data: SensitiveList,
}

#[derive(Deserialize)]
struct SensitiveList {
    endpoints: Vec<Parameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    url: String,
    method: String,
    response_code: i64,
    is_header: bool,
    param: String,
    sub_type_string: String,
}

impl Collection {
    async fn read(server: &Server, id: i64) -> Result<Self, String> {
        let query = json!({ "apiCollectionId": id });
        let endpoints: Endpoints = server.post("/api/fetchApiInfosForCollection", query.clone()).await?;
        let sensitive: Sensitive = server.post("/api/loadSensitiveParameters", query).await?;
        let mut collection = Self { endpoints: endpoints.api_info_list, ..Self::default() };
        let mut parameters = BTreeSet::new();
        for parameter in sensitive.data.endpoints {
            let key = (parameter.url, parameter.method);
            let place = (parameter.response_code, parameter.is_header, parameter.param);
            parameters.insert((key.clone(), place));
            collection.sensitive.entry(key).or_default().insert(parameter.sub_type_string);
        }
        collection.sensitive_parameters = parameters.len();
        let kinds = |endpoint: &Endpoint| collection.types(endpoint).map_or(0, BTreeSet::len);
        let mut order: Vec<_> = collection.endpoints.iter().enumerate().collect();
        order.sort_by_cached_key(|(_, endpoint)| {
            let is_folded = endpoint.is_folded();
            (is_folded, std::cmp::Reverse(kinds(endpoint)), endpoint.id.url.clone(), endpoint.id.method.clone())
        });
        let order: Vec<usize> = order.into_iter().map(|(index, _)| index).collect();
        let mut endpoints: Vec<_> = std::mem::take(&mut collection.endpoints).into_iter().map(Some).collect();
        collection.endpoints = order.into_iter().filter_map(|index| endpoints[index].take()).collect();
        Ok(collection)
    }

    fn types(&self, endpoint: &Endpoint) -> Option<&BTreeSet<String>> {
        self.sensitive.get(&(endpoint.id.url.clone(), endpoint.id.method.clone()))
    }
}

/// Prints the tables: files, refusals, and the endpoints of each collection with sensitive ones first.
async fn report(server: &Server, done: &[(String, Job)], all_refusals: bool) -> Result<(), String> {
    let mut collections = BTreeMap::new();
    for id in done.iter().filter(|(_, job)| job.failure().is_none()).filter_map(|(_, job)| job.collection_id) {
        if let Entry::Vacant(place) = collections.entry(id) {
            place.insert(Collection::read(server, id).await?);
        }
    }
    if !done.is_empty() {
        say(files_table(done, &collections));
    }
    print_refusals(done, if all_refusals { usize::MAX } else { REFUSALS_SHOWN });
    print_notes(done);
    for (id, collection) in &collections {
        let named = done.iter().find(|(_, job)| job.collection_id == Some(*id));
        let name = named.and_then(|(_, job)| job.collection_name.as_deref()).unwrap_or_default();
        say(format_args!("\nEndpoints of {} (collection {id})", clean(name)));
        let mut rows = table(["Method", "URL", "Auth", "Sensitive"]);
        let apis = collection.endpoints.iter().filter(|endpoint| !endpoint.is_folded()).count();
        for endpoint in collection.endpoints[..apis].iter().take(ENDPOINTS_SHOWN) {
            let types = collection.types(endpoint).into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
            let auth = endpoint.actual_auth_type.join(", ");
            rows.add_row([&endpoint.id.method, &endpoint.url_template, &auth, &types].map(|text| clean(text)));
        }
        say(rows);
        more(apis, ENDPOINTS_SHOWN);
        print_folded(&collection.endpoints[apis..]);
    }
    Ok(())
}

/// How many pages and files of pages the table leaves out.
fn print_folded(folded: &[Endpoint]) {
    if folded.is_empty() {
        return;
    }
    let assets = folded.iter().filter(|endpoint| endpoint.kind == "asset").count();
    let pages = folded.len() - assets;
    say(format_args!("left out: {assets} assets (scripts, styles, pictures, fonts, media) and {pages} pages"));
}

fn files_table(done: &[(String, Job)], collections: &BTreeMap<i64, Collection>) -> Table {
    let mut rows = table([
        "File",
        "Format",
        "Collection",
        "Items",
        "Imported",
        "Refused",
        "Endpoints",
        "Shared",
        "Sensitive",
        "Seconds",
    ]);
    for (name, job) in done {
        let collection = job.collection_id.and_then(|id| collections.get(&id));
        let count = |of: fn(&Collection) -> usize| collection.map_or_else(String::new, |known| of(known).to_string());
        rows.add_row([
            clean(name),
            clean(&job.format),
            clean(job.collection_name.as_deref().unwrap_or_default()),
            job.total_items.to_string(),
            job.imported_items.to_string(),
            job.refused_items.to_string(),
            count(|known| known.endpoints.len()),
            job.notes.iter().filter(|note| note.contains(SHARES)).count().to_string(),
            count(|known| known.sensitive_parameters),
            format!("{:.1}", job.seconds),
        ]);
    }
    rows
}

fn print_refusals(done: &[(String, Job)], shown_max: usize) {
    let refused: u64 = done.iter().map(|(_, job)| job.refused_items).sum();
    if refused == 0 {
        return;
    }
    say("\nRefused items");
    let mut rows = table(["File", "Item", "Reason"]);
    let known = done.iter().flat_map(|(name, job)| job.refusals.iter().map(move |refusal| (name, refusal)));
    let mut shown = 0;
    for (name, refusal) in known.take(shown_max) {
        rows.add_row([name, &refusal.item, &refusal.reason].map(|text| clean(text)));
        shown += 1;
    }
    say(rows);
    more(usize::try_from(refused).unwrap_or(usize::MAX), shown);
}

/// What was read differently from how it was written, or not at all.
fn print_notes(done: &[(String, Job)]) {
    let total = done.iter().map(|(_, job)| job.notes.len()).sum();
    if total == 0 {
        return;
    }
    say("\nNotes");
    let mut rows = table(["File", "Note"]);
    let known = done.iter().flat_map(|(name, job)| job.notes.iter().map(move |note| (name, note)));
    for (name, note) in known.take(NOTES_SHOWN) {
        rows.add_row([name, note].map(|text| clean(text)));
    }
    say(rows);
    more(total, NOTES_SHOWN);
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(header);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn more(total: usize, shown: usize) {
    if total > shown {
        say(format_args!("and {} more", total - shown));
    }
}

/// The name of a file without its directory.
fn shown_name(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Texts come from captures: nothing in them may steer the terminal, and a cell stays readable.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned: String =
        text.chars().take(CELL_CHARS_MAX).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    if text.chars().nth(CELL_CHARS_MAX).is_some() {
        cleaned.push('…');
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(clean("/a\u{1b}[2Jb\n"), "/a\u{FFFD}[2Jb\u{FFFD}");
        assert_eq!(clean(&"x".repeat(500)).chars().count(), CELL_CHARS_MAX + 1);
    }

    #[test]
    fn reasons_are_found_in_every_dialect() {
        let text = |body: &str| refusal_text(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes());
        assert_eq!(text(r#"{"actionErrors":["Empty content"]}"#), "Empty content");
        assert_eq!(
            text(r#"{"title":"Unprocessable","detail":"The file is of no known format"}"#),
            "The file is of no known format"
        );
        assert_eq!(text("<html>"), "the server answered 422 Unprocessable Entity");
        assert_eq!(refusal_text(StatusCode::UNAUTHORIZED, b""), "the API key is not valid");
    }

    #[test]
    fn paths_are_appended_to_a_base() {
        let url = |text: &str| below(&Url::parse(text).unwrap(), "/v1/imports").to_string();
        assert_eq!(url("http://h:1"), "http://h:1/v1/imports");
        assert_eq!(url("http://h:1/base/"), "http://h:1/base/v1/imports");
    }
}
