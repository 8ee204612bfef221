use std::collections::BTreeMap;

use portolan_api::{Access, Feature, Reason};
use portolan_authz::{Cache, Caller, Redis, Role, Scope, features_named};
use portolan_identity::{
    Deps, grants, members,
    roles::{self, RoleInput},
};
use portolan_ids::{CollectionId, UserId};
use portolan_testkit::TestDb;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::world::{ACCOUNT, admin, identity, member, with_role};

const USERS: usize = 3;
const ROUNDS: usize = 5;
const EVENTS: usize = 90;
const COLLECTIONS: std::ops::Range<i32> = 1..6;
const BASES: [Role; 6] =
    [Role::Admin, Role::Member, Role::Developer, Role::Guest, Role::ThreatEngineer, Role::ThreatViewer];
/// Names that are given to members; `r0` and `r1` are custom roles, which may not exist.
const GIVEN: [&str; 7] = ["r0", "R1", "r1", "MEMBER", "guest", "ADMIN", "THREAT_VIEWER"];
const MAPPED: [&str; 4] = ["API", "AGENTIC", "ENDPOINT", "DAST"];
const SCOPES: [Scope; 6] = [Scope::Api, Scope::Mcp, Scope::GenAi, Scope::Agentic, Scope::Dast, Scope::Endpoint];
const FEATURES: [&str; 4] = ["INVENTORY", "SENSITIVE_DATA", "THREAT_PROTECTION", "ADMIN"];

/// What happens to an account, one thing after the other, each at one of two processes.
#[derive(Clone, Debug)]
enum Event {
    CreateRole(usize, Draft),
    UpdateRole(usize, Draft),
    DeleteRole(usize),
    Assign { user: usize, role: usize },
    Map { user: usize, mapping: Vec<(usize, Option<usize>)> },
    Restrict { user: usize, collections: Vec<i32> },
    Add { user: usize, collection: i32 },
    Forget(Vec<i32>),
    Remove(usize),
    Read { user: usize, scope: usize },
}

/// What a request says of a custom role; what it leaves out stays.
#[derive(Clone, Debug)]
struct Draft {
    base: usize,
    collections: Option<Vec<i32>>,
    features: Option<Vec<usize>>,
    opens_threat_protection: Option<bool>,
}

fn event() -> impl Strategy<Value = Event> {
    let list = || prop::collection::vec(COLLECTIONS, 0..4);
    let draft = || {
        let features = prop::collection::vec(0..FEATURES.len(), 0..3);
        (0..BASES.len(), prop::option::of(list()), prop::option::of(features), prop::option::of(any::<bool>()))
            .prop_map(|(base, collections, features, opens_threat_protection)| Draft {
                base,
                collections,
                features,
                opens_threat_protection,
            })
    };
    let mapping = prop::collection::vec((0..MAPPED.len(), prop::option::of(0..GIVEN.len())), 0..4);
    prop_oneof![
        3 => (0..2_usize, draft()).prop_map(|(role, draft)| Event::CreateRole(role, draft)),
        4 => (0..2_usize, draft()).prop_map(|(role, draft)| Event::UpdateRole(role, draft)),
        2 => (0..2_usize).prop_map(Event::DeleteRole),
        5 => (0..USERS, 0..GIVEN.len()).prop_map(|(user, role)| Event::Assign { user, role }),
        4 => (0..USERS, mapping).prop_map(|(user, mapping)| Event::Map { user, mapping }),
        3 => (0..USERS, list()).prop_map(|(user, collections)| Event::Restrict { user, collections }),
        2 => (0..USERS, COLLECTIONS).prop_map(|(user, collection)| Event::Add { user, collection }),
        2 => prop::collection::vec(COLLECTIONS, 1..3).prop_map(Event::Forget),
        1 => (0..USERS).prop_map(Event::Remove),
        20 => (0..USERS, 0..SCOPES.len()).prop_map(|(user, scope)| Event::Read { user, scope }),
    ]
}

/// A list of collections; `None` never restricted, and an empty one restricts to none.
type List = Option<Vec<i32>>;

#[derive(Clone, Debug)]
struct CustomRole {
    base: Role,
    list: List,
    features: Vec<usize>,
    opens_threat_protection: bool,
}

#[derive(Clone, Debug)]
struct Member {
    role: String,
    mapping: BTreeMap<&'static str, String>,
    list: List,
}

