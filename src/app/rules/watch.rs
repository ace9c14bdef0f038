//! Follows the files of wordlists: whoever saves one need not tell the gateway.
//!
//! Told by the operating system where it can, and looked at now and then where it cannot (network file systems, a directory
//! that was replaced). Files are read when they were left alone for a moment: an editor writes in several steps.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::{Report, Rulebook};
use crate::tasks::Tasks;

/// Whoever changes files without a pause has them read after so many times [`crate::rulesets::Config::settle`].
const SETTLES_MAX: u32 = 20;

/// Shortest time between two looks.
const LOOK_MIN: Duration = Duration::from_secs(1);

/// Reads the files again whenever they change, until the gateway stops. Ends at once where there is no directory.
pub(in crate::app) async fn watch(rulebook: Arc<Rulebook>, tasks: Tasks) {
    let (directory, config) = (&rulebook.config.interception.wordlists_dir, &rulebook.config.rulesets);
    if directory.as_os_str().is_empty() {
        return;
    }
    // One token says that something changed; more say no more.
    let (changed, mut told) = mpsc::channel(1);
    let mut watcher = watcher(changed.clone()); // ours keeps the channel open where there is no watcher
    loop {
        // Again each time: a directory that was removed and made anew has lost its watch.
        follow(watcher.as_mut(), directory);
        let is_told = tokio::select! {
            token = told.recv() => token.is_some(),
            () = tokio::time::sleep(config.look_every.max(LOOK_MIN)) => false,
            () = tasks.stopping() => return,
        };
        let reason = if is_told { "a file changed" } else { "a file was found changed" };
        for _ in 0..SETTLES_MAX {
            let quiet = tokio::time::timeout(config.settle, told.recv()).await;
            if !matches!(quiet, Ok(Some(()))) {
                break;
            }
        }
        _ = rulebook.read_files(reason.to_owned(), Report::News).await; // said and counted there
    }
}

fn watcher(changed: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| is_change(event.kind)) {
            _ = changed.try_send(()); // full: it is known already
        }
    };
    notify::recommended_watcher(tell)
        .inspect_err(|error| tracing::warn!(%error, "files of wordlists are only looked at now and then"))
        .ok()
}

/// Our own reading must not look like a change.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn follow(watcher: Option<&mut RecommendedWatcher>, directory: &Path) {
    let Some(watcher) = watcher else { return };
    if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
        tracing::debug!(%error, "watch wordlists_dir");
    }
}
