use std::path::Path;

use portolan_api::{Error, Result};
use portolan_runtime::now_s;

use crate::{
    Deps,
    model::{
        first_start::FirstStep,
        members::{ACCOUNT_NAME, admin_everywhere},
        users,
    },
    options::AdminOptions,
    organizations, peers,
    random::random_password,
    store,
};

/// File in the data directory that receives the first API key.
const KEY_FILE: &str = "admin-api-key";
/// A process that has not made the key by then has ended, and another one makes it.
const CLAIM_S: i64 = 3;

/// What the first start made, for the operator to read once.
#[derive(Default)]
pub struct FirstStart {
    /// Login and password of the administrator, when the password was made here.
    pub generated_password: Option<(String, String)>,
}

impl FirstStart {
    /// Shows a password that was made here, once, on standard error.
    pub fn tell(self) {
        if let Some((login, password)) = self.generated_password {
            eprintln!("administrator {login} with password {password} (shown once)");
        }
    }
}

/// Makes the organization, its account, its administrator and the first API key, unless they exist. A start that was
/// interrupted goes on where it stopped.
///
/// # Errors
/// When the store, the tokens service or the key file fails.
pub async fn first_start(deps: &Deps, admin: &AdminOptions, data_dir: &Path) -> Result<FirstStart> {
    let AdminOptions { email, password } = admin;
    let mut made = FirstStart::default();
    if store::count_accounts(&deps.db).await? == 0 {
        let generated = password.is_empty().then(random_password);
        let password = generated.clone().unwrap_or_else(|| password.clone());
        if create_administrator(deps, email, &password).await? {
            made.generated_password = generated.map(|generated| (email.clone(), generated));
        }
    }
    loop {
        match store::claim_first_start(&deps.db, KEY_FILE, now_s(), CLAIM_S).await? {
            FirstStep::Done => break,
            FirstStep::Taken => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
            FirstStep::Claimed { account_id, user_id, claim } => {
                let key = peers::create_first_key(&deps.peers, account_id, user_id, email).await?;
                portolan_runtime::write_private(&data_dir.join(KEY_FILE), key.as_bytes()).map_err(Error::internal)?;
                store::delete_first_start(&deps.db, &claim).await?;
            }
        }
    }
    Ok(made)
}

/// Returns false when another process was faster.
async fn create_administrator(deps: &Deps, email: &str, password: &str) -> Result<bool> {
    let password_hash = deps.passwords.hash(password.to_owned()).await?;
    let mut tx = deps.db.begin().await?;
    let account_id = store::next_id(&mut tx, "account").await?;
    if account_id != store::FIRST_ACCOUNT_ID {
        return Ok(false);
    }
    let user_id = store::next_id(&mut tx, "user").await?;
    let organization = organizations::new(email, now_s());
    store::insert_organization(&mut tx, &organization).await?;
    let made = store::insert_account(&mut tx, account_id, &organization.id, ACCOUNT_NAME, now_s()).await?;
    store::insert_user(&mut tx, user_id, email, &users::login_key(email), &password_hash).await?;
    store::insert_first_membership(&mut tx, &made, (account_id, user_id), None, &admin_everywhere()).await?;
    store::insert_administrator(&mut tx, &made, (account_id.into(), &organization.id), user_id, now_s()).await?;
    store::insert_first_start(&mut tx, KEY_FILE, account_id, user_id).await?;
    tx.commit().await?;
    Ok(true)
}
