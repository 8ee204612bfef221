/// What a strict read found.
pub struct Kept<V> {
    /// What is kept.
    pub value: V,
    /// What it weighs, with its key.
    pub bytes: usize,
    /// The names by which changes tell of it.
    pub names: Vec<String>,
}
