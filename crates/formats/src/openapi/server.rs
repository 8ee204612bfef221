use crate::tree::Node;

/// Where an operation's path starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Server {
    /// Scheme and authority, such as `https://api.example.com:8443`; `None` for a server relative to the document.
    pub(super) origin: Option<String>,
    /// Without a trailing slash.
    pub(super) path: String,
}

impl Server {
    /// The servers in effect: the operation's, else the path item's, else the document's. Never none.
    pub(super) fn all(root: &Node, item: &Node, operation: &Node, swagger: bool) -> Vec<Self> {
        if swagger {
            return vec![Self::swagger(root, operation)];
        }
        let urls = [operation, item, root].into_iter().find_map(|level| {
            let servers = level.get("servers")?.as_list()?;
            let urls: Vec<_> = servers.iter().take(SERVERS_MAX).map(expanded).filter(|url| !url.is_empty()).collect();
            (!urls.is_empty()).then_some(urls)
        });
        let mut servers: Vec<Self> = Vec::new();
        for server in urls.unwrap_or_else(|| vec![String::new()]).iter().map(|url| Self::parse(url)) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers
    }

    /// Its schemes are spellings of one server: scheme and usual port do not tell endpoints apart.
    fn swagger(root: &Node, operation: &Node) -> Self {
        let text = |name: &str| root.get(name).and_then(Node::as_text).unwrap_or_default().trim();
        let (host, path) = (text("host"), text("basePath"));
        let schemes =
            [operation, root].into_iter().find_map(|level| level.get("schemes")?.as_list()?.first()?.as_text());
        let scheme = schemes.unwrap_or("https").to_ascii_lowercase();
        if host.is_empty() {
            return Self { origin: None, path: tidy_path(path) };
        }
        let host = host.split_once("://").map_or(host, |(_, host)| host);
        let mut server = Self::parse(&format!("{scheme}://{host}"));
        server.path.push_str(&tidy_path(path));
        server
    }

    fn parse(url: &str) -> Self {
        let url = url.split(['?', '#']).next().unwrap_or_default().trim();
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => match url.strip_prefix("//") {
                Some(rest) => ("https", rest),
                None if names_host(url) => ("https", url),
                None => return Self { origin: None, path: tidy_path(url) },
            },
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if host.is_empty() {
            return Self { origin: None, path: tidy_path(path) };
        }
        Self { origin: Some(format!("{}://{host}", scheme.to_ascii_lowercase())), path: tidy_path(path) }
    }

    /// Host and port.
    pub(super) fn host(&self) -> Option<&str> {
        self.origin.as_deref()?.split_once("://").map(|(_, host)| host)
    }
}

/// A relative server that starts with a host, as people write it who leave the scheme out.
fn names_host(url: &str) -> bool {
    let first = url.split('/').next().unwrap_or_default();
    !first.starts_with('.') && first.contains(['.', ':'])
}

/// A path with one leading and no trailing slash, or nothing.
fn tidy_path(path: &str) -> String {
    let mut tidy = String::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..") {
        tidy.push('/');
        tidy.push_str(part);
    }
    tidy
}

/// A server's URL with its variables replaced by their defaults.
fn expanded(server: &Node) -> String {
    let url = server.get("url").and_then(Node::as_text).unwrap_or_default();
    let mut expanded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some((before, (name, after))) = rest.split_once('{').and_then(|(b, a)| Some((b, a.split_once('}')?))) {
        expanded.push_str(before);
        let variable = server.get("variables").and_then(|variables| variables.get(name));
        let default = variable.and_then(|variable| variable.get("default")).and_then(Node::scalar);
        let first = || variable?.get("enum")?.as_list()?.first()?.scalar();
        match default.or_else(first) {
            Some(value) => expanded.push_str(&value),
            None if expanded.contains("://") && expanded.matches('/').count() > 2 => {
                expanded.push_str(&format!("{{{name}}}"));
            }
            // A host cannot hold a variable, so its name stands for it.
            None => expanded.push_str(name),
        }
        rest = after;
        if expanded.len() > URL_BYTES_MAX {
            break;
        }
    }
    expanded.push_str(rest);
    expanded
}

/// Servers of one operation that count.
const SERVERS_MAX: usize = 50;

/// Longest server URL that is expanded further: defaults are text of any length.
const URL_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    fn check(root: &str, expected: &str) {
        let root = tree::parse(root).unwrap().root;
        let mut servers = Server::all(&root, &Node::Null, &Node::Null, root.get("swagger").is_some());
        let server = servers.remove(0);
        assert_eq!(format!("{}{}", server.origin.unwrap_or_default(), server.path), expected);
    }

    #[test]
    fn servers_of_openapi() {
        check("servers: [{url: https://github.com/}, {url: http://other}]", "https://github.com");
        check("servers: [{url: ''}, {url: 'https://a.example/v1/'}]", "https://a.example/v1");
        check(
            "servers: [{url: '{protocol}://{hostname}/api', variables: {hostname: {default: HOST}, protocol: {default: http}}}]",
            "http://HOST/api",
        );
        check("servers: [{url: 'https://{tenant}.example.com/{v}'}]", "https://tenant.example.com/{v}");
        check("servers: [{url: 'https://a:{port}', variables: {port: {enum: [8443]}}}]", "https://a:8443");
        check("servers: [{url: /api/v3/}]", "/api/v3");
        check("servers: [{url: ./api}]", "/api");
        check("servers: [{url: //cdn.example.com/x}]", "https://cdn.example.com/x");
        check("servers: [{url: api.example.com/x}]", "https://api.example.com/x");
        check("servers: [{url: 'HTTPS://u:p@h:1/x?y#z'}]", "https://h:1/x");
        check("servers: []", "");
        check("servers: 7", "");
        check("a: 1", "");
    }

    #[test]
    fn servers_of_swagger() {
        check("{swagger: '2.0', schemes: [http, https], host: 'slack.com', basePath: /api}", "http://slack.com/api");
        check("{swagger: '2.0', host: 'slack.com', basePath: /}", "https://slack.com");
        check("{swagger: '2.0', basePath: /v1.56}", "/v1.56");
        check("{swagger: '2.0'}", "");
    }
}
