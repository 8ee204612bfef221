//! What a segment of a URL, or a part of it, looks like by itself.

use portolan_path::{Kind, Segment};

/// Names of algorithms and standards, which have as many digits as an identifier.
const STANDARDS: [&str; 16] = [
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sha3-256",
    "sha3-512",
    "ed25519",
    "curve25519",
    "iso8601",
    "rfc3339",
    "x25519",
    "aes128",
    "aes256",
    "base64url",
    "es256k",
    "iso3166",
];

pub(super) fn looks_random(token: &str) -> bool {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    token.len() >= 6
        && digits >= 3
        && token.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !STANDARDS.iter().any(|name| name.eq_ignore_ascii_case(token))
}

/// Whether capitals, small letters and digits follow each other as chance has it: `aB3xY9`, and not as in `s3Bucket`.
pub(super) fn looks_shuffled(token: &str) -> bool {
    let bytes = token.as_bytes();
    let kind = |byte: &u8| match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let has = |wanted: usize| bytes.iter().any(|byte| kind(byte) == Some(wanted));
    let changes = bytes.windows(2).filter(|pair| kind(&pair[0]) != kind(&pair[1])).count();
    (6..=32).contains(&bytes.len())
        && bytes.iter().all(|byte| kind(byte).is_some())
        && (0..3).all(has)
        && changes * 5 >= (bytes.len() - 1) * 3
}

/// What follows the `@` of a user or of a scope of packages, which says that a name follows.
pub(super) fn handle(token: &str) -> Option<&str> {
    /// Views of the caller, and what tools of developers serve.
    const NOT_NAMES: [&str; 10] =
        ["me", "self", "all", "everyone", "here", "current", "vite", "fs", "id", "react-refresh"];
    let name = token.strip_prefix('@')?;
    let is_name = name.len() >= 2
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'%'))
        && !NOT_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name));
    // A word of a kind that stands there already.
    (is_name && Segment::of_words(name).is_literal()).then_some(name)
}

/// A name that says where a resource is: `arn:aws:sns:eu-west-1:1:orders`, `urn:isbn:9780140328721`.
pub(super) fn is_resource_name(token: &str) -> bool {
    let known =
        token.get(..4).is_some_and(|front| ["arn:", "urn:"].iter().any(|name| name.eq_ignore_ascii_case(front)));
    known && token[4..].contains(':')
}

/// The name of a host under one of the domains that most are under.
pub(super) fn is_domain(token: &str) -> bool {
    const TOPS: [&str; 8] = ["com", "org", "net", "info", "biz", "edu", "gov", "int"];
    let Some((front, top)) = token.rsplit_once('.') else { return false };
    TOPS.iter().any(|known| known.eq_ignore_ascii_case(top))
        && front.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// A month, a quarter, a week, a time of day, or from one day to another. Behind `api` a month is a version.
pub(super) fn is_period(token: &str, previous: Option<&str>) -> bool {
    let bytes = token.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_digit) || bytes.len() < 5 {
        return false;
    }
    let is_number = |text: &str, from: u32, to: u32| {
        text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|number| (from..=to).contains(&number))
    };
    if let Some((from, to)) =
        token.split_once("..").or_else(|| token.split_once("--")).or_else(|| token.split_once('_'))
    {
        return is_date(from) && is_date(to);
    }
    if bytes[2] == b':' {
        let mut parts = token.split(':');
        return parts.clone().count() <= 3
            && parts.next().is_some_and(|hour| hour.len() == 2 && is_number(hour, 0, 24))
            && parts.all(|part| part.len() == 2 && is_number(part, 0, 59));
    }
    let (Some(year), Some(rest)) = (token.get(..4), token.get(4..)) else { return false };
    if !is_number(year, 1900, 2199) {
        return false;
    }
    let part = rest.strip_prefix('-').unwrap_or(rest);
    match part.as_bytes().first() {
        Some(b'Q' | b'q') => part.len() == 2 && is_number(&part[1..], 1, 4),
        Some(b'W' | b'w') => (2..=3).contains(&part.len()) && is_number(&part[1..], 1, 53),
        Some(b'0'..=b'9') => {
            part.len() == 2
                && part.len() < rest.len()
                && is_number(part, 1, 12)
                && previous.is_some_and(|previous| !previous.eq_ignore_ascii_case("api"))
        }
        _ => false,
    }
}

