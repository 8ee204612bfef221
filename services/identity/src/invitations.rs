//! Invitations into an account.

use std::collections::BTreeMap;

use portolan_api::{Error, Reason, Result};
use portolan_authz::{Caller, Role, Scope};
use portolan_ids::AccountId;
use portolan_store::Tx;
use serde_json::json;

use crate::{
    Deps, grants,
    history::{self, Change},
    mail::{self, Letter},
    members,
    model::{
        invitations::{Invitation, checked_email},
        rights::Rights,
        roles, users,
    },
    random::random_code,
    store, throttle,
};

/// An invitation can be accepted for a week.
const LIFE_S: i64 = 7 * 24 * 60 * 60;
const NAME_CHARS_MAX: usize = 100;

/// What an inviter says.
#[derive(Clone, Debug, Default)]
pub struct Invite {
    /// Who is invited.
    pub email: String,
    /// How they are called until they say it themselves.
    pub name: String,
    /// Their role, built-in or custom.
    pub role: String,
    /// Roles by product scope, in place of `role`.
    pub mapping: BTreeMap<String, String>,
    /// The address that the link begins with, where the configuration has none.
    pub website: String,
}

/// What the inviter gets.
pub struct Invited {
    /// Where the invited person joins; it holds the code.
    pub link: String,
    /// The role that they will have.
    pub role: String,
    /// The role in each product scope.
    pub scope_roles: BTreeMap<String, String>,
}

/// Invites an address; an open invitation of it is replaced.
///
/// # Errors
/// `EMAIL_INVALID`, `ALREADY_MEMBER`, `INVITE_DOMAIN_NOT_ALLOWED`, `INVITE_ROLE_MISSING`, `SCOPE_INVALID`, `SCOPE_ROLE_INVALID`,
/// `USER_ROLE_INVALID`, `ROLE_ABOVE_CALLER`, `RATE_LIMITED`.
pub async fn create(deps: &Deps, caller: &Caller, invite: Invite) -> Result<Invited> {
    let email = checked_email(&invite.email)?;
    throttle::take_invite(&deps.limits, caller.account_id, &caller.info.client_address).await?;
    let closed = members::closed_scopes(deps, caller.account_id, &invite.mapping).await?;
    let code = random_code();
    let mut tx = deps.db.begin().await?;
    store::lock_account(&mut tx, caller.account_id).await?;
    let roles = store::list_custom_roles(&mut tx, caller.account_id).await?;
    if store::find_member(&mut tx, caller.account_id, &email).await?.is_some() {
        return Err(Reason::AlreadyMember.into());
    }
    check_domain(deps, &mut tx, caller.account_id, &email).await?;
    let has_default = roles.iter().any(|role| role.is_default);
    let scope_roles = match (invite.mapping.is_empty(), invite.role.trim()) {
        (false, _) => members::checked_mapping(&roles, &closed, &invite.mapping)?,
        (true, "") if has_default => roles::default_mapping(&roles),
        (true, "") => return Err(Reason::InviteRoleMissing.into()),
        (true, role) => {
            let name = roles::canonical(&roles, role).filter(|name| name != Role::NoAccess.name());
            BTreeMap::from([(Scope::Api.name().to_owned(), name.ok_or(Reason::UserRoleInvalid)?)])
        }
    };
    // Nobody hands out, in any scope, what they do not hold there.
    let mut touched = vec![Rights::of_mapping(&roles, &scope_roles)];
    // Nor does an invitation take the place of one that gives more.
    let open = store::find_invitation(&mut tx, caller.account_id, &email).await?;
    if let Some(open) = open.filter(|open| open.issuer_id != caller.user_id && open.expires_at > deps.clock.now()) {
        touched.push(Rights::of_mapping(&roles, &open.scope_roles));
    }
    grants::must_cover(&mut tx, caller, &roles, &touched).await?;
    let invitation = Invitation {
        account_id: caller.account_id,
        email: invite.email.trim().to_owned(),
        name: invite.name.trim().chars().take(NAME_CHARS_MAX).collect(),
        code_digest: portolan_runtime::digest(&code),
        issuer_id: caller.user_id,
        scope_roles: scope_roles.clone(),
        expires_at: deps.clock.now() + LIFE_S,
    };
    store::upsert_invitation(&mut tx, &invitation, deps.clock.now()).await?;
    let change = Change::of("invitation", &portolan_runtime::digest(&email)[..16]).after(&scope_roles);
    history::record(&deps.audit, &mut tx, caller, change.by("invitation.create")).await?;
    tx.commit().await?;
    let path = format!("/signup?signupInvitationCode={code}&signupEmailId={}", mail::encoded(&invitation.email));
    let link = deps.mail.link(&invite.website, &path);
    deps.mail.send(Letter::invitation(&invitation.email, &link));
    let role = scope_roles.get(Scope::Api.name()).or_else(|| scope_roles.values().next()).cloned();
    Ok(Invited { link, role: role.unwrap_or_default(), scope_roles })
}

/// In the list of domains: that of the account's first user.
const OWN_DOMAIN: &str = "own";

/// Where the operator names domains, only their people are invited.
async fn check_domain(deps: &Deps, tx: &mut Tx, account_id: AccountId, email: &str) -> Result<()> {
    let domain_of = |login: &str| users::login_key(login).rsplit_once('@').map(|(_, domain)| domain.to_owned());
    let domain = domain_of(email).unwrap_or_default();
    let allowed = &deps.invite_domains;
    if allowed.is_empty() || allowed.contains(&domain) {
        return Ok(());
    }
    if allowed.iter().any(|domain| domain == OWN_DOMAIN) {
        let members = store::list_members(&mut *tx, account_id).await?;
        if members.first().and_then(|first| domain_of(&first.login)).is_some_and(|own| own == domain) {
            return Ok(());
        }
    }
    Err(Error::new(Reason::InviteDomainNotAllowed).with("domain", domain))
}

/// Withdraws an invitation.
///
/// # Errors
/// `INVITATION_NOT_FOUND`; `INVITATION_NOT_YOURS` for a caller who is neither its issuer nor an ADMIN; `ROLE_ABOVE_CALLER`
/// for an ADMIN of less than it gives.
pub async fn delete(deps: &Deps, caller: &Caller, email: &str) -> Result<()> {
    let email_key = users::login_key(email);
    let own = grants::get(deps, caller.account_id, caller.user_id, Scope::Api).await?;
    let mut tx = deps.db.begin().await?;
    store::lock_account(&mut tx, caller.account_id).await?;
    let invitation = store::find_invitation(&mut tx, caller.account_id, &email_key).await?;
    let invitation = invitation.ok_or(Reason::InvitationNotFound)?;
    if invitation.issuer_id != caller.user_id {
        if own.base_role != Role::Admin {
            return Err(Reason::InvitationNotYours.into());
        }
        let roles = store::list_custom_roles(&mut tx, caller.account_id).await?;
        let given = Rights::of_mapping(&roles, &invitation.scope_roles);
        grants::must_cover(&mut tx, caller, &roles, &[given]).await?;
    }
    store::delete_invitation(&mut tx, caller.account_id, &email_key).await?;
    let change = Change::of("invitation", &portolan_runtime::digest(&email_key)[..16]);
    let before = json!({ "scopeRoleMapping": invitation.scope_roles });
    history::record(&deps.audit, &mut tx, caller, change.before(&before).by("invitation.delete")).await?;
    Ok(tx.commit().await?)
}
