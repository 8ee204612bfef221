use regex_automata::{meta, util::syntax};
use regex_syntax::ParserBuilder;

/// Memory of one compiled pattern; matching takes up to as much again.
const BYTES_MAX: usize = 1 << 20;
/// How deep a pattern may nest.
const NEST_MAX: u32 = 50;

/// A pattern that somebody wrote: it runs in linear time and bounded memory.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    compiled: meta::Regex,
}

impl Pattern {
    /// One that is looked for anywhere in a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn anywhere(text: &str) -> Result<Self, String> {
        Self::compile(text, text)
    }

    /// One that a whole text must match.
    ///
    /// # Errors
    /// As of [`Pattern::anywhere`].
    pub fn whole(text: &str) -> Result<Self, String> {
        // Read alone first: a stray bracket must not close the group around it.
        let alone = ParserBuilder::new().nest_limit(NEST_MAX).build().parse(text);
        alone.map_err(|error| last_line(&error))?;
        Self::compile(text, &format!("^(?:{text})$"))
    }

    fn compile(text: &str, pattern: &str) -> Result<Self, String> {
        let bounds = meta::Config::new().nfa_size_limit(Some(BYTES_MAX)).hybrid_cache_capacity(BYTES_MAX);
        let syntax = syntax::Config::new().nest_limit(NEST_MAX);
        let compiled = meta::Builder::new().configure(bounds).syntax(syntax).build(pattern);
        let compiled = compiled.map_err(|error| match error.syntax_error() {
            Some(error) => last_line(error),
            None => "is too large when compiled".to_owned(),
        })?;
        Ok(Self { text: text.to_owned(), compiled })
    }

    /// Whether a text matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Memory of the compiled pattern.
    pub fn bytes(&self) -> usize {
        self.compiled.memory_usage()
    }
}

fn last_line(error: &regex_syntax::Error) -> String {
    error.to_string().lines().last().unwrap_or("is no pattern").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded() {
        for text in ["(a{1000}){1000}", &format!("{}a{}", "(".repeat(60), ")".repeat(60)), "(?=a)b"] {
            assert!(Pattern::whole(text).is_err() && Pattern::anywhere(text).is_err(), "{text}");
        }
        assert!(Pattern::whole("a)|(b").is_err());
        let slow = Pattern::whole("(a+)+b").unwrap();
        assert!(!slow.is_match(&"a".repeat(60_000)));
    }

    #[test]
    fn memory_is_known() {
        let (small, large) = (Pattern::anywhere("a").unwrap(), Pattern::anywhere(r"(?:\w{1,5}-?){1,3}[a-z]").unwrap());
        assert!(small.bytes() < 10_000 && large.bytes() > 100_000, "{} {}", small.bytes(), large.bytes());
        // A forward and a reverse automaton, and what is looked for first.
        assert!(large.bytes() < 4 * BYTES_MAX, "{}", large.bytes());
    }
}
