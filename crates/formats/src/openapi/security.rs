use portolan_record::{AuthAlternative, DeclaredAuth};

use super::refs::Refs;
use crate::tree::Node;

/// Most alternatives of one requirement; documents hold a few.
const ALTERNATIVES_MAX: usize = 20;

/// The kinds of authentication in effect, by alternative, and the scheme names that are not defined.
pub(super) fn declared<'d>(root: &'d Node, operation: &'d Node, swagger: bool) -> (Vec<AuthAlternative>, Vec<String>) {
    let effective = operation.get("security").or_else(|| root.get("security"));
    let alternatives = effective.and_then(Node::as_list).unwrap_or_default();
    let schemes = match swagger {
        true => root.get("securityDefinitions"),
        false => root.get("components").and_then(|components| components.get("securitySchemes")),
    };
    let (mut auth, mut unknown) = (Vec::new(), Vec::new());
    for alternative in alternatives.iter().take(ALTERNATIVES_MAX) {
        let Some(required) = alternative.as_map() else {
            unknown.push("a requirement is not an object".to_owned());
            continue;
        };
        let kinds = required.iter().take(ALTERNATIVES_MAX).filter_map(|(name, _)| {
            let scheme = schemes.and_then(|schemes| schemes.get(name)).map(|scheme| Refs::new(root).resolve(scheme));
            let kind = match scheme {
                Some(Ok(scheme)) => kind(scheme),
                Some(Err(reason)) => {
                    unknown.push(reason);
                    return None;
                }
                None => None,
            };
            if kind.is_none() {
                unknown.push(format!("scheme `{}` is not defined", name.chars().take(100).collect::<String>()));
            }
            kind
        });
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_unstable();
        kinds.dedup();
        match kinds[..] {
            _ if required.is_empty() => auth.push(AuthAlternative::One(DeclaredAuth::None)),
            [] => {}
            [kind] => auth.push(AuthAlternative::One(kind)),
            _ => auth.push(AuthAlternative::All(kinds)),
        }
    }
    (auth, unknown)
}

fn kind(scheme: &Node) -> Option<DeclaredAuth> {
    let text = |name: &str| scheme.get(name).and_then(Node::as_text).unwrap_or_default();
    Some(match text("type") {
        "apiKey" => DeclaredAuth::ApiKey,
        "basic" => DeclaredAuth::Basic,
        "oauth2" => DeclaredAuth::Oauth2,
        "openIdConnect" => DeclaredAuth::OpenIdConnect,
        "mutualTLS" => DeclaredAuth::MutualTls,
        "http" => match &*text("scheme").to_ascii_lowercase() {
            "basic" => DeclaredAuth::Basic,
            "bearer" => DeclaredAuth::Bearer,
            _ => DeclaredAuth::Http,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    const SCHEMES: &str = "components: {securitySchemes: {key: {type: apiKey}, jwt: {type: http, scheme: Bearer},
        basic: {type: http, scheme: basic}, digest: {type: http, scheme: digest}, o: {type: oauth2},
        oidc: {type: openIdConnect}, tls: {type: mutualTLS}, odd: {type: smoke}}}\n";

    fn check(text: &str, expected: &[&[DeclaredAuth]], unknown: &[&str]) {
        let root = tree::parse(&format!("{SCHEMES}{text}")).unwrap().root;
        let operation = root.get("op").unwrap_or(&Node::Null);
        let (auth, found) = declared(&root, operation, false);
        let auth: Vec<_> = auth.iter().map(AuthAlternative::schemes).collect();
        assert_eq!(auth, expected, "{text}");
        assert_eq!(found.len(), unknown.len(), "{found:?}");
        for (found, unknown) in found.iter().zip(unknown) {
            assert!(found.contains(unknown), "{found}");
        }
    }

    #[test]
    fn alternatives_map_to_kinds() {
        use DeclaredAuth::{ApiKey, Basic, Bearer, Http, MutualTls, None, Oauth2, OpenIdConnect};
        check("security: [{key: []}, {jwt: [], basic: []}, {}]", &[&[ApiKey], &[Basic, Bearer], &[None]], &[]);
        check(
            "security: [{digest: []}, {o: [a]}, {oidc: []}, {tls: []}]",
            &[&[Http], &[Oauth2], &[OpenIdConnect], &[MutualTls]],
            &[],
        );
        check("security: [{key: []}]\nop: {security: [{basic: []}]}", &[&[Basic]], &[]);
        check("security: [{key: []}]\nop: {security: []}", &[], &[]);
        check("security: [{gone: []}, {odd: []}, 7]", &[], &["`gone`", "`odd`", "not an object"]);
    }
}
