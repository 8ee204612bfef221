//! One installation with a clock of its own, and jobs that misbehave on demand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use portolan_api::Reason;
use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_jobs::{Attempt, Clock, Error, Job, Jobs, NewJob, Portion, Readers, Record, Step, Subject, Work, new_id};
use portolan_runtime::{Keys, Secrets};
use portolan_store::{Tx, args};
use portolan_testkit::TestDb;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub const ACCOUNT: AccountId = AccountId(7);
pub const OTHER_ACCOUNT: AccountId = AccountId(8);
pub const START: i64 = 1_768_478_400;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Task {
    /// Writes each number below the last one, one a step.
    CountUp {
        last: i64,
    },
    AlwaysFail,
    Panic,
    NeverGo,
    /// Waits in its first attempt for what never comes.
    HangOnce,
    Hang,
    KeepThread,
    /// Waits until the process ends.
    WaitForStop,
    /// Says that it has come to 2 of 3, and fails in its first attempt.
    Long,
    Secret {
        password: String,
    },
}

impl portolan_jobs::Task for Task {
    type Cursor = i64;

    fn is_secret(&self) -> bool {
        matches!(self, Self::Secret { .. })
    }
}

/// Where work waits until it is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    Prepare,
    Step,
    Ended,
}

#[derive(Clone)]
pub struct Worker {
    /// Steps that were begun.
    pub attempts: Arc<AtomicI64>,
    pub arrived: Arc<Semaphore>,
    pub go: Arc<Semaphore>,
    pub keeps_thread: Arc<AtomicBool>,
    pub gate: Gate,
    pub stall_max: Duration,
    pub has: &'static str,
    pub ended: Arc<AtomicI64>,
}

impl Worker {
    pub fn new() -> Self {
        Self {
            attempts: Arc::default(),
            arrived: Arc::new(Semaphore::new(0)),
            go: Arc::new(Semaphore::new(0)),
            keeps_thread: Arc::new(AtomicBool::new(true)),
            gate: Gate::Open,
            stall_max: Duration::from_secs(60),
            has: "",
            ended: Arc::default(),
        }
    }

    /// One that waits at a gate; its counts are its own.
    pub fn at(gate: Gate) -> Self {
        Self { gate, ..Self::new() }
    }

    async fn pass(&self, gate: Gate) {
        if self.gate == gate {
            self.wait().await;
        }
    }

    async fn wait(&self) {
        self.arrived.add_permits(1);
        self.go.acquire().await.unwrap().forget();
    }

