//! New people: by invitation, as the first user, or as founders of an organization.

use portolan_api::{Error, Reason, Result};
use portolan_authz::Shown;
use portolan_ids::{AccountId, UserId};
use portolan_store::Tx;

use crate::{
    Deps, failures, grants,
    history::{self, Actor, Change},
    model::{
        invitations::{Invitation, checked_email},
        members::{ACCOUNT_NAME, admin_everywhere},
        rights::Rights,
        sessions::Origin,
        users,
    },
    organizations, passwords,
    sessions::{self, Opened},
    store::{self, Fresh, RightsTx},
    throttle::{self, Kind},
};

/// Makes a user, or lets a known one join, and starts a session.
///
/// # Errors
/// `EMAIL_INVALID`; what is wrong with the password; `INVITATION_INVALID`; `LOGIN_FAILED` for a known user with another
/// password; `LOGIN_THROTTLED`; without an invitation `SIGN_UP_CLOSED` and `USER_EXISTS`.
pub async fn sign_up(deps: &Deps, email: &str, password: &str, code: &str, address: &str) -> Result<Opened> {
    let email_key = checked_email(email)?;
    let attempt = throttle::Attempt::begin(&deps.limits, Kind::SignUp, &email_key, address).await;
    let attempt = attempt.inspect_err(|error| note_failure(deps, email, code.trim(), address, error.reason()))?;
    let opened = match code.trim() {
        "" => found(deps, email.trim(), &email_key, password, address).await,
        code => join(deps, email.trim(), &email_key, password, code, address).await,
    };
    // A guess at a code or a password stays counted; what is wrong with a new password is no guess.
    let is_guess = |error: &Error| [Reason::InvitationInvalid, Reason::LoginFailed].contains(&error.reason());
    if let Err(error) = &opened {
        note_failure(deps, email, code.trim(), address, error.reason());
    }
    if !opened.as_ref().is_err_and(is_guess) {
        let _ = attempt.give_back().await;
    }
    opened
}

fn note_failure(deps: &Deps, email: &str, code: &str, address: &str, reason: Reason) {
    match reason {
        Reason::LoginFailed => failures::note_password(deps, email, address, reason),
        Reason::InvitationInvalid | Reason::LoginThrottled => {
            failures::note(deps, Shown::Invitation, code, address, reason);
        }
        _ => {}
    }
}

async fn join(deps: &Deps, email: &str, email_key: &str, password: &str, code: &str, address: &str) -> Result<Opened> {
    let code_digest = portolan_runtime::digest(code);
    let is_good =
        |found: &Invitation| users::login_key(&found.email) == email_key && found.expires_at > deps.clock.now();
    let invited = store::find_invitation_by_code(&deps.db, &code_digest).await?.filter(is_good);
    if invited.is_none() {
        return Err(Reason::InvitationInvalid.into());
    }
    let known = store::find_user_by_login(&deps.db, email_key).await?;
    let (user_id, hash) = match known {
        Some(user) => {
            let hash = Some(user.password_hash.clone());
            if !deps.passwords.verify(password.to_owned(), hash).await? {
                return Err(Reason::LoginFailed.into());
            }
            (Some(user.id), user.password_hash)
        }
        None => {
            passwords::check(password)?;
            (None, deps.passwords.hash(password.to_owned()).await?)
        }
    };
    let keys = invited.iter().zip(user_id).flat_map(|(found, user_id)| store::member_keys(found.account_id, user_id));
    let (hash, code_digest) = (&hash, &code_digest);
    let (started, account_id) = grants::change(deps, keys, |tx| {
        grants::work(async move {
            let (user_id, made) = match user_id {
                Some(user_id) => (user_id, None),
                None => {
                    let user_id = store::next_id(tx, "user").await?;
                    (user_id, Some(store::insert_user(tx, user_id, email, email_key, hash).await?))
                }
            };
            let account_id = accept(deps, tx, code_digest, (user_id, made.as_ref()), email_key).await?;
            let actor = Actor { account_id, user_id, client_address: address.to_owned() };
            history::record_by(&deps.audit, tx, &actor, Change::of("user", user_id).by("user.sign_up")).await?;
            let started = sessions::start(deps, tx, user_id, account_id, Origin::at(deps.clock.now())).await?;
            store::update_last_login(tx, user_id, deps.clock.now(), hash).await?;
            Ok((started, account_id))
        })
    })
    .await?;
    sessions::opened(deps, started, account_id).await
}

