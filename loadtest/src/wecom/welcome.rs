//! Welcome codes: given out with a new contact, good for 20 seconds and one message.

use std::collections::{HashMap, HashSet};

use super::errcode;
use super::people::{CustomerNo, StaffNo};
use super::request::Refusal;

/// Codes remembered; past this number those that are long over are forgotten.
const CODES_MAX: usize = 100_000;
/// How long a code that is over is remembered.
const REMEMBERED_MS: u64 = 3_600_000;

/// What has become of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeState {
    /// Nobody has used it.
    Fresh,
    /// An app is sending right now, until a moment; whether it succeeds shows then.
    InFlight {
        /// The app's index.
        app: usize,
        /// Until when.
        until_ms: u64,
        /// Whether the message arrives.
        succeeds: bool,
    },
    /// A message was delivered with it, or the chat had started.
    Done,
}

/// One code.
#[derive(Debug, Clone)]
pub struct WelcomeCode {
    /// Whose contact it is about.
    pub staff: StaffNo,
    /// Who is to be greeted.
    pub customer: CustomerNo,
    /// When it was given out, in milliseconds since 1970.
    pub issued_ms: u64,
    /// What has become of it.
    pub state: CodeState,
}

/// All codes.
#[derive(Debug)]
pub struct WelcomeCodes {
    life_ms: u64,
    codes: HashMap<String, WelcomeCode>,
    /// Pairs that have been greeted or have chatted: there is nothing to welcome any more.
    over: HashSet<(StaffNo, CustomerNo)>,
    issued: u64,
    used: u64,
}

impl WelcomeCodes {
    pub(crate) fn new(life_ms: u64) -> Self {
        Self { life_ms, codes: HashMap::new(), over: HashSet::new(), issued: 0, used: 0 }
    }

    pub(crate) fn issue(&mut self, code: String, staff: StaffNo, customer: CustomerNo, now_ms: u64) {
        if self.codes.len() >= CODES_MAX {
            self.codes.retain(|_, code| now_ms < code.issued_ms + REMEMBERED_MS);
            let known: HashSet<_> = self.codes.values().map(|code| (code.staff, code.customer)).collect();
            self.over.retain(|pair| known.contains(pair));
        }
        self.issued += 1;
        let state = CodeState::Fresh;
        self.codes.insert(code, WelcomeCode { staff, customer, issued_ms: now_ms, state });
    }

    /// Uses a code: the first app to call wins.
    ///
    /// # Errors
    /// 41050 unknown or expired, 41051 used or chat started, 41096 another app is sending right now.
    pub fn claim(&mut self, code: &str, app: usize, now_ms: u64) -> Result<WelcomeCode, Refusal> {
        let unknown = || Refusal::code(errcode::BAD_WELCOME_CODE);
        let found = self.codes.get_mut(code).ok_or_else(unknown)?;
        if self.over.contains(&(found.staff, found.customer)) {
            found.state = CodeState::Done;
        }
        if let CodeState::InFlight { until_ms, succeeds, .. } = found.state
            && now_ms >= until_ms
        {
            found.state = if succeeds { CodeState::Done } else { CodeState::Fresh };
        }
        match found.state {
            CodeState::Done => Err(Refusal::code(errcode::WELCOME_DONE)),
            CodeState::InFlight { app: other, .. } if other != app => {
                Err(Refusal::code(errcode::WELCOME_IN_FLIGHT))
            }
            CodeState::Fresh | CodeState::InFlight { .. } if now_ms >= found.issued_ms + self.life_ms => {
                Err(unknown())
            }
            CodeState::Fresh | CodeState::InFlight { .. } => {
                found.state = CodeState::Done;
                self.over.insert((found.staff, found.customer));
                self.used += 1;
                Ok(found.clone())
            }
        }
    }

    /// Another app takes a code and is busy with it until a moment; says whether there is such a code.
    pub fn occupy(&mut self, code: &str, app: usize, until_ms: u64, succeeds: bool) -> bool {
        let found = self.codes.get_mut(code);
        found.map(|found| found.state = CodeState::InFlight { app, until_ms, succeeds }).is_some()
    }

    /// The member and the customer have started to chat: codes about the two are over.
    pub fn chat_started(&mut self, staff: StaffNo, customer: CustomerNo) {
        self.over.insert((staff, customer));
    }

    /// Whether the two have been greeted or have chatted, so that no code is given out.
    pub(crate) fn is_over(&self, staff: StaffNo, customer: CustomerNo) -> bool {
        self.over.contains(&(staff, customer))
    }

    /// The two are strangers again.
    pub(crate) fn parted(&mut self, staff: StaffNo, customer: CustomerNo) {
        self.over.remove(&(staff, customer));
    }

    /// How many were given out, and with how many a message was sent.
    pub fn counts(&self) -> (u64, u64) {
        (self.issued, self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_code() -> WelcomeCodes {
        let mut codes = WelcomeCodes::new(20_000);
        codes.issue("c".to_owned(), StaffNo(0), CustomerNo(0), 1_000);
        codes
    }

    fn claim(codes: &mut WelcomeCodes, app: usize, now_ms: u64) -> i64 {
        codes.claim("c", app, now_ms).map_or_else(|refusal| refusal.errcode, |_| 0)
    }

    #[test]
    fn a_code_is_good_once_and_for_twenty_seconds() {
        let mut codes = with_code();
        assert_eq!(claim(&mut codes, 0, 20_999), 0);
        assert_eq!(claim(&mut codes, 0, 20_999), 41_051);
        assert_eq!(claim(&mut with_code(), 0, 21_000), 41_050);
        assert_eq!(codes.claim("made up", 0, 0).map_err(|refusal| refusal.errcode).err(), Some(41_050));
        assert_eq!(codes.counts(), (1, 1));
    }

    #[test]
    fn another_apps_attempt_is_in_the_way_and_may_fail() {
        for (succeeds, after) in [(true, 41_051), (false, 0)] {
            let mut codes = with_code();
            codes.occupy("c", 1, 3_000, succeeds);
            assert_eq!((claim(&mut codes, 0, 2_999), claim(&mut codes, 0, 3_000)), (41_096, after));
        }
    }

    #[test]
    fn a_chat_that_has_started_needs_no_welcome() {
        let mut codes = with_code();
        codes.chat_started(StaffNo(0), CustomerNo(0));
        assert_eq!(claim(&mut codes, 0, 1_001), 41_051);
    }
}
