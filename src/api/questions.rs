//! `/v1/questions`: what customers ask and nobody answers, as material for reply rules. Texts only where they are kept, and
//! only for who may read them; every text that is shown stands in the audit log before.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::body::{Answer, Query};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::state::Cx;
use crate::access::Right;
use crate::alerts::unanswered::{self, Question};
use crate::directory::GroupFilter;
use crate::event::{AccountId, HOUR_MS, Place};
use crate::interception::fold_into;
use crate::questions::{clusters, draft};
use crate::replies::{Mode, Rule};
use crate::statistics::platform::Coverage;

/// How far back is looked where nobody says.
const DAYS_DEFAULT: i64 = 7;
/// Questions that one cluster names; all are counted.
const NAMED_MAX: usize = 20;
/// Texts of one cluster that are read for its draft.
const TEXTS_MAX: usize = 3;
/// Questions of one cluster whose texts are looked for.
const LOOKED_MAX: usize = 10;
/// What the draft says until somebody writes the answer; it is on trial so far.
const PLACEHOLDER: &str = "（请在这里写答案）";

/// Which questions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuestionQuery {
    /// Asked since then (RFC 3339, or a day); seven days ago when left out.
    #[serde(default)]
    since: Option<String>,
    /// Asked before then; now when left out.
    #[serde(default)]
    until: Option<String>,
    /// Only of this account.
    #[serde(default)]
    account: Option<String>,
    /// Only of this group.
    #[serde(default)]
    group: Option<String>,
    /// Only of groups of this shop.
    #[serde(default)]
    shop: Option<String>,
    /// Only of groups of this region.
    #[serde(default)]
    region: Option<String>,
    /// Only of groups of this brand.
    #[serde(default)]
    brand: Option<String>,
    /// Also read kept texts: an example and a draft for each cluster. Needs the right `evidence:read`; each is audited.
    #[serde(default)]
    #[param(default = false)]
    examples: bool,
    /// Clusters of the answer, the largest first.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

impl QuestionQuery {
    fn passes(&self, question: &Question, place: &Place) -> bool {
        fn is<T: ToString>(wanted: Option<&String>, value: Option<T>) -> bool {
            wanted.is_none_or(|wanted| value.is_some_and(|value| value.to_string() == *wanted))
        }
        is(self.account.as_ref(), Some(&question.account))
            && is(self.group.as_ref(), Some(&question.group))
            && is(self.shop.as_ref(), place.shop.as_ref())
            && is(self.region.as_ref(), place.region.as_ref())
            && is(self.brand.as_ref(), place.brand.as_ref())
    }
}

/// Questions that nobody answered, those that ask the same together.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Unanswered {
    /// Asked since then.
    since: String,
    /// Asked before then.
    until: String,
    /// How many of them nobody answered; null where no message text is visible.
    questions: Option<usize>,
    /// Whether the text of messages is visible in the groups of the scope that were asked for.
    coverage: Coverage,
    /// All of that time were looked at; else only the earliest (`questions.report_max`).
    complete: bool,
    /// The largest first.
    clusters: Vec<Cluster>,
}

/// Questions that ask the same.
#[derive(Serialize, utoipa::ToSchema)]
struct Cluster {
    /// How many.
    questions: usize,
    /// In how many groups.
    groups: usize,
    /// By how many members.
    members: usize,
    /// When it was first asked.
    first_at: String,
    /// When it was last asked.
    last_at: String,
    /// The text of one of them; null where none is shown.
    example: Option<String>,
    /// Why no text is shown; null where one is.
    example_missing: Option<&'static str>,
    /// A line for `POST /v1/replies` that would catch them, on trial until its `text` is written; null without texts that
    /// have a stretch in common.
    draft: Option<Draft>,
    /// The latest of them.
    latest: Vec<QuestionView>,
}

/// A reply rule to be.
#[derive(Serialize, utoipa::ToSchema)]
struct Draft {
    /// Its id.
    id: String,
    /// The rule.
    #[serde(flatten)]
    rule: Rule,
}

/// A question that nobody answered.
#[derive(Serialize, utoipa::ToSchema)]
struct QuestionView {
    /// Its id.
    id: String,
    /// Account.
    account: String,
    /// Group.
    group: String,
    /// Who asked.
    member: String,
    /// The event's id as its sender gave it.
    event: String,
    /// When.
    at: String,
    /// Until when it waited.
    deadline: String,
}

/// Lists questions that nobody answered 未回复的问题
///
/// A customer's question that no reply rule answers, with no word of staff in the group, and of no other member to the asker,
/// within `questions.wait`. Those that ask the same are one cluster, by keyed sketches: texts are not needed for it.
#[utoipa::path(
    get, path = "/v1/questions", tag = "rules", operation_id = "listQuestions", params(QuestionQuery),
    responses((status = 200, description = "Clusters with a question of the scope, the largest first", body = Unanswered)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<QuestionQuery>) -> ApiResult<Answer<Unanswered>> {
    let limit = cx.page_rows(query.limit)?;
    let (zone, now_ms) = (cx.directory().time_zone(), cx.now_ms());
    let time = |name, text: &Option<String>, default| {
        text.as_ref().map_or(Ok(default), |text| moment::read(name, text, zone))
    };
    let since_ms = time("since", &query.since, now_ms - DAYS_DEFAULT * 24 * HOUR_MS)?;
    let until_ms = time("until", &query.until, now_ms + 1)?;
    let passes = |question: &Question| {
        let place = cx.place_of_group(&question.account, &question.group);
        cx.covers_group(&question.account, &question.group) && query.passes(question, &place)
    };
    let max = cx.rules().limits.questions.report_max;
    let kept = unanswered::between(cx.storage(), (since_ms, until_ms), max, passes).await?;
    let (complete, count, coverage) = (!kept.more, kept.questions.len(), cx.sees_questions(&query).await?);
    let questions = (coverage != Coverage::Unavailable).then_some(count);
    let together = tokio::task::spawn_blocking(move || together(&kept.questions));
    let found = together.await.map_err(|error| ApiError::internal(&error))?;
    let mut clusters = Vec::new();
    for questions in found.into_iter().take(limit) {
        clusters.push(cx.cluster(&questions, query.examples).await?);
    }
    let (since, until) = (moment::show(since_ms), moment::show(until_ms));
    Ok(Answer::ok(Unanswered { since, until, questions, coverage, complete, clusters }))
}

