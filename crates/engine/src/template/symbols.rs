use std::collections::HashMap;
use std::sync::Arc;

use super::assign::{covers, is_open};
use super::look::Look;
use super::segment::Variable;

/// The tokens of all URLs, each looked up in the dictionary once.
#[derive(Debug)]
pub(super) struct Symbols {
    ids: HashMap<Arc<str>, u32>,
    entries: Vec<Symbol>,
    /// By the number of the kind.
    variables: [u32; 5],
}

#[derive(Debug)]
struct Symbol {
    text: Arc<str>,
    variable: Option<Variable>,
    /// It joins a template that it fits.
    is_open: bool,
    /// It may be the value of a variable, when enough is seen.
    look: Option<Look>,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut symbols = Self { ids: HashMap::new(), entries: Vec::new(), variables: [0; 5] };
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
        let (variable, is_open, look) = (Variable::of_token(token), is_open(token), Look::of(token));
        self.entries.push(Symbol { text, variable, is_open, look });
        id
    }

    pub fn get(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    pub fn text(&self, token: u32) -> &Arc<str> {
        &self.entries[token as usize].text
    }

    /// The token of a variable.
    pub fn token(&self, variable: Variable) -> u32 {
        self.variables[variable as usize]
    }

    pub fn variable(&self, token: u32) -> Option<Variable> {
        self.entries[token as usize].variable
    }

    pub fn look(&self, token: u32) -> Option<Look> {
        self.entries[token as usize].look
    }

    pub fn is_masked_at(&self, token: u32, at: usize) -> bool {
        self.look(token).is_some_and(|look| look.is_open_at(at) && look.is_masked())
    }

    pub fn is_open_at(&self, token: u32, at: usize) -> bool {
        self.look(token).is_some_and(|look| look.is_open_at(at))
    }

    pub fn covers(&self, template: u32, token: u32) -> bool {
        let token = &self.entries[token as usize];
        self.variable(template).is_some_and(|variable| match token.variable {
            Some(_) => variable == Variable::String,
            None => token.is_open && covers(variable, &token.text),
        })
    }

    /// The variable tokens that cover a token.
    pub fn covering(&self, token: u32) -> Vec<u32> {
        let other = |variable: &u32| *variable != token && self.covers(*variable, token);
        self.variables.iter().copied().filter(other).collect()
    }
}
