use std::sync::LazyLock;

use super::national;

/// One kind of personal or secret data beyond the built-in subtypes, found by the name of a key or by a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PiiType(u8);

/// How a kind is recognised.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// The last key segment, without separators and in lower case, contains the text.
    KeyContains(&'static str),
    /// One of the words of the last key segment is the text. For names so short that other words contain them.
    KeyWord(&'static str),
    /// The whole value matches the pattern. The text in front is found in every match (in any case when the pattern
    /// says so) and is looked for first, since most values fail there; empty means that nothing is common to all.
    Value(&'static str, &'static str),
    /// The whole value matches the pattern, and its check characters hold.
    Checked(&'static str, fn(&str) -> bool),
    /// The value, without spaces, is an IBAN whose check digits hold.
    Iban,
}

struct Entry {
    name: &'static str,
    active: bool,
    sensitive: bool,
    rule: Rule,
}

const fn entry(name: &'static str, active: bool, sensitive: bool, rule: Rule) -> Entry {
    Entry { name, active, sensitive, rule }
}

const fn key(name: &'static str, text: &'static str) -> Entry {
    entry(name, false, true, Rule::KeyContains(text))
}

const fn word(name: &'static str, text: &'static str) -> Entry {
    entry(name, false, true, Rule::KeyWord(text))
}

const fn aws(name: &'static str, part: &'static str, pattern: &'static str) -> Entry {
    entry(name, true, true, Rule::Value(part, pattern))
}

const fn secret(name: &'static str, part: &'static str, pattern: &'static str) -> Entry {
    entry(name, false, true, Rule::Value(part, pattern))
}

const fn checked(name: &'static str, pattern: &'static str, check: fn(&str) -> bool) -> Entry {
    entry(name, false, false, Rule::Checked(pattern, check))
}

const fn plain(name: &'static str, part: &'static str, pattern: &'static str) -> Entry {
    entry(name, false, false, Rule::Value(part, pattern))
}

/// Patterns match the whole value. The order is the order of the tests: sensitive kinds come first.
static TABLE: &[Entry] = &[
    entry("USERNAME", true, true, Rule::KeyContains("username")),
    aws("AWS ACCESS KEY ID", "A", "(?:A3T[A-Z0-9]|AKIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ASIA)[A-Z0-9]{16}"),
    aws(
        "AWS S3 BUCKET URL",
        "s3",
        r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/\S*)?|https?://(?:[a-z0-9.-]{3,63}\.)?s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:/\S*)?",
    ),
    aws("AWS ARN CONNECT INSTANCE", "arn:aws:connect:", r"arn:aws:connect:[a-z0-9-]+:\d{12}:instance/[0-9a-fA-F-]{36}"),
    aws("AWS SQS URL", ".amazonaws.com", r"https?://(?:sqs\.[a-z0-9-]+|[a-z0-9-]+\.queue)\.amazonaws\.com(?:/\S*)?"),
    aws("AWS RDS URL", ".rds.amazonaws.com", r"(?:[a-z0-9+]+://)?[A-Za-z0-9.@:_-]+\.rds\.amazonaws\.com(?:[:/]\S*)?"),
    aws("AWS DOCDB URL", ".docdb.amazonaws.com", r"(?:[a-z0-9+]+://)?\S+\.docdb\.amazonaws\.com(?:[:/]\S*)?"),
    aws(
        "AWS DYNAMODB URL",
        "dynamodb.",
        r"(?:https?://)?(?:[a-z0-9-]+\.)?dynamodb\.[a-z0-9-]+\.amazonaws\.com(?:/\S*)?",
    ),
    entry("PASSWORD", true, false, Rule::KeyContains("password")),
    key("TOKEN", "token"),
    key("SECRET", "secret"),
    key("DATABASE", "database"),
    key("BIRTH", "birth"),
    word("DOB", "dob"),
    word("AUTH", "auth"),
    key("CONTACT", "contact"),
    key("ADDRESSKEY", "address"),
    key("STREETLINE", "streetline"),
    key("LICENCE", "licence"),
    key("LICENSE", "license"),
    key("PASSPORT", "passport"),
    word("BANK", "bank"),
    word("PIN", "pin"),
    word("EIN", "ein"),
    key("INVOICE", "invoice"),
    key("SESSIONID", "sessionid"),
    key("ENCRYPT", "encrypt"),
    secret("GCP API KEY", "AIza", r"AIza[0-9A-Za-z_-]{35}"),
    secret("MAILCHIMP API KEY", "-us", r"[0-9a-f]{32}-us[0-9]{1,2}"),
    secret("NPM TOKEN", "npm_", r"npm_[A-Za-z0-9]{36}"),
    secret("MONGODB CONNECTION STRING", "mongodb", r"mongodb(?:\+srv)?://\S+"),
    secret("POSTGRES CONNECTION STRING", "postgres", r"postgres(?:ql)?://\S+"),
    secret("REDIS CONNECTION STRING", "redis", r"rediss?://\S+"),
    secret("RABBITMQ CONNECTION STRING", "amqp", r"amqps?://\S+"),
    secret("MSSQL CONNECTION STRING", ";", r"(?i)(?:server|data source)=[^;]+;.*(?:password|pwd)=[^;]+;?.*"),
    secret("AZURE REDIS", ".redis.cache.windows.net", r"[A-Za-z0-9-]+\.redis\.cache\.windows\.net\S*"),
    secret("NGROK URL", "ngrok", r"(?:https?://)?[a-z0-9-]+\.ngrok(?:-free)?\.(?:io|app|dev)\S*"),
    secret("OKTA DOMAIN", ".okta", r"(?:https?://)?[a-z0-9-]+\.okta(?:preview|-emea)?\.com\S*"),
    secret("GITHUB TOKEN", "_", r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}"),
    secret("GITLAB TOKEN", "glpat-", r"glpat-[A-Za-z0-9_-]{20,64}"),
    secret("ANTHROPIC API KEY", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,200}"),
    secret("OPENAI API KEY", "sk-", r"sk-(?:proj-)?[A-Za-z0-9_-]{20,200}"),
    secret("HUGGINGFACE TOKEN", "hf_", r"hf_[A-Za-z0-9]{34,}"),
    secret("NOTION TOKEN", "_", r"(?:secret|ntn)_[A-Za-z0-9]{43,50}"),
    secret("AUTH0 DOMAIN", ".auth0.com", r"(?:https?://)?[a-z0-9.-]+\.auth0\.com\S*"),
    secret("AZURE BATCH", ".batch.azure.com", r"(?:https?://)?[a-z0-9.-]+\.batch\.azure\.com\S*"),
    secret("AZURE CONTAINER REGISTRY", ".azurecr.io", r"(?:https?://)?[a-z0-9]+\.azurecr\.io\S*"),
    secret("AZURE FUNCTION KEY", "==", r"[A-Za-z0-9_-]{52,54}=="),
    secret("AZURE SEARCH URL", ".search.windows.net", r"(?:https?://)?[a-z0-9-]+\.search\.windows\.net\S*"),
    secret(
        "DATABRICKS DOMAIN",
        "databricks",
        r"(?:https?://)?[a-z0-9.-]+\.(?:cloud\.databricks\.com|azuredatabricks\.net)\S*",
    ),
    secret("DIGITAL OCEAN TOKEN", "_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    secret("DISCORD BOT TOKEN", ".", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}"),
    secret(
        "DISCORD WEBHOOK",
        "/api/webhooks/",
        r"https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\d+/[A-Za-z0-9_-]+",
    ),
    secret("DOCKERHUB TOKEN", "dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{27}"),
    secret("DROPBOX TOKEN", "sl.", r"sl\.[A-Za-z0-9_-]{130,}"),
    secret("FIGMA TOKEN", "figd_", r"figd_[A-Za-z0-9_-]{40}"),
    secret("GRAFANA TOKEN", "gl", r"gl(?:c|sa)_[A-Za-z0-9+/=_]{32,}"),
    secret("MS TEAMS WEBHOOK", ".webhook.office.com", r"https://[a-z0-9-]+\.webhook\.office\.com/webhookb2/\S+"),
    secret("POSTMAN API KEY", "PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    secret("RAZORPAY KEY", "rzp_", r"rzp_(?:live|test)_[A-Za-z0-9]{14}"),
    secret("SALESFORCE DOMAIN", "force.com", r"(?:https?://)?[A-Za-z0-9.-]+\.(?:my\.)?(?:salesforce|force)\.com\S*"),
    secret("SHUTTERSTOCK TOKEN", "v2/", r"v2/[A-Za-z0-9]{388}"),
    secret("SLACK TOKEN", "xox", r"xox[bpares]-[A-Za-z0-9-]{10,250}"),
    secret("SLACK WEBHOOK", "hooks.slack.com", r"https://hooks\.slack\.com/(?:services|workflows)/\S+"),
    secret("SQUARE ACCESS TOKEN", "EAAA", r"EAAA[A-Za-z0-9_-]{60}"),
    secret("SQUARE OAUTH SECRET", "sq0", r"sq0(?:csp|idp|atp)-[A-Za-z0-9_-]{22,43}"),
    secret("HASHICORP TOKEN", ".", r"hv[sbr]\.[A-Za-z0-9_-]{24,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}"),
    secret("TWILIO SID", "AC", r"AC[a-f0-9]{32}"),
    secret("STRIPE KEY", "k_", r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,247}"),
    secret("ALIBABA ACCESS KEY", "LTAI", r"LTAI[A-Za-z0-9]{12,20}"),
    secret("ZAPIER WEBHOOK", "hooks.zapier.com", r"https://(?:www\.)?hooks\.zapier\.com/hooks/catch/\S+"),
    secret("SHOPIFY TOKEN", "shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    secret("OPENVPN DOMAIN", ".openvpn.com", r"(?:https?://)?[a-z0-9.-]+\.openvpn\.com\S*"),
    secret("AMAZON ADVERTISING URL", "advertising-api", r"(?:https?://)?advertising-api(?:-[a-z]{2})?\.amazon\.com\S*"),
    secret("FIREBASE DOMAIN", ".firebaseapp.com", r"(?:https?://)?[a-z0-9.-]+\.firebaseapp\.com\S*"),
    secret("FIREBASE DATABASE", ".firebaseio.com", r"(?:https?://)?[a-z0-9.-]+\.firebaseio\.com\S*"),
    secret("FACEBOOK TOKEN", "EAA", r"EAA[A-Za-z0-9]{60,}"),
    plain("PAN CARD", "", "[A-Z]{5}[0-9]{4}[A-Z]"),
    plain("US MEDICARE HEALTH INSURANCE CLAIM NUMBER", "", "[0-9]{9}[A-Z][0-9A-Z]?"),
    plain("INDIAN UNIQUE HEALTH IDENTIFICATION", "", "[0-9]{14}"),
    checked(
        "UK NATIONAL INSURANCE NUMBER",
        "[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
        national::is_uk_insurance,
    ),
    checked(
        "FINNISH PERSONAL IDENTITY NUMBER",
        "[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]",
        national::is_finnish_identity,
    ),
    checked("CANADIAN SOCIAL INSURANCE NUMBER", "[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}", national::is_canadian_sin),
    checked("GERMAN INSURANCE IDENTITY NUMBER", "[0-9]{8}[A-Z][0-9]{3}|[A-Z][0-9]{9}", national::is_german_insurance),
    plain("JAPANESE SOCIAL INSURANCE NUMBER", "", "[0-9]{12}"),
    entry("IBAN EUROPE", false, false, Rule::Iban),
    checked(
        "US ADDRESS",
        r"(?i)[0-9]{1,6} [a-z0-9 .,#-]{3,80},? [a-z]{2},? [0-9]{5}(?:-[0-9]{4})?",
        national::names_a_state,
    ),
    plain("IMAGE", ".", r"(?i)\S+\.(?:jpg|jpeg|png|svg)"),
    plain("DATA FILE", ".", r"(?i)\S+\.(?:pdf|js|css|woff|txt)"),
];

static BY_NAME: LazyLock<std::collections::HashMap<&'static str, PiiType>> =
    LazyLock::new(|| PiiType::all().map(|pii| (pii.name(), pii)).collect());

impl PiiType {
    /// Every kind, in the order in which they are tried.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(|index| Self(index as u8))
    }

    pub fn from_name(name: &str) -> Option<Self> {
        BY_NAME.get(name).copied()
    }

    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Looked for unless an account switches it off.
    pub fn is_active_by_default(self) -> bool {
        self.entry().active
    }

    pub fn is_sensitive(self) -> bool {
        self.entry().sensitive
    }

    pub(super) fn rule(self) -> Rule {
        self.entry().rule
    }

    fn entry(self) -> &'static Entry {
        &TABLE[usize::from(self.0)]
    }
}