/// The account as somebody would keep it who had all the time in the world.
#[derive(Clone, Debug, Default)]
struct Naive {
    roles: BTreeMap<String, CustomRole>,
    /// `None` for who was removed.
    members: Vec<Option<Member>>,
}

fn typed(ids: &[i32]) -> Vec<CollectionId> {
    ids.iter().copied().map(CollectionId).collect()
}

fn listed(ids: Vec<i32>) -> List {
    Some(ids).filter(|ids| !ids.is_empty())
}

impl Naive {
    /// The built-in role behind a name, and the custom one.
    fn resolve(&self, name: &str) -> Option<(Role, Option<&CustomRole>)> {
        let name = name.to_uppercase();
        match self.roles.get(&name) {
            Some(role) => Some((role.base, Some(role))),
            None => Role::parse(&name).map(|role| (role, None)),
        }
    }

    fn name_in(member: &Member, scope: Scope) -> String {
        let mapped = match scope {
            Scope::Mcp | Scope::GenAi => "AGENTIC",
            other => other.name(),
        };
        match member.mapping.is_empty() {
            true => member.role.clone(),
            false => member.mapping.get(mapped).cloned().unwrap_or_else(|| "NO_ACCESS".to_owned()),
        }
    }

    fn base_in(&self, member: &Member, scope: Scope) -> (Role, Option<&CustomRole>) {
        self.resolve(&Self::name_in(member, scope)).unwrap_or((Role::NoAccess, None))
    }

    /// The collections that restrict a member in a scope.
    fn list_in(&self, member: &Member, scope: Scope) -> List {
        let (base, custom) = self.base_in(member, scope);
        if base == Role::Admin {
            return None;
        }
        let lists = [member.list.clone(), custom.and_then(|role| role.list.clone())];
        lists.into_iter().flatten().reduce(|mut all, more| {
            all.extend(more);
            all
        })
    }

    fn allows(&self, member: Option<&Member>, scope: Scope, feature: Feature, access: Access) -> bool {
        let Some(member) = member else { return false };
        let (base, custom) = self.base_in(member, scope);
        let bit = 1_u64 << feature as i32;
        let mut allowed = base.features(access) & bit != 0;
        let Some(custom) = custom else { return allowed };
        if feature == Feature::ThreatProtection && matches!(base, Role::Member | Role::Developer) {
            allowed |= custom.opens_threat_protection;
        }
        let named = custom.features.iter().any(|n| features_named(FEATURES[*n]).unwrap() & bit != 0);
        allowed && (custom.features.is_empty() || named || feature == Feature::UserActions)
    }

    fn sees(&self, member: Option<&Member>, scope: Scope, collection: i32) -> bool {
        // Without a membership there is no list either; no feature is open that would show a collection.
        member.and_then(|member| self.list_in(member, scope)).is_none_or(|list| list.contains(&collection))
    }

    fn is_held(&self, key: &str) -> bool {
        let holds = |member: &Member| {
            member.role.to_uppercase() == key || member.mapping.values().any(|name| name.to_uppercase() == key)
        };
        self.members.iter().flatten().any(holds)
    }
}

/// Random histories of roles, mappings, lists and removals give, read by read, what a naive evaluator gives.
pub async fn random_histories_agree_with_a_naive_evaluator(test: TestDb) {
    let shared = Cache::memory();
    histories([identity(&test, shared.clone()).await, identity(&test, shared).await]).await;
}

/// The same with a cache in Redis, which each process reaches by itself.
pub async fn random_histories_over_redis_agree_too(test: TestDb) {
    let url = std::env::var("PORTOLAN_TEST_REDIS").expect("the case runs only with a Redis");
    let space: &str = format!("history-{:016x}", rand::random::<u64>()).leak();
    let cache = || Cache::redis(Redis::new(&url, "test").unwrap(), space);
    histories([identity(&test, cache()).await, identity(&test, cache()).await]).await;
}

async fn histories(processes: [Deps; 2]) {
    let seed: [u8; 32] = rand::random();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let root = admin(with_role(&processes[0], "root@example.org", "ADMIN").await, "");
    let mut counts = Counts::default();
    for round in 0..ROUNDS {
        let events = prop::collection::vec((0..2_usize, event()), EVENTS).new_tree(&mut runner).unwrap().current();
        let mut history = History::begin(round, &processes, &root).await;
        for (at, (process, event)) in events.iter().enumerate() {
            if let Err(difference) = history.take(*process, event, &mut counts).await {
                panic!("{difference}: {event:?} after {:?}, seed {seed:?}", &events[..at]);
            }
        }
    }
    println!("{counts:?}");
    assert!(counts.reads > 100 && counts.changes > 50 && counts.refusals > 5, "{counts:?}");
}

