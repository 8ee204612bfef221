//! What benches share.

/// A word without digits that no other number below 1,000 has, so that nothing of it becomes a template. Two of its
/// segments must differ between URLs, or ten of them merge.
pub fn word(number: usize) -> String {
    const SYLLABLES: [&str; 10] = ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu"];
    format!("{number:03}").bytes().map(|digit| SYLLABLES[usize::from(digit - b'0')]).collect()
}
