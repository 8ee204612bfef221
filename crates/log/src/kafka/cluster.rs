//! Where a cluster is, and how this program shows who it is.

use std::path::Path;

use percent_encoding::percent_decode_str;
use portolan_store::Reach;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::Error;

/// `[user:password@]host:port[,host:port][?name=value&…]`, behind `kafka://`. The names are those of the options of
/// `[log]`, which stand in the place of parameters that are not given.
#[derive(Clone)]
pub(crate) struct Cluster {
    servers: String,
    is_tls: bool,
    ca: String,
    cert: String,
    key: String,
    mechanism: String,
    user: String,
    password: String,
}

/// How a password is shown: PLAIN sends it, the others prove it.
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

impl Cluster {
    pub fn parse(rest: &str) -> Result<Self, Error> {
        let refused = |what: &str| Error::Configuration(format!("the log URL kafka://host:port[,host:port]: {what}"));
        let (address, parameters) = rest.trim_start_matches('/').split_once('?').unwrap_or((rest, ""));
        let address = address.trim_start_matches('/');
        let (credentials, servers) = address.rsplit_once('@').unwrap_or(("", address));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let mut cluster = Self {
            servers: servers.trim_end_matches('/').to_owned(),
            is_tls: false,
            ca: String::new(),
            cert: String::new(),
            key: String::new(),
            mechanism: String::new(),
            user: decoded(user),
            password: decoded(password),
        };
        for (name, value) in parameters.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = decoded(value);
            match name {
                "tls" => cluster.is_tls = value == "true",
                "ca" => cluster.ca = value,
                "cert" => cluster.cert = value,
                "key" => cluster.key = value,
                "sasl" => cluster.mechanism = value,
                "user" => cluster.user = value,
                "password" => cluster.password = value,
                _ => return Err(refused(&format!("there is no parameter {name}"))),
            }
        }
        cluster.checked().map_err(|what| refused(&what))
    }

    fn checked(self) -> Result<Self, String> {
        if self.addresses().is_empty() {
            return Err("it names no server".into());
        }
        if !(self.is_tls || self.ca.is_empty() && self.cert.is_empty() && self.key.is_empty()) {
            return Err("certificates need tls".into());
        }
        if self.cert.is_empty() != self.key.is_empty() {
            return Err("cert and key belong together".into());
        }
        for file in [&self.ca, &self.cert, &self.key] {
            if !file.is_empty() && !Path::new(file).is_file() {
                return Err(format!("there is no file {file}"));
            }
        }
        if self.mechanism.is_empty() != self.user.is_empty() {
            return Err("sasl and user belong together".into());
        }
        if !self.mechanism.is_empty() && !MECHANISMS.contains(&self.mechanism.as_str()) {
            return Err(format!("sasl is {}, not {}", MECHANISMS.join(", "), self.mechanism));
        }
        Ok(self)
    }

    /// Without what is secret.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    pub fn reach(&self) -> Reach {
        Reach::to("Kafka", self.addresses())
    }

    fn addresses(&self) -> Vec<(String, u16)> {
        let parse = |server: &str| {
            let (host, port) = server.trim().rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some((host.to_owned(), port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
        };
        self.servers.split(',').filter_map(parse).collect()
    }

    /// What every client of the cluster begins with.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers).set("client.id", "portolan");
        // What the library logs is read for the causes of failures, whatever this program logs itself.
        config.set("socket.keepalive.enable", "true").set_log_level(RDKafkaLogLevel::Info);
        let protocol = match (self.is_tls, self.mechanism.is_empty()) {
            (false, true) => "PLAINTEXT",
            (false, false) => "SASL_PLAINTEXT",
            (true, true) => "SSL",
            (true, false) => "SASL_SSL",
        };
        config.set("security.protocol", protocol);
        for (name, value) in [
            ("ssl.ca.location", &self.ca),
            ("ssl.certificate.location", &self.cert),
            ("ssl.key.location", &self.key),
            ("sasl.mechanism", &self.mechanism),
            ("sasl.username", &self.user),
            ("sasl.password", &self.password),
        ] {
            if !value.is_empty() {
                config.set(name, value);
            }
        }
        config
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_how_a_cluster_is_spoken_to() {
        let plain = Cluster::parse("//one:9092,two:9092").unwrap().client();
        assert_eq!(plain.get("security.protocol"), Some("PLAINTEXT"));
        assert_eq!(plain.get("bootstrap.servers"), Some("one:9092,two:9092"));
        let url = "//ann:p%40ss@one:9093?tls=true&sasl=SCRAM-SHA-512";
        let secured = Cluster::parse(url).unwrap().client();
        for (name, value) in [
            ("bootstrap.servers", "one:9093"),
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "ann"),
            ("sasl.password", "p@ss"),
        ] {
            assert_eq!(secured.get(name), Some(value));
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (url, named) in [
            ("", "no server"),
            ("//broker", "no server"),
            ("//one:1?ca=/ca.pem", "need tls"),
            ("//one:1?tls=true&ca=/nonexistent/ca.pem", "/nonexistent/ca.pem"),
            ("//one:1?tls=true&cert=/c", "belong together"),
            ("//one:1?sasl=PLAIN", "belong together"),
            ("//ann:secret@one:1?sasl=GSSAPI", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
            ("//one:1?acks=0", "acks"),
        ] {
            let error = Cluster::parse(url).err().unwrap().to_string();
            assert!(error.contains(named) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
