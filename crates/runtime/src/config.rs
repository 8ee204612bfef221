use std::{net::SocketAddr, path::PathBuf};

use portolan_proxies::Proxies;
use serde::de::DeserializeOwned;

use crate::{
    address::Address,
    layers::Layers,
    options::{RETENTION_DAYS_MAX, RetentionOptions, Shared},
};

/// A transaction and a read beside it.
const CONNECTIONS_MIN: u32 = 2;
const CONNECTIONS_MAX: u32 = 1_000;
const DRAIN_MS_MAX: u64 = 5_000;
/// With less there is no room for a body that is not small.
const BODIES_BYTES_MIN: usize = 64 << 10;

/// The configuration of a process.
#[derive(Clone)]
pub struct Config {
    /// Where keys, uploads, and an embedded database lie.
    pub data_dir: PathBuf,
    /// The sections that processes share.
    pub shared: Shared,
    layers: Layers,
}

/// Every problem of a configuration, one a line.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not usable:\n{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// Each problem begins with its key.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

/// Reads sections as structs and gathers what is wrong with them.
pub struct Reader<'c> {
    config: &'c Config,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// A section; each value that cannot be used is a problem, and stands as its default.
    ///
    /// # Errors
    /// When the struct and the defaults do not fit, which no configuration can mend.
    pub fn section<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ConfigError> {
        self.config.layers.usable(name, &mut self.problems).map_err(|problem| ConfigError(vec![problem]))
    }

    /// Adds a problem, which begins with its key, unless the key has one already.
    pub fn expect(&mut self, is_good: bool, problem: impl FnOnce() -> String) {
        if is_good {
            return;
        }
        let problem = problem();
        let key = |problem: &str| problem.split([':', ' ']).next().map(str::to_owned);
        if !self.problems.iter().any(|known| key(known) == key(&problem)) {
            self.problems.push(problem);
        }
    }

    /// What was read, unless there were problems.
    ///
    /// # Errors
    /// The problems, each with the place where its key was given.
    pub fn finish<T>(self, options: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() { Ok(options) } else { Err(self.config.refused(self.problems)) }
    }
}

impl Config {
    /// Reads the defaults, then `file` (TOML text), then `environment` (all variables; others are passed over).
    ///
    /// # Errors
    /// Every unknown key, with the nearest known one, and every value that cannot be used.
    pub fn load(
        data_dir: PathBuf,
        file: Option<&str>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (config, problems) = Self::read(data_dir, file.map(|text| ("the file", text)), environment, []);
        config.checked(problems)
    }

    /// Reads the same, the file with its name, then `flags`, and returns the problems beside a configuration that stands on
    /// defaults where it has them.
    pub fn read(
        data_dir: PathBuf,
        file: Option<(&str, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (&'static str, String)>,
    ) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut layers = Layers::defaults();
        if let Some(file) = file {
            layers.read_file(file, &mut problems);
        }
        layers.read_variables(environment, &mut problems);
        for (key, value) in flags {
            layers.put(key, &value, "a flag");
        }
        let shared = Shared::read(&layers, &mut problems).expect("default.toml fits the structs, as a test shows");
        let mut config = Self { data_dir, shared, layers };
        config.verify(&mut problems);
        config.complete_log_url();
        (config, problems)
    }

    /// This configuration, unless it has problems.
    ///
    /// # Errors
    /// The problems, each with the place where its key was given.
    pub fn checked(self, problems: Vec<String>) -> Result<Self, ConfigError> {
        if problems.is_empty() { Ok(self) } else { Err(self.refused(problems)) }
    }

    fn refused(&self, problems: Vec<String>) -> ConfigError {
        ConfigError(problems.into_iter().map(|problem| self.layers.located(problem)).collect())
    }

    /// The text of `section.key`, for a section whose reader has no struct; empty when unset.
    pub fn get(&self, key: &str) -> &str {
        self.layers.get(key)
    }

    /// A section as a struct, with a field a key.
    ///
    /// # Errors
    /// Names the key whose value cannot be used.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        self.layers.section(name).map_err(|problem| self.refused(vec![problem]))
    }

