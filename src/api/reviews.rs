//! `/v1/reviews`: what waits for a person. Rows hold no text: who may read it, asks for the evidence.

pub(super) mod appeals;
pub(super) mod deciding;
pub(super) mod offer;

use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Query};
use super::error::{ApiError, ApiResult};
use super::moment;
use super::page::{self, Page};
use super::state::Cx;
use crate::event::{Level, Verdict, Via};
use crate::pipeline::Rules;
use crate::reviews::{Review, ReviewHit, ReviewKind, ReviewState};

/// Rows read in one go, and how often before a page is given back short.
const READ_PAGE: usize = 500;
const READ_PAGES_MAX: usize = 20;

/// A row of the queue.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ReviewView {
    /// Its id; it sorts by time.
    id: String,
    /// Why a person should look.
    kind: ReviewKind,
    /// How it stands.
    state: ReviewState,
    /// Account.
    account: String,
    /// Group.
    group: String,
    /// Whose message it is.
    member: Option<String>,
    /// The event's id; of an appeal only.
    event: Option<String>,
    /// What asked for a person: `policy`, `late_verdict`, `join_wave`, or a step that could not be taken, like
    /// `ladder:remove:over_budget`, `kick:remove:unsupported`. Empty for appeals.
    because: Vec<String>,
    /// The same in plain Chinese.
    zh: String,
    /// When the message was sent.
    at: String,
    /// When the row was made.
    opened_at: String,
    /// What was decided.
    verdict: Option<Verdict>,
    /// By which ruleset.
    ruleset: Option<String>,
    /// By which policy.
    policy: Option<String>,
    /// What was found; of an appeal without a known message: the member's latest hits in the group.
    hits: Vec<ReviewHitView>,
    /// Whether the text is there.
    text: TextView,
    /// Of an appeal: why.
    reason: Option<String>,
    /// How it ended.
    closed: Option<ClosedView>,
}

/// A hit of a reviewed message.
#[derive(Serialize, utoipa::ToSchema)]
struct ReviewHitView {
    /// Wordlist.
    wordlist: String,
    /// Category.
    category: String,
    /// Level, where known.
    level: Option<Level>,
    /// The term as listed now; null when it is listed no more.
    term: Option<String>,
    /// Its stable id, in hex.
    term_id: String,
    /// Where, in bytes of the text, half-open.
    span: [u32; 2],
    /// By which foldings.
    via: Vec<Via>,
}

/// Whether a reviewed text is there.
#[derive(Serialize, utoipa::ToSchema)]
struct TextView {
    /// How it stands.
    standing: TextStanding,
    /// The same in plain Chinese.
    zh: &'static str,
    /// The same in English.
    en: &'static str,
    /// Its id in `/v1/evidence`, if it is there.
    evidence: Option<String>,
    /// When it is erased.
    expires_at: Option<String>,
}

/// How a reviewed text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum TextStanding {
    /// It can be read.
    Kept,
    /// No policy asked for it.
    NotAsked,
    /// Its time is over.
    Expired,
    /// It was to be kept and could not be, or it was erased.
    NotKept,
}

impl TextStanding {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            TextStanding::Kept => {
                ("原文已加密保存，查看会记入审计。", "The text is kept; reading it is audited.")
            }
            TextStanding::NotAsked => (
                "策略没有要求保留原文（策略的 evidence.keep）。",
                "The policy does not ask for texts to be kept (its `evidence.keep`).",
            ),
            TextStanding::Expired => ("原文已到期删除。", "The text has expired and was erased."),
            TextStanding::NotKept => {
                ("原文未能保存，或已被删除。", "The text could not be kept, or it was erased.")
            }
        }
    }
}

/// How a review ended.
#[derive(Serialize, utoipa::ToSchema)]
struct ClosedView {
    /// With which state.
    state: ReviewState,
    /// The operator; `menshen` for what lapsed.
    by: String,
    /// When.
    at: String,
    /// Why, in their words.
    reason: String,
}

/// Which reviews.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReviewQuery {
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Rows of a page; a page may be shorter and still have a next one.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// How they stand: `open`, `approved`, `denied` or `lapsed`.
    #[serde(default)]
    state: ReviewState,
    /// Only of this account.
    #[serde(default)]
    account: Option<String>,
    /// Only of this group.
    #[serde(default)]
    group: Option<String>,
    /// Only with a hit of this wordlist.
    #[serde(default)]
    wordlist: Option<String>,
}

impl ReviewQuery {
    fn passes(&self, review: &Review) -> bool {
        review.state() == self.state
            && self.account.as_ref().is_none_or(|account| *account == review.account)
            && self.group.as_ref().is_none_or(|group| *group == review.group)
            && self.wordlist.as_ref().is_none_or(|list| review.hits.iter().any(|hit| hit.wordlist == *list))
    }
}