#[derive(Debug, Default)]
struct Counts {
    reads: u32,
    changes: u32,
    refusals: u32,
}

struct History<'a> {
    processes: &'a [Deps; 2],
    root: &'a Caller,
    round: usize,
    users: Vec<UserId>,
    naive: Naive,
}

impl<'a> History<'a> {
    async fn begin(round: usize, processes: &'a [Deps; 2], root: &'a Caller) -> Self {
        let mut history = Self { processes, root, round, users: Vec::new(), naive: Naive::default() };
        for user in 0..USERS {
            history.users.push(member(&processes[0], &history.login(user)).await);
            history.naive.members.push(Some(Member {
                role: "MEMBER".to_owned(),
                mapping: BTreeMap::new(),
                list: None,
            }));
        }
        history
    }

    fn login(&self, user: usize) -> String {
        format!("user-{}-{user}@example.org", self.round)
    }

    /// A custom role of this round, or a built-in one, as it is written.
    fn name(&self, given: &str) -> String {
        match given.to_lowercase().starts_with('r') {
            true => format!("{given}-{}", self.round),
            false => given.to_owned(),
        }
    }

    fn input(&self, role: usize, draft: &Draft) -> RoleInput {
        RoleInput {
            name: self.name(&format!("r{role}")),
            base_role: BASES[draft.base].name().to_owned(),
            collection_ids: draft.collections.as_deref().map(typed),
            features: draft.features.as_ref().map(|list| list.iter().map(|n| FEATURES[*n].to_owned()).collect()),
            opens_threat_protection: draft.opens_threat_protection,
            is_default: None,
        }
    }

    /// Does one thing to the product and to the naive account; a difference is an error.
    async fn take(&mut self, process: usize, event: &Event, counts: &mut Counts) -> Result<(), String> {
        let deps = &self.processes[process];
        let before = self.naive.clone();
        let (expected, found) = match event {
            Event::Read { user, scope } => {
                counts.reads += 1;
                return self.read(deps, *user, SCOPES[*scope]).await;
            }
            Event::CreateRole(role, draft) => {
                let input = self.input(*role, draft);
                (self.create(&input, draft), roles::create_with(deps, self.root, input, None).await)
            }
            Event::UpdateRole(role, draft) => {
                let input = self.input(*role, draft);
                (self.update(&input, draft), roles::update_with(deps, self.root, input, None).await)
            }
            Event::DeleteRole(role) => {
                let name = self.name(&format!("R{role}"));
                (self.delete(&name), roles::delete(deps, self.root, &name).await)
            }
            Event::Assign { user, role } => {
                let (login, name) = (self.login(*user), self.name(GIVEN[*role]));
                let none = BTreeMap::new();
                (self.assign(*user, &name), members::update_role(deps, self.root, &login, &name, &none).await)
            }
            Event::Map { user, mapping } => {
                let login = self.login(*user);
                let role = |given: &Option<usize>| given.map_or("NO_ACCESS".to_owned(), |n| self.name(GIVEN[n]));
                let mapping: BTreeMap<_, _> =
                    mapping.iter().map(|(scope, given)| (MAPPED[*scope], role(given))).collect();
                let sent = mapping.iter().map(|(scope, role)| (scope.to_lowercase(), role.clone())).collect();
                (self.map(*user, mapping), members::update_scope_roles(deps, self.root, &login, &sent).await)
            }
            Event::Restrict { user, collections } => {
                let Some(member) = self.naive.members[*user].as_mut() else { return Ok(()) };
                member.list = listed(collections.clone());
                (Ok(()), grants::set_collections(deps, ACCOUNT, self.users[*user], &typed(collections)).await)
            }
            Event::Add { user, collection } => {
                self.add(*user, *collection);
                (Ok(()), grants::add_collection(deps, ACCOUNT, self.users[*user], CollectionId(*collection)).await)
            }
            Event::Forget(deleted) => {
                let roles = self.naive.roles.values_mut().map(|role| &mut role.list);
                let members = self.naive.members.iter_mut().flatten().map(|member| &mut member.list);
                roles.chain(members).flatten().for_each(|list| list.retain(|id| !deleted.contains(id)));
                (Ok(()), grants::forget_collections(deps, ACCOUNT, &typed(deleted)).await)
            }
            Event::Remove(user) => {
                let expected = self.naive.members[*user].take().map(drop).ok_or(Reason::UserNotFound);
                (expected, members::delete(deps, self.root, &self.login(*user)).await)
            }
        };
        let found = found.map_err(|error| error.reason());
        if found.is_err() {
            self.naive = before;
            counts.refusals += 1;
        } else {
            counts.changes += 1;
        }
        if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
    }

