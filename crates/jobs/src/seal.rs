use portolan_ids::JobId;
use portolan_runtime::{Secrets, sealed::Column, sealed_column};

/// What jobs are given, where it holds a secret.
pub const ARGUMENTS: Column = sealed_column!("jobs", "arguments", "job_id", Text, Hex);

/// Seals arguments for one job: what is moved to another row does not open there.
#[derive(Clone, Default)]
pub(crate) struct Seal(Option<Secrets>);

impl Seal {
    pub fn new(secrets: Secrets) -> Self {
        Self(Some(secrets))
    }

    /// # Errors
    /// When the service has said no key.
    pub fn close(&self, job_id: &JobId, text: &str) -> Result<String, String> {
        let secrets = self.0.as_ref().ok_or("the service seals no jobs")?;
        Ok(hex::encode(secrets.seal(&ARGUMENTS.row(job_id.as_str()), text.as_bytes())))
    }

    /// # Errors
    /// What is wrong with it.
    pub fn open(&self, job_id: &JobId, sealed: &str) -> Result<String, String> {
        let secrets = self.0.as_ref().ok_or("the service seals no jobs")?;
        let sealed = hex::decode(sealed).map_err(|_| "its arguments are not sealed text")?;
        let opened = secrets.open(&ARGUMENTS.row(job_id.as_str()), &sealed).map_err(|error| error.to_string())?;
        String::from_utf8(opened).map_err(|_| "its arguments are not UTF-8".to_owned())
    }
}
