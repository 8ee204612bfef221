//! The engine on both databases, with jobs that fail, panic, hang and die.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use portolan_jobs::{
    ATTEMPTS_MAX, Clock, Error, Job, Jobs, KEPT_S, LEASE_S, Record, STEPPED, State, Step, Subject, Work,
};
use portolan_store::{Tx, args};
use portolan_testkit::TestDb;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

portolan_testkit::suite! {
    a_job_is_done_in_steps,
    what_always_fails_ends_failed,
    what_panics_ends_failed,
    what_can_never_go_fails_at_once,
    what_hangs_loses_its_lease,
    a_step_that_is_lost_is_repeated_once,
    asked_for_again_it_starts_anew,
    a_cancelled_job_applies_no_further_step,
}

const ACCOUNT: i64 = 7;
const START: i64 = 1_768_478_400;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Task {
    /// Writes each number below the last one, one a step.
    CountUp {
        last: i64,
    },
    AlwaysFail,
    Panic,
    NeverGo,
    /// Waits in its first attempt for what never comes.
    HangOnce,
}

impl portolan_jobs::Task for Task {
    type Cursor = i64;
}

#[derive(Default)]
struct Worker {
    attempts: AtomicI64,
    hangs: Notify,
}

impl Work for Worker {
    type Task = Task;
    type Prepared = ();

    async fn prepare(&self, job: &Job<Task>) -> Result<(), Error> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        match job.task {
            Task::AlwaysFail => Err(portolan_api::Error::unavailable("the other side is down").into()),
            Task::NeverGo => Err(Error::Never("there is nothing to count".to_owned())),
            Task::HangOnce if attempt == 1 => {
                self.hangs.notify_one();
                std::future::pending().await
            }
            _ => Ok(()),
        }
    }

    async fn step(&self, tx: &mut Tx, job: &Job<Task>, (): &()) -> Result<Step<i64>, Error> {
        match job.task {
            Task::Panic => panic!("no way on"),
            Task::CountUp { last } if job.cursor < last => {
                tx.execute("INSERT INTO counted (number) VALUES ($1)", args![job.cursor]).await?;
                Ok(Step::Next { cursor: job.cursor + 1, done: 1 })
            }
            _ => Ok(Step::Over { done: 0, outcome: json!({"counted": job.cursor}) }),
        }
    }
}

struct World {
    test: TestDb,
    jobs: Jobs<Task>,
    now: Arc<AtomicI64>,
    worker: Arc<Worker>,
}

impl World {
    async fn new(test: TestDb) -> Self {
        test.db.execute("CREATE TABLE counted (number BIGINT NOT NULL)", args![]).await.unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let hand = now.clone();
        let clock = Clock::new(move || hand.load(Ordering::Relaxed));
        let jobs = Jobs::open(test.db.clone(), clock).await.unwrap();
        Self { test, jobs, now, worker: Arc::default() }
    }

    async fn ask(&self, task: Task) -> String {
        self.jobs.request(ACCOUNT, &task, &Subject { name: "all".to_owned(), collection_id: Some(3) }).await.unwrap()
    }

    async fn run(&self, owner: &str) {
        self.jobs.run_due(&*self.worker, owner, &CancellationToken::new()).await.unwrap();
    }

    async fn get(&self, job_id: &str) -> Record {
        self.jobs.get(ACCOUNT, job_id).await.unwrap().unwrap()
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn counted(&self) -> Vec<i64> {
        let rows = self.test.db.fetch_all("SELECT number FROM counted ORDER BY number", args![]).await.unwrap();
        rows.iter().map(|row| row.get("number").unwrap()).collect()
    }
}

async fn a_job_is_done_in_steps(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 3 }).await;
    assert_eq!(world.get(&job_id).await.state, State::Pending);
    world.run("worker").await;
    let job = world.get(&job_id).await;
    assert_eq!((job.kind.as_str(), job.state, job.done_items), ("count-up", State::Succeeded, 3));
    assert_eq!((job.outcome, job.subject.collection_id), (json!({"counted": 3}), Some(3)));
    assert_eq!(world.counted().await, [0, 1, 2]);

    world.pass(1);
    let second = world.ask(Task::CountUp { last: 0 }).await;
    let first = world.jobs.list(ACCOUNT, 1, None).await.unwrap();
    assert_eq!(first[0].job_id, second);
    let rest = world.jobs.list(ACCOUNT, 9, Some((first[0].created_at, second))).await.unwrap();
    assert_eq!(rest.iter().map(|job| &job.job_id).collect::<Vec<_>>(), [&job_id]);
    // Jobs of an account are its own.
    assert_eq!(world.jobs.get(ACCOUNT + 1, &job_id).await.unwrap(), None);
    assert_eq!(world.jobs.list(ACCOUNT + 1, 0, None).await.unwrap(), []);

    world.run("worker").await;
    assert_eq!(world.jobs.forget().await.unwrap(), 0);
    world.pass(KEPT_S + 1);
    assert_eq!(world.jobs.forget().await.unwrap(), 2);
}

