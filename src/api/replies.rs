//! Trying replies out: which rules a message would ask and which wins, what became of a rule, where its text has gaps.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{Answer, Path, Query, Strict};
use super::error::{ApiError, ApiResult};
use super::moderate::check_text;
use super::moment;
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::directory::{GroupContext, GroupFilter, GroupFound};
use crate::event::{FieldError, Kin, Verdict};
use crate::ingest::events::judge_own;
use crate::interception::{Audience, Scratch, Speaker, fold_into};
use crate::journeys::Journey;
use crate::pipeline::Rules;
use crate::reach::Plan;
use crate::replies::{Candidate, Circumstances, MatchKind, Numbers, Out, Rule};
use crate::rulesets::RuleKind;
use crate::template::Template;
use crate::welcomes::Welcome;

/// Groups that a refusal names; `GET /v1/replies/{reply}/missing` lists all.
const GROUPS_NAMED: usize = 20;

/// Groups looked at in one go.
const GROUPS_PAGE: usize = 2_000;

/// A message to be tried.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskIn {
    /// The account of the group.
    #[schema(example = "demo")]
    account: String,
    /// Asked in this group.
    #[schema(example = "g-7")]
    group: String,
    /// The message. Not stored, not logged.
    #[schema(example = "你们几点开门？")]
    text: String,
    /// Members it names by @.
    #[serde(default)]
    mentions: Vec<String>,
    /// Asked at that time (RFC 3339); now when left out.
    #[serde(default)]
    at: Option<String>,
}

/// What a message would ask.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Tried {
    /// Every rule it asks, best first; the first without `out` is the one that speaks.
    rules: Vec<TriedRule>,
    /// Which rule speaks; null when none does.
    winner: Option<String>,
    /// What interception says of the message, from a customer: a blocked one is never answered.
    verdict: Verdict,
    /// Why nobody would hear an answer although a rule wins, in words; null when it would be said.
    silent: Option<&'static str>,
    /// What would be said, of several texts the first; null when nothing is or a variable has no value.
    text: Option<String>,
    /// Variables of that text that have no value in the group.
    missing: Vec<String>,
}

/// A rule that a message asks.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TriedRule {
    /// Its id.
    rule: String,
    /// How its keywords must stand.
    #[serde(rename = "match")]
    match_kind: MatchKind,
    /// The keyword that stands there; of several that must all be there the first.
    keyword: String,
    /// Length of what stands there, in folded characters: the longer goes first.
    chars: usize,
    /// Why it takes no part; null when it does.
    out: Option<Out>,
    /// In words, for people (给人看的说明).
    why: &'static str,
}

/// Tries a message on the reply rules 试一试自动回复
///
/// Which rules would match, in which order, and which wins. Silences after earlier answers are not considered; nothing is
/// sent.
#[utoipa::path(
    post, path = "/v1/replies/test", tag = "rules", operation_id = "testReplies",
    request_body = AskIn,
    responses((status = 200, description = "The rules it asks", body = Tried)),
)]
pub(super) async fn test(cx: Cx, Strict(asked): Strict<AskIn>) -> ApiResult<Answer<Tried>> {
    check_text(&cx, &asked.text)?;
    let now_ms = match &asked.at {
        Some(at) => moment::read("at", at, &jiff::tz::TimeZone::UTC)?,
        None => cx.now_ms(),
    };
    let context = cx.directory().group_in(cx.scope(), &asked.account, &asked.group)?;
    let rules = cx.rules();
    let mut folded = String::new();
    fold_into(&asked.text, &mut folded);
    let at = Circumstances {
        place: &context.place,
        tags: context.tags(),
        zone: &context.time_zone,
        is_open: &|at_ms| context.shop.as_ref().and_then(|shop| shop.is_open_at(at_ms)),
        is_mentioned: asked.mentions.iter().any(|member| context.kin(member) != Kin::Other),
        now_ms,
    };
    let candidates = rules.replies.asked(&folded, &at);
    let verdict = verdict_of(&context, &rules, &asked, now_ms);
    let winner = candidates.iter().position(|candidate| candidate.out.is_none());
    let text = winner.map(|winner| candidates[winner].text(0));
    let value = |name: &str| known_later(name).or_else(|| context.variable(name));
    let said = text.and_then(|text| text.render(&value).ok());
    let silent = if verdict == Verdict::Block {
        Some("the message is blocked, and what is blocked is not answered（消息被拦截，不会回复）")
    } else if said
        .as_deref()
        .is_some_and(|said| judge_own(&rules, &context, &asked.group, now_ms, said).is_err())
    {
        Some("interception blocks the answer itself（回复内容本身会被拦截）")
    } else {
        None
    };
    Ok(Answer::ok(Tried {
        verdict,
        silent,
        winner: winner.map(|winner| candidates[winner].rule.id.to_string()),
        text: said,
        missing: text.map(|text| text.missing(&value)).into_iter().flatten().map(str::to_owned).collect(),
        rules: candidates
            .iter()
            .enumerate()
            .map(|(i, candidate)| tried(candidate, Some(i) == winner))
            .collect(),
    }))
}

