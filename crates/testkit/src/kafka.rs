use std::{
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::ports::free_port;
use crate::{Certificates, process::Process};

/// Longest wait until it takes connections.
const START_MAX: Duration = Duration::from_secs(60);

/// An Apache Kafka broker of this test alone: one node, which is its own controller.
pub struct KafkaServer {
    libraries: String,
    port: u16,
    /// Where users say who they are, of a secured broker.
    sasl_port: u16,
    /// Before the directory, so that it ends before its files go.
    process: Option<Process>,
    directory: TempDir,
}

impl KafkaServer {
    /// Starts the broker whose libraries the environment names, and waits until it takes connections.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts it for connections over TLS alone: at `address` from clients that show a certificate of its authority, at
    /// `sasl_address` for the user `ann` with the password `secret`.
    pub async fn start_secured(certificates: &Certificates) -> Self {
        Self::start_with(Some(certificates)).await
    }

    async fn start_with(certificates: Option<&Certificates>) -> Self {
        let libraries = std::env::var("PORTOLAN_TEST_KAFKA_LIBS").expect("the case runs only with a broker to start");
        let [port, sasl_port, controller_port] = [(); 3].map(|()| free_port());
        let directory = tempfile::tempdir().unwrap();
        let listeners = match certificates {
            None => format!("PLAINTEXT://127.0.0.1:{port}"),
            Some(_) => format!("TLS://127.0.0.1:{port},USERS://127.0.0.1:{sasl_port}"),
        };
        let mut settings = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}\nadvertised.listeners={listeners}\n\
             controller.listener.names=CONTROLLER\nlog.dirs={}\noffsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             offsets.topic.num.partitions=4\ngroup.initial.rebalance.delay.ms=0\n",
            directory.path().join("data").display()
        );
        if let Some(certificates) = certificates {
            settings += &secured(certificates, directory.path());
        }
        std::fs::write(directory.path().join("server.properties"), settings).unwrap();
        let mut server = Self { libraries, port, sasl_port, process: None, directory };
        let settings = server.settings();
        let mut format = vec!["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", &settings];
        if certificates.is_some() {
            for user in ["SCRAM-SHA-256=[name=ann,password=secret]", "SCRAM-SHA-512=[name=ann,password=secret]"] {
                format.extend(["--add-scram", user]);
            }
        }
        assert!(server.java(&format).status().unwrap().success(), "the storage cannot be formatted");
        server.run().await;
        server
    }

    /// Where clients with a password are answered.
    pub fn sasl_address(&self) -> String {
        format!("127.0.0.1:{}", self.sasl_port)
    }

    /// Where clients without one are answered.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops answering for a while, with every connection open.
    pub async fn pause(&self, time: Duration) {
        self.process.as_ref().unwrap().pause(time).await;
    }

    /// Dies by `kill -9`, and begins anew with what its disk holds.
    pub async fn restart(&mut self, after: Duration) {
        self.process = None;
        tokio::time::sleep(after).await;
        self.run().await;
    }

    /// Overwrites what the batch at an offset holds of its records, as a worn disk does; its header stays.
    pub fn damage(&self, topic: &str, partition: i32, offset: i64) {
        const HEADER_BYTES: usize = 61;
        let path = self.directory.path().join(format!("data/{topic}-{partition}/{:020}.log", 0));
        let mut log = std::fs::read(&path).unwrap();
        let mut place = 0;
        loop {
            let number =
                |at: usize, bytes: usize| log[at..at + bytes].iter().fold(0, |n, byte| n << 8 | i64::from(*byte));
            let end = place + 12 + usize::try_from(number(place + 8, 4)).unwrap();
            if number(place, 8) == offset {
                log[place + HEADER_BYTES..end].fill(0xff);
                return std::fs::write(&path, log).unwrap();
            }
            place = end;
        }
    }

    async fn run(&mut self) {
        let settings = self.settings();
        self.process = Some(Process::spawn(&mut self.java(&["kafka.Kafka", &settings])).unwrap());
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < START_MAX, "the broker does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn settings(&self) -> String {
        self.directory.path().join("server.properties").display().to_string()
    }

    fn java(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx256m", "-XX:+UseSerialGC", "-cp", &format!("{}/*", self.libraries)]).args(arguments);
        command.current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

fn secured(certificates: &Certificates, place: &std::path::Path) -> String {
    let pair = [certificates.key(), certificates.cert()].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    let keystore = place.join("keystore.pem");
    std::fs::write(&keystore, pair).unwrap();
    let module = "org.apache.kafka.common.security";
    let mut settings = format!(
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,TLS:SSL,USERS:SASL_SSL\n\
         inter.broker.listener.name=TLS\nlistener.name.tls.ssl.client.auth=required\n\
         ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
         sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
         listener.name.users.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_ann=\"secret\";\n",
        keystore.display(),
        certificates.ca()
    );
    for mechanism in ["scram-sha-256", "scram-sha-512"] {
        settings +=
            &format!("listener.name.users.{mechanism}.sasl.jaas.config={module}.scram.ScramLoginModule required;\n");
    }
    settings
}
