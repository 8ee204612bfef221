//! Reads what one file names: modules, `use` declarations, paths and string literals. Code of tests is passed over.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as written, in the module in which it stands.
pub struct Named {
    pub scope: Vec<String>,
    pub path: Vec<String>,
}

/// What a file names.
#[derive(Default)]
pub struct Source {
    /// Paths of `use` declarations that are not passed on, and paths in code.
    pub named: Vec<Named>,
    /// What each name stands for that a `use` brings in.
    pub aliases: BTreeMap<(Vec<String>, String), Vec<String>>,
    /// Modules of which a `use` brings in everything and passes it on.
    pub globs: Vec<Named>,
    pub strings: Vec<String>,
}

impl Source {
    /// Reads the file of a module.
    pub fn read(text: &str, module: &[String]) -> Self {
        let tokens: TokenStream = text.parse().expect("the compiler reads it");
        let mut source = Self::default();
        source.walk(tokens, module);
        source
    }

    fn walk(&mut self, tokens: TokenStream, scope: &[String]) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        let mut passes_on = false;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let attribute = tokens.get(at + 1).map(ToString::to_string).unwrap_or_default();
                    at += 2;
                    if attribute.replace(' ', "") == "[cfg(test)]" {
                        at = end_of_item(&tokens, at);
                    }
                }
                TokenTree::Ident(ident) if ident == "pub" => {
                    passes_on = true;
                    let is_narrowed = matches!(tokens.get(at + 1), Some(TokenTree::Group(group))
                        if group.delimiter() == Delimiter::Parenthesis);
                    at += if is_narrowed { 2 } else { 1 };
                    continue;
                }
                TokenTree::Ident(ident) if ident == "use" && !is_capture(&tokens, at) => {
                    let end = at + tokens[at..].iter().position(|token| is_punct(token, ';')).expect("use ends");
                    self.declare(&tokens[at + 1..end], &[], scope, passes_on);
                    at = end + 1;
                }
                TokenTree::Ident(ident) if ident == "mod" => {
                    if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                        (tokens.get(at + 1), tokens.get(at + 2))
                    {
                        let inner: Vec<_> = scope.iter().cloned().chain([name.to_string()]).collect();
                        self.walk(body.stream(), &inner);
                    }
                    at += 3;
                }
                TokenTree::Ident(_) => {
                    let follows = at > 0 && ['.', '$', ':'].iter().any(|&mark| is_punct(&tokens[at - 1], mark));
                    let is_field =
                        follows && !(at > 1 && is_punct(&tokens[at - 1], ':') && !is_double(&tokens, at - 2));
                    let (path, end) = path(&tokens, at);
                    if !is_field {
                        self.named.push(Named { scope: scope.to_vec(), path });
                    }
                    at = end;
                }
                TokenTree::Group(group) => {
                    self.walk(group.stream(), scope);
                    at += 1;
                }
                TokenTree::Literal(literal) => {
                    self.strings.push(literal.to_string());
                    at += 1;
                }
                TokenTree::Punct(_) => at += 1,
            }
            passes_on = false;
        }
    }

    /// One tree of a `use` declaration.
    fn declare(&mut self, tree: &[TokenTree], before: &[String], scope: &[String], passes_on: bool) {
        let mut full = before.to_vec();
        let mut alias = None;
        let mut at = 0;
        while let Some(token) = tree.get(at) {
            match token {
                TokenTree::Ident(ident) if ident == "as" => {
                    alias = tree.get(at + 1).map(ToString::to_string);
                    break;
                }
                TokenTree::Ident(ident) => full.push(ident.to_string()),
                TokenTree::Group(group) => {
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    let branches = inner.split(|token| is_punct(token, ','));
                    for branch in branches.filter(|branch| !branch.is_empty()) {
                        self.declare(branch, &full, scope, passes_on);
                    }
                    return;
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    let glob = Named { scope: scope.to_vec(), path: full };
                    if passes_on {
                        self.globs.push(glob)
                    } else {
                        self.named.push(glob)
                    }
                    return;
                }
                _ => {}
            }
            at += 1;
        }
        if full.last().is_some_and(|last| last == "self") && full.len() > 1 {
            full.pop();
        }
        let name = alias.unwrap_or_else(|| full.last().cloned().unwrap_or_default());
        if !passes_on {
            self.named.push(Named { scope: scope.to_vec(), path: full.clone() });
        }
        self.aliases.insert((scope.to_vec(), name), full);
    }
}

fn is_punct(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

/// Whether `::` begins here.
fn is_double(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at).is_some_and(|t| is_punct(t, ':')) && tokens.get(at + 1).is_some_and(|t| is_punct(t, ':'))
}

/// `impl Trait + use<'a>` captures, and declares nothing.
fn is_capture(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|token| is_punct(token, '<'))
}

fn path(tokens: &[TokenTree], start: usize) -> (Vec<String>, usize) {
    let mut path = vec![tokens[start].to_string()];
    let mut at = start + 1;
    while is_double(tokens, at) {
        let Some(TokenTree::Ident(ident)) = tokens.get(at + 2) else { break };
        path.push(ident.to_string());
        at += 3;
    }
    (path, at)
}

fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(token, ';'),
    };
    tokens[from..].iter().position(ends).map_or(tokens.len(), |end| from + end + 1)
}
