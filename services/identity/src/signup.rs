//! New people: by invitation, as the first user, or as founders of an organisation.

use portolan_api::{Error, Reason, Result};
use portolan_store::Tx;

use crate::{
    Deps, grants,
    history::{self, Actor, Change},
    model::{
        invitations::checked_email,
        members::{ACCOUNT_NAME, admin_everywhere},
        rights::Rights,
        users,
    },
    organizations, passwords,
    sessions::{self, Opened},
    store,
    throttle::{self, Kind},
};

/// Makes a user, or lets a known one join, and starts a session.
///
/// # Errors
/// `EMAIL_INVALID`; what is wrong with the password; `INVITATION_INVALID`; `LOGIN_FAILED` for a known user with another
/// password; `LOGIN_THROTTLED`; without an invitation `SIGN_UP_CLOSED` and `USER_EXISTS`.
pub async fn sign_up(deps: &Deps, email: &str, password: &str, code: &str, address: &str) -> Result<Opened> {
    let email_key = checked_email(email)?;
    let attempt = throttle::Attempt::begin(&deps.limits, Kind::SignUp, &email_key, address).await?;
    let opened = match code.trim() {
        "" => found(deps, email.trim(), &email_key, password, address).await,
        code => join(deps, email.trim(), &email_key, password, code, address).await,
    };
    // A guess at a code or a password stays counted; what is wrong with a new password is no guess.
    let is_guess = |error: &Error| [Reason::InvitationInvalid, Reason::LoginFailed].contains(&error.reason());
    if !opened.as_ref().is_err_and(is_guess) {
        let _ = attempt.give_back().await;
    }
    opened
}

async fn join(deps: &Deps, email: &str, email_key: &str, password: &str, code: &str, address: &str) -> Result<Opened> {
    let code_digest = portolan_runtime::digest(code);
    let invitation = store::find_invitation_by_code(&deps.db, &code_digest).await?;
    if !invitation
        .is_some_and(|found| users::login_key(&found.email) == email_key && found.expires_at > deps.clock.now())
    {
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
    let mut tx = deps.db.begin().await?;
    let user_id = match user_id {
        Some(id) => id,
        None => {
            let id = store::next_id(&mut tx, "user").await?;
            store::insert_user(&mut tx, id, email, email_key, &hash).await?;
            id
        }
    };
    let account_id = accept(deps, &mut tx, &code_digest, user_id, email_key).await?;
    let actor = Actor { account_id, user_id, client_address: address.to_owned() };
    history::record_by(&mut tx, &actor, Change::of("user", user_id).by("user.sign_up")).await?;
    let opened = sessions::start(&mut tx, deps.clock.now(), user_id, account_id, None).await?;
    store::update_last_login(&mut tx, user_id, deps.clock.now(), &hash).await?;
    let change = grants::announce(deps, account_id, &[user_id]).await?;
    tx.commit().await?;
    change.finish().await?;
    sessions::opened(deps, opened, account_id).await
}

/// Uses an invitation up: the user is a member afterwards, with the roles it names.
///
/// # Errors
/// `INVITATION_INVALID` when it is gone, has expired, is for another address, or gives what its issuer does not hold.
pub(crate) async fn accept(deps: &Deps, tx: &mut Tx, code_digest: &str, user_id: i64, email_key: &str) -> Result<i64> {
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
    if store::find_membership(&mut *tx, invitation.account_id, user_id).await?.is_none() {
        store::insert_membership(tx, invitation.account_id, user_id, None, &invitation.scope_roles).await?;
    }
    Ok(invitation.account_id)
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
    store::insert_account(&mut tx, account_id, &organization.id, ACCOUNT_NAME, deps.clock.now()).await?;
    store::insert_user(&mut tx, user_id, email, email_key, &hash).await?;
    store::insert_membership(&mut tx, account_id, user_id, None, &admin_everywhere()).await?;
    store::insert_administrator(&mut tx, &organization.id, user_id, deps.clock.now()).await?;
    let actor = Actor { account_id, user_id, client_address: address.to_owned() };
    history::record_by(&mut tx, &actor, Change::of("organization", &organization.id).by("user.sign_up")).await?;
    let opened = sessions::start(&mut tx, deps.clock.now(), user_id, account_id, None).await?;
    store::update_last_login(&mut tx, user_id, deps.clock.now(), &hash).await?;
    tx.commit().await?;
    sessions::opened(deps, opened, account_id).await
}
