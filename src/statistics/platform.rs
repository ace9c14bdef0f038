//! A platform's own numbers beside ours, and why they differ (平台口径与本系统口径的差异).
//!
//! Pure: it is handed both and what is known of the day. Not for: fetching either.
//!
//! | number | 平台口径 | ours |
//! |---|---|---|
//! | groups | groups at the end of the day | groups we know that were there by then |
//! | members_new | members who joined that day, those at a group's making among them | joinings, each by itself |
//! | members | members at the end of the day | members present now, minus joins and plus leaves since |
//! | groups_with_messages, members_with_messages, messages | up to that day (累计) | of that day, where messages are visible |

use serde::Serialize;

/// The platform's numbers of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Theirs {
    /// Groups at the end of the day.
    pub groups: u64,
    /// Members who joined.
    pub members_new: u64,
    /// Members at the end of the day.
    pub members: u64,
    /// Groups that ever had a message up to that day.
    pub groups_with_messages: u64,
    /// Members who ever said something up to that day.
    pub members_with_messages: u64,
    /// Messages up to that day.
    pub messages: u64,
}

/// Our numbers of the same day, and what is known of how they came about. `None` is "cannot be known", which is not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Ours {
    /// Groups we know.
    pub groups: u64,
    /// Joins.
    pub members_new: u64,
    /// Members at the end of the day.
    pub members: u64,
    /// Of the members present, staff, as far as is known: each group's owner at least.
    pub staff: u64,
    /// Groups with a message that day.
    pub groups_with_messages: Option<u64>,
    /// Messages of that day.
    pub messages: Option<u64>,
    /// For how long nobody watched, in milliseconds.
    pub unprotected_ms: i64,
    /// Events that came too late to be counted, and are counted apart.
    pub late: u64,
}

/// Whether a number of ours covers what its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// It does.
    Full,
    /// Something is known to be missing.
    Partial,
    /// The platform shows us nothing that it could be counted from.
    Unavailable,
}

/// One number of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// Which number.
    pub number: &'static str,
    /// The platform's.
    pub platform: u64,
    /// Ours; null where it cannot be known.
    pub ours: Option<u64>,
    /// Ours minus the platform's; null where ours cannot be known, or means something else.
    pub difference: Option<i64>,
    /// What ours covers.
    pub coverage: Coverage,
    /// Why they differ, as far as is known.
    pub reasons: Vec<Reason>,
}

/// One reason why two numbers differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Reason {
    /// Stable code.
    pub code: &'static str,
    /// In plain Chinese.
    pub zh: String,
    /// In plain English.
    pub en: String,
}

/// Sets both sides beside each other, number by number.
pub fn compare(theirs: &Theirs, ours: &Ours) -> Vec<Difference> {
    vec![
        groups(theirs, ours),
        members_new(theirs, ours),
        members(theirs, ours),
        up_to_that_day("groups_with_messages", theirs.groups_with_messages, ours.groups_with_messages),
        up_to_that_day("members_with_messages", theirs.members_with_messages, None),
        up_to_that_day("messages", theirs.messages, ours.messages),
    ]
}

fn groups(theirs: &Theirs, ours: &Ours) -> Difference {
    let mut reasons = Vec::new();
    if ours.groups < theirs.groups {
        reasons.push(not_seen(theirs.groups - ours.groups));
    }
    if ours.groups > theirs.groups {
        let more = ours.groups - theirs.groups;
        reasons.push(reason(
            "groups_gone",
            format!("有 {more} 个群本系统仍有记录而平台不再统计：可能刚解散，或群主不在应用可见范围内"),
            format!(
                "{more} groups are known to us that the platform does not count any more: dismissed lately, or their \
                 owner is outside the app's visible range"
            ),
        ));
    }
    let missing = ours.groups < theirs.groups;
    difference("groups", theirs.groups, ours.groups, missing, reasons)
}

fn members_new(theirs: &Theirs, ours: &Ours) -> Difference {
    let (theirs_n, ours_n) = (theirs.members_new, ours.members_new);
    let mut reasons = Vec::new();
    if ours_n < theirs_n {
        if ours.groups < theirs.groups {
            reasons.push(not_seen(theirs.groups - ours.groups));
        }
        reasons.extend(unprotected(ours));
        reasons.push(reason(
            "first_reading",
            "首次读取一个群时已在群里的成员不算入群；平台把建群时的成员也算作当天新增",
            "members found at the first reading of a group are not counted as joins; the platform counts those who were \
             there when a group was made",
        ));
    }
    if ours_n > theirs_n {
        reasons.push(reason(
            "each_joining",
            "本系统按次计数：同一人当天退群后又入群算两次，平台按人计数",
            "we count each joining: who left and came again that day counts twice, with the platform once",
        ));
    }
    if ours_n < theirs_n && ours.late > 0 {
        reasons.push(late(ours.late));
    }
    let missing = ours_n < theirs_n && (ours.unprotected_ms > 0 || ours.groups < theirs.groups);
    difference("members_new", theirs_n, ours_n, missing, reasons)
}

fn members(theirs: &Theirs, ours: &Ours) -> Difference {
    let mut reasons = Vec::new();
    if ours.members < theirs.members {
        if ours.groups < theirs.groups {
            reasons.push(not_seen(theirs.groups - ours.groups));
        }
        reasons.extend(unprotected(ours));
    }
    let apart = ours.members.abs_diff(theirs.members);
    if apart > 0 && apart <= ours.staff {
        reasons.push(reason(
            "staff",
            format!("本系统的群人数含员工（至少 {} 名群主）；平台对员工的统计口径可能不同", ours.staff),
            format!(
                "our members include staff, {} owners at least, whom the platform may count otherwise",
                ours.staff
            ),
        ));
    }
    if ours.members > theirs.members && apart > ours.staff {
        reasons.push(reason(
            "later_leaves",
            "退群若无回调，以核对发现的时间为准，可能晚于实际时间",
            "a leave that no callback told is dated when it was found, which may be later than it was",
        ));
    }
    let missing = ours.members < theirs.members && ours.groups < theirs.groups;
    difference("members", theirs.members, ours.members, missing, reasons)
}

