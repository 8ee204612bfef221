use std::collections::HashMap;
use std::sync::Arc;

use portolan_path::{Part, Segment};

use super::assign::covers;
use super::look::{Look, verb_of};
use super::segment::Variable;
use super::weak::Below;
use super::wider::{folded, is_wider};

/// The tokens of all URLs, each looked up in the dictionary once.
#[derive(Debug)]
pub(super) struct Symbols {
    ids: HashMap<Arc<str>, u32>,
    entries: Vec<Symbol>,
    /// By the number of the kind.
    variables: [u32; 5],
    /// Tokens of which a part is variable, by what they are around it.
    mixed: HashMap<String, Vec<u32>>,
}

#[derive(Debug)]
struct Symbol {
    text: Arc<str>,
    variable: Option<Variable>,
    /// The variables that cover it, a bit for each kind by its number.
    covering: u8,
    /// It may be the value of a variable, when enough is seen.
    look: Option<Look>,
    /// What it then becomes.
    folded: Option<u32>,
    /// It has a verb, which stays.
    has_verb: bool,
    /// What follows it stands below that.
    below: Below,
    /// For a token of which a part is variable, the same with a text in place of each.
    widest: Option<String>,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut symbols = Self { ids: HashMap::new(), entries: Vec::new(), variables: [0; 5], mixed: HashMap::new() };
        for variable in Variable::ALL {
            symbols.variables[variable as usize] = symbols.intern(variable.token());
        }
        symbols
    }
}

impl Symbols {
    pub fn intern(&mut self, token: &str) -> u32 {
        if let Some(id) = self.ids.get(token) {
            return *id;
        }
        let text: Arc<str> = token.into();
        let id = self.entries.len() as u32;
        self.ids.insert(text.clone(), id);
        let (variable, look) = (Variable::of_token(token), Look::of(token));
        let covering = Variable::ALL.into_iter().filter(|kind| covers(*kind, token));
        let covering = covering.fold(0, |bits, kind| bits | 1 << kind as u8);
        let widest = widest_of(token);
        if let Some(widest) = &widest {
            self.mixed.entry(widest.clone()).or_default().push(id);
        }
        let has_verb = !verb_of(token).is_empty();
        let below = Below::of(token);
        self.entries.push(Symbol { text, variable, covering, look, folded: None, has_verb, below, widest });
        if look.is_some() {
            let folded = self.intern(&folded(token));
            self.entries[id as usize].folded = Some(folded);
        }
        id
    }

    pub fn get(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    pub fn text(&self, token: u32) -> &Arc<str> {
        &self.entries[token as usize].text
    }

    /// What a token becomes that gives way to a variable.
    pub fn folded(&self, token: u32) -> u32 {
        self.entries[token as usize].folded.unwrap_or(token)
    }

    /// The same for a token whose verb stays.
    pub fn folded_before_verb(&self, token: u32) -> Option<u32> {
        let symbol = &self.entries[token as usize];
        symbol.folded.filter(|_| symbol.has_verb)
    }

    /// The tokens that are known and stand for more than a token.
    pub fn wider(&self, token: u32) -> Vec<u32> {
        self.related(token).filter(|other| is_wider(self.text(*other), self.text(token))).collect()
    }

    /// The tokens that are known and stand for less than a token.
    pub fn narrower(&self, token: u32) -> Vec<u32> {
        self.related(token).filter(|other| is_wider(self.text(token), self.text(*other))).collect()
    }

    /// Whether a part of a token, or all of it, is variable.
    pub fn has_variable(&self, token: u32) -> bool {
        let symbol = &self.entries[token as usize];
        symbol.variable.is_some() || symbol.widest.is_some()
    }

    /// The tokens that differ in the kinds of their variables alone.
    fn related(&self, token: u32) -> impl Iterator<Item = u32> {
        let symbol = &self.entries[token as usize];
        let mixed = symbol.widest.as_ref().and_then(|widest| self.mixed.get(widest));
        let whole = symbol.variable.map(|_| self.variables.as_slice());
        whole.or(mixed.map(Vec::as_slice)).unwrap_or_default().iter().copied().filter(move |other| *other != token)
    }

    pub fn variable(&self, token: u32) -> Option<Variable> {
        self.entries[token as usize].variable
    }

    pub fn look(&self, token: u32) -> Option<Look> {
        self.entries[token as usize].look
    }

    pub fn below(&self, token: u32) -> Below {
        self.entries[token as usize].below
    }

    pub fn is_masked_at(&self, token: u32, at: usize) -> bool {
        let has_verb = self.entries[token as usize].has_verb;
        !has_verb && self.look(token).is_some_and(|look| look.is_open_at(at) && look.is_masked())
    }

    pub fn is_open_at(&self, token: u32, at: usize) -> bool {
        self.look(token).is_some_and(|look| look.is_open_at(at))
    }

    /// Whether a variable stands for another token.
    pub fn covers(&self, template: u32, token: u32) -> bool {
        let covering = self.entries[token as usize].covering;
        self.variable(template).is_some_and(|kind| covering & 1 << kind as u8 != 0)
    }

    /// A token with those that stand beside it in a way.
    pub fn with(&self, token: u32, beside: impl Fn(&Self, u32) -> Vec<u32>) -> Vec<u32> {
        let mut all = beside(self, token);
        all.push(token);
        all
    }

    /// The tokens of templates that stand for a text, itself among them when it is known.
    pub fn covering_text(&self, text: &str) -> Vec<u32> {
        if let Some(token) = self.get(text) {
            return self.with(token, Self::covering);
        }
        Variable::ALL.into_iter().filter(|kind| covers(*kind, text)).map(|kind| self.variables[kind as usize]).collect()
    }

    /// The variable tokens that cover a token.
    pub fn covering(&self, token: u32) -> Vec<u32> {
        let other = |variable: &u32| *variable != token && self.covers(*variable, token);
        self.variables.iter().copied().filter(other).collect()
    }
}

/// A token of which a part is variable, with a text in place of each variable; nothing for another token.
fn widest_of(token: &str) -> Option<String> {
    if !token.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let Segment::Mixed(mut parts) = Segment::of_words(token) else { return None };
    for part in &mut parts {
        if let Part::Variable(variable) = part {
            variable.kind = Variable::String;
        }
    }
    Some(Segment::Mixed(parts).words())
}