/// Lists reviews, oldest first 待复核消息
#[utoipa::path(
    get, path = "/v1/reviews", tag = "reviews", operation_id = "listReviews", params(ReviewQuery),
    responses((status = 200, description = "Reviews of groups within the scope, oldest first", body = Page<ReviewView>)),
)]
pub(super) async fn list(cx: Cx, Query(query): Query<ReviewQuery>) -> ApiResult<Answer<Page<ReviewView>>> {
    let limit = cx.page_rows(query.limit)?;
    let mut after: Option<String> = page::decode(query.cursor.as_deref())?;
    let (mut found, mut next) = (Vec::new(), None);
    'read: for _ in 0..READ_PAGES_MAX {
        let page = cx.reviews().page(query.state, after.clone(), READ_PAGE).await?;
        let is_last = page.len() < READ_PAGE;
        for review in page {
            after = Some(review.id.clone());
            if query.passes(&review) && cx.covers_group(&review.account, &review.group) {
                found.push(review);
                if found.len() == limit {
                    next.clone_from(&after);
                    break 'read;
                }
            }
        }
        if is_last {
            next = None;
            break;
        }
        // A small scope in a long queue: give back what there is, and let the client go on from here.
        next.clone_from(&after);
    }
    let (rules, now_ms) = (cx.rules(), cx.now_ms());
    let mut items = Vec::with_capacity(found.len());
    for review in found {
        items.push(view(&cx, &rules, review, now_ms).await?);
    }
    Ok(Answer::ok(Page { items, next_cursor: next.map(|after| page::encode(&after)) }))
}

/// Shows a review 查看待复核消息
#[utoipa::path(
    get, path = "/v1/reviews/{review}", tag = "reviews", operation_id = "getReview",
    params(("review" = String, Path, description = "Its id")),
    responses((status = 200, description = "With its hits and whether the text is there", body = ReviewView)),
)]
pub(super) async fn get(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<ReviewView>> {
    let review = cx.review(&id).await?;
    let (rules, now_ms) = (cx.rules(), cx.now_ms());
    Ok(Answer::ok(view(&cx, &rules, review, now_ms).await?))
}

async fn view(cx: &Cx, rules: &Rules, review: Review, now_ms: i64) -> ApiResult<ReviewView> {
    let state = review.state();
    let text = text_of(cx, &review, now_ms).await?;
    Ok(ReviewView {
        id: review.id,
        kind: review.kind,
        state,
        account: review.account,
        group: review.group,
        member: review.member,
        event: review.event,
        zh: because_zh(&review.because),
        because: review.because,
        at: moment::show(review.at_ms),
        opened_at: moment::show(review.opened_ms),
        verdict: review.verdict,
        ruleset: review.ruleset,
        policy: review.policy,
        hits: review.hits.into_iter().map(|hit| hit_view(rules, hit)).collect(),
        text,
        reason: review.reason,
        closed: review.closed.map(|closed| ClosedView {
            state: closed.state,
            by: closed.by,
            at: moment::show(closed.at_ms),
            reason: closed.reason,
        }),
    })
}

/// Says what asked for a person in plain Chinese.
fn because_zh(because: &[String]) -> String {
    let said = because.iter().map(|rule| {
        let mut parts = rule.split(':');
        let act = match (parts.next(), parts.next()) {
            (Some("policy"), None) => return "词库或策略要求人工复核".to_owned(),
            (Some("late_verdict"), None) => return "外部审核（如图片识别）事后判定有问题".to_owned(),
            (Some("join_wave"), None) => return "短时间内大量成员入群".to_owned(),
            (_, Some("warn")) => "提醒",
            (_, Some("mute")) => "禁言",
            (_, Some("remove")) => "移出群",
            (_, Some(_) | None) => return rule.clone(),
        };
        match parts.next() {
            Some("over_budget") => format!("应{act}，但本小时的次数已用完，请人工处理"),
            Some("unsupported") => format!("应{act}，但平台不支持，请人工处理"),
            Some(_) | None => format!("应{act}，请人工处理"),
        }
    });
    said.collect::<Vec<_>>().join("；")
}

fn hit_view(rules: &Rules, hit: ReviewHit) -> ReviewHitView {
    ReviewHitView {
        term: rules.words.term(hit.term_id()).map(|(_, term)| term.into_owned()),
        wordlist: hit.wordlist,
        category: hit.category,
        level: hit.level,
        term_id: hit.term,
        span: hit.span,
        via: hit.via,
    }
}

async fn text_of(cx: &Cx, review: &Review, now_ms: i64) -> ApiResult<TextView> {
    let (standing, found) = match &review.evidence {
        None => (TextStanding::NotAsked, None),
        Some(evidence) if evidence.expires_ms <= now_ms => (TextStanding::Expired, None),
        Some(evidence) => match cx.find_evidence(&evidence.id).await? {
            Some(_) => (TextStanding::Kept, Some(evidence)),
            None => (TextStanding::NotKept, None),
        },
    };
    let (zh, en) = standing.words();
    Ok(TextView {
        standing,
        zh,
        en,
        evidence: found.map(|evidence| evidence.id.clone()),
        expires_at: found.map(|evidence| moment::show(evidence.expires_ms)),
    })
}

impl Cx {
    /// Returns a review of a visible group.
    pub(super) async fn review(&self, id: &str) -> ApiResult<Review> {
        let review = self.reviews().get(id).await?;
        let review = review.filter(|review| self.covers_group(&review.account, &review.group));
        review.ok_or_else(|| ApiError::not_found("review"))
    }
}
