//! Exact answers of the documented endpoints, kept where the reference page shows them: `gateway/src/reference/calls.txt`.
//!
//! What differs from run to run and what is secret is named: `<Shop>` for the id of a collection, `<now>` for a time of
//! the run, `<uuid>` and `<upload>` for other ids, `<secret>` and `<key>` for credentials. `UPDATE_GOLDEN=1` writes the
//! file anew; read the difference before it is committed.

mod account;
mod clients;
mod inventory;
mod written;

use std::path::Path;

use portolan_testkit::TestDb;

use self::written::Golden;
use crate::imports_sources::Site;

/// Every documented call answers exactly what is written down.
pub async fn documented_calls_answer_exactly(test: TestDb) {
    let postman = Site::start().await;
    let server = crate::imports_sources::start(&test, &postman).await;
    let mut golden = Golden::new(&server);

    let shop = inventory::calls(&mut golden).await;
    // Ids of users and of collections have the same range.
    golden.forget_names();
    account::calls(&mut golden, shop).await;
    account::people(&mut golden).await;
    clients::api_keys(&mut golden).await;
    clients::organization_tokens(&mut golden).await;
    clients::workspaces(&mut golden).await;

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway/src/reference/calls.txt");
    let written = golden.into_text();
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&file, &written).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    for (found, expected) in written.split("\n\n").zip(expected.split("\n\n")) {
        assert_eq!(found, expected);
    }
    assert_eq!(written.len(), expected.len());
}
