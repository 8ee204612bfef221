//! Rights never widen: over random histories of everything that gives them, what somebody gains lies within what the
//! one who gave it held. Judged apart from the order that the service compares by: bit by bit and id by id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_api::{Access, Feature, Reason, identity::v1::GetGrantResponse};
use portolan_authz::{Cache, Caller, Role, Scope};
use portolan_identity::{
    Deps, administrators, grants, members,
    roles::{self, RoleInput},
};
use portolan_ids::{CollectionId, UserId};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::world::{ACCOUNT, admin, identity, with_role};

const SCOPES: [Scope; 4] = [Scope::Api, Scope::Agentic, Scope::Endpoint, Scope::Dast];
const BUILT_IN: [&str; 7] = ["ADMIN", "MEMBER", "DEVELOPER", "GUEST", "THREAT_ENGINEER", "THREAT_VIEWER", "NO_ACCESS"];
/// Of the users at the beginning of a history.
const ROLES: [&str; 7] = ["ADMIN", "ADMIN", "MEMBER", "MEMBER", "DEVELOPER", "GUEST", "ADMIN"];
const CUSTOM: [&str; 4] = ["Narrow", "Pair", "Single", "Wide"];
/// Calls of one history; about a third of them is taken.
const CALLS: usize = 80;
const HISTORIES: u64 = 4;

/// Numbers that are the same at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What a user holds, scope by scope.
type Held = Vec<GetGrantResponse>;

async fn held(deps: &Deps, user_id: UserId) -> Held {
    let mut held = Held::new();
    for scope in SCOPES {
        held.push((&grants::read(deps, ACCOUNT, user_id, scope).await.unwrap()).into());
    }
    held
}

/// What is gained in one scope that its giver does not have there.
fn excess(giver: &GetGrantResponse, before: &GetGrantResponse, after: &GetGrantResponse) -> Vec<String> {
    let bit = |feature: Feature| 1_u64 << feature as i32;
    let of = |grant: &GetGrantResponse, bits: fn(&GetGrantResponse) -> u64| match Role::parse(&grant.base_role) {
        Some(Role::NoAccess) | None => 0,
        Some(_) => bits(grant),
    };
    // As documented, who reads integrations as a MEMBER may make a DEVELOPER, who writes them.
    let is_above = [Role::Admin, Role::Member, Role::ThreatEngineer, Role::ThreatViewer]
        .contains(&Role::parse(&giver.base_role).unwrap_or(Role::NoAccess));
    let reach = if is_above { bit(Feature::Integrations) & giver.readable } else { 0 };
    let threats = bit(Feature::ThreatProtection) & giver.readable;
    let mut found = Vec::new();
    let read =
        of(after, |grant| grant.readable) & !of(before, |grant| grant.readable) & !of(giver, |grant| grant.readable);
    let write = of(after, |grant| grant.writable)
        & !of(before, |grant| grant.writable)
        & !(of(giver, |grant| grant.writable) | reach | threats);
    if read != 0 || write != 0 {
        found.push(format!("features to read {read:b}, to write {write:b}"));
    }
    let has_any = |grant: &GetGrantResponse| of(grant, |grant| grant.readable) != 0;
    let ids = |grant: &GetGrantResponse| grant.collection_ids.iter().copied().collect::<BTreeSet<i32>>();
    if has_any(after) && !giver.all_collections {
        let is_wider = after.all_collections && !(has_any(before) && before.all_collections);
        let known = if has_any(before) { ids(before) } else { BTreeSet::new() };
        let new: Vec<_> = ids(after).into_iter().filter(|id| !known.contains(id) && !ids(giver).contains(id)).collect();
        if is_wider || !before.all_collections && !new.is_empty() {
            found.push(format!("collections {new:?}, all: {is_wider}"));
        }
    }
    if after.administers_organization && !before.administers_organization && !giver.administers_organization {
        found.push("authority over the organization".to_owned());
    }
    found
}

async fn caller(deps: &Deps, user_id: UserId) -> Caller {
    let grant = grants::read(deps, ACCOUNT, user_id, Scope::Api).await.unwrap();
    Caller { grant: Arc::new(grant), ..admin(user_id, "") }
}

