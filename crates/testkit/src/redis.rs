use std::{
    net::TcpListener,
    process::{Command, Stdio},
    time::Duration,
};

use crate::process::Process;

/// A Redis of this test alone.
pub struct RedisServer {
    program: String,
    port: u16,
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
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Self { program: program.to_owned(), port, process: None };
        server.run()?;
        Ok(server)
    }

    fn run(&mut self) -> std::io::Result<()> {
        let port = self.port.to_string();
        let mut command = Command::new(&self.program);
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        self.process = Some(Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))?);
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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
