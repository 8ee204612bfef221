use std::sync::LazyLock;

use super::national::{self, National};
use super::{keys, personal, secrets};

/// One kind of personal or secret data beyond the built-in subtypes, found by the name of a key or by a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PiiType(u16);

/// How a kind is recognized.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// The last key segment, without separators and in lower case, contains the text, and does not say that the value is
    /// a property of it, such as `tokenCount`.
    KeyContains(&'static str),
    /// One of the words of the last key segment is the text. For names so short that other words contain them.
    KeyWord(&'static str),
    /// The whole value matches the pattern. The text in front is found in every match (in any case when the pattern
    /// says so) and is looked for first, since most values fail there; empty means that nothing is common to all.
    Value(&'static str, &'static str),
    /// The whole value matches the pattern, and its check characters hold.
    Checked(&'static str, fn(&str) -> bool),
    /// The last key segment passes the test.
    Key(fn(&str) -> bool),
    /// The key and the value pass their tests.
    Pair(fn(&str) -> bool, fn(&str) -> bool),
    /// The value, which holds every kind of character that the text has, passes the test, whatever its key.
    Test(&'static str, fn(&str) -> bool),
    /// The identifier of a country.
    National(&'static National),
    /// The value, without spaces, is an IBAN whose check digits hold.
    Iban,
}

struct Entry {
    name: &'static str,
    active: bool,
    sensitive: bool,
    /// Who knows a value may act under it.
    secret: bool,
    rule: Rule,
}

const fn entry(name: &'static str, active: bool, sensitive: bool, rule: Rule) -> Entry {
    Entry { name, active, sensitive, secret: false, rule }
}

const fn credential(name: &'static str, rule: Rule) -> Entry {
    Entry { name, active: true, sensitive: true, secret: true, rule }
}

const fn key(name: &'static str, text: &'static str) -> Entry {
    entry(name, false, true, Rule::KeyContains(text))
}

const fn word(name: &'static str, text: &'static str) -> Entry {
    entry(name, false, true, Rule::KeyWord(text))
}

/// Something about a person that the name of its field tells.
const fn personal(name: &'static str, test: fn(&str) -> bool) -> Entry {
    entry(name, false, true, Rule::Key(test))
}

const fn aws(name: &'static str, part: &'static str, pattern: &'static str) -> Entry {
    entry(name, true, true, Rule::Value(part, pattern))
}

/// A place in the network that an attacker would like to know.
const fn place(name: &'static str, part: &'static str, pattern: &'static str) -> Entry {
    entry(name, false, true, Rule::Value(part, pattern))
}

const fn secret(name: &'static str, part: &'static str, pattern: &'static str) -> Entry {
    credential(name, Rule::Value(part, pattern))
}

const fn national(name: &'static str, rule: &'static National) -> Entry {
    entry(name, true, true, Rule::National(rule))
}

const fn plain(name: &'static str, part: &'static str, pattern: &'static str) -> Entry {
    entry(name, false, false, Rule::Value(part, pattern))
}

/// Patterns match the whole value. The order is the order of the tests: sensitive kinds come first.
static TABLE: &[Entry] = &[
    entry("USERNAME", true, true, Rule::KeyContains("username")),
    aws("AWS ACCESS KEY ID", "A", "(?:A3T[A-Z0-9]|AKIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ASIA)[A-Z0-9]{16}"),
    secret("AWS SIGNED URL", "X-Amz-Signature=", r"https?://\S+X-Amz-Signature=[0-9a-f]{64}\S*"),
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
    credential("PASSWORD", Rule::Key(keys::names_a_password)),
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
    personal("PERSON NAME", personal::names_a_person),
    personal("DATE OF BIRTH", personal::names_a_birthday),
    personal("PERSONAL TRAIT", personal::names_a_trait),
    personal("SPECIAL CATEGORY", personal::names_a_special_category),
    personal("HEALTH", personal::names_health),
    personal("POSTAL ADDRESS", personal::names_a_place),
    personal("GEOLOCATION", personal::names_a_position),
    personal("CARD DATA", personal::names_card_data),
    personal("BANK ACCOUNT", personal::names_an_account),
    personal("INCOME", personal::names_means),
    personal("ONE-TIME CODE", personal::names_a_proof),
    personal("IDENTITY DOCUMENT", personal::names_a_document),
    personal("LICENSE PLATE", personal::names_a_plate),
    personal("DEVICE IDENTIFIER", personal::names_a_device),
    personal("MEMBERSHIP NUMBER", personal::names_membership),
    secret("GCP API KEY", "AIza", r"AIza[0-9A-Za-z_-]{35}"),
    secret("MAILCHIMP API KEY", "-us", r"[0-9a-f]{32}-us[0-9]{1,2}"),
    secret("NPM TOKEN", "npm_", r"npm_[A-Za-z0-9]{36}"),
    secret("MONGODB CONNECTION STRING", "mongodb", r"mongodb(?:\+srv)?://\S+"),
    secret("POSTGRES CONNECTION STRING", "postgres", r"postgres(?:ql)?://\S+"),
    secret("REDIS CONNECTION STRING", "redis", r"rediss?://\S+"),
    secret("RABBITMQ CONNECTION STRING", "amqp", r"amqps?://\S+"),
    secret("MSSQL CONNECTION STRING", ";", r"(?i)(?:server|data source)=[^;]+;.*(?:password|pwd)=[^;]+;?.*"),
    place("AZURE REDIS", ".redis.cache.windows.net", r"[A-Za-z0-9-]+\.redis\.cache\.windows\.net\S*"),
    place("NGROK URL", "ngrok", r"(?:https?://)?[a-z0-9-]+\.ngrok(?:-free)?\.(?:io|app|dev)\S*"),
    place("OKTA DOMAIN", ".okta", r"(?:https?://)?[a-z0-9-]+\.okta(?:preview|-emea)?\.com\S*"),
    secret("GITHUB TOKEN", "_", r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}"),
    secret("GITLAB TOKEN", "glpat-", r"glpat-[A-Za-z0-9_-]{20,64}"),
    secret("ANTHROPIC API KEY", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,200}"),
    secret("OPENROUTER API KEY", "sk-or-", "sk-or-v[0-9]-[0-9a-f]{64}"),
    secret("OPENAI API KEY", "sk-", r"sk-(?:proj-)?[A-Za-z0-9_-]{20,200}"),
    secret("HUGGINGFACE TOKEN", "hf_", r"hf_[A-Za-z0-9]{34,}"),
    secret("NOTION TOKEN", "_", r"(?:secret|ntn)_[A-Za-z0-9]{43,50}"),
    place("AUTH0 DOMAIN", ".auth0.com", r"(?:https?://)?[a-z0-9.-]+\.auth0\.com\S*"),
    place("AZURE BATCH", ".batch.azure.com", r"(?:https?://)?[a-z0-9.-]+\.batch\.azure\.com\S*"),
    place("AZURE CONTAINER REGISTRY", ".azurecr.io", r"(?:https?://)?[a-z0-9]+\.azurecr\.io\S*"),
    secret("AZURE FUNCTION KEY", "==", r"[A-Za-z0-9_-]{52,54}=="),
    place("AZURE SEARCH URL", ".search.windows.net", r"(?:https?://)?[a-z0-9-]+\.search\.windows\.net\S*"),
    place(
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
    place("SALESFORCE DOMAIN", "force.com", r"(?:https?://)?[A-Za-z0-9.-]+\.(?:my\.)?(?:salesforce|force)\.com\S*"),
    secret("SHUTTERSTOCK TOKEN", "v2/", r"v2/[A-Za-z0-9]{388}"),
    secret("SLACK TOKEN", "xox", r"xox[bpares]-[A-Za-z0-9-]{10,250}"),
    secret("SLACK WEBHOOK", "hooks.slack.com", r"https://hooks\.slack\.com/(?:services|workflows)/\S+"),
    secret("SQUARE ACCESS TOKEN", "EAAA", r"EAAA[A-Za-z0-9_-]{60}"),
    secret("SQUARE OAUTH SECRET", "sq0", r"sq0(?:csp|idp|atp)-[A-Za-z0-9_-]{22,43}"),
    secret("HASHICORP TOKEN", ".", r"hv[sbr]\.[A-Za-z0-9_-]{24,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}"),
    place("TWILIO SID", "AC", r"AC[a-f0-9]{32}"),
    secret("STRIPE KEY", "k_", r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,247}"),
    secret("ALIBABA ACCESS KEY", "LTAI", r"LTAI[A-Za-z0-9]{12,20}"),
    secret("ZAPIER WEBHOOK", "hooks.zapier.com", r"https://(?:www\.)?hooks\.zapier\.com/hooks/catch/\S+"),
    secret("SHOPIFY TOKEN", "shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    place("OPENVPN DOMAIN", ".openvpn.com", r"(?:https?://)?[a-z0-9.-]+\.openvpn\.com\S*"),
    place("AMAZON ADVERTISING URL", "advertising-api", r"(?:https?://)?advertising-api(?:-[a-z]{2})?\.amazon\.com\S*"),
    place("FIREBASE DOMAIN", ".firebaseapp.com", r"(?:https?://)?[a-z0-9.-]+\.firebaseapp\.com\S*"),
    place("FIREBASE DATABASE", ".firebaseio.com", r"(?:https?://)?[a-z0-9.-]+\.firebaseio\.com\S*"),
    secret("FACEBOOK TOKEN", "EAA", r"EAA[A-Za-z0-9]{60,}"),
    secret("PRIVATE KEY", "-----BEGIN", r"(?s)\s*-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*"),
    secret("PUTTY PRIVATE KEY", "PuTTY-User-Key-File", "(?s)PuTTY-User-Key-File-[23]:.*"),
    secret("AGE PRIVATE KEY", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    secret("MYSQL CONNECTION STRING", "://", r"(?:mysql|mariadb|mysqlx)(?:\+[a-z0-9]+)?://[^\s/:@]*:[^\s@]+@\S+"),
    secret("JDBC CONNECTION STRING", "jdbc:", r"(?i)jdbc:[a-z0-9:]+(?://|@)\S*(?:password=|:[^/@\s]+@)\S*"),
    secret(
        "AZURE STORAGE CONNECTION STRING",
        "AccountKey=",
        "(?i).*AccountName=[^;]+;.*AccountKey=[A-Za-z0-9+/=]{40,}.*",
    ),
    secret(
        "AZURE SERVICE CONNECTION STRING",
        "SharedAccessKey",
        "(?i)Endpoint=[^;]+;.*SharedAccessKey=[A-Za-z0-9+/=]{20,}.*",
    ),
    secret("AZURE CLIENT SECRET", "Q~", "[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),
    secret("SENDGRID API KEY", "SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    secret("TWILIO API KEY", "SK", "SK[0-9a-f]{32}"),
    secret("MAILGUN API KEY", "key-", "(?:pub)?key-[0-9a-f]{32}"),
    secret("BREVO API KEY", "xkeysib-", "xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    secret("PYPI TOKEN", "pypi-", "pypi-AgE[A-Za-z0-9_-]{50,}"),
    secret("RUBYGEMS TOKEN", "rubygems_", "rubygems_[0-9a-f]{48}"),
    secret("LINEAR API KEY", "lin_", "lin_(?:api|oauth)_[A-Za-z0-9]{32,64}"),
    secret("ATLASSIAN TOKEN", "AT", "AT(?:ATT3|BB|CTT3|ASTT3)[A-Za-z0-9_=-]{24,}"),
    secret("NEW RELIC KEY", "NR", "NR(?:AK|RA|II|IQ|AL|JS)-[A-Za-z0-9-]{19,42}"),
    secret("SENTRY TOKEN", "sntry", "sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    secret("TELEGRAM BOT TOKEN", ":", "[0-9]{8,10}:AA[A-Za-z0-9_-]{32,33}"),
    secret("SLACK APP TOKEN", "xapp-", "xapp-[0-9]-[A-Z0-9]+-[0-9]+-[a-z0-9]+"),
    secret("STRIPE WEBHOOK SECRET", "whsec_", "whsec_[A-Za-z0-9+/=]{24,}"),
    secret("GOOGLE CLIENT SECRET", "GOCSPX-", "GOCSPX-[A-Za-z0-9_-]{24,32}"),
    secret("GOOGLE ACCESS TOKEN", "ya29.", r"ya29\.[A-Za-z0-9_-]{20,}"),
    secret(
        "PLAID TOKEN",
        "access-",
        "access-(?:sandbox|development|production)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ),
    secret("BRAINTREE TOKEN", "access_token$", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    secret("AIRTABLE TOKEN", "pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    secret("DATABRICKS TOKEN", "dapi", "dapi[0-9a-f]{32}(?:-[0-9])?"),
    secret("DOPPLER TOKEN", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]+\.)?[A-Za-z0-9]{40,44}"),
    secret("DYNATRACE TOKEN", "dt0", r"dt0[a-z][0-9]{2}\.[A-Z2-7]{24}\.[A-Z2-7]{64}"),
    secret("FLY TOKEN", "f", "fo1_[A-Za-z0-9_-]{40,}|fm[12][ar]?_[A-Za-z0-9+/=_,-]{100,}"),
    secret("GITLAB DEPLOY TOKEN", "gl", "gl(?:ptt|dt|rt|cbt|ft|soat|imt|agent|oas|ffct)-[A-Za-z0-9_-]{20,64}"),
    secret("HEROKU API KEY", "HRKU-", "HRKU-[A-Za-z0-9_-]{30,70}"),
    secret("NETLIFY TOKEN", "nf", "nf[pcou]_[A-Za-z0-9]{36,}"),
    secret("PULUMI TOKEN", "pul-", "pul-[0-9a-f]{40}"),
    secret("PLANETSCALE TOKEN", "pscale_", "pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{32,64}"),
    secret("REPLICATE TOKEN", "r8_", "r8_[A-Za-z0-9]{37}"),
    secret("SHIPPO TOKEN", "shippo_", "shippo_(?:live|test)_[0-9a-f]{40}"),
    secret("SONAR TOKEN", "sq", "sq[upa]_[0-9a-f]{40}"),
    secret("SUPABASE KEY", "sb", "sbp_(?:v0_)?[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{22,}"),
    secret("TYPEFORM TOKEN", "tfp_", "tfp_[A-Za-z0-9_.-]{40,}"),
    secret("EASYPOST KEY", "EZ", "EZ[AT]K[A-Za-z0-9]{54}"),
    secret("FLUTTERWAVE KEY", "FLW", "FLWSECK(?:_TEST|_LIVE)?-[0-9a-zA-Z]{12,40}(?:-X)?"),
    secret("GROQ API KEY", "gsk_", "gsk_[A-Za-z0-9]{48,56}"),
    secret("PERPLEXITY API KEY", "pplx-", "pplx-[A-Za-z0-9]{40,56}"),
    secret("XAI API KEY", "xai-", "xai-[A-Za-z0-9]{70,90}"),
    secret("TAILSCALE KEY", "tskey-", "tskey-(?:[a-z]+-)?[A-Za-z0-9]+-[A-Za-z0-9]{16,}"),
    secret("ARTIFACTORY KEY", "AKC", "AKC[A-Za-z0-9]{64,80}"),
    secret("LAUNCHDARKLY KEY", "-", "(?:sdk|api|mob)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    secret("CONTENTFUL TOKEN", "CFPAT-", "CFPAT-[A-Za-z0-9_-]{40,}"),
    secret("HUBSPOT TOKEN", "pat-", "pat-(?:na|eu|ap)[0-9]-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    secret("MAPBOX SECRET TOKEN", "sk.eyJ", r"sk\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    secret("FRAMEIO TOKEN", "fio-u-", "fio-u-[A-Za-z0-9_=-]{60,70}"),
    secret("README API KEY", "rdme_", "rdme_[a-z0-9]{70}"),
    secret("PREFECT API KEY", "pnu_", "pnu_[A-Za-z0-9]{36}"),
    secret("CLOJARS TOKEN", "CLOJARS_", "CLOJARS_[a-z0-9]{60}"),
    secret("SCALEWAY ACCESS KEY", "SCW", "SCW[A-Z0-9]{17}"),
    secret("TENCENT SECRET ID", "AKID", "AKID[A-Za-z0-9]{32}"),
    secret("ADAFRUIT KEY", "aio_", "aio_[A-Za-z0-9]{28}"),
    secret("ONEPASSWORD TOKEN", "ops_eyJ", "ops_eyJ[A-Za-z0-9+/=_-]{100,}"),
    secret("CRATES TOKEN", "cio", "cio[A-Za-z0-9]{32}"),
    secret("TWITTER BEARER TOKEN", "AAAAAAAAAAAAAAAAAAAAA", "A{21,22}[A-Za-z0-9%]{60,120}"),
    secret("NUGET API KEY", "oy2", "oy2[a-z0-9]{43}"),
    secret("JFROG IDENTITY TOKEN", "cmVmdGtuO", "cmVmdGtuO[A-Za-z0-9+/=]{40,}"),
    secret("CLOUDFLARE ORIGIN KEY", "v1.0-", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"),
    secret("GOOGLE REFRESH TOKEN", "1//0", "1//0[A-Za-z0-9_-]{40,}"),
    secret("MIDTRANS KEY", "Mid-", "(?:SB-)?Mid-server-[A-Za-z0-9_-]{20,30}"),
    secret("MERCADO PAGO TOKEN", "-", "(?:APP_USR|TEST)-[0-9]{15,17}-[0-9]{6}-[0-9a-f]{32}-[0-9]{6,12}"),
    secret("BUILDKITE TOKEN", "bk", "bk(?:ua|at|aj)_[0-9a-f]{40}"),
    secret("CIRCLECI TOKEN", "CCIP", "CCIP(?:RJ|AT)_[A-Za-z0-9]{22}_[0-9a-f]{40}"),
    secret(
        "PASSWORD HASH",
        "$",
        r"\$(?:2[abxy]?|argon2(?:id|i|d)|scrypt|s0|[156y]|apr1|pbkdf2[a-z0-9-]*|bcrypt-sha256)\$\S{20,}",
    ),
    secret("PASSWORD HASH OF FRAMEWORKS", "$", r"(?:pbkdf2|argon2|scrypt|bcrypt)[a-z0-9_-]*\$+[^\s$]+\$\S{20,}"),
    secret("PASSWORD HASH OF DIRECTORIES", "}", r"\{(?:SSHA|SSHA256|SSHA512|SHA|CRYPT|BCRYPT|bcrypt)\}\S{20,}"),
    secret("BEARER TOKEN", "earer ", r"(?i)bearer [A-Za-z0-9._~+/-]{16,}=*"),
    secret("OTP AUTH URL", "otpauth://", r"otpauth://(?:totp|hotp)/\S*[?&]secret=[A-Za-z2-7=]{8,}\S*"),
    secret("AZURE SHARED ACCESS SIGNATURE", "sig=", r"(?:https?://\S+[?&]|\?)?\S*\bsig=[A-Za-z0-9%+/=_-]{40,}\S*"),
    secret("GOOGLE SIGNED URL", "X-Goog-Signature=", r"https?://\S+X-Goog-Signature=[0-9a-f]{64,}\S*"),
    credential("URL WITH CREDENTIALS", Rule::Test("://@", secrets::is_url_with_password)),
    credential("BASIC CREDENTIALS", Rule::Test(" BASIC", secrets::is_basic)),
    credential("SESSION COOKIE", Rule::Test("=;", secrets::is_session_cookie)),
    credential("CLIENT SECRET", Rule::Pair(keys::names_a_client_secret, secrets::is_chosen)),
    credential("API KEY", Rule::Pair(keys::names_an_api_key, secrets::is_token)),
    entry("PAN CARD", false, true, Rule::Value("", "[A-Z]{5}[0-9]{4}[A-Z]")),
    entry("US MEDICARE HEALTH INSURANCE CLAIM NUMBER", false, true, Rule::Value("", "[0-9]{9}[A-Z][0-9A-Z]?")),
    entry("INDIAN UNIQUE HEALTH IDENTIFICATION", false, true, Rule::Value("", "[0-9]{14}")),
    entry("IBAN EUROPE", true, true, Rule::Iban),
    national("UK NATIONAL INSURANCE NUMBER", &national::UK_NINO),
    national("FINNISH PERSONAL IDENTITY NUMBER", &national::FINNISH_HETU),
    national("CANADIAN SOCIAL INSURANCE NUMBER", &national::CANADIAN_SIN),
    national("GERMAN INSURANCE IDENTITY NUMBER", &national::GERMAN_INSURANCE),
    national("ITALIAN FISCAL CODE", &national::ITALIAN_CODICE_FISCALE),
    national("MEXICAN POPULATION REGISTRY CODE", &national::MEXICAN_CURP),
    national("MEXICAN TAXPAYER NUMBER", &national::MEXICAN_RFC),
    national("CHINESE IDENTITY NUMBER", &national::CHINESE_ID),
    national("FRENCH SOCIAL SECURITY NUMBER", &national::FRENCH_NIR),
    national("BRAZILIAN TAXPAYER NUMBER", &national::BRAZILIAN_CPF),
    national("SPANISH IDENTITY NUMBER", &national::SPANISH_DNI),
    national("IRISH PERSONAL PUBLIC SERVICE NUMBER", &national::IRISH_PPS),
    national("SINGAPOREAN IDENTITY NUMBER", &national::SINGAPORE_NRIC),
    national("HONG KONG IDENTITY NUMBER", &national::HONG_KONG_ID),
    national("TAIWANESE IDENTITY NUMBER", &national::TAIWANESE_ID),
    national("KOREAN RESIDENT REGISTRATION NUMBER", &national::KOREAN_RRN),
    national("THAI IDENTITY NUMBER", &national::THAI_ID),
    national("SWISS SOCIAL SECURITY NUMBER", &national::SWISS_AHV),
    national("SWEDISH PERSONAL NUMBER", &national::SWEDISH_PERSONNUMMER),
    national("DANISH PERSONAL NUMBER", &national::DANISH_CPR),
    national("ICELANDIC IDENTITY NUMBER", &national::ICELANDIC_KENNITALA),
    national("NORWEGIAN NATIONAL NUMBER", &national::NORWEGIAN_FODSELSNUMMER),
    national("LATVIAN PERSONAL CODE", &national::LATVIAN_PERSONAL_CODE),
    national("CZECH BIRTH NUMBER", &national::CZECH_BIRTH_NUMBER),
    national("BELGIAN NATIONAL NUMBER", &national::BELGIAN_NATIONAL_NUMBER),
    national("RUSSIAN INSURANCE NUMBER", &national::RUSSIAN_SNILS),
    national("PORTUGUESE CITIZEN CARD", &national::PORTUGUESE_CITIZEN_CARD),
    national("ARGENTINE TAXPAYER NUMBER", &national::ARGENTINE_CUIT),
    national("CHILEAN NATIONAL NUMBER", &national::CHILEAN_RUT),
    national("INDIAN AADHAAR", &national::INDIAN_AADHAAR),
    national("JAPANESE INDIVIDUAL NUMBER", &national::JAPANESE_MY_NUMBER),
    national("US MEDICARE BENEFICIARY IDENTIFIER", &national::US_MEDICARE_MBI),
    national("US TAXPAYER NUMBER", &national::US_ITIN),
    national("AUSTRIAN INSURANCE NUMBER", &national::AUSTRIAN_SVNR),
    national("ROMANIAN PERSONAL CODE", &national::ROMANIAN_CNP),
    national("BALKAN PERSONAL NUMBER", &national::BALKAN_JMBG),
    national("SOUTH AFRICAN IDENTITY NUMBER", &national::SOUTH_AFRICAN_ID),
    national("POLISH PERSONAL NUMBER", &national::POLISH_PESEL),
    national("GERMAN TAX IDENTIFICATION NUMBER", &national::GERMAN_TAX_ID),
    national("CROATIAN PERSONAL NUMBER", &national::CROATIAN_OIB),
    national("TURKISH IDENTITY NUMBER", &national::TURKISH_TCKN),
    national("BALTIC PERSONAL CODE", &national::BALTIC_PERSONAL_CODE),
    national("GREEK INSURANCE NUMBER", &national::GREEK_AMKA),
    national("DUTCH CITIZEN SERVICE NUMBER", &national::DUTCH_BSN),
    national("BULGARIAN CITIZEN NUMBER", &national::BULGARIAN_EGN),
    national("HUNGARIAN INSURANCE NUMBER", &national::HUNGARIAN_TAJ),
    national("PORTUGUESE TAXPAYER NUMBER", &national::PORTUGUESE_NIF),
    national("UK NHS NUMBER", &national::UK_NHS_NUMBER),
    national("ECUADORIAN IDENTITY NUMBER", &national::ECUADORIAN_CEDULA),
    national("ISRAELI IDENTITY NUMBER", &national::ISRAELI_ID),
    national("AUSTRALIAN TAX FILE NUMBER", &national::AUSTRALIAN_TFN),
    national("AUSTRALIAN MEDICARE NUMBER", &national::AUSTRALIAN_MEDICARE),
    national("NEW ZEALAND TAXPAYER NUMBER", &national::NEW_ZEALAND_IRD),
    national("RUSSIAN TAXPAYER NUMBER", &national::RUSSIAN_INN),
    national("UKRAINIAN TAXPAYER NUMBER", &national::UKRAINIAN_RNOKPP),
    national("KAZAKH IDENTITY NUMBER", &national::KAZAKH_IIN),
    national("US ADOPTION TAXPAYER NUMBER", &national::US_ATIN),
    national("US TAX PREPARER NUMBER", &national::US_PTIN),
    national("CANADIAN HEALTH NUMBER", &national::CANADIAN_HEALTH_NUMBER),
    national("DOMINICAN IDENTITY NUMBER", &national::DOMINICAN_CEDULA),
    national("VENEZUELAN TAXPAYER NUMBER", &national::VENEZUELAN_RIF),
    national("PERUVIAN IDENTITY NUMBER", &national::PERUVIAN_DNI),
    national("COLOMBIAN TAXPAYER NUMBER", &national::COLOMBIAN_NIT),
    national("URUGUAYAN IDENTITY NUMBER", &national::URUGUAYAN_ID),
    national("CUBAN IDENTITY NUMBER", &national::CUBAN_ID),
    national("MALAYSIAN IDENTITY NUMBER", &national::MALAYSIAN_NRIC),
    national("INDONESIAN IDENTITY NUMBER", &national::INDONESIAN_NIK),
    national("INDONESIAN TAXPAYER NUMBER", &national::INDONESIAN_NPWP),
    national("PAKISTANI IDENTITY NUMBER", &national::PAKISTANI_CNIC),
    national("INDIAN VOTER NUMBER", &national::INDIAN_VOTER_ID),
    national("INDIAN VIRTUAL NUMBER", &national::INDIAN_VIRTUAL_ID),
    national("EMIRATES IDENTITY NUMBER", &national::EMIRATES_ID),
    national("SAUDI IDENTITY NUMBER", &national::SAUDI_ID),
    national("IRANIAN NATIONAL CODE", &national::IRANIAN_ID),
    national("EGYPTIAN IDENTITY NUMBER", &national::EGYPTIAN_ID),
    national("SRI LANKAN IDENTITY NUMBER", &national::SRI_LANKAN_NIC),
    national("MAURITIAN IDENTITY NUMBER", &national::MAURITIAN_ID),
    national("GHANAIAN TAXPAYER NUMBER", &national::GHANAIAN_TIN),
    national("GHANAIAN CARD NUMBER", &national::GHANA_CARD),
    national("KENYAN TAXPAYER NUMBER", &national::KENYAN_PIN),
    national("SOUTH AFRICAN TAXPAYER NUMBER", &national::SOUTH_AFRICAN_TAX_NUMBER),
    national("VIETNAMESE TAXPAYER NUMBER", &national::VIETNAMESE_TAXPAYER_NUMBER),
    national("UK TAXPAYER REFERENCE", &national::UK_TAXPAYER_REFERENCE),
    national("UK PUPIL NUMBER", &national::UK_PUPIL_NUMBER),
    national("FRENCH TAXPAYER NUMBER", &national::FRENCH_TAXPAYER_NUMBER),
    national("POLISH TAXPAYER NUMBER", &national::POLISH_TAXPAYER_NUMBER),
    national("AUSTRIAN TAXPAYER NUMBER", &national::AUSTRIAN_TAXPAYER_NUMBER),
    national("GERMAN TAX NUMBER", &national::GERMAN_TAX_NUMBER),
    national("BULGARIAN FOREIGNER NUMBER", &national::BULGARIAN_FOREIGNER_NUMBER),
    national("DUTCH EDUCATION NUMBER", &national::DUTCH_EDUCATION_NUMBER),
    national("DUTCH CARD NUMBER", &national::DUTCH_CARD_NUMBER),
    national("LUXEMBOURGISH NATIONAL NUMBER", &national::LUXEMBOURGISH_NUMBER),
    national("FINNISH TAX NUMBER", &national::FINNISH_TAX_NUMBER),
    national("ARGENTINE IDENTITY NUMBER", &national::ARGENTINE_DNI),
    national("COSTA RICAN IDENTITY NUMBER", &national::COSTA_RICAN_ID),
    national("COLOMBIAN IDENTITY NUMBER", &national::COLOMBIAN_NUIP),
    national("EGYPTIAN TAXPAYER NUMBER", &national::EGYPTIAN_TAX_NUMBER),
    national("VIETNAMESE IDENTITY NUMBER", &national::VIETNAMESE_ID),
    national("PHILIPPINE SOCIAL SECURITY NUMBER", &national::PHILIPPINE_SSS),
    national("NIGERIAN IDENTITY NUMBER", &national::NIGERIAN_NIN),
    national("AZERBAIJANI PERSONAL CODE", &national::AZERBAIJANI_PERSONAL_CODE),
    national("MEXICAN SOCIAL SECURITY NUMBER", &national::MEXICAN_SOCIAL_SECURITY_NUMBER),
    national("HUNGARIAN PERSONAL NUMBER", &national::HUNGARIAN_PERSONAL_NUMBER),
    entry("US EMPLOYER NUMBER", false, true, Rule::National(&national::US_EMPLOYER_NUMBER)),
    entry("US PROVIDER NUMBER", false, true, Rule::National(&national::US_NPI)),
    entry("US DEA NUMBER", false, true, Rule::National(&national::US_DEA_NUMBER)),
    entry("US ROUTING NUMBER", false, true, Rule::National(&national::US_ROUTING_NUMBER)),
    entry("IMEI", false, true, Rule::National(&national::IMEI)),
    entry("JAPANESE SOCIAL INSURANCE NUMBER", false, true, Rule::Value("", "[0-9]{12}")),
    entry("MAC ADDRESS", false, true, Rule::Value("", "(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")),
    entry(
        "CRYPTO ADDRESS",
        false,
        true,
        Rule::Value("", "bc1[02-9ac-hj-np-z]{11,71}|0x[0-9a-fA-F]{40}|[13][1-9A-HJ-NP-Za-km-z]{25,34}"),
    ),
    entry(
        "US ADDRESS",
        false,
        true,
        Rule::Checked(
            r"(?i)[0-9]{1,6} [a-z0-9 .,#-]{3,80},? [a-z]{2},? [0-9]{5}(?:-[0-9]{4})?",
            national::names_a_state,
        ),
    ),
    plain("IMAGE", ".", r"(?i)\S+\.(?:jpg|jpeg|png|svg)"),
    plain("DATA FILE", ".", r"(?i)\S+\.(?:pdf|js|css|woff|txt)"),
];

static BY_NAME: LazyLock<std::collections::HashMap<&'static str, PiiType>> =
    LazyLock::new(|| PiiType::all().map(|pii| (pii.name(), pii)).collect());

impl PiiType {
    /// Every kind, in the order in which they are tried.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(|index| Self(index as u16))
    }

    /// The type of a documented name.
    pub fn from_name(name: &str) -> Option<Self> {
        BY_NAME.get(name).copied()
    }

    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Looked for unless an account switches it off.
    pub fn is_active_by_default(self) -> bool {
        self.entry().active
    }

    /// Whether it is sensitive by default, in requests and in answers.
    pub fn is_sensitive(self) -> bool {
        self.entry().sensitive
    }

    /// Whether its values are never kept, since who knows one may act under it.
    pub(super) fn is_secret(self) -> bool {
        self.entry().secret
    }

    /// The place in the table.
    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn rule(self) -> Rule {
        self.entry().rule
    }

    fn entry(self) -> &'static Entry {
        &TABLE[usize::from(self.0)]
    }
}
