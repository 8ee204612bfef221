use std::collections::HashMap;

use portolan_path::{Kind, Segment, Template, canonical_url};

use super::server::Server;

/// An operation's address with the words of kinds in place of its variables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) variables: Vec<Variable>,
}

/// A segment that holds path parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// Position among the segments of the path, the server's included.
    pub(super) index: usize,
    /// The names in it, in order; one for most segments.
    pub(super) names: Vec<String>,
    /// The parameter is the whole segment.
    pub(super) whole: bool,
}

impl Address {
    /// Joins server and path; `kind_of` answers the kind of a path parameter.
    pub(super) fn new(server: &Server, path: &str, kind_of: &dyn Fn(&str) -> Kind) -> Self {
        // Query and fragment tell operations of one document apart that share an endpoint.
        let (path, tail) = path.split_at(tail_start(path));
        let joined = match path.strip_prefix('/').unwrap_or(path) {
            "" if path.is_empty() && !server.path.is_empty() => server.path.clone(),
            rest => format!("{}/{rest}", server.path),
        };
        let template = Template::parse(&joined, kind_of);
        let origin = server.origin.as_deref().map(canonical_url).unwrap_or_default();
        let mut url = origin.trim_end_matches('/').to_owned();
        if !(joined.is_empty() && template.segments.is_empty()) {
            url.push_str(&template.words());
        }
        url.push_str(tail);
        let variables = template.segments.iter().enumerate().filter_map(|(index, segment)| {
            let names: Vec<_> = segment.variables().map(|variable| variable.name.clone()).collect();
            let whole = matches!(segment, Segment::Variable(_) | Segment::Greedy(_));
            (!names.is_empty()).then_some(Variable { index, names, whole })
        });
        Self { variables: variables.collect(), url }
    }
}

/// Where the query or fragment of a path begins; one in braces is part of a variable.
fn tail_start(path: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'?' | b'#' if depth == 0 => return at,
            _ => {}
        }
    }
    path.find(['?', '#']).filter(|_| depth > 0).unwrap_or(path.len())
}

/// Operations that have an endpoint in common, by the endpoint: method and URL without query and fragment.
#[derive(Default)]
pub struct Shared(HashMap<(String, String), String>);

impl Shared {
    /// Notes an operation by its method, URL and path as written; answers the operation that has the endpoint already.
    /// Methods that the inventory does not know are one.
    pub fn note(&mut self, method: &str, url: &str, path: &str) -> Option<&str> {
        const METHODS: [&str; 10] =
            ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "QUERY", "ANY"];
        let name = format!("{method} {path}");
        let method = if METHODS.contains(&method) { method } else { "OTHER" };
        let url = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned();
        match self.0.entry((method.to_owned(), url)) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(name);
                None
            }
            std::collections::hash_map::Entry::Occupied(known) => Some(known.into_mut()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, path: &str, url: &str, variables: &[(usize, &str)]) {
        let server =
            Server { origin: base.starts_with("http").then(|| "https://h".to_owned()), path: "/v1".to_owned() };
        let kind = |name: &str| if name == "id" { Kind::Integer } else { Kind::String };
        let address = Address::new(&server, path, &kind);
        assert_eq!(address.url, url);
        let found: Vec<_> = address.variables.iter().map(|v| (v.index, v.names.join(","))).collect();
        let expected: Vec<_> = variables.iter().map(|(index, names)| (*index, (*names).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn variables_become_words() {
        check("http", "/books/{id}", "https://h/v1/books/INTEGER", &[(2, "id")]);
        check("", "/books/{id}/{name}", "/v1/books/INTEGER/STRING", &[(2, "id"), (3, "name")]);
        check("http", "/x/{id}.json", "https://h/v1/x/INTEGER.json", &[(2, "id")]);
        check("http", "/jobs/{job}:cancel", "https://h/v1/jobs/STRING:cancel", &[(2, "job")]);
        check("http", "/Customers('{key}')/Orders", "https://h/v1/Customers('STRING')/Orders", &[(1, "key")]);
        check("http", "/c/{base}...{head}", "https://h/v1/c/STRING...STRING", &[(2, "base,head")]);
        check("http", "/{proxy+}", "https://h/v1/STRING+", &[(1, "proxy")]);
        check("http", "/a/", "https://h/v1/a/", &[]);
        check("http", "/", "https://h/v1/", &[]);
        check("http", "", "https://h/v1", &[]);
        check("http", "a", "https://h/v1/a", &[]);
        check("http", "/a?x={id}", "https://h/v1/a?x={id}", &[]);
        check("http", "/a/{id", "https://h/v1/a/{id", &[]);
        check("http", "/a/{}", "https://h/v1/a/STRING", &[(2, "")]);
    }

    #[test]
    fn operations_of_one_endpoint_are_told() {
        let mut shared = Shared::default();
        assert_eq!(shared.note("GET", "/a/STRING", "/a/{id}"), None);
        assert_eq!(shared.note("POST", "/a/STRING", "/a/{id}"), None);
        assert_eq!(shared.note("GET", "/a/STRING?beta=true", "/a/{id}?beta=true"), Some("GET /a/{id}"));
        assert_eq!(shared.note("GET", "/a/STRING/", "/a/{name}/"), Some("GET /a/{id}"));
        assert_eq!(shared.note("PURGE", "/a", "/a"), None);
        assert_eq!(shared.note("LINK", "/a", "/a"), Some("PURGE /a"));
    }
}
