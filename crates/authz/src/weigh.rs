/// What a value weighs in memory.
pub trait Weigh {
    /// About how much memory it takes.
    fn bytes(&self) -> usize;
}
