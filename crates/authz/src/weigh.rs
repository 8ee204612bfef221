/// What a value weighs in memory.
pub trait Weigh {
    fn bytes(&self) -> usize;
}