    /// Reads several sections, to tell everything that is wrong with them at once.
    pub fn reader(&self) -> Reader<'_> {
        Reader { config: self, problems: Vec::new() }
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.layers.keys()
    }

    /// Replaces the value of a key; one that cannot be used changes nothing of the shared sections.
    pub fn put(&mut self, key: &str, value: &str) {
        self.layers.put(key, value, "");
        if let Ok(shared) = Shared::read(&self.layers, &mut Vec::new()) {
            self.shared = shared;
        }
    }

    /// `sqlite:DIR` or `postgres://…`.
    pub fn store_url(&self) -> String {
        let store = &self.shared.store;
        match store.url.as_str() {
            "" => format!("sqlite:{}", self.data_dir.display()),
            url if url.starts_with("postgres") => {
                let given = |parameter: &str| url.split(['?', '&']).any(|part| part.starts_with(parameter));
                let files = [("sslrootcert", &store.ca), ("sslcert", &store.cert), ("sslkey", &store.key)];
                let is_needed = |(name, file): &(&str, &String)| !file.is_empty() && !given(name);
                let files = files.into_iter().filter(is_needed);
                let mut parameters: Vec<_> = files.map(|(name, file)| (name, file.as_str())).collect();
                if !store.ca.is_empty() && !given("sslmode") {
                    parameters.push(("sslmode", "verify-full"));
                }
                with_parameters(url, &parameters)
            }
            url => url.to_owned(),
        }
    }

    /// Connections to Postgres, of each service of the process.
    pub fn store_connections(&self) -> u32 {
        self.shared.store.connections
    }

    /// The options of `[log]` become parameters of its URL, which every reader of the log understands.
    fn complete_log_url(&mut self) {
        let log = &self.shared.log;
        if !log.url.starts_with("kafka:") {
            return;
        }
        let options = [
            ("tls", if log.tls { "true" } else { "" }),
            ("ca", &log.ca),
            ("cert", &log.cert),
            ("key", &log.key),
            ("sasl", &log.sasl),
            ("user", &log.user),
            ("password", &log.password),
        ];
        let set: Vec<_> = options.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let complete = with_parameters(&log.url, &set);
        self.layers.complete("log.url", complete.clone());
        self.shared.log.url = complete;
    }

    /// How the servers that the process stands on are spoken to.
    fn verify_servers(&self, problems: &mut Vec<String>) {
        let Shared { store, cache, log, .. } = &self.shared;
        if !(CONNECTIONS_MIN..=CONNECTIONS_MAX).contains(&store.connections) {
            problems.push(format!("store.connections must be {CONNECTIONS_MIN} to {CONNECTIONS_MAX}"));
        }
        let is_postgres = self.store_url().starts_with("postgres");
        for (section, [ca, cert, key], is_tls, need) in [
            ("store", [&store.ca, &store.cert, &store.key], is_postgres, "a store.url of Postgres"),
            (
                "cache",
                [&cache.ca, &cache.cert, &cache.key],
                cache.url.starts_with("rediss://"),
                "a cache.url with rediss://",
            ),
            ("log", [&log.ca, &log.cert, &log.key], log.tls, "log.tls"),
        ] {
            if cert.is_empty() != key.is_empty() {
                problems.push(format!("{section}.cert and {section}.key belong together"));
            }
            if [ca, cert, key].iter().any(|file| !file.is_empty()) && !is_tls {
                problems.push(format!("{section}.ca, {section}.cert and {section}.key need {need}"));
            }
        }
        if log.tls && !log.url.starts_with("kafka:") {
            problems.push("log.tls needs a log.url of Kafka".to_owned());
        }
        if !log.password.is_empty() && log.user.is_empty() {
            problems.push("log.password needs log.user".to_owned());
        }
        match log.sasl.as_str() {
            "" if !log.user.is_empty() && !log.url.contains("sasl=") => {
                problems.push("log.user needs log.sasl".to_owned());
            }
            "" => {}
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" if log.user.is_empty() => {
                if !log.url.contains('@') {
                    problems.push("log.sasl needs log.user and log.password".to_owned());
                }
            }
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {}
            _ => problems.push("log.sasl must be empty, PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512".to_owned()),
        }
    }

    /// The files of certificates that are configured, by their keys.
    pub fn certificate_files(&self) -> Vec<(&'static str, PathBuf)> {
        let Shared { store, cache, log, tls, .. } = &self.shared;
        let files = [
            ("tls.cert", &tls.cert),
            ("tls.ca", &tls.ca),
            ("store.ca", &store.ca),
            ("store.cert", &store.cert),
            ("cache.ca", &cache.ca),
            ("cache.cert", &cache.cert),
            ("log.ca", &log.ca),
            ("log.cert", &log.cert),
        ];
        files.into_iter().filter(|(_, path)| !path.is_empty()).map(|(key, path)| (key, path.into())).collect()
    }

    /// The files of private keys of certificates that are configured, by their keys.
    pub fn private_key_files(&self) -> Vec<(&'static str, PathBuf)> {
        let Shared { store, cache, log, tls, .. } = &self.shared;
        let files =
            [("tls.key", &tls.key), ("store.key", &store.key), ("cache.key", &cache.key), ("log.key", &log.key)];
        files.into_iter().filter(|(_, path)| !path.is_empty()).map(|(key, path)| (key, path.into())).collect()
    }

    /// The file of the root key, or of the derived keys of one service.
    pub fn secret_key_file(&self) -> PathBuf {
        match self.shared.secrets.key_file.as_str() {
            "" => self.data_dir.join("secret-key"),
            path => path.into(),
        }
    }

    /// Which addresses outgoing calls may reach.
    pub fn fetch_policy(&self) -> Result<portolan_fetch::Policy, String> {
        let fetch = &self.shared.fetch;
        portolan_fetch::Policy::parse(fetch.allow_private, &fetch.allow_hosts)
    }

    /// The proxies in front of the gateway and of gRPC whose word on the client counts.
    ///
    /// # Errors
    /// What is wrong with each of the keys of `[http]` that name them, else that two of them exclude each other.
    pub fn proxies(&self) -> Result<Proxies, ConfigError> {
        let http = &self.shared.http;
        let each = [
            ("http.trusted_proxies", Proxies::parse(&http.trusted_proxies, 0, "").err()),
            ("http.trusted_proxy_hops", Proxies::parse("", http.trusted_proxy_hops, "").err()),
            ("http.client_address_header", Proxies::parse("", 0, &http.client_address_header).err()),
        ];
        let problems = each.into_iter().filter_map(|(key, problem)| Some(format!("{key}: {}", problem?)));
        let problems: Vec<_> = problems.collect();
        if !problems.is_empty() {
            return Err(ConfigError(problems));
        }
        if !http.client_address_header.is_empty() && http.trusted_proxies.is_empty() && http.trusted_proxy_hops == 0 {
            let problem = "http.client_address_header is read of trusted proxies alone: http.trusted_proxies or \
                           http.trusted_proxy_hops says which they are";
            return Err(ConfigError(vec![problem.to_owned()]));
        }
        Proxies::parse(&http.trusted_proxies, http.trusted_proxy_hops, &http.client_address_header).map_err(|problem| {
            ConfigError(vec![format!("http.trusted_proxies and http.trusted_proxy_hops: {problem}")])
        })
    }

    fn verify(&self, problems: &mut Vec<String>) {
        let Shared { cache, log, tls, drain, telemetry, .. } = &self.shared;
        if let Err(problem) = portolan_store::Store::check_url(&self.store_url()) {
            problems.push(format!("store.url: {problem}"));
        }
        if cache.url != "memory:" {
            let known = cache.url.starts_with("redis://") || cache.url.starts_with("rediss://");
            if let Err(problem) = portolan_authz::Redis::new(&cache.url, "")
                .and_then(|_| if known { Ok(()) } else { Err("cache.url: another scheme".into()) })
            {
                problems.push(format!("{problem}: `memory:`, `redis://host:port` or `rediss://host:port`"));
            }
        }
        if log.url != "embedded:" && !log.url.strip_prefix("kafka://").is_some_and(is_broker_list) {
            problems.push("log.url: `embedded:` or `kafka://host:port[,host:port]`".to_owned());
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_topic = (1..=200).contains(&log.topic.len()) && log.topic.bytes().all(is_plain);
        if !is_topic || log.topic.bytes().all(|byte| byte == b'.') {
            problems.push("log.topic must have 1 to 200 letters, digits, `.`, `_` and `-`".to_owned());
        }
        for (service, addresses) in self.shared.peers.each() {
            let mut named = addresses.split(',').map(str::trim).filter(|address| !address.is_empty()).peekable();
            if !addresses.is_empty() && named.peek().is_none() {
                problems.push(format!("peers.{service}: `{addresses}` names no address"));
            }
            for address in named.filter(|address| Address::parse(address).is_none()) {
                // What stands before the host may be a password.
                let shown = address.rsplit('@').next().unwrap_or_default();
                problems.push(format!("peers.{service}: `{shown}` must be http(s)://host:port, and nothing else"));
            }
        }
        self.verify_servers(problems);
        for (key, address) in self.addresses() {
            let is_off = key == "metrics.addr" && address.is_empty();
            if !is_off && address.parse::<SocketAddr>().is_err() {
                problems.push(format!("{key} must be an address such as 127.0.0.1:8080, not `{address}`"));
            }
        }
        let files = [&tls.cert, &tls.key, &tls.ca].map(|file| !file.is_empty());
        if files.contains(&true) && files.contains(&false) {
            problems.push("tls.cert, tls.key and tls.ca belong together".to_owned());
        }
        if drain.delay_ms > DRAIN_MS_MAX {
            problems.push(format!("drain.delay_ms must be a number from 0 to {DRAIN_MS_MAX}"));
        }
        let RetentionOptions { rejected_records_days, refused_events_days } = self.shared.retention;
        for (key, days) in [
            ("retention.rejected_records_days", rejected_records_days),
            ("retention.refused_events_days", refused_events_days),
        ] {
            if days > RETENTION_DAYS_MAX {
                problems.push(format!("{key} must be 0 to 36,500"));
            }
        }
        if !telemetry.otlp_endpoint.is_empty() && !is_http_origin(&telemetry.otlp_endpoint) {
            problems.push("telemetry.otlp_endpoint must be http(s)://host or http(s)://host:port".to_owned());
        }
        if let Err(problem) = self.fetch_policy() {
            problems.push(format!("fetch.allow_hosts: {problem}"));
        }
        problems.extend(self.proxies().err().into_iter().flat_map(|error| error.0));
        let http = &self.shared.http;
        for (key, bytes) in
            [("http.bodies_bytes_max", http.bodies_bytes_max), ("http.bodies_bytes_share", http.bodies_bytes_share)]
        {
            if bytes < BODIES_BYTES_MIN {
                problems.push(format!("{key} must be at least {BODIES_BYTES_MIN}"));
            }
        }
        if http.bodies_bytes_share > http.bodies_bytes_max {
            problems.push("http.bodies_bytes_share must be at most http.bodies_bytes_max".to_owned());
        }
    }

    /// Where this process listens, by key.
    fn addresses(&self) -> [(&'static str, &str); 3] {
        let Shared { http, grpc, metrics, .. } = &self.shared;
        [("http.addr", &http.addr), ("grpc.addr", &grpc.addr), ("metrics.addr", &metrics.addr)]
    }

    /// Places of one process that are the same; a process that is one of several listens at some of them only.
    pub fn equal_ports(&self) -> Vec<String> {
        let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
        let mut problems = Vec::new();
        for (key, address) in self.addresses() {
            let Ok(address) = address.parse::<SocketAddr>() else { continue };
            let meets = |other: &SocketAddr| {
                let is_wild = address.ip().is_unspecified() || other.ip().is_unspecified();
                address.port() == other.port() && address.port() != 0 && (is_wild || address.ip() == other.ip())
            };
            if let Some((other, _)) = taken.iter().find(|(_, other)| meets(other)) {
                problems.push(format!("{key} and {other} name the same port {}", address.port()));
            }
            taken.push((key, address));
        }
        problems
    }
}

impl Shared {
    fn read(layers: &Layers, problems: &mut Vec<String>) -> Result<Self, String> {
        Ok(Self {
            store: layers.usable("store", problems)?,
            cache: layers.usable("cache", problems)?,
            log: layers.usable("log", problems)?,
            http: layers.usable("http", problems)?,
            grpc: layers.usable("grpc", problems)?,
            secrets: layers.usable("secrets", problems)?,
            telemetry: layers.usable("telemetry", problems)?,
            drain: layers.usable("drain", problems)?,
            metrics: layers.usable("metrics", problems)?,
            tls: layers.usable("tls", problems)?,
            peers: layers.usable("peers", problems)?,
            retention: layers.usable("retention", problems)?,
            fetch: layers.usable("fetch", problems)?,
        })
    }
}

/// Whether a text is `http://host` or `https://host`, with or without port and path.
pub fn is_http_url(text: &str) -> bool {
    let is_url = || {
        let uri = text.trim().parse::<http::Uri>().ok()?;
        let authority = uri.authority()?;
        let place = authority.as_str().rsplit('@').next().unwrap_or_default();
        // A number that is no port counts as none for the parser.
        let has_good_port = place == authority.host() || authority.port_u16().is_some_and(|port| port > 0);
        Some(matches!(uri.scheme_str()?, "http" | "https") && !authority.host().is_empty() && has_good_port)
    };
    is_url() == Some(true)
}

/// Whether a text is such a URL without user, path, and query.
pub fn is_http_origin(text: &str) -> bool {
    let is_bare = || {
        let uri = text.trim().parse::<http::Uri>().ok()?;
        Some(matches!(uri.path(), "" | "/") && uri.query().is_none() && !uri.authority()?.as_str().contains('@'))
    };
    is_http_url(text) && is_bare() == Some(true)
}

/// Whether people may be sent to a URL, and paths may follow it: it has neither user nor query.
pub fn is_http_base(text: &str) -> bool {
    let is_bare = || {
        let uri = text.trim().parse::<http::Uri>().ok()?;
        Some(uri.query().is_none() && !text.contains('#') && !uri.authority()?.as_str().contains('@'))
    };
    is_http_url(text) && is_bare() == Some(true)
}

/// A URL with more parameters. It may name several servers, which a parser of URLs would refuse.
fn with_parameters(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut complete = url.to_owned();
    for (name, value) in parameters {
        complete.push(if complete.contains('?') { '&' } else { '?' });
        complete.push_str(name);
        complete.push('=');
        complete.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
    }
    complete
}

/// `[user:password@]host:port[,host:port][?parameters]`.
fn is_broker_list(text: &str) -> bool {
    let servers = text.split('?').next().unwrap_or_default();
    let servers = servers.rsplit('@').next().unwrap_or_default();
    servers.split(',').all(|broker| {
        let (host, port) = broker.trim().rsplit_once(':').unwrap_or_default();
        !host.is_empty() && !host.contains(['/', '@']) && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Config::load("data".into(), file, environment)
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let file = "[http]\naddr = \"127.0.0.1:1\"\n[admin]\nemail = \"a@b.c\"";
        let config = load(Some(file), &[("PORTOLAN__HTTP__ADDR", "127.0.0.1:2"), ("HOME", "/")]).unwrap();
        assert_eq!((config.shared.http.addr.as_str(), config.get("admin.email")), ("127.0.0.1:2", "a@b.c"));
        assert_eq!(config.store_url(), "sqlite:data");
    }

    #[test]
    fn unknown_names_stop_the_start_with_the_nearest_known_one() {
        let error = load(Some("\n[htp]\naddr = \"x\""), &[("PORTOLAN__STORE__ULR", "x")]).err().unwrap().to_string();
        assert!(error.contains("did you mean http.addr? (the file:3)"), "{error}");
        assert!(error.contains("did you mean PORTOLAN__STORE__URL"), "{error}");
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_place() {
        let file = "[store]\n\nconnections = 1\n[drain]\ndelay_ms = \"soon\"\n[telemetry]\naccess_log_every = 0";
        let environment = [("PORTOLAN__HTTP__ADDR", "nowhere"), ("PORTOLAN__TELEMETRY__LOG", "xml")];
        let error = load(Some(file), &environment).err().unwrap().to_string();
        for (key, place) in [
            ("store.connections", "the file:3"),
            ("drain.delay_ms", "the file:5"),
            ("telemetry.access_log_every", "the file:7"),
            ("http.addr", "PORTOLAN__HTTP__ADDR"),
            ("telemetry.log", "PORTOLAN__TELEMETRY__LOG"),
        ] {
            let is_told = |line: &str| line.starts_with(key) && line.ends_with(&format!("({place})"));
            assert!(error.lines().any(is_told), "{key} at {place}: {error}");
        }
        let broken = load(Some("[store]\nurl = \"x"), &[]).err().unwrap().to_string();
        assert!(broken.contains("the file:2: the configuration file is not TOML"), "{broken}");
    }

    #[test]
    fn proxies_by_range_and_number_exclude_each_other() {
        let error = load(Some("[http]\ntrusted_proxies = \"10.0.0.1\"\ntrusted_proxy_hops = 1"), &[]).err().unwrap();
        assert!(error.to_string().contains("http.trusted_proxy_hops") && error.problems().len() == 1, "{error}");
    }
}
