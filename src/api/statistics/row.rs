//! Figures as they are told. What rests on what members say is null, never 0, where a platform does not show it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::{Role, Verdict};
use crate::statistics::coverage::Covered;
use crate::statistics::days::Facet;
use crate::statistics::figures::outcomes::{Outcomes, outcomes};
use crate::statistics::figures::{Figures, waited};

/// The figures of some groups in a stretch of time. What each means: `/v1/statistics/definitions`.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct FigureRow {
    /// Messages by customers and staff 消息数.
    pub(in crate::api) messages: Option<u64>,
    /// Of these, by staff 员工消息数.
    pub(in crate::api) staff_messages: Option<u64>,
    /// Messages of customers that members never saw 未展示.
    pub(in crate::api) withheld: Option<u64>,
    /// Messages of customers that were taken back on the platform 撤回.
    pub(in crate::api) recalled: Option<u64>,
    /// Of those withheld, messages that a person found to be in order 纠正.
    pub(in crate::api) restored: Option<u64>,
    /// Customers who spoke, each counted once 活跃成员.
    pub(in crate::api) active_members: Option<u64>,
    /// Staff who spoke, each counted once 活跃员工.
    pub(in crate::api) active_staff: Option<u64>,
    /// Joins of customers and staff 入群.
    pub(in crate::api) joins: u64,
    /// Leaves of customers and staff 退群.
    pub(in crate::api) leaves: u64,
    /// Joins of customers 客户入群.
    pub(in crate::api) customer_joins: u64,
    /// Leaves of customers 客户退群.
    pub(in crate::api) customer_leaves: u64,
    /// Joins of customers less their leaves 净增.
    pub(in crate::api) net: i64,
    /// Leaves of customers within 24 hours after joining 早退.
    pub(in crate::api) early_leaves: u64,
    /// Customers in the groups at the end, counted in each group 客户成员数; null where it was not asked for.
    pub(in crate::api) members: Option<u64>,
    /// Hits that survived 命中.
    pub(in crate::api) hits: Option<u64>,
    /// Hits for each message 命中率; null where there was none.
    pub(in crate::api) hit_rate: Option<f64>,
    /// Texts with the verdict `mask` 打码.
    pub(in crate::api) masked: Option<u64>,
    /// Texts with the verdict `review` 待审.
    pub(in crate::api) reviewed: Option<u64>,
    /// Texts with the verdict `block` 拦截.
    pub(in crate::api) blocked: Option<u64>,
    /// Replies asked for 自动回复.
    pub(in crate::api) replies: Option<u64>,
    /// Welcomes asked for 欢迎语.
    pub(in crate::api) welcomes: u64,
    /// Broadcasts that arrived, group by group 收到群发.
    pub(in crate::api) broadcasts: u64,
    /// Business results by kind 转化.
    pub(in crate::api) outcomes: BTreeMap<String, OutcomeTold>,
    /// Customers' questions that no rule answered 提问.
    pub(in crate::api) questions: Option<u64>,
    /// Of these, questions that staff answered 已回复.
    pub(in crate::api) answered: Option<u64>,
    /// Of these, questions that staff have not answered 未回复.
    pub(in crate::api) unanswered: Option<u64>,
    /// Unanswered questions for each question 未回复率; null where there was none.
    pub(in crate::api) unanswered_share: Option<f64>,
    /// How long questions asked in open hours waited for staff 首次回复时长.
    pub(in crate::api) first_reply: FirstReply,
    /// Messages that are not only text, by who said them and what they are 消息类型.
    pub(in crate::api) contents: Option<BTreeMap<&'static str, BTreeMap<String, u64>>>,
    /// Judged texts that did not pass, by who wrote them 判定.
    pub(in crate::api) verdicts: Option<BTreeMap<&'static str, BTreeMap<String, u64>>>,
    /// Joins of customers by channel code, else by how they came 入群渠道.
    pub(in crate::api) joined_by: BTreeMap<String, u64>,
    /// Hits by category 命中类别.
    pub(in crate::api) categories: Option<BTreeMap<String, u64>>,
    /// Hits by wordlist 命中词库.
    pub(in crate::api) wordlists: Option<BTreeMap<String, u64>>,
    /// Hits by wordlist that a person found to be wrong 误判.
    pub(in crate::api) overturned: Option<BTreeMap<String, u64>>,
    /// Events too late to count 迟到.
    pub(in crate::api) late: u64,
    /// A late-arriving event changed it after an hour of it had ended 补录.
    pub(in crate::api) revised: bool,
    /// In how many of the groups what is said can be seen 数据覆盖.
    pub(in crate::api) coverage: Covered,
}

/// Business results of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct OutcomeTold {
    /// How many.
    pub(in crate::api) count: u64,
    /// What they are worth, in the brand's unit.
    pub(in crate::api) value: f64,
}

impl From<Outcomes> for OutcomeTold {
    #[expect(clippy::cast_precision_loss, reason = "sums of money in millionths")]
    fn from(Outcomes { count, value_micros }: Outcomes) -> Self {
        Self { count, value: value_micros as f64 / 1e6 }
    }
}

