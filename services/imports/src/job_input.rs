//! What a job is given, sealed for its row.

use serde::{Serialize, de::DeserializeOwned};

use crate::model::jobs::Job;
use crate::model::sealed::JOB_INPUT;
use crate::{Deps, Error};

/// The job with its input.
pub fn give(deps: &Deps, job: Job, input: &impl Serialize) -> Job {
    let input = serde_json::to_vec(input).expect("texts always serialize");
    let sealed = deps.secrets.seal(&JOB_INPUT.row(&job.job_id), &input);
    Job { input: hex::encode(sealed), ..job }
}

/// # Errors
/// When it was sealed for another job, or with another key.
pub fn take<T: DeserializeOwned>(deps: &Deps, job: &Job) -> Result<T, Error> {
    let sealed = hex::decode(&job.input).map_err(portolan_api::Error::internal)?;
    let input = deps.secrets.open(&JOB_INPUT.row(&job.job_id), &sealed).map_err(portolan_api::Error::internal)?;
    Ok(serde_json::from_slice(&input).map_err(portolan_api::Error::internal)?)
}