    async fn read(&self, deps: &Deps, user: usize, scope: Scope) -> Result<(), String> {
        let grant = grants::get(deps, ACCOUNT, self.users[user], scope).await.map_err(|error| error.to_string())?;
        let member = self.naive.members[user].as_ref();
        for feature in (1..=28).filter_map(|number| Feature::try_from(number).ok()) {
            for access in [Access::Read, Access::ReadWrite] {
                let expected = self.naive.allows(member, scope, feature, access);
                if grant.allows(feature, access) != expected {
                    return Err(format!("{feature:?} {access:?} should be {expected} in {scope:?}: {grant:?}"));
                }
            }
        }
        for collection in COLLECTIONS {
            let expected = self.naive.sees(member, scope, collection);
            if member.is_some() && grant.sees(collection.into()) != expected {
                return Err(format!("collection {collection} should be {expected} in {scope:?}: {grant:?}"));
            }
        }
        Ok(())
    }

    fn create(&mut self, input: &RoleInput, draft: &Draft) -> Result<(), Reason> {
        let role = CustomRole {
            base: BASES[draft.base],
            list: draft.collections.clone().and_then(listed),
            features: draft.features.clone().unwrap_or_default(),
            opens_threat_protection: draft.opens_threat_protection.unwrap_or_default(),
        };
        match self.naive.roles.insert(input.name.to_uppercase(), role) {
            None => Ok(()),
            Some(_) => Err(Reason::RoleNameTaken),
        }
    }

    fn update(&mut self, input: &RoleInput, draft: &Draft) -> Result<(), Reason> {
        let role = self.naive.roles.get_mut(&input.name.to_uppercase()).ok_or(Reason::RoleNotFound)?;
        role.base = BASES[draft.base];
        if let Some(collections) = &draft.collections {
            role.list = listed(collections.clone());
        }
        if let Some(features) = &draft.features {
            role.features.clone_from(features);
        }
        role.opens_threat_protection = draft.opens_threat_protection.unwrap_or(role.opens_threat_protection);
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), Reason> {
        let key = name.to_uppercase();
        match self.naive.roles.remove(&key) {
            None => Err(Reason::RoleNotFound),
            Some(_) if self.naive.is_held(&key) => Err(Reason::RoleHeld),
            Some(_) => Ok(()),
        }
    }

    fn assign(&mut self, user: usize, name: &str) -> Result<(), Reason> {
        let known = self.naive.resolve(name).is_some();
        let member = self.naive.members[user].as_mut().ok_or(Reason::MemberNotFound)?;
        if !known {
            return Err(Reason::UserRoleInvalid);
        }
        name.clone_into(&mut member.role);
        for role in member.mapping.values_mut().filter(|role| *role != "NO_ACCESS") {
            name.clone_into(role);
        }
        Ok(())
    }

    fn map(&mut self, user: usize, mapping: BTreeMap<&'static str, String>) -> Result<(), Reason> {
        let known = mapping.values().all(|name| self.naive.resolve(name).is_some());
        let member = self.naive.members[user].as_mut().ok_or(Reason::UserNotFound)?;
        if !known {
            return Err(Reason::ScopeRoleInvalid);
        }
        member.mapping = match mapping.is_empty() {
            true => BTreeMap::from([("API", "MEMBER".to_owned())]),
            false => mapping,
        };
        Ok(())
    }

    /// What somebody makes is added to their list when a list restricts them wherever they have access.
    fn add(&mut self, user: usize, collection: i32) {
        let Some(member) = &self.naive.members[user] else { return };
        let restricted = |scope: &Scope| {
            self.naive.base_in(member, *scope).0 == Role::NoAccess || self.naive.list_in(member, *scope).is_some()
        };
        if SCOPES.iter().all(restricted) {
            self.naive.members[user].as_mut().unwrap().list.get_or_insert_default().push(collection);
        }
    }
}