/// Uses an invitation up: the user, whom the transaction may have made, is a member afterwards, with the roles it names.
///
/// # Errors
/// `INVITATION_INVALID` when it is gone, has expired, is for another address, or gives what its issuer does not hold.
pub(crate) async fn accept(
    deps: &Deps,
    tx: &mut RightsTx,
    code_digest: &str,
    (user_id, made): (UserId, Option<&Fresh>),
    email_key: &str,
) -> Result<AccountId> {
    let invalid = Reason::InvitationInvalid;
    let found = store::find_invitation_by_code(&deps.db, code_digest).await?.ok_or(invalid)?;
    // Roles cannot be deleted between the look at the invitation and the membership that names them.
    store::lock_account(tx, found.account_id).await?;
    let invitation = store::take_invitation(tx, code_digest).await?.ok_or(invalid)?;
    if users::login_key(&invitation.email) != email_key || invitation.expires_at <= deps.clock.now() {
        return Err(invalid.into());
    }
    // Roles may have widened since, and the issuer may have lost theirs: what is given is what they hold now.
    let roles = store::list_custom_roles(&mut *tx, invitation.account_id).await?;
    let issuer = grants::rights_of(tx, &roles, invitation.account_id, invitation.issuer_id).await?;
    if !issuer.covers(&Rights::of_mapping(&roles, &invitation.scope_roles)) {
        return Err(invalid.into());
    }
    let (account_id, scope_roles) = (invitation.account_id, &invitation.scope_roles);
    match made {
        Some(made) => {
            store::insert_first_membership(tx, made, (account_id, user_id), None, scope_roles).await?;
        }
        None if store::find_membership(&mut *tx, account_id, user_id).await?.is_none() => {
            store::insert_membership(tx, account_id, user_id, scope_roles).await?;
        }
        None => {}
    }
    Ok(account_id)
}

/// The first user of an installation, or where sign-up is open a founder.
async fn found(deps: &Deps, email: &str, email_key: &str, password: &str, address: &str) -> Result<Opened> {
    let is_closed = async |tx: &mut Tx| Ok::<_, Error>(!deps.open_signup && store::count_users(tx).await? > 0);
    let mut tx = deps.db.begin().await?;
    if is_closed(&mut tx).await? {
        return Err(Reason::SignUpClosed.into());
    }
    tx.rollback().await?;
    passwords::check(password)?;
    let hash = deps.passwords.hash(password.to_owned()).await?;
    let mut tx = deps.db.begin().await?;
    // The sequence's row lock makes racing founders queue; the check is right only behind it.
    let account_id = store::next_id(&mut tx, "account").await?;
    if is_closed(&mut tx).await? {
        return Err(Reason::SignUpClosed.into());
    }
    if store::find_user_by_login(&deps.db, email_key).await?.is_some() {
        return Err(Reason::UserExists.into());
    }
    let user_id = store::next_id(&mut tx, "user").await?;
    let organization = organizations::new(email, deps.clock.now());
    store::insert_organization(&mut tx, &organization).await?;
    let made = store::insert_account(&mut tx, account_id, &organization.id, ACCOUNT_NAME, deps.clock.now()).await?;
    store::insert_user(&mut tx, user_id, email, email_key, &hash).await?;
    store::insert_first_membership(&mut tx, &made, (account_id, user_id), None, &admin_everywhere()).await?;
    let now = deps.clock.now();
    store::insert_administrator(&mut tx, &made, (account_id.into(), &organization.id), user_id, now).await?;
    let actor = Actor { account_id, user_id, client_address: address.to_owned() };
    history::record_by(&deps.audit, &mut tx, &actor, Change::of("organization", &organization.id).by("user.sign_up"))
        .await?;
    let opened = sessions::start(deps, &mut tx, user_id, account_id, Origin::at(deps.clock.now())).await?;
    store::update_last_login(&mut tx, user_id, deps.clock.now(), &hash).await?;
    tx.commit().await?;
    sessions::opened(deps, opened, account_id).await
}
