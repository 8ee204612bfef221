use super::server::Server;

/// An operation's address with variable segments replaced by type tokens.
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
    /// Joins server and path; `token` answers the type token of a path parameter that is a whole segment.
    pub(super) fn new(server: &Server, path: &str, token: &dyn Fn(&str) -> &'static str) -> Self {
        let (path, tail) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
        let joined = match path.strip_prefix('/').unwrap_or(path) {
            "" if path.is_empty() && !server.path.is_empty() => server.path.clone(),
            rest => format!("{}/{rest}", server.path),
        };
        let mut url = server.origin.clone().unwrap_or_default();
        let mut variables = Vec::new();
        for (index, segment) in joined.split('/').skip(1).enumerate() {
            url.push('/');
            let names = names(segment);
            if names.is_empty() {
                url.push_str(segment);
                continue;
            }
            let whole = segment.len() == names[0].len() + 2;
            url.push_str(if whole { token(names[0]) } else { "STRING" });
            variables.push(Variable { index, names: names.into_iter().map(str::to_owned).collect(), whole });
        }
        url.push_str(tail);
        Self { url, variables }
    }
}

/// The names in braces of one segment.
fn names(segment: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = segment;
    while let Some((name, after)) = rest.split_once('{').and_then(|(_, after)| after.split_once('}')) {
        names.push(name);
        rest = after;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, path: &str, url: &str, variables: &[(usize, &str)]) {
        let server =
            Server { origin: base.starts_with("http").then(|| "https://h".to_owned()), path: "/v1".to_owned() };
        let token = |name: &str| if name == "id" { "INTEGER" } else { "STRING" };
        let address = Address::new(&server, path, &token);
        assert_eq!(address.url, url);
        let found: Vec<_> = address.variables.iter().map(|v| (v.index, v.names.join(","))).collect();
        let expected: Vec<_> = variables.iter().map(|(index, names)| (*index, (*names).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn segments_with_variables_become_tokens() {
        check("http", "/books/{id}", "https://h/v1/books/INTEGER", &[(2, "id")]);
        check("", "/books/{id}/{name}", "/v1/books/INTEGER/STRING", &[(2, "id"), (3, "name")]);
        check("http", "/x/{id}.json", "https://h/v1/x/STRING", &[(2, "id")]);
        check("http", "/c/{base}...{head}", "https://h/v1/c/STRING", &[(2, "base,head")]);
        check("http", "/a/", "https://h/v1/a/", &[]);
        check("http", "/", "https://h/v1/", &[]);
        check("http", "", "https://h/v1", &[]);
        check("http", "a", "https://h/v1/a", &[]);
        check("http", "/a?x={id}", "https://h/v1/a?x={id}", &[]);
        check("http", "/a/{id", "https://h/v1/a/{id", &[]);
        check("http", "/a/{}", "https://h/v1/a/STRING", &[(2, "")]);
    }
}
