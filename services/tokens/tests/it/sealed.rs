use portolan_store::{Db, args};
use portolan_testkit::TestDb;
use portolan_tokens::{
    access_profiles, api_clients, client_keys,
    profiles::{self, Which, Within},
    workspaces::Page,
};

use crate::world::{ACCOUNT, World, caller, in_place};

const CLIENTS: &str = "SELECT jwt_secret FROM api_clients WHERE jwt_secret IS NOT NULL";
const PROFILES: &str = "SELECT jwt_secret FROM api_profiles WHERE jwt_secret IS NOT NULL";

async fn kept(db: &Db, statement: &'static str) -> Vec<Vec<u8>> {
    let rows = db.fetch_all(statement, Vec::new()).await.unwrap();
    rows.iter().map(|row| row.get("jwt_secret").unwrap()).collect()
}

/// A secret that cannot be opened hides nothing but itself, and stays as it is until another takes its place.
pub async fn one_secret_that_cannot_be_opened_hides_no_other(test: TestDb) {
    in_place(async move || check(&World::new(&test).await).await).await;
}

async fn check(World { deps, .. }: &World) {
    let (page, sealed) = (Page { number: 1, per_page: 100 }, b"sealed with another key".to_vec());
    let mut clients = Vec::new();
    for name in ["a", "b", "c"] {
        let made = api_clients::create_legacy(deps, &caller(name), ACCOUNT, Some(name.to_owned()), None).await;
        clients.push(made.unwrap().id);
    }
    let broken = clients[1];
    let statement = "UPDATE api_clients SET auth_type = 'jwt', jwt_method = 'hmac', is_legacy = 0, jwt_secret = $2
        WHERE client_id = $1";
    deps.db.execute(statement, args![broken, sealed.clone()]).await.unwrap();
    let filter = api_clients::Filter { legacy_only: false, project_id: None, cert_bundle_ids: Vec::new() };
    let (listed, total) = api_clients::list(deps, ACCOUNT, &filter, page).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|listed| listed.client.id).collect();
    assert_eq!((ids, total), (clients.clone(), 3));
    assert_eq!(listed[1].client.auth.jwt_secret, None);

    let renamed = api_clients::Patch { name: Some(Some("other".to_owned())), ..api_clients::Patch::default() };
    api_clients::update(deps, &caller("rename"), ACCOUNT, broken.into(), renamed).await.unwrap();
    assert_eq!(
        kept(&deps.db, CLIENTS).await,
        std::slice::from_ref(&sealed),
        "a change of something else loses no secret"
    );

    let mut keys = Vec::new();
    for name in ["k", "l", "m"] {
        let patch = client_keys::Patch { name: Some(Some(name.to_owned())), ..client_keys::Patch::default() };
        let made = client_keys::create(deps, &caller(name), ACCOUNT, broken, Some(true), patch).await.unwrap();
        keys.push(made.profile.id);
    }
    let statement = "UPDATE api_profiles SET jwt_secret = $2 WHERE profile_id = $1";
    deps.db.execute(statement, args![keys[1], sealed.clone()]).await.unwrap();
    let (found, total) = client_keys::list(deps, ACCOUNT, broken, page).await.unwrap();
    assert_eq!((found.iter().map(|key| key.id).collect::<Vec<_>>(), total), (keys.clone(), 3));
    let which = Which { account_id: ACCOUNT, id: keys[1], within: Within::Client(broken) };
    assert!(!profiles::set_active(deps, &caller("off"), which, false).await.unwrap().active, "it can be ended");
    assert_eq!(kept(&deps.db, PROFILES).await, std::slice::from_ref(&sealed));
    deps.db.execute("UPDATE api_profiles SET is_legacy = 1", Vec::new()).await.unwrap();
    assert_eq!(access_profiles::list(deps, ACCOUNT, None, page).await.unwrap().len(), 3);

    let mut patch = api_clients::Patch { name: Some(Some("other".to_owned())), ..api_clients::Patch::default() };
    patch.auth.jwt_secret = Some(Some("a shared secret of 32 bytes here".to_owned()));
    api_clients::update(deps, &caller("anew"), ACCOUNT, broken.into(), patch).await.unwrap();
    assert_ne!(kept(&deps.db, CLIENTS).await, [sealed], "a new secret takes the place of the old one");
    let listed = api_clients::get(deps, ACCOUNT, broken.into()).await.unwrap();
    assert_eq!(listed.client.auth.jwt_secret.as_deref(), Some("a shared secret of 32 bytes here"));
}