/// One call of somebody, whatever the guard would say of it.
async fn call(deps: &Deps, dice: &mut Dice, caller: &Caller, logins: &BTreeMap<UserId, String>) -> (String, bool) {
    let names: Vec<&str> = BUILT_IN.into_iter().chain(CUSTOM).collect();
    let ids: Vec<UserId> = logins.keys().copied().collect();
    let target = dice.any(&ids);
    let login = &logins[&target];
    let mapping = |dice: &mut Dice| -> BTreeMap<String, String> {
        let some = (0..dice.below(3)).map(|_| (dice.any(&SCOPES).name().to_owned(), dice.any(&names).to_owned()));
        some.collect::<Vec<_>>().into_iter().collect()
    };
    let input = |dice: &mut Dice| RoleInput {
        name: dice.any(&CUSTOM).to_owned(),
        base_role: dice.any(&BUILT_IN[..6]).to_owned(),
        collection_ids: dice
            .any(&[None, Some([1, 2].as_slice()), Some(&[1]), Some(&[]), Some(&[3])])
            .map(|ids| ids.iter().copied().map(CollectionId).collect()),
        features: dice
            .any(&[None, Some(["ADMIN"].as_slice()), Some(&["INVENTORY", "USER"]), Some(&[])])
            .map(|list| list.iter().map(|name| (*name).to_owned()).collect()),
        opens_threat_protection: dice.any(&[None, Some(true), Some(false)]),
        is_default: None,
    };
    let (what, outcome) = match dice.below(8) {
        0 => {
            let role = dice.any(&names);
            let mapping = mapping(dice);
            (
                format!("role {role} {mapping:?} to {target}"),
                members::update_role(deps, caller, login, role, &mapping).await,
            )
        }
        1 => {
            let mapping = mapping(dice);
            (
                format!("mapping {mapping:?} to {target}"),
                members::update_scope_roles(deps, caller, login, &mapping).await,
            )
        }
        2 => {
            let lists = BTreeMap::from([(target, Vec::new())]);
            (format!("no list to {target}"), members::update_collections(deps, caller, &lists).await)
        }
        3 | 4 => {
            let input = input(dice);
            (format!("make {input:?}"), roles::create_with(deps, caller, input, None).await)
        }
        5 => {
            let input = input(dice);
            (format!("change {input:?}"), roles::update_with(deps, caller, input, None).await)
        }
        6 => (format!("administrator {target}"), administrators::add(deps, caller, login).await),
        _ => (format!("no administrator {target}"), administrators::remove(deps, caller, target).await),
    };
    (format!("{what}: {outcome:?}"), outcome.is_ok())
}

/// Gives everyone the role of the start, and to some a custom one.
async fn begin(deps: &Deps, ids: &[UserId]) {
    let first = admin(ids[0], "");
    let role = "UPDATE memberships SET role = $3, scope_roles = '{}', collection_ids = NULL, is_emptied = 0
        WHERE account_id = $1 AND user_id = $2";
    for (id, name) in ids.iter().zip(ROLES) {
        deps.db.execute(role, args![ACCOUNT, id, name]).await.unwrap();
    }
    deps.db.execute("DELETE FROM custom_roles", args![]).await.unwrap();
    deps.db.execute("DELETE FROM organization_administrators", args![]).await.unwrap();
    let founder = "INSERT INTO organization_administrators (organization_id, user_id, created_at) VALUES ('o', $1, 0)";
    deps.db.execute(founder, args![ids[0]]).await.unwrap();
    for (name, base_role, collection_ids, features, holder) in [
        ("Narrow", "ADMIN", None, Some(vec!["ADMIN".to_owned(), "INVENTORY".to_owned()]), ids[1]),
        ("Pair", "MEMBER", Some(vec![CollectionId(1), CollectionId(2)]), None, ids[2]),
        ("Single", "MEMBER", None, Some(vec!["DEBUG_INFO".to_owned()]), ids[3]),
    ] {
        let (name, base_role) = (name.to_owned(), base_role.to_owned());
        let input = RoleInput { name: name.clone(), base_role, collection_ids, features, ..RoleInput::default() };
        roles::create_with(deps, &first, input, None).await.unwrap();
        deps.db.execute(role, args![ACCOUNT, holder, name]).await.unwrap();
    }
}

