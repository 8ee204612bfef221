/// Whether the text contains a part, which is in lower case.
pub fn contains_ignoring_case(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let Some(first) = part.first() else { return true };
    memchr::memchr2_iter(*first, first.to_ascii_uppercase(), text)
        .any(|at| text[at..].get(..part.len()).is_some_and(|found| found.eq_ignore_ascii_case(part)))
}
