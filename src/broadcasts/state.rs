//! What may be done to a broadcast in which state. Layer: pure core.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::progress::Counts;
use super::record::Broadcast;

/// What people decided; durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Is still being written.
    Draft,
    /// Waits for somebody else to release it.
    Submitted,
    /// Is to be sent.
    Running,
    /// Waits for somebody to resume it.
    Paused,
    /// Stopped by itself: its canary went badly. Waits for somebody to look.
    Stopped,
    /// Called off.
    Cancelled,
}

/// Where a broadcast stands; computed from what people decided, the expansion and the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Still being written; nothing of it is sent.
    Draft,
    /// Comes again: each time a broadcast of its own is made.
    Recurring,
    /// Waits until somebody else releases it. Its targets are written meanwhile, so that it shows what it comes to.
    Submitted,
    /// Waits for the time it is to start.
    Scheduled,
    /// Its targets are still being written; those written are being sent.
    Expanding,
    /// Sent to the first groups, which are being watched.
    Canary,
    /// Being sent.
    Running,
    /// Nothing of it is sent until it is resumed.
    Paused,
    /// Its canary went badly: nothing of it is sent until somebody resumes it, which lets the rest go.
    Stopped,
    /// Called off.
    Cancelled,
    /// Every target has its result.
    Finished,
}

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Send a draft, or have it released.
    Submit,
    /// Release what somebody else submitted.
    Approve,
    /// Send back what was submitted: it is over.
    Reject,
    /// Send nothing more for now.
    Pause,
    /// Go on.
    Resume,
    /// Send nothing more, ever.
    Cancel,
}

impl Command {
    /// Returns the verb, as in the API and the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Command::Submit => "submit",
            Command::Approve => "approve",
            Command::Reject => "reject",
            Command::Pause => "pause",
            Command::Resume => "resume",
            Command::Cancel => "cancel",
        }
    }
}

/// The state does not allow it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("cannot {verb} a broadcast that is {}", state.as_str())]
pub struct IllegalTransition {
    /// Where it stands.
    pub state: State,
    /// What was asked.
    pub verb: &'static str,
}

impl State {
    /// Returns the spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::Recurring => "recurring",
            State::Submitted => "submitted",
            State::Scheduled => "scheduled",
            State::Expanding => "expanding",
            State::Canary => "canary",
            State::Running => "running",
            State::Paused => "paused",
            State::Stopped => "stopped",
            State::Cancelled => "cancelled",
            State::Finished => "finished",
        }
    }
}

/// Returns what a command leads to; `needs_approval` says whether a second person must release it.
///
/// # Errors
/// When the state does not allow it.
pub(super) fn next(
    state: State,
    command: Command,
    needs_approval: bool,
) -> Result<Control, IllegalTransition> {
    use State::{
        Canary, Cancelled, Draft, Expanding, Finished, Paused, Recurring, Running, Scheduled, Stopped,
        Submitted,
    };
    match (command, state) {
        (Command::Submit, Draft) if needs_approval => Ok(Control::Submitted),
        (Command::Submit, Draft) | (Command::Approve, Submitted) | (Command::Resume, Paused | Stopped) => {
            Ok(Control::Running)
        }
        (Command::Pause, Recurring | Scheduled | Expanding | Canary | Running) => Ok(Control::Paused),
        (Command::Reject, Submitted)
        | (
            Command::Cancel,
            Draft | Recurring | Submitted | Scheduled | Expanding | Canary | Running | Paused | Stopped,
        ) => Ok(Control::Cancelled),
        (
            Command::Submit,
            Recurring | Submitted | Scheduled | Expanding | Canary | Running | Paused | Stopped,
        )
        | (
            Command::Approve | Command::Reject,
            Draft | Recurring | Scheduled | Expanding | Canary | Running | Paused | Stopped,
        )
        | (Command::Pause, Draft | Submitted | Paused | Stopped)
        | (Command::Resume, Draft | Recurring | Submitted | Scheduled | Expanding | Canary | Running)
        | (_, Cancelled | Finished) => Err(IllegalTransition { state, verb: command.as_str() }),
    }
}

/// Says whether failed targets may be tried again.
///
/// # Errors
/// When it was cancelled, which is for ever, or is a draft, which has none.
pub(super) fn may_replay(control: Control) -> Result<(), IllegalTransition> {
    match control {
        Control::Submitted | Control::Running | Control::Paused | Control::Stopped => Ok(()),
        Control::Draft => Err(IllegalTransition { state: State::Draft, verb: "replay" }),
        Control::Cancelled => Err(IllegalTransition { state: State::Cancelled, verb: "replay" }),
    }
}

impl Broadcast {
    /// Computes where it stands at a time.
    pub fn state(&self, counts: &Counts, now_ms: i64) -> State {
        match self.control {
            Control::Cancelled => State::Cancelled,
            Control::Draft => State::Draft,
            Control::Submitted => State::Submitted,
            Control::Running if self.repeat.is_some() && self.next_ms == 0 => State::Finished,
            Control::Running if self.repeat.is_some() => State::Recurring,
            Control::Running if self.starts_ms > now_ms => State::Scheduled,
            Control::Running | Control::Paused | Control::Stopped
                if self.expansion.done && self.mass.is_bundled() && counts.unfinished() == 0 =>
            {
                State::Finished
            }
            Control::Paused => State::Paused,
            Control::Stopped => State::Stopped,
            Control::Running if !self.expansion.done => State::Expanding,
            Control::Running if self.tries_first() => State::Canary,
            Control::Running => State::Running,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 11] = [
        State::Draft,
        State::Recurring,
        State::Submitted,
        State::Scheduled,
        State::Expanding,
        State::Canary,
        State::Running,
        State::Paused,
        State::Stopped,
        State::Cancelled,
        State::Finished,
    ];

    #[test]
    fn only_what_makes_sense_is_allowed() {
        use Command::{Approve, Cancel, Pause, Reject, Resume, Submit};
        let allowed = |command: Command| -> Vec<State> {
            STATES.into_iter().filter(|state| next(*state, command, false).is_ok()).collect()
        };
        assert_eq!(allowed(Submit), [State::Draft]);
        assert_eq!(allowed(Approve), [State::Submitted]);
        assert_eq!(allowed(Reject), [State::Submitted]);
        assert_eq!(
            allowed(Pause),
            [State::Recurring, State::Scheduled, State::Expanding, State::Canary, State::Running]
        );
        assert_eq!(allowed(Resume), [State::Paused, State::Stopped]);
        assert_eq!(allowed(Cancel), STATES[..9]);
        assert_eq!(next(State::Draft, Submit, true), Ok(Control::Submitted));
        assert_eq!(next(State::Draft, Submit, false), Ok(Control::Running));
    }

    #[test]
    fn a_refusal_says_why() {
        let refusal = next(State::Cancelled, Command::Resume, false).unwrap_err();
        assert_eq!(refusal.to_string(), "cannot resume a broadcast that is cancelled");
    }
}