/// Puts those together that ask the same.
fn together(questions: &[Question]) -> Vec<Vec<Question>> {
    let clusters = clusters::clusters(questions.iter().map(|question| &question.sketch));
    let of = |places: Vec<usize>| places.iter().filter_map(|place| questions.get(*place).cloned()).collect();
    clusters.into_iter().map(of).collect()
}

impl Cx {
    /// Says whether questions can be seen at all where they were asked for.
    async fn sees_questions(&self, query: &QuestionQuery) -> ApiResult<Coverage> {
        let QuestionQuery { account, group, shop, region, brand, .. } = query;
        let (account, shop, region, brand) = (account.clone(), shop.clone(), region.clone(), brand.clone());
        let filter = GroupFilter { account, shop, region, brand, ..GroupFilter::default() };
        let (directory, scope, group) = (Arc::clone(self.directory()), self.scope().clone(), group.clone());
        // Every group is looked at: too long for a worker that others wait for.
        let accounts = tokio::task::spawn_blocking(move || {
            let found = directory.groups_in(&scope, &filter, None, usize::MAX);
            let wanted =
                found.into_iter().filter(|found| group.as_deref().is_none_or(|id| *found.group == *id));
            wanted.map(|found| found.context.account.id.clone()).collect::<BTreeSet<AccountId>>()
        });
        let accounts = accounts.await.map_err(|error| ApiError::internal(&error))?;
        let shows = |account: &&AccountId| {
            self.connectors().capabilities(account.as_str()).is_some_and(|can| can.gives_message_text)
        };
        let seen = accounts.iter().filter(shows).count();
        Ok(match (seen, accounts.len()) {
            (seen, all) if seen == all => Coverage::Full,
            (0, _) => Coverage::Unavailable,
            _ => Coverage::Partial,
        })
    }

    async fn cluster(&self, questions: &[Question], examples: bool) -> ApiResult<Cluster> {
        let groups: BTreeSet<_> = questions.iter().map(|one| (&one.account, &one.group)).collect();
        let members: BTreeSet<_> = questions.iter().map(|one| (&one.account, &one.member)).collect();
        let times = questions.iter().map(|one| one.at_ms);
        let show = |time: Option<i64>| time.map(moment::show).unwrap_or_default();
        let (texts, missing) = self.texts(questions, examples).await?;
        Ok(Cluster {
            questions: questions.len(),
            groups: groups.len(),
            members: members.len(),
            first_at: show(times.clone().min()),
            last_at: show(times.max()),
            draft: questions.first().and_then(|first| draft_of(first, &texts)),
            example: texts.into_iter().next(),
            example_missing: missing,
            latest: questions.iter().rev().take(NAMED_MAX).map(view).collect(),
        })
    }

    /// Reads some texts of a cluster, the latest first, or says why there is none.
    async fn texts(
        &self,
        questions: &[Question],
        asked: bool,
    ) -> ApiResult<(Vec<String>, Option<&'static str>)> {
        let refused = |why| Ok((Vec::new(), Some(why)));
        if !asked {
            return refused("send `examples=true`（加 examples=true 查看示例）");
        }
        if !self.caller().may(Right::EvidenceRead) {
            return refused("needs the right `evidence:read`（需要查看原文的权限）");
        }
        if !self.evidence().is_on() {
            return refused("no text is kept: `evidence.enabled`, `questions.keep_text`（未保存原文）");
        }
        let mut texts = Vec::new();
        for question in questions.iter().rev().take(LOOKED_MAX) {
            if let Some(found) = self.find_evidence(&question.evidence).await? {
                texts.push(self.open_evidence(&found, "question").await?.text);
            }
            if texts.len() == TEXTS_MAX {
                break;
            }
        }
        let missing = "not kept, expired or erased（未保存、已到期或已删除）";
        let missing = texts.is_empty().then_some(missing);
        Ok((texts, missing))
    }
}

/// Makes a rule that would catch questions with these texts.
fn draft_of(first: &Question, texts: &[String]) -> Option<Draft> {
    let folded = texts.iter().map(|text| {
        let mut folded = String::new();
        fold_into(text, &mut folded);
        folded
    });
    let keyword = draft::keyword(&folded.collect::<Vec<_>>())?;
    let rule =
        Rule { keywords: vec![keyword], text: PLACEHOLDER.to_owned(), mode: Mode::Shadow, ..Rule::default() };
    Some(Draft { id: first.id.clone(), rule })
}

fn view(question: &Question) -> QuestionView {
    let Question { id, account, group, member, event, at_ms, deadline_ms, evidence: _, sketch: _ } =
        question.clone();
    let (at, deadline) = (moment::show(at_ms), moment::show(deadline_ms));
    QuestionView { id, account, group, member, event, at, deadline }
}
