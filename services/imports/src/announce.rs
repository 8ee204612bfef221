//! Tells an account that an import has ended: its browsers through identity, its Slack webhooks through tokens.
//!
//! The import has ended whether or not anybody hears of it, so a message that fails is logged and not repeated.

use crate::model::jobs::{Announcement, Job, JobKind, JobState};
use crate::store::jobs as rows;
use crate::{Deps, Error, peers};

/// Announces the end of a job that imports; goes on in the background.
pub(crate) fn end(deps: &Deps, job: &Job) {
    let is_import = match job.kind {
        JobKind::Import | JobKind::ImportUrl | JobKind::ImportPostmanWorkspace => true,
        // A document that is still to be reviewed has imported nothing yet.
        JobKind::Finished(_) => job.progress.imported_items > 0,
        JobKind::ExportPostman | JobKind::DeleteUpload | JobKind::Unknown => false,
    };
    if !is_import {
        return;
    }
    let (deps, account_id, job_id) = (deps.clone(), job.account_id, job.job_id.clone());
    tokio::spawn(async move {
        if let Err(error) = tell(&deps, account_id, &job_id).await {
            tracing::warn!(job_id, %error, "the end of an import could not be announced");
        }
    });
}

async fn tell(deps: &Deps, account_id: i64, job_id: &str) -> Result<(), Error> {
    // As it was written down, with its last counts.
    let Some(job) = rows::get(&deps.db, account_id, job_id).await? else { return Ok(()) };
    let (title, text) = text(&job);
    let announcement = Announcement {
        account_id,
        user_id: job.user_id,
        job_id: job.job_id,
        title: title.to_owned(),
        text,
        collection_id: job.collection_id,
    };
    peers::announce(&deps.peers, announcement).await;
    Ok(())
}

fn text(job: &Job) -> (&'static str, String) {
    let name = if job.collection_name.is_empty() { "the collections of its hosts" } else { &job.collection_name };
    match (&job.state, &job.error) {
        (JobState::Failed, Some(reason)) => ("Import failed", format!("{name}: {reason}")),
        (JobState::Failed | JobState::Cancelled, _) => ("Import failed", name.to_owned()),
        _ => {
            let progress = &job.progress;
            let counts = format!("{} imported, {} refused", progress.imported_items, progress.refused_items);
            ("Import ended", format!("{name}: {counts}"))
        }
    }
}