/// Judges the message as a customer's.
fn verdict_of(context: &GroupContext, rules: &Rules, asked: &AskIn, now_ms: i64) -> Verdict {
    let effective = context.effective_policy(rules.words.policy_book());
    let speaker = Speaker::Customer;
    let audience = Audience { now_ms, ..context.audience(&asked.group, speaker) };
    let judge = |policy| rules.words.judge(&asked.text, policy, &audience, &mut Scratch::default()).verdict;
    effective.for_speaker(speaker).map_or(Verdict::Pass, judge)
}

fn tried(candidate: &Candidate<'_>, wins: bool) -> TriedRule {
    let why = match candidate.out {
        None if wins && candidate.is_closed => {
            "wins, with the text for outside its hours（非营业时间，用休息时的回复）"
        }
        None if wins => "wins（由它回复）",
        None => "another rule goes first（有更优先的规则）",
        Some(Out::Elsewhere) => "is not for this group（不适用于这个群）",
        Some(Out::CloserRule) => "a closer rule of its topic is for this group（同一话题有更贴近本群的规则）",
        Some(Out::NotValid) => "is not valid at that time（不在有效期内）",
        Some(Out::Closed) => {
            "is outside its hours, without a text for that（非营业时间，且没有休息时的回复）"
        }
        Some(Out::NotMentioned) => "needs us or a staff member to be mentioned by @（需要 @ 我们或店员）",
        Some(Out::Shadow) => "is on trial（试运行，不回复）",
    };
    TriedRule {
        rule: candidate.rule.id.to_string(),
        match_kind: candidate.rule.match_kind,
        keyword: candidate.keyword.to_owned(),
        chars: candidate.chars,
        out: candidate.out,
        why,
    }
}

/// What became of a rule.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ReplyNumbers {
    /// When they were read.
    as_of: String,
    /// Since the rule was written or the gateway started, whichever is later.
    #[serde(flatten)]
    numbers: Numbers,
}

/// Shows what became of a reply rule 自动回复规则的效果
///
/// How often it answered, and how often and why it kept silent although it was the best rule asked. Over all groups, so for
/// unlimited scopes only.
#[utoipa::path(
    get, path = "/v1/replies/{reply}/numbers", tag = "rules", operation_id = "getReplyNumbers",
    params(("reply" = String, Path, description = "Its id")),
    responses((status = 200, description = "Counts", body = ReplyNumbers)),
)]
pub(super) async fn numbers(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<ReplyNumbers>> {
    super::rules::require_everything(&cx, "reply")?;
    cx.shared_document(RuleKind::Reply.document(), &id).await?;
    let numbers = cx.rules().replies.numbers(&id).unwrap_or_default();
    Ok(Answer::ok(ReplyNumbers { as_of: moment::show(cx.now_ms()), numbers }))
}

/// A group in which a text has gaps.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct GroupMissing {
    /// Its account.
    account: String,
    /// The group.
    group: String,
    /// Its name for people.
    name: Option<String>,
    /// Its shop.
    shop: Option<String>,
    /// Variables without a value there.
    missing: Vec<String>,
}

