//! Tells an account that an import has ended: its browsers through identity, its Slack webhooks through tokens.
//!
//! The import has ended whether or not anybody hears of it, so a message that fails is logged and not repeated.

use portolan_ids::UserId;
use portolan_jobs::State;

use crate::model::jobs::{Announcement, Job};
use crate::{Deps, peers};

/// Announces the end of a job that imports; goes on in the background.
pub(crate) fn end(deps: &Deps, job: Job) {
    let is_import = match job.kind.as_str() {
        "import" | "import.url" | "import.postman_workspace" => true,
        // A document that is still to be reviewed has imported nothing yet.
        "import.openapi" | "import.postman_file" | "import.imperva" | "import.approve" => {
            job.progress.imported_items > 0
        }
        _ => false,
    };
    if !is_import {
        return;
    }
    let (title, text) = text(&job);
    let announcement = Announcement {
        account_id: job.account_id,
        user_id: job.user_id.unwrap_or(UserId(0)),
        job_id: job.job_id,
        title: title.to_owned(),
        text,
        collection_id: job.collection_id,
    };
    let peers = deps.peers.clone();
    tokio::spawn(async move { peers::announce(&peers, announcement).await });
}

fn text(job: &Job) -> (&'static str, String) {
    let name = if job.collection_name.is_empty() { "the collections of its hosts" } else { &job.collection_name };
    match (&job.state, &job.error) {
        (State::Failed, Some(reason)) => ("Import failed", format!("{name}: {reason}")),
        (State::Failed | State::Cancelled, _) => ("Import failed", name.to_owned()),
        _ => {
            let progress = &job.progress;
            let counts = format!("{} imported, {} refused", progress.imported_items, progress.refused_items);
            ("Import ended", format!("{name}: {counts}"))
        }
    }
}
