use std::time::Duration;

use portolan_jobs::{KEPT_S, LEASE_S, STEPPED, State};
use portolan_testkit::TestDb;
use serde_json::json;

use crate::world::{ACCOUNT, Gate, OTHER_ACCOUNT, Task, Worker, World};

pub async fn a_job_is_done_in_steps(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 3 }).await;
    assert_eq!(world.get(&job_id).await.state, State::Pending);
    world.run("worker").await;
    let job = world.get(&job_id).await;
    assert_eq!((job.kind.as_str(), job.state, job.done_items), ("count-up", State::Succeeded, 3));
    assert_eq!((job.outcome, job.subject), (json!({"counted": 3}), World::subject()));
    assert_eq!(job.arguments, json!({"kind": "count-up", "last": 3}));
    assert_eq!(world.counted().await, [0, 1, 2]);

    world.pass(1);
    let second = world.ask(Task::CountUp { last: 0 }).await;
    let first = world.jobs.list(ACCOUNT, 1, None).await.unwrap();
    assert_eq!(first[0].job_id, second);
    let rest = world.jobs.list(ACCOUNT, 9, Some((first[0].created_at, second))).await.unwrap();
    assert_eq!(rest.iter().map(|job| &job.job_id).collect::<Vec<_>>(), [&job_id]);
    // Jobs of an account are its own.
    assert_eq!(world.jobs.get(OTHER_ACCOUNT, &job_id).await.unwrap(), None);
    assert_eq!(world.jobs.list(OTHER_ACCOUNT, 0, None).await.unwrap(), []);

    // Ended jobs are kept for a time, active ones as long as they take.
    world.run("worker").await;
    let waiting = world.ask(Task::CountUp { last: 9 }).await;
    assert_eq!(world.jobs.forget().await.unwrap(), 0);
    world.pass(KEPT_S + 1);
    assert_eq!(world.jobs.forget().await.unwrap(), 2);
    assert_eq!(world.get(&waiting).await.state, State::Pending);
}

pub async fn a_step_that_is_lost_is_repeated_once(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 3 }).await;
    world.test.store.faults().at(STEPPED).times(5).fail();
    world.run("worker").await;
    // The step was written at each repetition, and went with its transaction; it was prepared once.
    assert_eq!((world.get(&job_id).await.state, world.counted().await), (State::Pending, vec![]));
    assert_eq!(world.worker.count(), 1);
    world.pass(300);
    world.run("worker").await;
    assert_eq!((world.get(&job_id).await.state, world.counted().await), (State::Succeeded, vec![0, 1, 2]));
}

pub async fn asked_for_again_it_starts_anew(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::HangOnce).await;
    // While it waits, a request is the same job, and changes nothing.
    assert_eq!(world.ask(Task::HangOnce).await, job_id);
    let hung = world.process(&world.worker);
    world.worker.arrival().await;
    assert_eq!(world.ask(Task::HangOnce).await, job_id);
    hung.kill().await;
    world.pass(LEASE_S);
    world.run("other").await;
    assert_eq!(world.get(&job_id).await.state, State::Succeeded);
    // One attempt hung, one ended the run of before, one did the run that was asked for meanwhile.
    assert_eq!(world.worker.count(), 3);
    assert_eq!(world.jobs.list(ACCOUNT, 0, None).await.unwrap().len(), 1);
}

pub async fn a_job_is_cancelled_before_it_begins(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 3 }).await;
    let cancel = async |account_id, reason| world.cancel(account_id, &job_id, reason).await;
    assert_eq!(cancel(OTHER_ACCOUNT, "not theirs").await, None);
    let cancelled = cancel(ACCOUNT, "The collection was deleted").await.unwrap();
    assert_eq!(cancel(ACCOUNT, "again").await, None);
    world.run("worker").await;
    let job = world.get(&job_id).await;
    assert_eq!((job.state, job.error.as_deref()), (State::Cancelled, Some("The collection was deleted")));
    assert_eq!(job, cancelled);
    assert_eq!(world.counted().await, Vec::<i64>::new());
}

/// Between steps and while a step waits for others: what was done stays, and nothing follows.
pub async fn a_job_is_cancelled_in_the_middle(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 3 }).await;
    let worker = Worker::at(Gate::Prepare);
    let process = world.process(&worker);
    worker.arrival().await;
    worker.go.add_permits(1);
    // The first step is done, the second waits.
    worker.arrival().await;
    world.cancel(ACCOUNT, &job_id, "enough").await.unwrap();
    worker.go.add_permits(9);
    process.handle.await.unwrap();
    let job = world.get(&job_id).await;
    assert_eq!((job.state, job.error.as_deref(), job.done_items), (State::Cancelled, Some("enough"), 1));
    assert_eq!(world.counted().await, [0]);
    // The next request is a new job.
    assert_ne!(world.ask(Task::CountUp { last: 0 }).await, job_id);
}

/// A small job is over with the answer; of a large one the rest is done by the workers.
pub async fn a_request_works_on_its_job_for_a_while(test: TestDb) {
    let world = World::new(test).await;
    let small = world.ask(Task::CountUp { last: 2 }).await;
    world.jobs.run_inline(&world.worker, ACCOUNT, &small, Duration::from_secs(60)).await;
    assert_eq!((world.get(&small).await.state, world.counted().await), (State::Succeeded, vec![0, 1]));

    let large = world.ask(Task::CountUp { last: 3 }).await;
    let worker = Worker::at(Gate::Prepare);
    // The request does not wait for the step under way.
    world.jobs.run_inline(&worker, ACCOUNT, &large, Duration::from_millis(500)).await;
    worker.go.add_permits(9);
    while world.get(&large).await.state != State::Pending {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(worker.count(), 1);
    world.run("worker").await;
    assert_eq!((world.get(&large).await.state, world.counted().await), (State::Succeeded, vec![0, 0, 1, 1, 2]));
    // One that is over is left alone, and one of nobody too.
    for job_id in [&large, &"none".into()] {
        world.jobs.run_inline(&world.worker, ACCOUNT, job_id, Duration::from_secs(60)).await;
    }
}

/// A step that takes long keeps how far it is; the next attempt begins there.
pub async fn how_far_a_long_step_is_outlasts_it(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::Long).await;
    world.run("worker").await;
    let job = world.get(&job_id).await;
    assert_eq!((job.state, job.cursor, job.done_items, job.bytes_done), (State::Pending, json!(2), 2, 512));
    world.pass(300);
    world.run("worker").await;
    let job = world.get(&job_id).await;
    assert_eq!((job.state, job.outcome, job.done_items), (State::Succeeded, json!({"counted": 2}), 2));
}