/// Year, month and day.
fn is_date(token: &str) -> bool {
    token.len() == 10
        && token
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

/// A date, a list of numbers, or a version of three numbers.
pub(super) fn is_date_list_or_version(token: &str) -> bool {
    let bytes = token.as_bytes();
    if !bytes.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-') {
        return false;
    }
    let numbers = |separator: char| {
        let mut parts = token.split(separator);
        parts.clone().count() > 1 && parts.all(|part| Kind::of_number(part).is_some())
    };
    let is_version =
        token.split('.').count() == 3 && token.split('.').all(|part| part.len() <= 4 && part.parse::<u16>().is_ok());
    is_date(token) || is_version || numbers(',') || numbers(';')
}

/// Endings of files. What stands before one may be an identifier.
const SUFFIXES: &[&str] = &[
    "7z",
    "aac",
    "apk",
    "avi",
    "avif",
    "avro",
    "bin",
    "bmp",
    "bz2",
    "cer",
    "cjs",
    "crt",
    "css",
    "csv",
    "dicom",
    "dmg",
    "doc",
    "docx",
    "eml",
    "eot",
    "eps",
    "epub",
    "exe",
    "flac",
    "flv",
    "geojson",
    "gif",
    "glb",
    "gltf",
    "gpx",
    "gz",
    "heic",
    "htm",
    "html",
    "ico",
    "ics",
    "ipa",
    "iso",
    "jar",
    "jpeg",
    "jpg",
    "js",
    "json",
    "jsonl",
    "jsx",
    "kml",
    "kmz",
    "less",
    "m3u8",
    "m4a",
    "m4s",
    "m4v",
    "map",
    "md",
    "mjs",
    "mkv",
    "mobi",
    "mov",
    "mp3",
    "mp4",
    "mpd",
    "msi",
    "mvt",
    "ndjson",
    "odp",
    "ods",
    "odt",
    "ogg",
    "ogv",
    "opus",
    "orc",
    "otf",
    "parquet",
    "pbf",
    "pdf",
    "pem",
    "pkg",
    "png",
    "ppt",
    "pptx",
    "proto",
    "psd",
    "rar",
    "rpm",
    "rss",
    "rtf",
    "scss",
    "sql",
    "sqlite",
    "srt",
    "svg",
    "tar",
    "tgz",
    "tif",
    "tiff",
    "toml",
    "ts",
    "tsx",
    "ttf",
    "txt",
    "vcf",
    "vtt",
    "war",
    "wasm",
    "wav",
    "webm",
    "webmanifest",
    "webp",
    "wmv",
    "woff",
    "woff2",
    "xls",
    "xlsx",
    "xml",
    "xsd",
    "xz",
    "yaml",
    "yml",
    "zip",
];

/// The name of a file and its ending.
pub(super) fn file_of(token: &str) -> Option<(&str, &str)> {
    token.rsplit_once('.').filter(|(_, suffix)| SUFFIXES.iter().any(|known| known.eq_ignore_ascii_case(suffix)))
}

/// Base64 whose end says so: `VXNlcjo0NzE5OA==`, also when its sign is escaped.
pub(super) fn is_padded(token: &str) -> bool {
    let Some(front) = token.strip_suffix('=') else {
        return token.strip_suffix("%3D").is_some_and(|front| is_base64(front.strip_suffix("%3D").unwrap_or(front)));
    };
    is_base64(front.strip_suffix('=').unwrap_or(front))
}

fn is_base64(text: &str) -> bool {
    text.len() >= 6 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'%'))
}

/// A language and a country in the spelling of the standard: `de-DE`.
pub(super) fn is_standard_locale(token: &str) -> bool {
    let bytes = token.as_bytes();
    bytes.len() == 5
        && matches!(bytes[2], b'-' | b'_')
        && bytes[..2].iter().all(u8::is_ascii_lowercase)
        && bytes[3..].iter().all(u8::is_ascii_uppercase)
}

pub(super) fn is_digest(part: &str) -> bool {
    part.len() >= 8
        && part.bytes().any(|byte| byte.is_ascii_digit())
        && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}