/// Runs a job through its attempts, at each of which it waits longer.
async fn fails_after_its_attempts(world: &World, task: Task, reason: &str) {
    let job_id = world.ask(task).await;
    for attempt in 1..ATTEMPTS_MAX {
        world.run("worker").await;
        let job = world.get(&job_id).await;
        assert_eq!((job.state, attempt), (State::Pending, world.worker.attempts.load(Ordering::Relaxed)));
        assert!(job.error.unwrap().contains(reason));
        // It is not due yet.
        world.run("worker").await;
        assert_eq!(attempt, world.worker.attempts.load(Ordering::Relaxed));
        world.pass(300);
    }
    world.run("worker").await;
    let job = world.get(&job_id).await;
    assert_eq!(job.state, State::Failed);
    assert!(job.error.unwrap().contains(reason));
    world.pass(3_600);
    world.run("worker").await;
    assert_eq!(world.worker.attempts.load(Ordering::Relaxed), ATTEMPTS_MAX);
    // The next request is a new job.
    assert_ne!(world.ask(Task::CountUp { last: 0 }).await, job_id);
}

async fn what_always_fails_ends_failed(test: TestDb) {
    fails_after_its_attempts(&World::new(test).await, Task::AlwaysFail, "the other side is down").await;
}

async fn what_panics_ends_failed(test: TestDb) {
    fails_after_its_attempts(&World::new(test).await, Task::Panic, "no way on").await;
}

async fn what_can_never_go_fails_at_once(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::NeverGo).await;
    let unread = world.ask(Task::CountUp { last: 1 }).await;
    let spoil = "UPDATE jobs SET arguments = '{\"last\":\"x\"}' WHERE job_id = $1";
    world.test.db.execute(spoil, args![&unread]).await.unwrap();
    world.run("worker").await;
    let (job, unread) = (world.get(&job_id).await, world.get(&unread).await);
    assert_eq!((job.state, job.error.as_deref()), (State::Failed, Some("there is nothing to count")));
    assert_eq!(unread.state, State::Failed);
    assert!(unread.error.unwrap().starts_with("the job cannot be read"));
}

async fn what_hangs_loses_its_lease(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::HangOnce).await;
    let (jobs, worker) = (world.jobs.clone(), world.worker.clone());
    let hung = tokio::spawn(async move { jobs.run_due(&*worker, "hung", &CancellationToken::new()).await });
    world.worker.hangs.notified().await;
    world.run("other").await;
    assert_eq!(world.get(&job_id).await.state, State::Running);
    world.pass(LEASE_S);
    world.run("other").await;
    assert_eq!(world.get(&job_id).await.state, State::Succeeded);
    hung.abort();
}

async fn a_step_that_is_lost_is_repeated_once(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 3 }).await;
    world.test.store.faults().at(STEPPED).times(5).fail();
    world.run("worker").await;
    // The step was written at each repetition, and went with its transaction.
    assert_eq!((world.get(&job_id).await.state, world.counted().await), (State::Pending, vec![]));
    world.pass(300);
    world.run("worker").await;
    assert_eq!((world.get(&job_id).await.state, world.counted().await), (State::Succeeded, vec![0, 1, 2]));
}

async fn asked_for_again_it_starts_anew(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::HangOnce).await;
    // While it waits, a request is the same job, and changes nothing.
    assert_eq!(world.ask(Task::HangOnce).await, job_id);
    let (jobs, worker) = (world.jobs.clone(), world.worker.clone());
    let hung = tokio::spawn(async move { jobs.run_due(&*worker, "hung", &CancellationToken::new()).await });
    world.worker.hangs.notified().await;
    assert_eq!(world.ask(Task::HangOnce).await, job_id);
    hung.abort();
    world.pass(LEASE_S);
    world.run("other").await;
    assert_eq!(world.get(&job_id).await.state, State::Succeeded);
    // One attempt hung, one ended the run of before, one did the run that was asked for meanwhile.
    assert_eq!(world.worker.attempts.load(Ordering::Relaxed), 3);
    assert_eq!(world.jobs.list(ACCOUNT, 0, None).await.unwrap().len(), 1);
}

async fn a_cancelled_job_applies_no_further_step(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 3 }).await;
    assert!(!world.jobs.cancel(ACCOUNT + 1, &job_id, "not theirs").await.unwrap());
    assert!(world.jobs.cancel(ACCOUNT, &job_id, "The collection was deleted").await.unwrap());
    assert!(!world.jobs.cancel(ACCOUNT, &job_id, "again").await.unwrap());
    world.run("worker").await;
    let job = world.get(&job_id).await;
    assert_eq!((job.state, job.error.as_deref()), (State::Cancelled, Some("The collection was deleted")));
    assert_eq!(world.counted().await, Vec::<i64>::new());
}
