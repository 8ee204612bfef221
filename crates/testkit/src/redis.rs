use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A Redis of this test alone.
pub struct RedisServer {
    program: String,
    port: u16,
    child: Option<Child>,
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
        let mut server = Self { program: program.to_owned(), port, child: None };
        server.run()?;
        Ok(server)
    }

    fn run(&mut self) -> std::io::Result<()> {
        let port = self.port.to_string();
        let child = Command::new(&self.program)
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops answering for a while, with every connection open.
    pub async fn pause(&self, time: Duration) {
        self.signal("-STOP");
        tokio::time::sleep(time).await;
        self.signal("-CONT");
    }

    /// Dies with everything it holds, and begins anew.
    pub async fn restart(&mut self, after: Duration) {
        self.kill();
        tokio::time::sleep(after).await;
        self.run().unwrap();
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        Command::new("kill").args([signal, &pid]).status().unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
