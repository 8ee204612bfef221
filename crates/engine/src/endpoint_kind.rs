use serde::{Deserialize, Serialize};

use crate::headers::Headers;
use crate::text::contains_ignoring_case;
use crate::{ApiType, Method};

/// What an endpoint is for those who look for APIs. Of several kinds that its calls show, the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// Messages after an upgrade.
    Websocket,
    /// The body is a query.
    Graphql,
    /// gRPC, SOAP and JSON-RPC: the body names the procedure.
    Rpc,
    /// What programs call.
    Api,
    /// A document that a browser shows.
    Page,
    /// What a page consists of: scripts, styles, pictures, fonts, media.
    Asset,
}

/// One call, as far as its kind depends on it.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    pub method: Method,
    /// Without query.
    pub path: &'c str,
    pub query: &'c str,
    pub api_type: ApiType,
    pub request: &'c Headers<'c>,
    pub response: &'c Headers<'c>,
    pub request_payload: &'c str,
}

/// Endings of the files of pages.
const ASSETS: [&str; 34] = [
    "js",
    "mjs",
    "css",
    "map",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "ico",
    "webp",
    "avif",
    "bmp",
    "apng",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    "mp4",
    "webm",
    "m4v",
    "mov",
    "mp3",
    "ogg",
    "wav",
    "m4a",
    "m3u8",
    "mpd",
    "wasm",
    "webmanifest",
    "swf",
    "vtt",
    "cur",
];

const PAGES: [&str; 4] = ["html", "htm", "xhtml", "shtml"];

/// What a browser asks for by elements of a page.
const ASSET_DESTINATIONS: [&str; 14] = [
    "audio",
    "audioworklet",
    "embed",
    "font",
    "image",
    "manifest",
    "object",
    "paintworklet",
    "script",
    "serviceworker",
    "sharedworker",
    "style",
    "track",
    "video",
];

const PAGE_DESTINATIONS: [&str; 3] = ["document", "frame", "iframe"];

impl EndpointKind {
    /// Its name, as lists show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Graphql => "graphql",
            Self::Rpc => "rpc",
            Self::Api => "api",
            Self::Page => "page",
            Self::Asset => "asset",
        }
    }

    /// Whether lists that put APIs first fold it.
    pub fn is_folded(self) -> bool {
        matches!(self, Self::Page | Self::Asset)
    }

    /// That of one call.
    pub fn of_call(call: &Call<'_>) -> Self {
        match call.api_type {
            ApiType::Websocket => return Self::Websocket,
            ApiType::Graphql => return Self::Graphql,
            ApiType::Grpc | ApiType::Soap => return Self::Rpc,
            ApiType::Rest => {}
        }
        if call.request_payload.trim_start().starts_with(['{', '[']) && call.request_payload.contains("\"jsonrpc\"") {
            return Self::Rpc;
        }
        if !matches!(call.method, Method::Get | Method::Head) {
            return Self::Api;
        }
        let told = Self::of_media_type(call);
        let destination = call.request.get("sec-fetch-dest").unwrap_or_default().trim();
        let is_one_of = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(destination));
        match told {
            Some(Self::Api) => Self::Api,
            // What a script fetches is data for it, unless it is a file of the page.
            Some(Self::Page) if is_fetched(call, destination) => Self::Api,
            _ if is_one_of(&ASSET_DESTINATIONS) => Self::Asset,
            _ if is_one_of(&PAGE_DESTINATIONS) => told.unwrap_or(Self::Page),
            Some(Self::Asset) if is_proven(call) && Self::of_ending(call.path).is_none() => Self::Api,
            Some(kind) => kind,
            None => Self::of_ending(call.path).unwrap_or(Self::Api),
        }
    }

    /// What the media type of the answer tells; nothing where it fits several kinds.
    fn of_media_type(call: &Call<'_>) -> Option<Self> {
        let media_type = call.response.get("content-type").unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let is = |part: &str| contains_ignoring_case(media_type, part);
        let of_group = |group: &str| media_type.get(..group.len()).is_some_and(|own| own.eq_ignore_ascii_case(group));
        if is("html") {
            Some(Self::Page)
        } else if of_group("image/") || of_group("font/") || of_group("audio/") || of_group("video/") {
            Some(Self::Asset)
        } else if is("javascript") || is("ecmascript") {
            // A script that calls back is how data crossed sites.
            let calls_back = call.query.split('&').any(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                ["callback", "jsonp", "cb"].iter().any(|known| name.eq_ignore_ascii_case(known))
            });
            Some(if calls_back { Self::Api } else { Self::Asset })
        } else if is("text/css") || is("font") || is("wasm") || is("manifest") || is("mpegurl") || is("dash+xml") {
            Some(Self::Asset)
        } else if is("json") || is("xml") || is("event-stream") || is("protobuf") || is("grpc") || is("csv") {
            // Maps of scripts and playlists are JSON and XML too.
            Some(Self::of_ending(call.path).filter(|kind| *kind == Self::Asset).unwrap_or(Self::Api))
        } else {
            None
        }
    }

    fn of_ending(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
        let is_one_of = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(ending));
        match () {
            () if is_one_of(&ASSETS) => Some(Self::Asset),
            () if is_one_of(&PAGES) => Some(Self::Page),
            () => None,
        }
    }
}

