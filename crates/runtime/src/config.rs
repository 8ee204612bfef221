use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use portolan_proxies::Proxies;

use crate::address::Address;

/// The documentation of every key and its default.
const DEFAULTS: &str = include_str!("default.toml");
const ENVIRONMENT_PREFIX: &str = "PORTOLAN__";
/// A transaction and a read beside it.
const CONNECTIONS_MIN: u32 = 2;
const CONNECTIONS_MAX: u32 = 1_000;

/// The configuration of a process.
#[derive(Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    settings: Settings,
}

/// Keys as `section.key`, each known from `default.toml`.
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

/// Every problem of a configuration, one a line.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not usable:\n{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

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
        let (config, problems) = Self::read(data_dir, file, environment, []);
        config.checked(problems)
    }

    /// Reads the same, then `flags`, and answers the problems beside a configuration that has them.
    pub fn read(
        data_dir: PathBuf,
        file: Option<&str>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (&'static str, String)>,
    ) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut settings = Settings::default();
        settings.read_toml(DEFAULTS, None, &mut problems);
        let known: Vec<String> = settings.0.keys().cloned().collect();
        if let Some(file) = file {
            settings.read_toml(file, Some(&known), &mut problems);
        }
        for (name, value) in environment {
            let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            let key = path.to_ascii_lowercase().replacen("__", ".", 1);
            if known.contains(&key) {
                settings.0.insert(key, value);
            } else {
                let nearest = nearest(&key, &known).to_ascii_uppercase().replacen('.', "__", 1);
                problems.push(format!("variable {name} is not known; did you mean {ENVIRONMENT_PREFIX}{nearest}?"));
            }
        }
        for (key, value) in flags {
            settings.0.insert(key.to_owned(), value);
        }
        let mut config = Self { data_dir, settings };
        config.verify(&mut problems);
        config.complete_log_url();
        (config, problems)
    }

    /// This configuration, unless it has problems.
    ///
    /// # Errors
    /// The problems.
    pub fn checked(self, problems: Vec<String>) -> Result<Self, ConfigError> {
        if problems.is_empty() { Ok(self) } else { Err(ConfigError(problems)) }
    }

    /// The value of `section.key`; empty when unset.
    pub fn get(&self, key: &str) -> &str {
        self.settings.0.get(key).map_or("", String::as_str)
    }

    /// A section as a struct, with a field a key.
    ///
    /// # Errors
    /// Names the key whose value cannot be used.
    pub fn section<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        let keys = self.settings.0.iter().filter_map(|(key, value)| {
            let (section, key) = key.split_once('.')?;
            (section == name).then_some((key, value.as_str()))
        });
        crate::section::read(name, keys).map_err(|problem| ConfigError(vec![problem]))
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.settings.0.keys().map(String::as_str)
    }

    /// Replaces the value of a key, without a look at it.
    pub fn put(&mut self, key: &str, value: &str) {
        self.settings.0.insert(key.to_owned(), value.to_owned());
    }

    /// `sqlite:DIR` or `postgres://…`.
    pub fn store_url(&self) -> String {
        match self.get("store.url") {
            "" => format!("sqlite:{}", self.data_dir.display()),
            url if url.starts_with("postgres") => {
                let given = |parameter: &str| url.split(['?', '&']).any(|part| part.starts_with(parameter));
                let mut parameters = Vec::new();
                for (parameter, key) in
                    [("sslrootcert", "store.ca"), ("sslcert", "store.cert"), ("sslkey", "store.key")]
                {
                    if !self.get(key).is_empty() && !given(parameter) {
                        parameters.push((parameter, self.get(key)));
                    }
                }
                if !self.get("store.ca").is_empty() && !given("sslmode") {
                    parameters.push(("sslmode", "verify-full"));
                }
                with_parameters(url, &parameters)
            }
            url => url.to_owned(),
        }
    }

    /// Connections to Postgres, of each service of the process.
    pub fn store_connections(&self) -> u32 {
        self.get("store.connections").parse().unwrap_or(CONNECTIONS_MIN)
    }

    /// The options of `[log]` become parameters of its URL, which every reader of the log understands.
    fn complete_log_url(&mut self) {
        let url = self.get("log.url");
        if !url.starts_with("kafka:") {
            return;
        }
        let names = ["tls", "ca", "cert", "key", "sasl", "user", "password"];
        let options = names.map(|name| (name, self.get(&format!("log.{name}"))));
        let set = |(_, value): &(&str, &str)| !value.is_empty() && *value != "false";
        let set = options.into_iter().filter(set).collect::<Vec<_>>();
        let complete = with_parameters(url, &set);
        self.put("log.url", &complete);
    }

    /// How the servers that the process stands on are spoken to.
    fn verify_servers(&self, problems: &mut Vec<String>) {
        let connections = self.get("store.connections").parse::<u32>();
        if !connections.is_ok_and(|number| (CONNECTIONS_MIN..=CONNECTIONS_MAX).contains(&number)) {
            problems.push(format!("store.connections must be {CONNECTIONS_MIN} to {CONNECTIONS_MAX}"));
        }
        for section in ["store", "cache", "log"] {
            let [ca, cert, key] = ["ca", "cert", "key"].map(|name| !self.get(&format!("{section}.{name}")).is_empty());
            if cert != key {
                problems.push(format!("{section}.cert and {section}.key belong together"));
            }
            let (is_tls, need) = match section {
                "store" => (self.store_url().starts_with("postgres"), "a store.url of Postgres"),
                "cache" => (self.get("cache.url").starts_with("rediss://"), "a cache.url with rediss://"),
                _ => (self.get("log.tls") == "true", "log.tls"),
            };
            if (ca || cert || key) && !is_tls {
                problems.push(format!("{section}.ca, {section}.cert and {section}.key need {need}"));
            }
        }
        let kafka = self.get("log.url").starts_with("kafka:");
        if !["true", "false"].contains(&self.get("log.tls")) {
            problems.push("log.tls must be `true` or `false`".to_owned());
        } else if self.get("log.tls") == "true" && !kafka {
            problems.push("log.tls needs a log.url of Kafka".to_owned());
        }
        match self.get("log.sasl") {
            "" if !self.get("log.user").is_empty() && !self.get("log.url").contains("sasl=") => {
                problems.push("log.user needs log.sasl".to_owned());
            }
            "" => {}
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" if self.get("log.user").is_empty() => {
                if !self.get("log.url").contains('@') {
                    problems.push("log.sasl needs log.user and log.password".to_owned());
                }
            }
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {}
            _ => problems.push("log.sasl must be empty, PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512".to_owned()),
        }
    }

    pub fn secret_key_file(&self) -> PathBuf {
        match self.get("secrets.key_file") {
            "" => self.data_dir.join("secret-key"),
            path => path.into(),
        }
    }

    pub fn flag(&self, key: &str) -> bool {
        self.get(key) == "true"
    }

    /// Which addresses outgoing calls may reach.
    pub fn fetch_policy(&self) -> Result<portolan_fetch::Policy, String> {
        portolan_fetch::Policy::parse(self.flag("fetch.allow_private"), self.get("fetch.allow_hosts"))
    }

    /// The proxies in front of the gateway and of gRPC whose word on the client counts.
    ///
    /// # Errors
    /// What is wrong with each of the keys of `[http]` that name them, else that two of them exclude each other.
    pub fn proxies(&self) -> Result<Proxies, ConfigError> {
        let ranges = self.get("http.trusted_proxies");
        let hops = self.get("http.trusted_proxy_hops");
        let header = self.get("http.client_address_header");
        let number = hops.parse().map_err(|_| format!("`{hops}` is no whole number"));
        let by_hops = number.clone().and_then(|hops| Proxies::parse("", hops, ""));
        let each = [
            ("http.trusted_proxies", Proxies::parse(ranges, 0, "").err()),
            ("http.trusted_proxy_hops", by_hops.err()),
            ("http.client_address_header", Proxies::parse("", 0, header).err()),
        ];
        let problems = each.into_iter().filter_map(|(key, problem)| Some(format!("{key}: {}", problem?)));
        let problems: Vec<_> = problems.collect();
        if !problems.is_empty() {
            return Err(ConfigError(problems));
        }
        Proxies::parse(ranges, number.unwrap_or_default(), header).map_err(|problem| {
            ConfigError(vec![format!("http.trusted_proxies and http.trusted_proxy_hops: {problem}")])
        })
    }

    fn verify(&self, problems: &mut Vec<String>) {
        if let Err(problem) = portolan_store::Store::check_url(&self.store_url()) {
            problems.push(format!("store.url: {problem}"));
        }
        let cache = self.get("cache.url");
        if cache != "memory:" {
            let known = cache.starts_with("redis://") || cache.starts_with("rediss://");
            if let Err(problem) = portolan_authz::Redis::new(cache, "")
                .and_then(|_| if known { Ok(()) } else { Err("cache.url: another scheme".into()) })
            {
                problems.push(format!("{problem}: `memory:`, `redis://host:port` or `rediss://host:port`"));
            }
        }
        let log = self.get("log.url");
        if log != "embedded:" && !log.strip_prefix("kafka://").is_some_and(is_broker_list) {
            problems.push("log.url: `embedded:` or `kafka://host:port[,host:port]`".to_owned());
        }
        for service in ["identity", "tokens", "inventory", "imports", "billing"] {
            for address in self.get(&format!("peers.{service}")).split(',').map(str::trim).filter(|a| !a.is_empty()) {
                if Address::parse(address).is_none() {
                    problems.push(format!("peers.{service}: `{address}` must be http(s)://host:port"));
                }
            }
        }
        self.verify_servers(problems);
        self.verify_addresses(problems);
        self.verify_urls(problems);
        let tls = ["tls.cert", "tls.key", "tls.ca"].map(|key| !self.get(key).is_empty());
        if tls.contains(&true) && tls.contains(&false) {
            problems.push("tls.cert, tls.key and tls.ca belong together".to_owned());
        }
        if !self.get("drain.delay_ms").parse::<u64>().is_ok_and(|delay| delay <= 5_000) {
            problems.push("drain.delay_ms must be a number from 0 to 5000".to_owned());
        }
        if !["off", "sampled", "full"].contains(&self.get("telemetry.access_log")) {
            problems.push("telemetry.access_log must be `off`, `sampled` or `full`".to_owned());
        }
        if !self.get("telemetry.access_log_every").parse::<u32>().is_ok_and(|every| every > 0) {
            problems.push("telemetry.access_log_every must be a number of requests from 1".to_owned());
        }
        if !["text", "json"].contains(&self.get("telemetry.log")) {
            problems.push("telemetry.log must be `text` or `json`".to_owned());
        }
        for key in ["fetch.allow_private", "identity.open_signup", "oidc.logout"] {
            if !["true", "false"].contains(&self.get(key)) {
                problems.push(format!("{key} must be `true` or `false`"));
            }
        }
        if self.get("imports.retention_days").parse::<u32>().is_err() {
            problems.push("imports.retention_days must be a number of days".to_owned());
        }
        if !self.get("inventory.call_stats_days").parse::<u32>().is_ok_and(|days| (1..=36_500).contains(&days)) {
            problems.push("inventory.call_stats_days must be 1 to 36,500".to_owned());
        }
        if !self.get("audit.keep_days").parse::<u32>().is_ok_and(|days| days <= 36_500) {
            problems.push("audit.keep_days must be 0 to 36,500".to_owned());
        }
        if let Err(problem) = self.fetch_policy() {
            problems.push(format!("fetch.allow_hosts: {problem}"));
        }
        self.verify_billing(problems);
        let missing = |key: &str| self.get(key).is_empty();
        if !missing("mail.smtp_url") && (missing("mail.from") || missing("mail.public_url")) {
            problems.push("mail.smtp_url needs mail.from and mail.public_url".to_owned());
        }
        if !missing("oidc.issuer") && (missing("oidc.client_id") || missing("mail.public_url")) {
            problems.push("oidc.issuer needs oidc.client_id and mail.public_url".to_owned());
        }
        problems.extend(self.proxies().err().into_iter().flat_map(|error| error.0));
    }

    /// Where this process listens.
    fn verify_addresses(&self, problems: &mut Vec<String>) {
        for key in ["http.addr", "grpc.addr", "metrics.addr"] {
            let text = self.get(key);
            let is_off = key == "metrics.addr" && text.is_empty();
            if !is_off && text.parse::<SocketAddr>().is_err() {
                problems.push(format!("{key} must be an address such as 127.0.0.1:8080, not `{text}`"));
            }
        }
    }

    /// Places of one process that are the same; a process that is one of several listens at some of them only.
    pub fn equal_ports(&self) -> Vec<String> {
        let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
        let mut problems = Vec::new();
        for key in ["http.addr", "grpc.addr", "metrics.addr"] {
            let Ok(address) = self.get(key).parse::<SocketAddr>() else { continue };
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

    /// Addresses of other servers.
    fn verify_urls(&self, problems: &mut Vec<String>) {
        for (key, schemes) in [
            ("telemetry.otlp_endpoint", ["http", "https"]),
            ("postman.url", ["http", "https"]),
            ("mail.public_url", ["http", "https"]),
            ("audit.heads_url", ["http", "https"]),
            ("oidc.issuer", ["http", "https"]),
        ] {
            let text = self.get(key).trim();
            // The value is not repeated: it may hold a password.
            let is_url = || {
                let uri = text.parse::<http::Uri>().ok()?;
                let scheme = uri.scheme_str()?;
                let has_port = uri.authority()?.port().is_none() || uri.port_u16().is_some();
                Some(schemes.contains(&scheme) && !uri.host()?.is_empty() && has_port)
            };
            if !text.is_empty() && is_url() != Some(true) {
                problems.push(format!("{key} must be {}://host or {}://host", schemes[0], schemes[1]));
            }
        }
        let email = self.get("admin.email");
        if !email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
            || email.contains(char::is_whitespace)
        {
            problems.push(format!("admin.email must be an address such as admin@example.org, not `{email}`"));
        }
    }

    fn verify_billing(&self, problems: &mut Vec<String>) {
        match self.get("billing.provider") {
            "built-in" => {}
            "stigg" => {
                for key in ["stigg.server_key", "stigg.signing_key"] {
                    if self.get(key).is_empty() {
                        problems.push(format!("{key} is needed when billing.provider is `stigg`"));
                    }
                }
                if !["http://", "https://"].iter().any(|scheme| self.get("stigg.url").starts_with(scheme)) {
                    problems.push("stigg.url must start with `http://` or `https://`".to_owned());
                }
            }
            _ => problems.push("billing.provider must be `built-in` or `stigg`".to_owned()),
        }
        for key in ["billing.refresh_s", "billing.stale_s", "billing.report_s"] {
            if !self.get(key).parse::<i64>().is_ok_and(|seconds| (1..=31_536_000).contains(&seconds)) {
                problems.push(format!("{key} must be a number of seconds from 1 to 31536000"));
            }
        }
        if !self.get("billing.event_window_days").parse::<i64>().is_ok_and(|days| (1..=3_650).contains(&days)) {
            problems.push("billing.event_window_days must be a number of days from 1 to 3650".to_owned());
        }
        if !["true", "false"].contains(&self.get("billing.email_domain_rule")) {
            problems.push("billing.email_domain_rule must be `true` or `false`".to_owned());
        }
    }
}

impl Settings {
    fn read_toml(&mut self, text: &str, known: Option<&[String]>, problems: &mut Vec<String>) {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return problems.push(format!("the configuration file is not TOML: {error}")),
        };
        for (section, value) in table {
            let Some(keys) = value.as_table() else {
                problems.push(format!("`{section}` must be a section"));
                continue;
            };
            for (name, value) in keys {
                let key = format!("{section}.{name}");
                if let Some(known) = known
                    && !known.contains(&key)
                {
                    problems.push(format!("key {key} is not known; did you mean {}?", nearest(&key, known)));
                    continue;
                }
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                self.0.insert(key, value);
            }
        }
    }
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

/// The known key with the smallest edit distance.
fn nearest<'k>(key: &str, known: &'k [String]) -> &'k str {
    known.iter().min_by_key(|candidate| edit_distance(key, candidate)).map_or("", String::as_str)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
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
        assert_eq!((config.get("http.addr"), config.get("admin.email")), ("127.0.0.1:2", "a@b.c"));
        assert_eq!(config.store_url(), "sqlite:data");
    }

    #[test]
    fn unknown_names_stop_the_start_with_the_nearest_known_one() {
        let error = load(Some("[htp]\naddr = \"x\""), &[("PORTOLAN__STORE__ULR", "x")]).err().unwrap().to_string();
        assert!(error.contains("did you mean http.addr"), "{error}");
        assert!(error.contains("did you mean PORTOLAN__STORE__URL"), "{error}");
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let environment = [("PORTOLAN__HTTP__ADDR", "nowhere"), ("PORTOLAN__TELEMETRY__LOG", "xml")];
        let error = load(None, &environment).err().unwrap().to_string();
        assert!(error.contains("http.addr") && error.contains("telemetry.log"), "{error}");
    }
}
