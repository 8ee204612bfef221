use std::{sync::atomic::Ordering, time::Duration};

use portolan_jobs::{ATTEMPTS_MAX, LEASE_S, State};
use portolan_store::args;
use portolan_testkit::{TestDb, runtime};

use crate::world::{ACCOUNT, Gate, Task, Worker, World};

/// Runs a job through its attempts, at each of which it waits longer.
async fn fails_after_its_attempts(world: &World, task: Task, reason: &str) {
    let job_id = world.ask(task).await;
    let mut pause_s = 1;
    for attempt in 1..ATTEMPTS_MAX {
        world.run("worker").await;
        let job = world.get(&job_id).await;
        assert_eq!((job.state, attempt), (State::Pending, world.worker.count()));
        assert_eq!(job.error.as_deref(), Some(reason));
        // It is not due before its pause is over.
        world.pass(pause_s - 1);
        world.run("worker").await;
        assert_eq!(attempt, world.worker.count());
        world.pass(1);
        pause_s = (pause_s * 2).min(300);
    }
    world.run("worker").await;
    let job = world.get(&job_id).await;
    let expected = format!("Given up after {ATTEMPTS_MAX} attempts: {reason}");
    assert_eq!((job.state, job.error), (State::Failed, Some(expected)));
    assert_eq!(world.worker.ended.load(Ordering::Relaxed), 1);
    world.pass(3_600);
    world.run("worker").await;
    assert_eq!(world.worker.count(), ATTEMPTS_MAX);
    // The next request is a new job.
    assert_ne!(world.ask(Task::CountUp { last: 0 }).await, job_id);
}

/// The account reads what happened, and not its cause.
pub async fn what_always_fails_ends_failed(test: TestDb) {
    let reason = portolan_api::Error::unavailable("").text();
    fails_after_its_attempts(&World::new(test).await, Task::AlwaysFail, &reason).await;
}

pub async fn what_panics_ends_failed(test: TestDb) {
    let reason = "Internal error: the work panicked";
    fails_after_its_attempts(&World::new(test).await, Task::Panic, reason).await;
}

pub async fn what_hangs_ends_failed(test: TestDb) {
    let mut world = World::new(test).await;
    world.worker.stall_max = Duration::from_millis(2);
    let reason = "Internal error: the work did not go on for 2ms";
    fails_after_its_attempts(&world, Task::Hang, reason).await;
}

/// Work that never gives its thread back cannot be ended; it is left, and the worker goes on with the rest.
pub async fn what_keeps_its_thread_holds_up_no_other(test: TestDb) {
    let mut world = World::new(test).await;
    // Enough for the sound one.
    world.worker.stall_max = Duration::from_millis(500);
    let stuck = world.ask(Task::KeepThread).await;
    world.pass(1);
    let sound = world.ask(Task::CountUp { last: 1 }).await;
    let threads = runtime();
    let (jobs, worker) = (world.jobs.clone(), world.worker.clone());
    let running = async move { jobs.run_due(&worker, "worker", &tokio_util::sync::CancellationToken::new()).await };
    threads.spawn(running).await.unwrap().unwrap();
    assert_eq!(world.get(&sound).await.state, State::Succeeded);
    assert_eq!(world.get(&stuck).await.state, State::Pending);
    world.worker.keeps_thread.store(false, Ordering::Relaxed);
    threads.shutdown_background();
}

pub async fn what_can_never_go_fails_at_once(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::NeverGo).await;
    world.run("worker").await;
    let job = world.get(&job_id).await;
    assert_eq!((job.state, job.error.as_deref()), (State::Failed, Some("there is nothing to count")));
    // What belongs to the failure was written with it.
    assert_eq!(world.counted().await, [-1]);
}

