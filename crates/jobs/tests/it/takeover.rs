use portolan_ids::JobId;
use portolan_jobs::{Jobs, LEASE_S, State};
use portolan_store::Store;
use portolan_testkit::TestDb;
use tokio_util::sync::CancellationToken;

use crate::world::{ACCOUNT, Gate, OTHER_ACCOUNT, Task, Worker, World, clock};

pub async fn what_hangs_loses_its_lease(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::HangOnce).await;
    let hung = world.process(&world.worker);
    world.worker.arrival().await;
    world.run("other").await;
    assert_eq!(world.get(&job_id).await.state, State::Running);
    world.pass(LEASE_S);
    world.run("other").await;
    assert_eq!(world.get(&job_id).await.state, State::Succeeded);
    hung.kill().await;
}

/// A process that stood still for longer than its lease finds its job another's: its step is not applied, whether the
/// other is still at it or has ended it, and its failure ends nothing.
pub async fn a_late_step_writes_nothing(test: TestDb) {
    let world = World::new(test).await;
    let job_id = world.ask(Task::CountUp { last: 2 }).await;
    let (late, other) = (Worker::at(Gate::Prepare), Worker::at(Gate::Prepare));
    let late_process = world.process(&late);
    late.arrival().await;
    world.pass(LEASE_S);
    let other_process = world.process(&other);
    other.arrival().await;
    late.go.add_permits(9);
    late_process.handle.await.unwrap();
    let job = world.get(&job_id).await;
    assert_eq!((job.state, job.done_items, world.counted().await), (State::Running, 0, vec![]));
    other.go.add_permits(9);
    other_process.handle.await.unwrap();
    assert_eq!((world.get(&job_id).await.state, world.counted().await), (State::Succeeded, vec![0, 1]));

    let job_id = world.ask(Task::NeverGo).await;
    let late = Worker::at(Gate::Prepare);
    let late_process = world.process(&late);
    late.arrival().await;
    world.pass(LEASE_S);
    world.cancel(ACCOUNT, &job_id, "enough").await;
    late.go.add_permits(9);
    late_process.handle.await.unwrap();
    assert_eq!(world.get(&job_id).await.state, State::Cancelled);
}

/// Before a step, in its transaction, and after the end of the job: the next process goes on, and each number is
/// written once.
pub async fn a_process_may_die_anywhere(test: TestDb) {
    let world = World::new(test).await;
    for (round, gate) in [Gate::Prepare, Gate::Step, Gate::Ended].into_iter().enumerate() {
        let job_id = world.ask(Task::CountUp { last: 2 }).await;
        let worker = Worker::at(gate);
        // Some steps are done before it dies.
        worker.go.add_permits(if gate == Gate::Ended { 0 } else { 1 });
        let process = world.process(&worker);
        worker.arrival().await;
        if gate != Gate::Ended {
            worker.arrival().await;
        }
        process.kill().await;
        world.pass(LEASE_S);
        world.run("other").await;
        assert_eq!(world.get(&job_id).await.state, State::Succeeded, "{gate:?}");
        let mut expected: Vec<i64> = [0, 1].repeat(round + 1);
        expected.sort_unstable();
        assert_eq!(world.counted().await, expected, "{gate:?}");
    }
}

pub async fn two_processes_share_the_work(test: TestDb) {
    let world = World::new(test).await;
    for number in 0..12 {
        let task = Task::CountUp { last: 2 };
        assert!(world.add(&World::new_job(&number.to_string(), task)).await);
    }
    let store = Store::connect(&world.test.url).await.unwrap();
    let jobs = Jobs::open(store.service("test").await.unwrap(), clock(&world.now)).await.unwrap();
    let other = Worker::new();
    let stop = CancellationToken::new();
    let (first, second) =
        tokio::join!(world.jobs.run_due(&world.worker, "first", &stop), jobs.run_due(&other, "second", &stop));
    first.unwrap();
    second.unwrap();
    // What one gave up in favor of the other is left to the next look.
    world.run("first").await;
    let mut expected = [0, 1].repeat(12);
    expected.sort_unstable();
    assert_eq!(world.counted().await, expected);
    assert_eq!(world.worker.count() + other.count(), 12 * 3);
    store.close().await;
}

/// Of two workers one is at the first of many jobs of an account: the other takes the job of another account before
/// the rest of them.
pub async fn one_account_does_not_hold_up_another(test: TestDb) {
    let world = World::new(test).await;
    let mut first = Vec::new();
    for number in 0..3 {
        let job = World::new_job(&number.to_string(), Task::CountUp { last: 0 });
        assert!(world.add(&job).await);
        first.push(job.job_id);
    }
    world.pass(1);
    let mut theirs = World::new_job("x", Task::CountUp { last: 0 });
    theirs.account_id = OTHER_ACCOUNT;
    assert!(world.add(&theirs).await);
    let (one, two) = (Worker::at(Gate::Prepare), Worker::at(Gate::Prepare));
    let busy = world.process(&one);
    one.arrival().await;
    let next = world.process(&two);
    two.arrival().await;
    let state = async |account_id, id: &JobId| world.jobs.get(account_id, id).await.unwrap().unwrap().state;
    assert_eq!(state(OTHER_ACCOUNT, &theirs.job_id).await, State::Running);
    assert_eq!(state(ACCOUNT, &first[1]).await, State::Pending);
    for (worker, process) in [(one, busy), (two, next)] {
        worker.go.add_permits(9);
        process.handle.await.unwrap();
    }
    assert_eq!(state(ACCOUNT, &first[2]).await, State::Succeeded);
}
