//! Data that a version wrote whose tables were made by other steps.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use portolan_store::Store;
use portolan_testkit::TestDb;

use crate::{server::Server, six::SERVICES};

/// Every command that opens the store tells what it met and where, and leaves all of it as it was.
pub async fn is_refused_by_every_command(test: TestDb) {
    let earlier = Earlier::make(&test).await;
    let backup = earlier.data_dir.with_extension("backup");
    let backup = backup.to_str().unwrap();
    let mut commands = vec![
        vec!["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
        vec!["migrate"],
        vec!["doctor"],
        vec!["organizations", "list"],
        vec!["users", "reset-password", "admin@localhost"],
        vec!["keys", "create"],
        vec!["keys", "rotate"],
        vec!["audit", "verify"],
        vec!["ingest", "rejected"],
    ];
    if test.url.starts_with("sqlite") {
        commands.push(vec!["backup", backup]);
        commands.push(vec!["up", "--services", "identity,tokens,inventory,imports,billing"]);
    }
    for command in commands {
        earlier.refuses(env!("CARGO_BIN_EXE_portolan"), &command).await;
    }
    assert!(!Path::new(backup).exists());
    let Some(file) = Store::sqlite_file(&earlier.url) else { return };
    // A copy that an earlier version made is no backup of this one.
    std::fs::create_dir(backup).unwrap();
    std::fs::copy(&file, Path::new(backup).join("portolan.db")).unwrap();
    let target = earlier.data_dir.with_extension("restored");
    let mut restore = Command::new(env!("CARGO_BIN_EXE_portolan"));
    restore.args(["restore", backup, "--data-dir"]).arg(&target);
    let output = restore.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("an earlier version of Portolan wrote"), "{text}");
    assert!(!target.exists());
}

/// So does each of the six processes.
pub async fn is_refused_by_each_process(test: TestDb) {
    let earlier = Earlier::make(&test).await;
    let folder = Path::new(env!("CARGO_BIN_EXE_portolan")).parent().unwrap();
    for name in SERVICES.into_iter().chain(["gateway"]) {
        let flag = if name == "gateway" { "--http" } else { "--grpc" };
        let program = folder.join(format!("portolan-{name}"));
        assert!(program.exists(), "{}: build the whole workspace first", program.display());
        earlier.refuses(program.to_str().unwrap(), &[flag, "127.0.0.1:0"]).await;
    }
}

/// An installation whose records are those of another line of steps.
struct Earlier {
    url: String,
    data_dir: PathBuf,
    before: BTreeMap<String, Vec<u8>>,
}

impl Earlier {
    async fn make(test: &TestDb) -> Self {
        let data_dir = tempfile::tempdir().unwrap().keep().join("data");
        let url = match test.url.starts_with("sqlite") {
            true => format!("sqlite:{}", data_dir.display()),
            false => test.url.clone(),
        };
        let own = test.at(url.clone());
        let program = env!("CARGO_BIN_EXE_portolan");
        Server::start_program(program, &own, data_dir.clone(), &[], Stdio::inherit()).await.kill().await;
        let store = Store::connect(&url).await.unwrap();
        for service in SERVICES.into_iter().chain(["gateway", "log"]) {
            let db = store.service(service).await.unwrap();
            let edit = "UPDATE store_migrations SET checksum = 'another', name = 'tables' WHERE service = $1";
            db.execute(edit, vec![service.into()]).await.unwrap();
            let second = "INSERT INTO store_migrations (service, version, name, checksum, applied_at) \
                          VALUES ($1, 2, 'more', 'another', 0)";
            db.execute(second, vec![service.into()]).await.unwrap();
        }
        store.close().await;
        let mut earlier = Self { url, data_dir, before: BTreeMap::new() };
        earlier.before = earlier.content().await;
        earlier
    }

    /// Runs a program that must say so once, and must change nothing.
    async fn refuses(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        command.args(arguments).arg("--data-dir").arg(&self.data_dir).env("PORTOLAN__STORE__URL", &self.url);
        for service in SERVICES {
            command.env(format!("PORTOLAN__PEERS__{}", service.to_uppercase()), "http://127.0.0.1:1");
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{program} {arguments:?}: {text}");
        assert_eq!(text.matches("holds data that an earlier version of Portolan wrote").count(), 1, "{text}");
        let place = Store::sqlite_file(&self.url).map_or("the schema ".to_owned(), |file| file.display().to_string());
        assert!(text.contains(&place) && text.contains("step 1 tables of "), "{arguments:?}: {text}");
        assert!(text.contains("Start with a new data directory or database and import again"), "{text}");
        let after = self.content().await;
        let names = after.keys().chain(self.before.keys()).filter(|name| after.get(*name) != self.before.get(*name));
        let changed: Vec<_> = names.collect();
        assert!(changed.is_empty(), "{program} {arguments:?} changed {changed:?}");
    }

    /// Every file with its mode and content; on Postgres also every table with its columns, and the records.
    async fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let mut content = BTreeMap::new();
        let mut folders = vec![self.data_dir.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let mode = std::fs::metadata(&path).unwrap().mode();
                let mut bytes = if path.is_dir() { Vec::new() } else { std::fs::read(&path).unwrap() };
                bytes.extend(mode.to_le_bytes());
                content.insert(path.display().to_string(), bytes);
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        if self.url.starts_with("postgres") {
            let store = Store::connect(&self.url).await.unwrap();
            let db = store.service("identity").await.unwrap();
            let columns = "SELECT cast(table_schema AS text) AS s, cast(table_name AS text) AS t, \
                           cast(column_name AS text) AS c FROM information_schema.columns";
            for row in db.fetch_all(columns, Vec::new()).await.unwrap() {
                let name = ["s", "t", "c"].map(|part| row.get::<String>(part).unwrap()).join(".");
                content.insert(name, Vec::new());
            }
            for row in
                db.fetch_all("SELECT service, version, name, checksum FROM store_migrations", Vec::new()).await.unwrap()
            {
                let (service, version): (String, i64) = (row.get("service").unwrap(), row.get("version").unwrap());
                let (name, checksum): (String, String) = (row.get("name").unwrap(), row.get("checksum").unwrap());
                content.insert(format!("{service} {version}"), format!("{name} {checksum}").into_bytes());
            }
            store.close().await;
        }
        content
    }
}
