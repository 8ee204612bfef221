use std::{
    process::{Command, Stdio},
    time::Duration,
};

use crate::ports::free_port;
use crate::{Certificates, process::Process};

/// A Redis of this test alone.
pub struct RedisServer {
    program: String,
    port: u16,
    /// In place of plain connections.
    secured: Option<Vec<String>>,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts the program that the environment names.
    pub fn start() -> Self {
        let program = std::env::var("PORTOLAN_TEST_REDIS_SERVER").expect("the case runs only with a Redis to start");
        Self::start_program(&program).unwrap()
    }

    /// Starts a program, `redis-server` for instance. It takes connections a moment later.
    ///
    /// # Errors
    /// When it is not there.
    pub fn start_program(program: &str) -> std::io::Result<Self> {
        let port = free_port();
        let mut server = Self { program: program.to_owned(), port, secured: None, process: None };
        server.run()?;
        Ok(server)
    }

    /// Starts the program that the environment names for connections over TLS alone, from clients that show a certificate
    /// of its authority. The user `portolan` with the password `secret` has what Portolan needs, and nobody else anything.
    pub fn start_secured(certificates: &Certificates) -> Self {
        let program = std::env::var("PORTOLAN_TEST_REDIS_SERVER").expect("the case runs only with a Redis to start");
        let port = free_port();
        let (ca, cert, key) = (certificates.ca(), certificates.cert(), certificates.key());
        let mut secured = Vec::new();
        for (name, value) in [("ca-cert-file", ca), ("cert-file", cert), ("key-file", key)] {
            secured.extend([format!("--tls-{name}"), value]);
        }
        let user =
            "portolan on >secret ~portolan:* &portolan:* +@read +@write +@scripting +@connection +@pubsub +info +time";
        secured.extend(["--user".to_owned()].into_iter().chain(user.split(' ').map(str::to_owned)));
        secured.extend(["--user", "default", "off"].map(str::to_owned));
        let mut server = Self { program, port, secured: Some(secured), process: None };
        server.run().unwrap();
        server
    }

    fn run(&mut self) -> std::io::Result<()> {
        let port = self.port.to_string();
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        match &self.secured {
            None => command.args(["--port", &port]),
            Some(secured) => command.args(["--port", "0", "--tls-port", &port]).args(secured),
        };
        self.process = Some(Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))?);
        Ok(())
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        match self.secured {
            None => format!("redis://127.0.0.1:{}", self.port),
            Some(_) => format!("rediss://portolan:secret@127.0.0.1:{}", self.port),
        }
    }

    /// Stops answering for a while, with every connection open.
    pub async fn pause(&self, time: Duration) {
        self.process.as_ref().unwrap().pause(time).await;
    }

    /// Dies with everything it holds, and begins anew.
    pub async fn restart(&mut self, after: Duration) {
        self.process = None;
        tokio::time::sleep(after).await;
        self.run().unwrap();
    }
}
