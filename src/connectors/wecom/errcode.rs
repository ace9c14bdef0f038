//! What WeCom's `errcode`s mean: what to do next, whom it concerns, and what to tell people, with where to click.
//!
//! Not for: making calls (`client`) or limits (`quota`, which knows how long a penalty lasts). A code that is not in the
//! table is tried again with growing delays and shown as it is: the platform adds codes without notice.

mod table;

use std::time::Duration;

use crate::outbox::delivery::{Decision, RefusalScope};

/// Everything done.
pub(super) const OK: i64 = 0;
/// Busy: three more tries at most, by the vendor's own table.
pub(super) const BUSY: i64 = -1;
/// The secret is wrong, another corp's, or the app is disabled.
pub(super) const BAD_SECRET: i64 = 40001;
/// The corp id is wrong.
pub(super) const BAD_CORP: i64 = 40013;
/// The token was voided, or is another's.
pub(super) const BAD_TOKEN: i64 = 40014;
/// The token's time is over.
pub(super) const TOKEN_EXPIRED: i64 = 42001;
/// A parameter breaks a rule.
pub(super) const BAD_PARAMETER: i64 = 40058;
/// Too often: closed for the rest of a window.
pub(super) const TOO_OFTEN: i64 = 45009;
/// Too many calls of one interface at the same time.
pub(super) const TOO_MANY_AT_ONCE: i64 = 45033;

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// What to do next.
    pub(super) decision: Decision,
    /// Whom it concerns.
    pub(super) scope: RefusalScope,
    /// The account as a whole does not work as it should until a person has changed something.
    pub(super) is_trouble: bool,
    /// What it is and where to click, in Chinese.
    pub(super) zh: &'static str,
    /// The same in English.
    pub(super) en: &'static str,
}

/// What a code means that is in no table.
const UNKNOWN: Meaning = Meaning {
    decision: Decision::Backoff,
    scope: RefusalScope::Delivery,
    is_trouble: false,
    zh: "企业微信返回了未收录的错误码；可在 https://open.work.weixin.qq.com/devtool/query 查询该错误码",
    en: "WeCom answered a code that is not in our table; look it up at https://open.work.weixin.qq.com/devtool/query",
};

/// Returns what a code means.
pub(super) fn meaning(code: i64) -> &'static Meaning {
    known(code).unwrap_or(&UNKNOWN)
}

/// Looks a code up.
fn known(code: i64) -> Option<&'static Meaning> {
    let at = table::TABLE.partition_point(|row| row.last < code);
    table::TABLE.get(at).filter(|row| row.first <= code).map(|row| &row.meaning)
}

/// One row of the table: a code, or several that mean the same.
struct Row {
    first: i64,
    last: i64,
    meaning: Meaning,
}

/// How rows are written.
const fn row(
    codes: (i64, i64),
    (decision, scope): (Decision, RefusalScope),
    zh: &'static str,
    en: &'static str,
) -> Row {
    Row { first: codes.0, last: codes.1, meaning: Meaning { decision, scope, is_trouble: false, zh, en } }
}

/// A row about the account as a whole.
const fn trouble(
    codes: (i64, i64),
    (decision, scope): (Decision, RefusalScope),
    zh: &'static str,
    en: &'static str,
) -> Row {
    Row { first: codes.0, last: codes.1, meaning: Meaning { decision, scope, is_trouble: true, zh, en } }
}

/// Only this delivery, and for good.
const NEVER: (Decision, RefusalScope) = (Decision::Never, RefusalScope::Delivery);
/// This delivery, later.
const LATER: (Decision, RefusalScope) = (Decision::Backoff, RefusalScope::Delivery);
/// The group does not take anything until somebody has looked.
const STOP_GROUP: (Decision, RefusalScope) = (Decision::PauseLane, RefusalScope::Group);
/// Nothing through the account until somebody has looked.
const STOP: (Decision, RefusalScope) = (Decision::PauseLane, RefusalScope::Account);
/// A new token, once.
const REFRESH: (Decision, RefusalScope) = (Decision::RefreshCredential, RefusalScope::Account);

