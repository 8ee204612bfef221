use portolan_store::{Repeatable, retrying};

/// Repeats a deletion of at most `rows_max` rows until it finds fewer, so that others write between two, and returns how
/// many went.
///
/// # Errors
/// The first one that does not pass; what went before it is gone.
pub(crate) async fn delete_in_steps<E: Repeatable, F: Future<Output = Result<u64, E>>>(
    rows_max: i64,
    delete_some: impl Fn() -> F,
) -> Result<u64, E> {
    let mut deleted = 0;
    loop {
        let some = retrying(&delete_some).await?;
        deleted += some;
        if some < rows_max.unsigned_abs() {
            return Ok(deleted);
        }
    }
}
