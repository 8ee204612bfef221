use portolan_ids::{AccountId, UserId};
use portolan_store::args;
use portolan_testkit::TestDb;
use portolan_tokens::{
    Deps, organization_tokens,
    revocations::{self, Ended},
    secret::{self, Kind},
};

use crate::world::{ACCOUNT, World, in_place};

/// The ids of the tokens with these secrets that work.
async fn alive(deps: &Deps, secrets: &[String]) -> Vec<String> {
    let mut alive = Vec::new();
    for secret in secrets {
        alive.extend(organization_tokens::authenticate(deps, secret, "192.0.2.1").await.map(|token| token.id));
    }
    alive
}

/// The organization tokens of an account that is closed end with it, and those of other accounts do not.
pub async fn tokens_of_a_closed_account_end(test: TestDb) {
    in_place(async move || check(&World::new(&test).await).await).await;
}

async fn check(World { deps, .. }: &World) {
    let insert = "INSERT INTO organization_tokens (organization_id, token_id, name, scopes, networks, secret_digest,
        annotations, created_at, updated_at, write_id, secret_write_id, version, account_id)
        VALUES ('organization', $1, 'n', '[]', '[]', $2, '[]', $3, $3, $1, $1, 1, $4)";
    let mut secrets = Vec::new();
    // Made there before the end, made there after it (in an account of the same id), made elsewhere.
    for (id, created_at, account_id) in
        [("a", 100, ACCOUNT), ("b", 201, ACCOUNT), ("c", 100, AccountId(ACCOUNT.get() + 1))]
    {
        let secret = secret::generate(Kind::OrganizationToken);
        let digest = portolan_runtime::digest(&secret);
        deps.db.execute(insert, args![id, digest, created_at as i64, account_id]).await.unwrap();
        secrets.push(secret);
    }
    let ended = |user_id| Ended { account_id: ACCOUNT, user_id, ended_at: 200 };
    // Who leaves takes none of them along: they belong to the account.
    assert_eq!(revocations::revoke(deps, &[ended(Some(UserId(1)))]).await.unwrap(), 0);
    assert_eq!(alive(deps, &secrets).await, ["a", "b", "c"]);
    assert_eq!(revocations::revoke(deps, &[ended(None)]).await.unwrap(), 1);
    assert_eq!(alive(deps, &secrets).await, ["b", "c"]);
    assert_eq!(revocations::revoke(deps, &[ended(None)]).await.unwrap(), 0, "a repetition finds nothing");
}
