//! What may be done to a broadcast in which state. Layer: pure core.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::progress::Counts;
use super::record::Broadcast;

/// What people decided; durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Is to be sent.
    Running,
    /// Waits for somebody to resume it.
    Paused,
    /// Called off.
    Cancelled,
}

/// Where a broadcast stands; computed from what people decided, the expansion and the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its targets are still being written; those written are being sent.
    Expanding,
    /// Being sent.
    Running,
    /// Nothing of it is sent until it is resumed.
    Paused,
    /// Called off.
    Cancelled,
    /// Every target has its result.
    Finished,
}

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
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
            State::Expanding => "expanding",
            State::Running => "running",
            State::Paused => "paused",
            State::Cancelled => "cancelled",
            State::Finished => "finished",
        }
    }
}

/// Returns what a command leads to.
///
/// # Errors
/// When the state does not allow it.
pub(super) fn next(state: State, command: Command) -> Result<Control, IllegalTransition> {
    match (state, command) {
        (State::Expanding | State::Running, Command::Pause) => Ok(Control::Paused),
        (State::Paused, Command::Resume) => Ok(Control::Running),
        (State::Expanding | State::Running | State::Paused, Command::Cancel) => Ok(Control::Cancelled),
        (State::Expanding | State::Running, Command::Resume)
        | (State::Paused, Command::Pause)
        | (State::Cancelled | State::Finished, Command::Pause | Command::Resume | Command::Cancel) => {
            Err(IllegalTransition { state, verb: command.as_str() })
        }
    }
}

/// Says whether failed targets may be tried again.
///
/// # Errors
/// When it was cancelled: that is for ever.
pub(super) fn may_replay(control: Control) -> Result<(), IllegalTransition> {
    match control {
        Control::Running | Control::Paused => Ok(()),
        Control::Cancelled => Err(IllegalTransition { state: State::Cancelled, verb: "replay" }),
    }
}

impl Broadcast {
    /// Computes where it stands.
    pub fn state(&self, counts: &Counts) -> State {
        match self.control {
            Control::Cancelled => State::Cancelled,
            Control::Running | Control::Paused
                if self.expansion.done && self.mass.is_bundled() && counts.unfinished() == 0 =>
            {
                State::Finished
            }
            Control::Paused => State::Paused,
            Control::Running if self.expansion.done => State::Running,
            Control::Running => State::Expanding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 5] =
        [State::Expanding, State::Running, State::Paused, State::Cancelled, State::Finished];

    #[test]
    fn only_what_makes_sense_is_allowed() {
        use Command::{Cancel, Pause, Resume};
        let allowed = |command: Command| -> Vec<State> {
            STATES.into_iter().filter(|state| next(*state, command).is_ok()).collect()
        };
        assert_eq!(allowed(Pause), [State::Expanding, State::Running]);
        assert_eq!(allowed(Resume), [State::Paused]);
        assert_eq!(allowed(Cancel), [State::Expanding, State::Running, State::Paused]);
    }

    #[test]
    fn a_refusal_says_why() {
        let refusal = next(State::Cancelled, Command::Resume).unwrap_err();
        assert_eq!(refusal.to_string(), "cannot resume a broadcast that is cancelled");
    }
}