fn is_fetched(call: &Call<'_>, destination: &str) -> bool {
    destination.eq_ignore_ascii_case("empty") || call.request.get("x-requested-with").is_some()
}

/// Whether the call proves who makes it by a header of its own, as pages do not for their parts.
fn is_proven(call: &Call<'_>) -> bool {
    call.request.get("authorization").is_some() || call.request.get("x-api-key").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: Method, url: &str, request: &str, response: &str, payload: &str) -> EndpointKind {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let (request, response) = (Headers::parse(request), Headers::parse(response));
        let api_type = ApiType::of_call(method, path, &request, payload);
        let call =
            Call { method, path, query, api_type, request: &request, response: &response, request_payload: payload };
        EndpointKind::of_call(&call)
    }

    fn of_type(url: &str, media_type: &str) -> &'static str {
        kind(Method::Get, url, "{}", &format!("{{\"content-type\":\"{media_type}\"}}"), "").name()
    }

    #[test]
    fn media_types_and_endings_tell_the_kind() {
        for (url, media_type, expected) in [
            ("/v1/users", "application/json; charset=utf-8", "api"),
            ("/v1/users", "application/problem+json", "api"),
            ("/feed", "application/atom+xml", "api"),
            ("/export", "text/csv", "api"),
            ("/v1/users", "", "api"),
            ("/", "text/html; charset=utf-8", "page"),
            ("/app", "application/xhtml+xml", "page"),
            ("/index.html", "", "page"),
            ("/logo", "image/png", "asset"),
            ("/trk.gif", "", "asset"),
            ("/a.js?v=2", "application/javascript", "asset"),
            ("/a.js.map", "application/json", "asset"),
            ("/data?callback=f", "text/javascript", "api"),
            ("/main.css", "text/plain", "asset"),
            ("/f.woff2", "application/octet-stream", "asset"),
            ("/live.m3u8", "application/vnd.apple.mpegurl", "asset"),
            ("/files/7", "application/octet-stream", "api"),
            ("/v1.2/users", "text/plain", "api"),
        ] {
            assert_eq!(of_type(url, media_type), expected, "{url} {media_type}");
        }
    }

    #[test]
    fn what_the_browser_wanted_counts() {
        let html = "{\"content-type\":\"text/html\"}";
        let wanted = |destination: &str, response: &str| {
            kind(Method::Get, "/x", &format!("{{\"sec-fetch-dest\":\"{destination}\"}}"), response, "").name()
        };
        assert_eq!(wanted("document", html), "page");
        assert_eq!(wanted("empty", html), "api");
        assert_eq!(wanted("image", "{}"), "asset");
        assert_eq!(wanted("document", "{\"content-type\":\"application/json\"}"), "api");
        assert_eq!(wanted("empty", "{}"), "api");
        let picture = "{\"content-type\":\"image/png\"}";
        assert_eq!(kind(Method::Get, "/users/7/qr", "{\"authorization\":\"Bearer x\"}", picture, "").name(), "api");
    }

    #[test]
    fn bodies_and_methods_tell_procedures() {
        assert_eq!(kind(Method::Post, "/a.js", "{}", "{}", "").name(), "api");
        assert_eq!(kind(Method::Post, "/rpc", "{}", "{}", r#"{"jsonrpc":"2.0","method":"a"}"#).name(), "rpc");
        assert_eq!(kind(Method::Post, "/graphql", "{}", "{}", r#"{"query":"{a}"}"#).name(), "graphql");
        assert_eq!(kind(Method::Post, "/s", "{\"content-type\":\"application/grpc\"}", "{}", "").name(), "rpc");
        assert_eq!(kind(Method::Get, "/ws", "{\"upgrade\":\"websocket\"}", "{}", "").name(), "websocket");
        assert!(EndpointKind::Api < EndpointKind::Page && EndpointKind::Asset.is_folded());
    }
}
