//! The values of a configuration before they have types: from the defaults, a file, variables and flags.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::de::DeserializeOwned;
use toml::de::DeTable;

use crate::section;

/// The documentation of every key and its default.
const DEFAULTS: &str = include_str!("default.toml");
const ENVIRONMENT_PREFIX: &str = "PORTOLAN__";

/// Keys as `section.key`, each known from `default.toml`.
#[derive(Clone, Default)]
pub struct Layers(BTreeMap<String, Value>);

#[derive(Clone, Default)]
struct Value {
    text: String,
    /// Where it was given, such as `portolan.toml:12`; empty for a default.
    place: String,
}

impl Layers {
    /// The defaults, each key once.
    pub(crate) fn defaults() -> Self {
        // Every look at a section needs them.
        static READ: LazyLock<Layers> = LazyLock::new(|| {
            let mut layers = Layers::default();
            layers.read_toml("default.toml", DEFAULTS, None, &mut Vec::new());
            layers.0.values_mut().for_each(|value| value.place.clear());
            layers
        });
        READ.clone()
    }

    /// Reads a file over what is there: its name for people, and its text.
    pub(crate) fn read_file(&mut self, (name, text): (&str, &str), problems: &mut Vec<String>) {
        let known: Vec<String> = self.0.keys().cloned().collect();
        self.read_toml(name, text, Some(&known), problems);
    }

    /// Reads variables over what is there; those of others are passed over.
    pub(crate) fn read_variables(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
        problems: &mut Vec<String>,
    ) {
        let known: Vec<String> = self.0.keys().cloned().collect();
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            let key = path.to_ascii_lowercase().replacen("__", ".", 1);
            if known.contains(&key) {
                self.0.insert(key, Value { text, place: name });
            } else {
                let nearest = nearest(&key, &known).to_ascii_uppercase().replacen('.', "__", 1);
                problems.push(format!("variable {name} is not known; did you mean {ENVIRONMENT_PREFIX}{nearest}?"));
            }
        }
    }

    pub(crate) fn put(&mut self, key: &str, text: &str, place: &str) {
        self.0.insert(key.to_owned(), Value { text: text.to_owned(), place: place.to_owned() });
    }

    /// The same value in other words, which stands where it stood.
    pub(crate) fn complete(&mut self, key: &str, text: String) {
        self.0.entry(key.to_owned()).or_default().text = text;
    }

    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", |value| value.text.as_str())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn of<'s>(&'s self, section: &'s str) -> impl Iterator<Item = (&'s str, &'s str)> {
        self.0.iter().filter_map(move |(key, value)| {
            let (name, key) = key.split_once('.')?;
            (name == section).then_some((key, value.text.as_str()))
        })
    }

    /// A section as a struct.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    pub(crate) fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        section::read(name, self.of(name))
    }

    /// A section as a struct; each value that cannot be used is told, and stands as its default.
    ///
    /// # Errors
    /// When the struct and the defaults do not fit.
    pub(crate) fn usable<T: DeserializeOwned>(&self, name: &str, problems: &mut Vec<String>) -> Result<T, String> {
        let defaults = Self::defaults();
        let mut values: BTreeMap<&str, &str> = defaults.of(name).collect();
        for (key, text) in self.of(name) {
            let before = values.insert(key, text);
            let read = section::read::<T>(name, values.iter().map(|(key, text)| (*key, *text)));
            if let (Err(problem), Some(before)) = (read, before) {
                problems.push(problem);
                values.insert(key, before);
            }
        }
        section::read(name, values.into_iter())
    }

    /// A problem with the place where its key was given, if that is no default.
    pub(crate) fn located(&self, problem: String) -> String {
        let key = problem.split([':', ' ', ',']).next().unwrap_or_default();
        match self.0.get(key).map(|value| value.place.as_str()) {
            Some(place) if !place.is_empty() && !problem.contains(place) => format!("{problem} ({place})"),
            _ => problem,
        }
    }

    fn read_toml(&mut self, name: &str, text: &str, known: Option<&[String]>, problems: &mut Vec<String>) {
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                let message = error.message();
                return problems.push(format!("{name}:{line}: the configuration file is not TOML: {message}"));
            }
        };
        for (section, value) in table {
            let line = line_of(text, section.span().start);
            let section = section.into_inner();
            let Some(keys) = value.get_ref().as_table() else {
                problems.push(format!("`{section}` must be a section ({name}:{line})"));
                continue;
            };
            for (key, value) in keys {
                let place = format!("{name}:{}", line_of(text, key.span().start));
                let key = format!("{section}.{}", key.get_ref());
                if let Some(known) = known
                    && !known.contains(&key)
                {
                    let nearest = nearest(&key, known);
                    problems.push(format!("key {key} is not known; did you mean {nearest}? ({place})"));
                    continue;
                }
                let text = value.get_ref().as_str().map_or_else(|| text[value.span()].to_owned(), str::to_owned);
                self.0.insert(key, Value { text, place });
            }
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// The known key with the smallest edit distance.
fn nearest<'k>(key: &str, known: &'k [String]) -> &'k str {
    known.iter().min_by_key(|candidate| edit_distance(key, candidate)).map_or("", String::as_str)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// A key as `default.toml` documents it.
pub struct Documented {
    /// The table of the file.
    pub section: String,
    /// In the table.
    pub key: String,
    /// What holds where nothing else is said.
    pub default: serde_json::Value,
    /// What it means, as `default.toml` says it.
    pub description: String,
}

/// Every key, in the order of `default.toml`. A comment is that of each key below it, down to the next one.
pub fn documented() -> Vec<Documented> {
    let table: toml::Table = DEFAULTS.parse().unwrap_or_default();
    let (mut section, mut comment, mut ends) = ("", Vec::new(), true);
    let mut keys = Vec::new();
    for line in DEFAULTS.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            (section, comment) = (name, Vec::new());
        } else if let Some(text) = line.strip_prefix('#') {
            if ends {
                comment.clear();
            }
            comment.push(text.trim());
            ends = false;
        } else if let Some((key, _)) = line.split_once('=') {
            let key = key.trim();
            let default = table.get(section).and_then(|section| section.get(key));
            let default = default.and_then(|default| serde_json::to_value(default).ok()).unwrap_or_default();
            let description = comment.join(" ");
            keys.push(Documented { section: section.to_owned(), key: key.to_owned(), default, description });
            ends = true;
        }
    }
    keys
}