pub async fn nobody_gains_what_the_giver_does_not_hold(test: TestDb) {
    let deps = identity(&test, Cache::Off).await;
    let mut logins = BTreeMap::new();
    for (number, role) in ROLES.into_iter().enumerate() {
        let login = format!("u{number}@example.org");
        logins.insert(with_role(&deps, &login, role).await, login);
    }
    let ids: Vec<UserId> = logins.keys().copied().collect();
    let (mut taken, mut log) = (0, Vec::new());
    for history in 0..HISTORIES {
        let mut dice = Dice(history + 1);
        begin(&deps, &ids).await;
        for _ in 0..CALLS {
            // Who sees only some collections gets its turn more often: little of what it tries is taken.
            let giver = if dice.below(3) == 0 { ids[2] } else { dice.any(&ids) };
            let mut before = BTreeMap::new();
            for id in &ids {
                before.insert(*id, held(&deps, *id).await);
            }
            let (what, ok) = call(&deps, &mut dice, &caller(&deps, giver).await, &logins).await;
            log.push(format!("{giver}: {what}"));
            if !ok {
                continue;
            }
            taken += 1;
            for id in &ids {
                let after = held(&deps, *id).await;
                for (scope, after) in after.iter().enumerate() {
                    let found = excess(&before[&giver][scope], &before[id][scope], after);
                    let last = &log[log.len().saturating_sub(5)..];
                    assert!(found.is_empty(), "{id} gains in {:?}: {found:?}\n{}", SCOPES[scope], last.join("\n"));
                }
            }
        }
    }
    assert!(taken > 10, "only {taken} calls were taken");
}

/// Authority over the organization passes from holder to holder, and the last one keeps it.
pub async fn authority_is_given_by_holders(test: TestDb) {
    let deps = identity(&test, Cache::memory()).await;
    let first = with_role(&deps, "first@example.org", "ADMIN").await;
    let second = with_role(&deps, "second@example.org", "ADMIN").await;
    with_role(&deps, "member@example.org", "MEMBER").await;
    let founder = "INSERT INTO organization_administrators (organization_id, user_id, created_at) VALUES ('o', $1, 0)";
    deps.db.execute(founder, args![first]).await.unwrap();
    let reason = |outcome: portolan_api::Result<()>| outcome.unwrap_err().reason();
    let (one, two) = (caller(&deps, first).await, caller(&deps, second).await);
    assert_eq!(reason(administrators::add(&deps, &two, "second@example.org").await), Reason::RoleAboveCaller);
    assert_eq!(reason(administrators::remove(&deps, &two, first).await), Reason::RoleAboveCaller);
    assert_eq!(reason(administrators::add(&deps, &one, "member@example.org").await), Reason::AdministratorInvalid);
    assert_eq!(reason(administrators::add(&deps, &one, "nobody@example.org").await), Reason::UserNotFound);
    assert_eq!(reason(administrators::remove(&deps, &one, first).await), Reason::LastAdministrator);
    administrators::add(&deps, &one, "second@example.org").await.unwrap();
    administrators::add(&deps, &one, "second@example.org").await.unwrap();
    let ids = async || {
        let list = administrators::list(&deps, &one).await.unwrap();
        list.into_iter().map(|known| known.user_id).collect::<Vec<_>>()
    };
    assert_eq!(ids().await, [first, second]);
    let administers =
        async |user| grants::get(&deps, ACCOUNT, user, Scope::Api).await.unwrap().administers_organization();
    assert!(administers(second).await, "a cached grant follows");
    administrators::remove(&deps, &two, first).await.unwrap();
    assert!(!administers(first).await);
    assert_eq!(reason(administrators::remove(&deps, &one, second).await), Reason::RoleAboveCaller);
    assert_eq!(ids().await, [second]);
    assert!(
        grants::get(&deps, ACCOUNT, first, Scope::Api).await.unwrap().allows(Feature::AdminActions, Access::ReadWrite)
    );
}