pub async fn what_kills_its_process_ends_failed(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 1 }).await;
    let worker = Worker::at(Gate::Prepare);
    for _ in 0..ATTEMPTS_MAX {
        let process = world.process(&worker);
        worker.arrival().await;
        process.kill().await;
        // It is nobody's before its lease is over.
        world.run("other").await;
        assert_eq!((world.get(&job_id).await.state, world.worker.count()), (State::Running, 0));
        world.pass(LEASE_S);
    }
    world.run("other").await;
    let job = world.get(&job_id).await;
    assert_eq!((job.state, job.error.as_deref()), (State::Failed, Some("The process died at every attempt")));
    assert_eq!((worker.count(), world.worker.count()), (ATTEMPTS_MAX, 0));
}

/// Every request is followed by a whole run, also one that meets a run that fails.
pub async fn what_fails_is_done_again_for_who_asked_meanwhile(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::NeverGo).await;
    let worker = Worker::at(Gate::Prepare);
    let process = world.process(&worker);
    worker.arrival().await;
    assert_eq!(world.ask(Task::NeverGo).await, job_id);
    worker.go.add_permits(9);
    process.handle.await.unwrap();
    assert_eq!((world.get(&job_id).await.state, worker.count()), (State::Failed, 2));
}

pub async fn the_end_of_the_process_is_no_attempt(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::WaitForStop).await;
    for _ in 0..=ATTEMPTS_MAX {
        let process = world.process(&world.worker);
        world.worker.arrival().await;
        process.stop.cancel();
        process.handle.await.unwrap();
        let job = world.get(&job_id).await;
        assert_eq!((job.state, job.error), (State::Pending, None));
    }
    // A step that heeds nothing is ended first, and what is left is given back.
    world.cancel(ACCOUNT, &job_id, "").await;
    let job_id = world.ask(Task::CountUp { last: 3 }).await;
    let worker = Worker::at(Gate::Prepare);
    let process = world.process(&worker);
    worker.arrival().await;
    process.stop.cancel();
    worker.go.add_permits(9);
    process.handle.await.unwrap();
    assert_eq!((world.get(&job_id).await.state, world.counted().await), (State::Pending, vec![0]));
    world.run("other").await;
    assert_eq!((world.get(&job_id).await.state, world.counted().await), (State::Succeeded, vec![0, 1, 2]));
}

/// Each part of a stored job that may be damaged ends that job alone, and hides no other in the lists.
pub async fn a_job_that_cannot_be_read_holds_up_no_other(test: TestDb) {
    let world = World::new(test).await;
    let damages = [
        "kind = 'count-down'",
        "kind = ''",
        "arguments = '{\"last\": \"x\"}'",
        "arguments = '{\"last\": 1'",
        "arguments = '[]'",
        "arguments = ''",
        "cursor = '{}'",
        "cursor = '1e400'",
        "collection_id = 4294967296",
        "sealed = 1",
    ];
    let mut damaged = Vec::new();
    for damage in damages {
        let job = World::new_job(damage, Task::CountUp { last: 1 });
        assert!(world.add(&job).await);
        let spoil = portolan_store::Sql::assembled(format!("UPDATE jobs SET {damage} WHERE job_id = $1"));
        world.test.db.execute(spoil, args![&job.job_id]).await.unwrap();
        damaged.push((damage, job.job_id));
    }
    world.pass(1);
    let sound = world.ask(Task::CountUp { last: 1 }).await;
    world.run("worker").await;
    let counted: Vec<_> = world.counted().await.into_iter().filter(|number| *number >= 0).collect();
    assert_eq!((world.get(&sound).await.state, counted), (State::Succeeded, vec![0]));
    for (damage, job_id) in &damaged {
        let job = world.get(job_id).await;
        let reason = job.error.unwrap_or_default();
        assert!(job.state == State::Failed && reason.starts_with("The job cannot be read: "), "{damage}: {reason}");
    }
    assert_eq!(world.jobs.list(ACCOUNT, 0, None).await.unwrap().len(), damaged.len() + 1);
    assert_eq!(world.worker.ended.load(Ordering::Relaxed) as usize, damaged.len() + 1);
}
