//! Writes `data/words.fst` from a word list of one word a line and the supplement beside it.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

/// The short words that are words in a path too. Most entries of one or two letters in a spelling list are
/// abbreviations, which look like the identifiers that a template has to find.
const SHORT_WORDS: [&str; 26] = [
    "am", "an", "as", "at", "by", "do", "go", "he", "hi", "if", "in", "is", "it", "me", "my", "no", "of", "oh", "ok",
    "on", "or", "so", "to", "up", "us", "we",
];

fn main() -> Result<(), Box<dyn Error>> {
    let list = std::env::args().nth(1).ok_or("usage: build_dictionary WORD_LIST")?;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut words: BTreeSet<String> = SHORT_WORDS.iter().map(ToString::to_string).collect();
    for line in std::fs::read_to_string(list)?.lines() {
        if line.len() > 2 && line.bytes().all(|byte| byte.is_ascii_lowercase()) {
            words.insert(line.to_string());
        }
    }
    words.extend(std::fs::read_to_string(data.join("supplement.txt"))?.lines().map(str::to_string));
    let set = fst::Set::from_iter(&words)?;
    std::fs::write(data.join("words.fst"), set.as_fst().as_bytes())?;
    println!("{} words, {} bytes", words.len(), set.as_fst().as_bytes().len());
    Ok(())
}
