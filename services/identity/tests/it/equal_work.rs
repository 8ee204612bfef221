use portolan_api::Reason;
use portolan_authz::Cache;
use portolan_identity::{Deps, resets, sessions, signup};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::world::{identity, member};

const ADDRESS: &str = "192.0.2.1";

/// The password hashes that a call computes: all of its time but a few reads.
async fn hashes<T>(deps: &Deps, call: impl Future<Output = T>) -> (T, u64) {
    let before = deps.password_hashes();
    let answer = call.await;
    (answer, deps.password_hashes() - before)
}

/// A wrong password of somebody, a login of nobody, and one of somebody without a password: one hash each, and the same
/// answer. So too when an invitation is accepted.
pub async fn a_login_costs_the_same_for_everybody(test: TestDb) {
    let deps = identity(&test, Cache::memory()).await;
    member(&deps, "ann@example.org").await;
    let by_provider = member(&deps, "sso@example.org").await;
    let forget = "UPDATE users SET password_hash = '' WHERE user_id = $1";
    deps.db.execute(forget, args![by_provider]).await.unwrap();
    for login in ["ann@example.org", "ANN@example.org ", "nobody@example.org", "sso@example.org", "no address"] {
        for password in ["wrong password", "", "password"] {
            let attempt = sessions::open(&deps, login, password, ADDRESS);
            let (refused, computed) = hashes(&deps, attempt).await;
            let refused = refused.err().expect("no password is right");
            assert_eq!((refused.reason(), computed), (Reason::LoginFailed, 1), "{login} {password}");
        }
    }
    // A code that is none is refused before anything is looked at, whoever the address belongs to.
    for email in ["ann@example.org", "nobody@example.org"] {
        let (refused, computed) =
            hashes(&deps, signup::sign_up(&deps, email, "wrong password", "no-code", ADDRESS)).await;
        assert_eq!((refused.err().unwrap().reason(), computed), (Reason::InvitationInvalid, 0), "{email}");
    }
}

/// Asking for a link computes nothing for anybody; a token that is none costs what a good one does.
pub async fn a_reset_costs_the_same_for_everybody(test: TestDb) {
    let deps = identity(&test, Cache::memory()).await;
    member(&deps, "ann@example.org").await;
    for email in ["ann@example.org", "nobody@example.org"] {
        let (answer, computed) = hashes(&deps, resets::request(&deps, email, ADDRESS)).await;
        assert_eq!((answer, computed), (Ok(()), 0), "{email}");
    }
    let root = crate::world::admin(crate::world::with_role(&deps, "root@example.org", "ADMIN").await, "");
    let good = resets::create_for_member(&deps, &root, "ann@example.org").await.unwrap().token;
    for (token, expected) in [("none", Err(Reason::ResetTokenInvalid)), (good.as_str(), Ok(()))] {
        let (answer, computed) =
            hashes(&deps, resets::redeem(&deps, token, "a quite new password", false, ADDRESS)).await;
        assert_eq!((answer.map(drop).map_err(|error| error.reason()), computed), (expected, 1), "{token}");
    }
}
