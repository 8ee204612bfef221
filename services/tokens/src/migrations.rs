use portolan_store::{Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    service: "tokens",
    steps: &[
        Migration {
            version: 1,
            name: "tokens",
            sqlite: include_str!("../migrations/sqlite/0001_tokens.sql"),
            postgres: include_str!("../migrations/postgres/0001_tokens.sql"),
        },
        Migration {
            version: 2,
            name: "access",
            sqlite: include_str!("../migrations/sqlite/0002_access.sql"),
            postgres: include_str!("../migrations/postgres/0002_access.sql"),
        },
        Migration {
            version: 3,
            name: "edge",
            sqlite: include_str!("../migrations/sqlite/0003_edge.sql"),
            postgres: include_str!("../migrations/postgres/0003_edge.sql"),
        },
        Migration {
            version: 40,
            name: "slack_messages",
            sqlite: include_str!("../migrations/sqlite/0040_slack_messages.sql"),
            postgres: include_str!("../migrations/postgres/0040_slack_messages.sql"),
        },
        Migration {
            version: 66,
            name: "token_accounts",
            sqlite: include_str!("../migrations/sqlite/0066_token_accounts.sql"),
            postgres: include_str!("../migrations/postgres/0066_token_accounts.sql"),
        },
        Migration {
            version: 70,
            name: "preflight",
            sqlite: include_str!("../migrations/sqlite/0070_preflight.sql"),
            postgres: include_str!("../migrations/postgres/0070_preflight.sql"),
        },
    ],
};
