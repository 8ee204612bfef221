use std::sync::Arc;

/// The present time, injected so that grace and windows can be tested.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// `now` answers Unix seconds.
    pub fn new(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of the machine.
    pub fn system() -> Self {
        Self::new(portolan_runtime::now_s)
    }

    /// Unix seconds.
    pub fn now(&self) -> i64 {
        (self.0)()
    }
}