/// How long questions waited for staff.
#[derive(Clone, Copy, Debug, Default, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct FirstReply {
    /// Answers that were timed.
    pub(in crate::api) answers: Option<u64>,
    /// Half of them came within so many seconds.
    pub(in crate::api) median_seconds: Option<u32>,
    /// Nine of ten came within so many seconds.
    pub(in crate::api) p90_seconds: Option<u32>,
}

impl FigureRow {
    /// Tells figures; `members` where they were asked for.
    pub(in crate::api) fn new(figures: &Figures, members: Option<u64>, coverage: Covered) -> Self {
        let (counters, facets) = (&figures.counters, &figures.facets);
        let seen = |number: u64| coverage.known(number);
        let is_seen = coverage.known(0).is_some();
        let waited = waited::waited(facets);
        let questions = facets.get(&Facet::Question).copied().unwrap_or_default();
        let answered = waited::answered(facets);
        Self {
            messages: seen(counters.messages),
            staff_messages: seen(counters.staff_messages),
            withheld: seen(counters.withheld),
            recalled: seen(counters.recalled),
            restored: seen(counters.restored),
            active_members: seen(figures.active.len()),
            active_staff: seen(figures.active_staff.len()),
            joins: counters.joins,
            leaves: counters.leaves,
            customer_joins: figures.came,
            customer_leaves: figures.went,
            net: signed(figures.came) - signed(figures.went),
            early_leaves: figures.went_early,
            members,
            hits: seen(counters.hits),
            hit_rate: share(counters.hits, counters.messages).filter(|_| is_seen),
            masked: seen(counters.masked),
            reviewed: seen(counters.reviewed),
            blocked: seen(counters.blocked),
            replies: seen(counters.replies),
            welcomes: counters.welcomes,
            broadcasts: figures.broadcasts,
            outcomes: outcomes(facets).into_iter().map(|(kind, sum)| (kind.to_owned(), sum.into())).collect(),
            questions: seen(questions),
            answered: seen(answered),
            unanswered: seen(questions.saturating_sub(answered)),
            unanswered_share: share(questions.saturating_sub(answered), questions).filter(|_| is_seen),
            first_reply: FirstReply {
                answers: seen(waited.answers),
                median_seconds: waited.median_s,
                p90_seconds: waited.p90_s,
            },
            contents: is_seen.then(|| by_role(facets, content)),
            verdicts: is_seen.then(|| by_role(facets, verdict)),
            joined_by: words(facets, came),
            categories: is_seen.then(|| words(facets, category)),
            wordlists: is_seen.then(|| words(facets, wordlist)),
            overturned: is_seen.then(|| words(facets, overturned)),
            late: counters.late,
            revised: figures.revised,
            coverage,
        }
    }
}

/// Returns a share in four digits; nothing of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share of counts")]
pub(in crate::api) fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| (part as f64 / of as f64 * 1e4).round() / 1e4)
}

/// Returns a number that may go below 0.
pub(in crate::api) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

type Facets = BTreeMap<Facet, u64>;
type ByRole = BTreeMap<&'static str, BTreeMap<String, u64>>;

fn content(facet: &Facet) -> Option<(Role, &str)> {
    if let Facet::Content(role, kind) = facet { Some((*role, kind)) } else { None }
}

fn verdict(facet: &Facet) -> Option<(Role, &str)> {
    let Facet::Verdict(role, verdict) = facet else { return None };
    let word = match verdict {
        Verdict::Pass => "pass",
        Verdict::Mask => "mask",
        Verdict::Review => "review",
        Verdict::Block => "block",
    };
    Some((*role, word))
}

fn came(facet: &Facet) -> Option<&str> {
    if let Facet::Came(word) = facet { Some(word) } else { None }
}

fn category(facet: &Facet) -> Option<&str> {
    if let Facet::Category(word) = facet { Some(word) } else { None }
}

fn wordlist(facet: &Facet) -> Option<&str> {
    if let Facet::Wordlist(word) = facet { Some(word) } else { None }
}

fn overturned(facet: &Facet) -> Option<&str> {
    if let Facet::Overturned(word) = facet { Some(word) } else { None }
}

fn words(facets: &Facets, word: impl Fn(&Facet) -> Option<&str>) -> BTreeMap<String, u64> {
    facets.iter().filter_map(|(facet, count)| Some((word(facet)?.to_owned(), *count))).collect()
}

fn by_role(facets: &Facets, word: impl Fn(&Facet) -> Option<(Role, &str)>) -> ByRole {
    let mut by: ByRole = BTreeMap::new();
    for (facet, count) in facets {
        if let Some((role, word)) = word(facet) {
            by.entry(name(role)).or_default().insert(word.to_owned(), *count);
        }
    }
    by
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Customer => "customer",
        Role::Staff => "staff",
        Role::Bot => "bot",
    }
}
