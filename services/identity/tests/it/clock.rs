use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use portolan_api::Reason;
use portolan_authz::Cache;
use portolan_identity::{
    Clock, Deps, accounts,
    invitations::{self, Invite},
    model::sessions::Session,
    resets, retention,
    sessions::{self, Opened},
    signup,
};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::world::{PASSWORD, admin, identity, with_role};

const START: i64 = 1_800_000_000;
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// A clock that is moved by hand.
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn move_by(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

async fn world(test: &TestDb) -> (Deps, Hand) {
    let now = Arc::new(AtomicI64::new(START));
    let hand = now.clone();
    let clock = Clock::new(move || now.load(Ordering::SeqCst));
    (identity(test, Cache::memory()).await.with_clock(clock), Hand(hand))
}

async fn verified(deps: &Deps, opened: &Opened) -> Result<Session, Reason> {
    sessions::verify(deps, &opened.session, &opened.access_token).await.map_err(|error| error.reason())
}

/// An hour without use is the longest; each use begins it anew.
pub async fn a_session_ends_when_it_is_not_used(test: TestDb) {
    let (deps, hand) = world(&test).await;
    with_role(&deps, "ann@example.org", "ADMIN").await;
    let opened = sessions::open(&deps, "ann@example.org", PASSWORD, "192.0.2.1").await.unwrap();
    for _ in 0..3 {
        hand.move_by(HOUR);
        assert!(verified(&deps, &opened).await.is_ok());
    }
    // A use within a minute is not written, and counts from the one before.
    hand.move_by(30);
    assert!(verified(&deps, &opened).await.is_ok());
    hand.move_by(HOUR - 29);
    assert_eq!(verified(&deps, &opened).await.err(), Some(Reason::Unauthenticated));
    hand.move_by(-1);
    assert!(verified(&deps, &opened).await.is_ok(), "the end is no second too early");
    let stolen = Opened { access_token: opened.session.clone(), ..opened };
    assert_eq!(verified(&deps, &stolen).await.err(), Some(Reason::Unauthenticated));
}

/// A week is the longest, also for a session that moved to another account on the way.
pub async fn a_session_ends_however_much_it_is_used(test: TestDb) {
    let (deps, hand) = world(&test).await;
    let user = with_role(&deps, "ann@example.org", "ADMIN").await;
    let mut opened = sessions::open(&deps, "ann@example.org", PASSWORD, "192.0.2.1").await.unwrap();
    for hour in 1..=7 * 24 {
        hand.move_by(HOUR);
        let session = verified(&deps, &opened).await.unwrap_or_else(|reason| panic!("{reason:?} after {hour} hours"));
        assert_eq!(session.created_at, START);
        if hour == 100 {
            let caller = admin(user, &session.digest[..16]);
            let moved = accounts::create(&deps, &caller, "Second").await.unwrap();
            assert_eq!(verified(&deps, &opened).await.err(), Some(Reason::Unauthenticated), "the old one is dead");
            opened = moved;
        }
    }
    hand.move_by(1);
    assert_eq!(verified(&deps, &opened).await.err(), Some(Reason::Unauthenticated));
    let again = sessions::open(&deps, "ann@example.org", PASSWORD, "192.0.2.1").await.unwrap();
    assert!(verified(&deps, &again).await.is_ok());
}

/// In its last second an invitation is accepted, a second later it is not, and never twice.
pub async fn an_invitation_is_good_for_a_week(test: TestDb) {
    let (deps, hand) = world(&test).await;
    let caller = admin(with_role(&deps, "root@example.org", "ADMIN").await, "");
    let invite = async |email: &str| {
        let invite = Invite { email: email.into(), role: "MEMBER".into(), ..Invite::default() };
        let link = invitations::create(&deps, &caller, invite).await.unwrap().link;
        link.split_once("signupInvitationCode=").unwrap().1.split('&').next().unwrap().to_owned()
    };
    let accept = async |email: &str, code: &str| {
        signup::sign_up(&deps, email, PASSWORD, code, "192.0.2.1").await.map(drop).map_err(|error| error.reason())
    };
    let (ann, bob) = (invite("ann@example.org").await, invite("bob@example.org").await);
    hand.move_by(7 * DAY - 1);
    assert_eq!(accept("ann@example.org", &bob).await, Err(Reason::InvitationInvalid), "it is for another address");
    assert_eq!(accept("Ann@example.org", &ann).await, Ok(()));
    assert_eq!(accept("ann@example.org", &ann).await, Err(Reason::InvitationInvalid), "it was used");
    hand.move_by(1);
    assert_eq!(accept("bob@example.org", &bob).await, Err(Reason::InvitationInvalid));
    // Invited again, the person gets a week of their own, and the old link stays dead.
    let new = invite("bob@example.org").await;
    assert_eq!(accept("bob@example.org", &bob).await, Err(Reason::InvitationInvalid));
    assert_eq!(accept("bob@example.org", &new).await, Ok(()));
}

/// Of two who use one token at the same time one chooses the password; a used, replaced or old token chooses nothing.
pub async fn a_reset_token_is_good_for_two_hours_and_once(test: TestDb) {
    let (deps, hand) = world(&test).await;
    let caller = admin(with_role(&deps, "root@example.org", "ADMIN").await, "");
    with_role(&deps, "ann@example.org", "MEMBER").await;
    let make = async || resets::create_for_member(&deps, &caller, "ann@example.org").await.map(|reset| reset.token);
    let redeem = async |token: &str, password: &str| {
        resets::redeem(&deps, token, password, false, "192.0.2.1").await.map(drop).map_err(|error| error.reason())
    };
    let session = sessions::open(&deps, "ann@example.org", PASSWORD, "192.0.2.1").await.unwrap();
    let token = make().await.unwrap();
    hand.move_by(HOUR);
    assert_eq!(make().await.unwrap_err().text(), "please wait 60 minute(s)");
    let (one, other) = tokio::join!(redeem(&token, "the first new password"), redeem(&token, "the other new password"));
    let outcomes = BTreeMap::from([(one.is_ok(), one), (other.is_ok(), other)]);
    assert_eq!(outcomes.get(&false), Some(&Err(Reason::ResetTokenInvalid)));
    assert!(outcomes.contains_key(&true), "nobody got it");
    assert_eq!(verified(&deps, &session).await.err(), Some(Reason::Unauthenticated), "sessions end with the password");

    let old = make().await.unwrap();
    hand.move_by(2 * HOUR);
    assert_eq!(redeem(&old, "a much newer password").await, Err(Reason::ResetTokenInvalid));
    let new = make().await.unwrap();
    assert_eq!(redeem(&old, "a much newer password").await, Err(Reason::ResetTokenInvalid));
    hand.move_by(2 * HOUR - 1);
    assert_eq!(redeem(&new, "a much newer password").await, Ok(()));
    sessions::open(&deps, "ann@example.org", "a much newer password", "192.0.2.1").await.unwrap();
}

/// Sessions, invitations, reset links and keys go some time after their end, and nothing that still counts goes.
pub async fn what_has_ended_is_removed(test: TestDb) {
    let (deps, hand) = world(&test).await;
    let root = with_role(&deps, "root@example.org", "ADMIN").await;
    with_role(&deps, "ann@example.org", "MEMBER").await;
    let caller = admin(root, "");
    let invite = async |email: &str| {
        let invite = Invite { email: email.into(), role: "MEMBER".into(), ..Invite::default() };
        invitations::create(&deps, &caller, invite).await.unwrap()
    };
    let count = async |table: &str| {
        let sql = portolan_store::Sql::assembled(format!("SELECT count(*) AS n FROM {table}"));
        deps.db.fetch_one(sql, args![]).await.unwrap().get::<i64>("n").unwrap()
    };
    let kept = async || {
        retention::sweep(&deps).await;
        let counts = [count("sessions").await, count("invitations").await, count("password_resets").await];
        (counts, count("signing_keys").await)
    };
    invite("bob@example.org").await;
    resets::create_for_member(&deps, &caller, "ann@example.org").await.unwrap();
    sessions::open(&deps, "ann@example.org", PASSWORD, "192.0.2.1").await.unwrap();
    let key = "INSERT INTO signing_keys (key_id, public_key, private_key, created_at) VALUES ($1, $2, $2, $3)";
    for (id, age) in [("today", 0), ("yesterday", DAY), ("older", 3 * DAY), ("oldest", 8 * DAY)] {
        deps.db.execute(key, args![id, vec![0_u8], START - age]).await.unwrap();
    }
    // The one that identity made for itself is older than all of them by this clock.
    assert_eq!(kept().await, ([1, 1, 1], 3));
    hand.move_by(90 * DAY);
    assert_eq!(kept().await, ([0, 1, 1], 2), "links are kept for a time after their end, and two keys for ever");
    invite("eve@example.org").await;
    hand.move_by(7 * DAY + 1);
    assert_eq!(kept().await, ([0, 1, 0], 2));
}