    /// Waits until work has come to its gate.
    pub async fn arrival(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    pub fn count(&self) -> i64 {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl Work for Worker {
    type Task = Task;
    type Prepared = ();

    async fn prepare(&self, attempt: &Attempt<Task>) -> Result<(), Error> {
        let count = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        self.pass(Gate::Prepare).await;
        match &attempt.task {
            Task::AlwaysFail => Err(portolan_api::Error::unavailable("the other side is down").into()),
            Task::NeverGo => Err(Error::Never("there is nothing to count".to_owned())),
            Task::HangOnce if count == 1 => {
                self.wait().await;
                Ok(())
            }
            Task::Hang => std::future::pending().await,
            Task::KeepThread => {
                while self.keeps_thread.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(())
            }
            Task::WaitForStop => {
                self.arrived.add_permits(1);
                loop {
                    attempt.goes_on()?;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Task::Long if attempt.cursor < 2 => {
                attempt.pulse().read(512);
                attempt.show(&1).await?;
                attempt.advance(&2, 2).await?;
                Err(portolan_api::Error::new(Reason::Unavailable).into())
            }
            _ => Ok(()),
        }
    }

    async fn step(&self, tx: &mut Tx, job: &Job<Task>, (): &(), _: Portion) -> Result<Step<i64>, Error> {
        let step = match &job.task {
            Task::Panic => panic!("no way on"),
            Task::CountUp { last } if job.cursor < *last => {
                tx.execute("INSERT INTO counted (number) VALUES ($1)", args![job.cursor]).await?;
                Step::Next { cursor: job.cursor + 1, done: 1 }
            }
            Task::Secret { password } => Step::Over { done: 0, outcome: json!({"length": password.len()}) },
            _ => Step::Over { done: 0, outcome: json!({"counted": job.cursor}) },
        };
        self.pass(Gate::Step).await;
        Ok(step)
    }

    async fn failed(&self, tx: &mut Tx, _job: &Record) -> Result<(), portolan_store::Error> {
        tx.execute("INSERT INTO counted (number) VALUES (-1)", args![]).await.map(drop)
    }

    async fn ended(&self, _job: &Record) {
        self.pass(Gate::Ended).await;
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn stall_max(&self) -> Duration {
        self.stall_max
    }

    fn has(&self) -> &str {
        self.has
    }
}

pub struct World {
    pub test: TestDb,
    pub jobs: Jobs<Task>,
    pub now: Arc<AtomicI64>,
    pub worker: Worker,
}

impl World {
    pub async fn new(test: TestDb) -> Self {
        test.db.execute("CREATE TABLE counted (number BIGINT NOT NULL)", args![]).await.unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let clock = clock(&now);
        let directory = tempfile::TempDir::new().unwrap();
        let secrets = Secrets::of(&Keys::load_or_create(&directory.path().join("key")).unwrap(), "imports").unwrap();
        // Leases end by the clock of the test alone.
        let jobs = Jobs::open(test.db.clone(), clock).await.unwrap();
        let jobs = jobs.sealing(secrets).renewing_every(Duration::from_secs(3_600));
        Self { test, jobs, now, worker: Worker::new() }
    }

    pub fn subject() -> Subject {
        Subject { name: "all".to_owned(), readers: Readers::Collection(CollectionId(3)), user_id: None }
    }

    pub async fn ask(&self, task: Task) -> JobId {
        self.jobs.request(ACCOUNT, &task, &Self::subject()).await.unwrap()
    }

    pub fn new_job(key: &str, task: Task) -> NewJob<Task> {
        NewJob {
            account_id: ACCOUNT,
            job_id: new_id(),
            task,
            subject: Self::subject(),
            key: key.to_owned(),
            needs: String::new(),
            bytes_total: 0,
        }
    }

    pub async fn add(&self, job: &NewJob<Task>) -> bool {
        let mut tx = self.test.db.begin().await.unwrap();
        let added = self.jobs.add(&mut tx, job).await.unwrap();
        tx.commit().await.unwrap();
        added
    }

    pub async fn cancel(&self, account_id: AccountId, job_id: &JobId, reason: &str) -> Option<Record> {
        self.jobs.cancel_now(account_id, job_id, reason).await.unwrap()
    }

    pub async fn run(&self, owner: &str) {
        self.run_by(&self.worker, owner).await;
    }

    pub async fn run_by(&self, worker: &Worker, owner: &str) {
        self.jobs.run_due(worker, owner, &CancellationToken::new()).await.unwrap();
    }

    /// A worker of another process; dropped, the process dies.
    pub fn process(&self, worker: &Worker) -> Process {
        let (jobs, worker) = (self.jobs.clone(), worker.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        Process { stop, handle: tokio::spawn(async move { jobs.run_due(&worker, "process", &stopped).await.unwrap() }) }
    }

    pub async fn get(&self, job_id: &JobId) -> Record {
        self.jobs.get(ACCOUNT, job_id).await.unwrap().unwrap()
    }

    pub fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    pub async fn counted(&self) -> Vec<i64> {
        let rows = self.test.db.fetch_all("SELECT number FROM counted ORDER BY number", args![]).await.unwrap();
        rows.iter().map(|row| row.get("number").unwrap()).collect()
    }
}

pub fn clock(now: &Arc<AtomicI64>) -> Clock {
    let hand = now.clone();
    Clock::new(move || hand.load(Ordering::Relaxed))
}

pub struct Process {
    pub stop: CancellationToken,
    pub handle: JoinHandle<()>,
}

impl Process {
    /// Ends it as `kill -9` does: nothing that it would still do is done.
    pub async fn kill(self) {
        self.handle.abort();
        let _ = self.handle.await;
    }
}