/// Lists groups in which a reply rule has nothing to say 查看变量缺失的群
///
/// Groups of the rule's places that have no value for one of its variables, where it gives no default.
#[utoipa::path(
    get, path = "/v1/replies/{reply}/missing", tag = "rules", operation_id = "listReplyMissing",
    params(("reply" = String, Path, description = "Its id"), PageQuery),
    responses((status = 200, description = "By account and group", body = Page<GroupMissing>)),
)]
pub(super) async fn missing(
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Answer<Page<GroupMissing>>> {
    let limit = cx.page_rows(query.limit)?;
    let after = page::decode(query.cursor.as_deref())?;
    let document = cx.shared_document(RuleKind::Reply.document(), &id).await?;
    let value = serde_json::from_str(&document.body).map_err(|error| ApiError::internal(&error))?;
    let Some(say) = Say::of(RuleKind::Reply, &value) else {
        return Ok(Answer::ok(Page::of(Vec::new(), limit, cursor)));
    };
    let found = say.missing(&cx, after, limit + 1).await?;
    Ok(Answer::ok(Page::of(found, limit, cursor)))
}

fn cursor(group: &GroupMissing) -> String {
    format!("{}/{}", group.account, group.group)
}

/// Refuses a rule whose text has gaps in groups that it is for.
pub(super) async fn refuse_missing(cx: &Cx, kind: RuleKind, body: &Value) -> ApiResult<()> {
    let Some(say) = Say::of(kind, body).filter(|say| say.is_live) else { return Ok(()) };
    let found = say.missing(cx, None, usize::MAX).await?;
    if found.is_empty() {
        return Ok(());
    }
    let names: BTreeSet<&str> = found.iter().flat_map(|group| &group.missing).map(String::as_str).collect();
    let names = names.into_iter().collect::<Vec<_>>().join("`, `");
    let mut groups: Vec<String> = found.iter().take(GROUPS_NAMED).map(cursor).collect();
    if found.len() > GROUPS_NAMED {
        groups.push("…".to_owned());
    }
    let detail = format!(
        "{} groups have no value for `{names}`: {}; set it there, write a default as in `{{shop.address|…}}`, or send \
         `?missing=allow`: then nothing is said there",
        found.len(),
        groups.join(", "),
    );
    let pointer = if kind == RuleKind::Journey { "/steps" } else { "/text" };
    Err(ApiError::fields(vec![FieldError::new(pointer, "missing_variable", detail)]))
}

/// Refuses a rule whose own words interception would block wherever they are said.
pub(super) fn refuse_blocked(cx: &Cx, kind: RuleKind, body: &Value) -> ApiResult<()> {
    let rules = cx.rules();
    let (Some(say), Some(policy)) = (Say::of(kind, body), rules.policy(None, Speaker::Own)) else {
        return Ok(());
    };
    let audience = Audience { now_ms: cx.now_ms(), ..Audience::default() };
    let judge =
        |text: &Template| rules.own(&text.constant_text(), policy, &audience).map_err(ApiError::blocked);
    say.texts.iter().chain(&say.to_contacts).try_for_each(judge)
}

/// What a rule says, and where.
struct Say {
    plan: Plan,
    texts: Vec<Template>,
    /// Said to people who are in no group.
    to_contacts: Vec<Template>,
    is_live: bool,
}

impl Say {
    /// Reads what was checked before; `None` for kinds that say nothing in groups.
    fn of(kind: RuleKind, body: &Value) -> Option<Arc<Self>> {
        let read = |text: &String| Template::parse(text).ok();
        let this = if kind == RuleKind::Reply {
            let rule = Rule::deserialize(body).ok()?;
            let texts = std::iter::once(&rule.text).chain(&rule.variants).chain(&rule.closed_text);
            let texts = texts.filter_map(read).collect();
            Self { plan: rule.plan(), texts, to_contacts: Vec::new(), is_live: rule.is_live() }
        } else if kind == RuleKind::Welcome {
            let welcome = Welcome::deserialize(body).ok()?;
            let in_groups = welcome.in_groups();
            let texts = in_groups.iter().filter_map(read).collect();
            let all = if in_groups.is_empty() { welcome.texts() } else { Vec::new() };
            let to_contacts = all.iter().filter_map(read).collect();
            Self { plan: welcome.plan(), texts, to_contacts, is_live: welcome.enabled }
        } else if kind == RuleKind::Journey {
            let journey = Journey::deserialize(body).ok()?;
            let texts = journey.steps.iter().map(|step| &step.text).filter_map(read).collect();
            Self { plan: journey.plan(), texts, to_contacts: Vec::new(), is_live: journey.is_live() }
        } else {
            return None;
        };
        Some(Arc::new(this))
    }

    async fn missing(
        self: Arc<Self>,
        cx: &Cx,
        after: Option<String>,
        limit: usize,
    ) -> ApiResult<Vec<GroupMissing>> {
        let (directory, scope) = (Arc::clone(cx.directory()), cx.scope().clone());
        // Every group is looked at: too long for a worker that others wait for.
        let looked = tokio::task::spawn_blocking(move || {
            let (mut found, mut after) = (Vec::new(), after);
            loop {
                let from = after.as_deref().and_then(|after| after.split_once('/'));
                let groups = directory.groups_in(&scope, &GroupFilter::default(), from, GROUPS_PAGE);
                found.extend(groups.iter().filter_map(|group| self.missing_in(group)));
                match groups.last() {
                    Some(last) if groups.len() == GROUPS_PAGE && found.len() < limit => {
                        after = Some(format!("{}/{}", last.context.account.id, last.group));
                    }
                    Some(_) | None => break,
                }
            }
            found.truncate(limit);
            found
        });
        looked.await.map_err(|error| ApiError::internal(&error))
    }

    fn missing_in(&self, GroupFound { group, context }: &GroupFound) -> Option<GroupMissing> {
        self.plan.fit(&context.place, context.tags())?;
        let value = |name: &str| known_later(name).or_else(|| context.variable(name));
        let missing: BTreeSet<&str> = self.texts.iter().flat_map(|text| text.missing(&value)).collect();
        (!missing.is_empty()).then(|| GroupMissing {
            account: context.account.id.to_string(),
            group: group.to_string(),
            name: context.name().map(str::to_owned),
            shop: context.shop.as_ref().map(|shop| shop.id.to_string()),
            missing: missing.into_iter().map(str::to_owned).collect(),
        })
    }
}

/// What only the event itself tells: the member has a name, or at least an id.
fn known_later(name: &str) -> Option<&'static str> {
    matches!(name, "member.count" | "member.name" | "staff.id").then_some("…")
}