/// The platform's cumulative numbers mean something else than a day's, and cannot be subtracted from them.
fn up_to_that_day(number: &'static str, platform: u64, ours: Option<u64>) -> Difference {
    let mut reasons = vec![reason(
        "cumulative",
        "平台的这个数是截至当天的累计值，不是当天的数",
        "the platform's number is everything up to that day, not that day's",
    )];
    if ours.is_none() {
        reasons.push(reason(
            "text_not_visible",
            "平台不把群消息给本系统，因此没有这个数（空值，不是 0）",
            "the platform does not show us messages of its groups, so there is no number of ours: null, which is not 0",
        ));
    }
    let coverage = if ours.is_some() { Coverage::Full } else { Coverage::Unavailable };
    Difference { number, platform, ours, difference: None, coverage, reasons }
}

fn difference(
    number: &'static str,
    platform: u64,
    ours: u64,
    is_missing: bool,
    reasons: Vec<Reason>,
) -> Difference {
    let apart = i64::try_from(i128::from(ours) - i128::from(platform)).ok();
    let coverage = if is_missing { Coverage::Partial } else { Coverage::Full };
    Difference { number, platform, ours: Some(ours), difference: apart, coverage, reasons }
}

fn not_seen(groups: u64) -> Reason {
    reason(
        "groups_not_seen",
        format!("有 {groups} 个群本系统看不到：群主可能不在应用可见范围内，或尚未核对到"),
        format!(
            "{groups} groups are not seen by us: their owner is outside the app's visible range, or they were not read yet"
        ),
    )
}

fn unprotected(ours: &Ours) -> Option<Reason> {
    let minutes = ours.unprotected_ms / 60_000;
    (ours.unprotected_ms > 0).then(|| {
        reason(
            "unprotected",
            format!("当天有 {minutes} 分钟未受保护：其间入群又退群的成员无从得知"),
            format!(
                "nobody watched for {minutes} minutes of that day: who came and went meanwhile is not known"
            ),
        )
    })
}

fn late(events: u64) -> Reason {
    reason(
        "late",
        format!("有 {events} 个事件到得太晚，单独记录，不计入当天"),
        format!("{events} events came too late to be counted and are listed apart"),
    )
}

fn reason(code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Reason {
    Reason { code, zh: zh.into(), en: en.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: Theirs = Theirs {
        groups: 10,
        members_new: 20,
        members: 500,
        groups_with_messages: 9,
        members_with_messages: 80,
        messages: 7_000,
    };

    const OURS: Ours = Ours {
        groups: 10,
        members_new: 20,
        members: 500,
        staff: 30,
        groups_with_messages: None,
        messages: None,
        unprotected_ms: 0,
        late: 0,
    };

    fn codes(ours: &Ours, number: &str) -> (Coverage, Vec<&'static str>) {
        let all = compare(&THEIRS, ours);
        let one = all.into_iter().find(|difference| difference.number == number).unwrap();
        (one.coverage, one.reasons.iter().map(|reason| reason.code).collect())
    }

    #[test]
    fn equal_numbers_need_no_reason() {
        for number in ["groups", "members_new", "members"] {
            assert_eq!(codes(&OURS, number), (Coverage::Full, vec![]), "{number}");
        }
    }

    #[test]
    fn what_is_missing_is_said_with_its_cause() {
        let ours =
            Ours { groups: 8, members_new: 12, members: 400, unprotected_ms: 1_800_000, late: 3, ..OURS };
        assert_eq!(codes(&ours, "groups"), (Coverage::Partial, vec!["groups_not_seen"]));
        let expected = vec!["groups_not_seen", "unprotected", "first_reading", "late"];
        assert_eq!(codes(&ours, "members_new"), (Coverage::Partial, expected));
        assert_eq!(codes(&ours, "members"), (Coverage::Partial, vec!["groups_not_seen", "unprotected"]));
    }

    #[test]
    fn too_many_of_ours_are_explained_too() {
        let ours = Ours { groups: 11, members_new: 22, members: 600, late: 3, ..OURS };
        assert_eq!(codes(&ours, "groups"), (Coverage::Full, vec!["groups_gone"]));
        assert_eq!(codes(&ours, "members_new"), (Coverage::Full, vec!["each_joining"]));
        assert_eq!(codes(&ours, "members"), (Coverage::Full, vec!["later_leaves"]));
        let ours = Ours { members: 525, ..OURS };
        assert_eq!(codes(&ours, "members"), (Coverage::Full, vec!["staff"]));
    }

    #[test]
    fn what_cannot_be_seen_is_null_and_never_0() {
        for number in ["groups_with_messages", "members_with_messages", "messages"] {
            let expected = vec!["cumulative", "text_not_visible"];
            assert_eq!(codes(&OURS, number), (Coverage::Unavailable, expected), "{number}");
        }
        let seen = Ours { messages: Some(0), ..OURS };
        assert_eq!(codes(&seen, "messages"), (Coverage::Full, vec!["cumulative"]));
        let all = compare(&THEIRS, &seen);
        assert_eq!((all[5].ours, all[5].difference), (Some(0), None));
    }
}