const fn after(seconds: u64, scope: RefusalScope) -> (Decision, RefusalScope) {
    (Decision::After(Duration::from_secs(seconds)), scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code that section 7 of the fact sheet names, and those of its sections 0, 3 and 4.
    const NAMED: &[(i64, i64)] = &[
        (-1, -1),
        (6000, 6000),
        (40001, 40001),
        (40003, 40009),
        (40011, 40011),
        (40013, 40014),
        (40016, 40027),
        (40031, 40033),
        (40035, 40035),
        (40050, 40050),
        (40056, 40058),
        (40063, 40063),
        (40068, 40068),
        (40096, 40096),
        (40201, 40201),
        (40204, 40204),
        (40206, 40206),
        (41001, 41006),
        (41048, 41051),
        (41055, 41055),
        (41058, 41058),
        (41063, 41065),
        (41068, 41071),
        (41076, 41077),
        (41083, 41084),
        (41093, 41094),
        (41096, 41096),
        (42001, 42001),
        (42014, 42019),
        (42027, 42052),
        (44001, 44001),
        (44004, 44004),
        (45001, 45002),
        (45009, 45009),
        (45033, 45033),
        (48001, 48002),
        (48005, 48005),
        (49008, 49008),
        (50001, 50003),
        (50100, 50100),
        (60011, 60011),
        (60020, 60021),
        (60030, 60031),
        (60111, 60111),
        (60140, 60140),
        (81013, 81013),
        (81017, 81017),
        (82001, 82001),
        (82004, 82004),
        (84061, 84061),
        (84074, 84074),
        (84084, 84084),
        (86001, 86001),
        (86003, 86008),
        (86101, 86101),
        (86201, 86207),
        (86214, 86217),
        (86224, 86224),
        (90500, 90511),
        (93000, 93000),
        (93004, 93004),
        (93006, 93006),
        (93008, 93008),
        (93019, 93019),
        (301_002, 301_002),
        (600_018, 600_018),
        (846_605, 846_605),
        (846_608, 846_608),
        (853_000, 853_000),
        (853_006, 853_006),
        (10000, 10003),
        (10005, 10006),
        (10008, 10011),
    ];

    #[test]
    fn every_code_of_the_fact_sheet_is_in_the_table() {
        for (first, last) in NAMED {
            for code in *first..=*last {
                assert!(known(code).is_some(), "{code}");
            }
        }
    }

    #[test]
    fn the_table_is_in_order_and_says_something_in_both_languages() {
        for pair in table::TABLE.windows(2) {
            assert!(pair[0].last < pair[1].first, "{}..{}", pair[0].last, pair[1].first);
        }
        for row in table::TABLE {
            assert!(row.first <= row.last);
            let Meaning { zh, en, is_trouble, .. } = row.meaning;
            assert!(zh.chars().any(|c| c as u32 > 0x2e80) && !en.is_empty(), "{}", row.first);
            assert!(!is_trouble || zh.contains('→'), "{}: says where to click", row.first);
        }
    }

    #[test]
    fn what_follows_from_the_codes_that_decide_most() {
        use Decision::{After, Backoff, Never, PauseLane, RefreshCredential};
        use RefusalScope::{Account, Delivery, Group};
        let check = |code: i64, decision: Decision, scope: RefusalScope, is_trouble: bool| {
            let meaning = meaning(code);
            assert_eq!(
                (meaning.decision, meaning.scope, meaning.is_trouble),
                (decision, scope, is_trouble),
                "{code}"
            );
        };
        check(BUSY, Backoff, Account, false);
        check(BAD_SECRET, PauseLane, Account, true);
        check(BAD_CORP, PauseLane, Account, true);
        check(60020, PauseLane, Account, true);
        check(50003, PauseLane, Account, true);
        check(BAD_TOKEN, RefreshCredential, Account, false);
        check(TOKEN_EXPIRED, RefreshCredential, Account, false);
        check(TOO_OFTEN, After(Duration::from_mins(1)), Delivery, false);
        check(TOO_MANY_AT_ONCE, Backoff, Delivery, false);
        check(48002, Never, Delivery, true);
        check(41050, Never, Delivery, false);
        check(41051, Never, Delivery, false);
        check(41096, After(Duration::from_secs(2)), Delivery, false);
        check(93000, PauseLane, Group, false);
        check(49008, Never, Delivery, false);
        check(123_456_789, Backoff, Delivery, false);
        check(i64::MIN, Backoff, Delivery, false);
        check(i64::MAX, Backoff, Delivery, false);
    }
}
