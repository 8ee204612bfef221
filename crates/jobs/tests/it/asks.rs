use portolan_ids::{CollectionId, JobId, UserId};
use portolan_jobs::{NewJob, Readers, State, Subject, new_id};
use portolan_store::args;
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::world::{ACCOUNT, OTHER_ACCOUNT, Task, Worker, World};

/// Repeated, a write meets its job, also when that is over, and also when it was over from the start.
pub async fn a_write_makes_one_job(test: TestDb) {
    let world = World::new(test).await;
    let made = World::new_job("write", Task::CountUp { last: 1 });
    assert!(world.add(&made).await);
    for _ in 0..2 {
        let again = NewJob { job_id: new_id(), ..made.clone() };
        assert!(!world.add(&again).await);
        assert_eq!(world.jobs.find(ACCOUNT, "write").await.unwrap().unwrap().job_id, made.job_id);
        world.run("worker").await;
    }
    assert_eq!(world.counted().await, [0]);
    assert_eq!(world.jobs.find(OTHER_ACCOUNT, "write").await.unwrap(), None);

    let subject = Subject { name: "x".to_owned(), readers: Readers::Unrestricted, user_id: Some(UserId(5)) };
    let done = NewJob { subject: subject.clone(), ..World::new_job("done", Task::CountUp { last: 9 }) };
    for is_new in [true, false] {
        let mut tx = world.test.db.begin().await.unwrap();
        let added = world.jobs.add_done(&mut tx, &done, 4, &json!({"counted": 4})).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(added, is_new);
    }
    world.run("worker").await;
    let job = world.get(&done.job_id).await;
    assert_eq!((job.state, job.done_items, job.outcome), (State::Succeeded, 4, json!({"counted": 4})));
    assert_eq!((job.subject, job.key.as_str()), (subject, "done"));
    assert_eq!(world.counted().await, [0]);
}

/// The table never holds the secret as it was given; the seal is of this job, and goes at its end, however it ends.
pub async fn arguments_that_hold_a_secret_are_sealed(test: TestDb) {
    let world = World::new(test).await;
    let secret = || Task::Secret { password: "hunter2".to_owned() };
    let stored = async |job_id: &JobId| {
        let row = world.test.db.fetch_one("SELECT arguments FROM jobs WHERE job_id = $1", args![job_id]).await.unwrap();
        row.get::<String>("arguments").unwrap()
    };
    let [first, moved, cancelled] = ["first", "moved", "cancelled"].map(|key| World::new_job(key, secret()));
    for job in [&first, &moved, &cancelled] {
        assert!(world.add(job).await);
        let text = stored(&job.job_id).await;
        assert!(!text.contains("hunter2") && !text.contains("68756e74657232"), "{text}");
        assert_eq!(world.get(&job.job_id).await.arguments, Value::Null);
    }
    let move_it = "UPDATE jobs SET arguments = (SELECT arguments FROM jobs WHERE job_id = $1) WHERE job_id = $2";
    world.test.db.execute(move_it, args![&first.job_id, &moved.job_id]).await.unwrap();
    world.cancel(ACCOUNT, &cancelled.job_id, "").await.unwrap();
    world.run("worker").await;
    assert_eq!(world.get(&first.job_id).await.outcome, json!({"length": 7}));
    let job = world.get(&moved.job_id).await;
    assert_eq!(job.state, State::Failed);
    assert!(job.error.unwrap().starts_with("The job cannot be read: "));
    for job in [&first, &moved, &cancelled] {
        assert_eq!(stored(&job.job_id).await, "{}");
    }
}

pub async fn only_who_has_what_a_job_needs_takes_it(test: TestDb) {
    let world = World::new(test).await;
    let job = NewJob { needs: "disk".to_owned(), ..World::new_job("w", Task::CountUp { last: 1 }) };
    assert!(world.add(&job).await);
    world.run("without").await;
    world.run_by(&Worker { has: "tape", ..Worker::new() }, "tape").await;
    assert_eq!(world.get(&job.job_id).await.state, State::Pending);
    assert!(world.jobs.is_active("disk", &job.job_id).await.unwrap());
    assert!(!world.jobs.is_active("tape", &job.job_id).await.unwrap());
    world.run_by(&Worker { has: "disk", ..Worker::new() }, "disk").await;
    assert_eq!(world.get(&job.job_id).await.state, State::Succeeded);
    assert!(!world.jobs.is_active("disk", &job.job_id).await.unwrap());
}

/// A collection that goes cancels what works for it, and what ended jobs keep of it can be taken out.
pub async fn what_a_collection_names_goes_with_it(test: TestDb) {
    let world = World::new(test).await;
    let ended = World::new_job("ended", Task::CountUp { last: 1 });
    assert!(world.add(&ended).await);
    world.run("worker").await;
    let waiting = World::new_job("waiting", Task::CountUp { last: 1 });
    assert!(world.add(&waiting).await);
    let other = Subject { readers: Readers::Collection(CollectionId(4)), ..World::subject() };
    let other = NewJob { subject: other, ..World::new_job("other", Task::CountUp { last: 1 }) };
    assert!(world.add(&other).await);
    let cancelled = {
        let mut tx = world.test.db.begin().await.unwrap();
        let cancelled = world.jobs.cancel_of(&mut tx, ACCOUNT, CollectionId(3), "gone").await.unwrap();
        tx.commit().await.unwrap();
        cancelled
    };
    assert_eq!(cancelled.iter().map(|job| &job.job_id).collect::<Vec<_>>(), [&waiting.job_id]);
    assert_eq!(world.jobs.ended_of(ACCOUNT, CollectionId(3)).await.unwrap().len(), 2);
    world.jobs.replace_outcome(ACCOUNT, &ended.job_id, &json!(1)).await.unwrap();
    // One that is active keeps what it needs.
    world.jobs.replace_outcome(ACCOUNT, &other.job_id, &json!(1)).await.unwrap();
    let job = world.get(&ended.job_id).await;
    assert_eq!((job.state, job.cursor, job.outcome), (State::Succeeded, Value::Null, json!(1)));
    assert_eq!(world.get(&other.job_id).await.outcome, Value::Null);
}
