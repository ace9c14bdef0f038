//! A member's conduct: which messages were held up, what followed, and the word of a person that undoes it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::body::{Answer, Path, Strict};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::outbound::fresh_id;
use super::reviews::deciding::{AllowedView, allow, check_reason, may_allow};
use super::state::Cx;
use crate::conduct::ladder::{Came, Ladder, Record};
use crate::event::{ActionKind, GroupEvent, Role, What};
use crate::fleet::removals::Who;
use crate::ingest::events::Source;
use crate::storage::{AuditEntry, Change};

/// Members forgiven in one go.
const TOGETHER: usize = 500;
/// Hits of the member that are shown when they are forgiven.
const HITS_MAX: usize = 10;
/// Hits of a group that are looked through for them.
const HITS_READ: usize = 500;

/// What a member did in a group and what followed.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ConductView {
    /// The group.
    group: String,
    /// Strikes that count now.
    strikes: usize,
    /// When the last of them was.
    last_strike_at: Option<String>,
    /// Until when the member may not speak, as far as we asked for it.
    muted_until: Option<String>,
    /// The latest steps, the oldest first.
    steps: Vec<StepView>,
}

/// A step that was taken.
#[derive(Serialize, utoipa::ToSchema)]
struct StepView {
    /// When.
    at: String,
    /// What.
    action: ActionKind,
    /// At how many strikes; 0 for what a person undid and for the end of a mute.
    strikes: usize,
    /// What came of it: with anything but `queued` a review waits for a person.
    came: Came,
    /// By which policy, or which operator.
    by: String,
}

/// Shows a member's conduct 成员处罚记录
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/members/{member}/conduct", tag = "groups", operation_id = "getConduct",
    params(("account" = String, Path), ("group" = String, Path), ("member" = String, Path, description = "The platform's id")),
    responses((status = 200, description = "Strikes and steps; empty where there are none", body = ConductView)),
)]
pub(super) async fn get(
    cx: Cx,
    Path((account, group, member)): Path<(String, String, String)>,
) -> ApiResult<Answer<ConductView>> {
    cx.directory().group_in(cx.scope(), &account, &group)?;
    let records = cx.ingest().records(&account, &member);
    let record = records.into_iter().find(|(of, _)| *of == group).map(|(_, record)| record);
    let record = record.unwrap_or_default();
    let ladder = cx.ladder(&account, &group);
    Ok(Answer::ok(view(group, record, &ladder, cx.now_ms())))
}

fn view(group: String, mut record: Record, ladder: &Ladder, now_ms: i64) -> ConductView {
    ladder.forgive(&mut record, now_ms);
    let steps = record.taken.into_iter().map(|taken| StepView {
        at: moment::show(taken.at_ms),
        action: taken.action,
        strikes: taken.strikes,
        came: taken.came,
        by: taken.by,
    });
    ConductView {
        group,
        strikes: record.strikes.len(),
        last_strike_at: record.strikes.last().map(|strike| moment::show(strike.at_ms)),
        muted_until: record.muted_until_ms.map(moment::show),
        steps: steps.collect(),
    }
}

/// Who is forgiven.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PardonIn {
    /// Why, in words; no message text.
    reason: String,
    /// Only in this group; in every group of the scope when left out.
    #[serde(default)]
    group: Option<String>,
    /// This phrase is to be allowed from now on. Needs the right `rules:write` and the whole scope.
    #[serde(default)]
    allow_phrase: Option<String>,
}

/// What was undone, and what could not be.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct PardonView {
    /// Each group in which there was something to undo.
    groups: Vec<PardonedView>,
    /// Kick lists that named the member and do no more; none are touched where the scope is not the whole.
    kick_lists: usize,
    /// What became of the allow phrase.
    allow_phrase: Option<AllowedView>,
    /// What the member was held up for lately: where one of them is a mistake, allow the phrase it stood in.
    hits: Vec<PardonedHit>,
    /// What to do next, in plain Chinese.
    zh: String,
    /// The same in English.
    en: String,
}

/// What was undone in a group.
#[derive(Serialize, utoipa::ToSchema)]
struct PardonedView {
    /// The group.
    group: String,
    /// Strikes forgotten.
    strikes: usize,
    /// The platform is asked to let the member speak again.
    unmuted: bool,
    /// The member was taken out: nobody but a person can invite them again.
    removed: bool,
}

/// Something the member was held up for.
#[derive(Serialize, utoipa::ToSchema)]
struct PardonedHit {
    /// The group.
    group: String,
    /// When.
    at: String,
    /// Wordlist.
    wordlist: String,
    /// Category.
    category: String,
    /// The term as listed now; null when it is listed no more.
    term: Option<String>,
}

/// Forgives a member 撤销处罚
///
/// Strikes are forgotten and mutes lifted, in one group or in all of the scope; the records say who did it and the audit log
/// why. Whoever was removed has to be invited again by a person: no platform lets a program do that.
#[utoipa::path(
    post, path = "/v1/members/{account}/{member}/pardon", tag = "groups", operation_id = "pardonMember",
    params(("account" = String, Path), ("member" = String, Path, description = "The platform's id")),
    request_body = PardonIn,
    responses((status = 200, description = "What was undone and what could not be", body = PardonView)),
)]
pub(super) async fn pardon(
    cx: Cx,
    Path((account, member)): Path<(String, String)>,
    Strict(asked): Strict<PardonIn>,
) -> ApiResult<Answer<PardonView>> {
    let reason = check_reason(&cx, &asked.reason)?;
    if let Some(phrase) = &asked.allow_phrase {
        may_allow(&cx, phrase)?;
    }
    let wanted = |group: &str| asked.group.as_deref().is_none_or(|only| only == group);
    let records: Vec<_> = cx
        .ingest()
        .records(&account, &member)
        .into_iter()
        .filter(|(group, _)| wanted(group) && cx.covers_group(&account, group))
        .collect();
    if records.is_empty() {
        let detail = "nothing is on record against this member in the groups you see";
        return Err(ApiError::new(Code::NotFound, detail));
    }
    let mut groups = Vec::with_capacity(records.len());
    let who: Vec<Who> =
        records.iter().map(|(group, _)| (account.clone(), group.clone(), member.clone())).collect();
    cx.forgive(&who).await?;
    for (group, record) in records {
        groups.push(PardonedView {
            strikes: record.strikes.len(),
            unmuted: record.muted_until_ms.is_some(),
            removed: was_removed(&record),
            group,
        });
    }
    let kick_lists = cx.forget_kicks(&account, &member).await?;
    let names: Vec<&str> = groups.iter().map(|of| of.group.as_str()).collect();
    let audit = AuditEntry::by(cx.actor(), cx.now_ms(), "pardon", "member", &format!("{account}/{member}"));
    let audit = audit.with(&serde_json::json!({"groups": names, "reason": reason}));
    cx.storage().apply(Change { at_ms: cx.now_ms(), audit: vec![audit], ..Change::default() }).await?;
    let allow_phrase = match asked.allow_phrase {
        Some(phrase) => Some(allow(&cx, &format!("pardon of {member}"), phrase.trim().to_owned()).await),
        None => None,
    };
    let hits = cx.hits_of(&account, &member, &groups).await?;
    let (zh, en) = next(&groups, allow_phrase.is_none() && !hits.is_empty());
    Ok(Answer::ok(PardonView { groups, kick_lists, allow_phrase, hits, zh, en }))
}

/// Says whether the last thing that was done to the member was to take them out.
fn was_removed(record: &Record) -> bool {
    let last = record.taken.iter().rfind(|taken| taken.came == Came::Queued);
    last.is_some_and(|taken| taken.action == ActionKind::Remove)
}

fn next(groups: &[PardonedView], may_teach: bool) -> (String, String) {
    let (mut zh, mut en) = ("已撤销。".to_owned(), "Undone.".to_owned());
    let removed = groups.iter().filter(|group| group.removed).count();
    if removed > 0 {
        _ = write!(zh, "该成员曾被移出 {removed} 个群，平台不允许程序拉人：请群主重新邀请。");
        _ = write!(
            en,
            " The member was removed from {removed} groups; no platform lets a program add people: ask the owners to invite them."
        );
    }
    if may_teach {
        zh.push_str("如果是误判，请带上 allow_phrase 再调用一次，把正常说法加入放行词。");
        en.push_str(" If it was a mistake, call once more with `allow_phrase`: what people ordinarily say.");
    }
    (zh, en)
}

impl Cx {
    /// Returns the ladder of a group.
    fn ladder(&self, account: &str, group: &str) -> Ladder {
        let rules = self.rules();
        let context = self.directory().context(account, group);
        let effective = context.map(|context| context.effective_policy(rules.words.policy_book()));
        effective.and_then(|effective| effective.policy.ladder.clone()).unwrap_or_default()
    }

    /// Lets the pipeline forget what members did in groups; durable when it returns.
    pub(super) async fn forgive(&self, who: &[Who]) -> ApiResult<()> {
        let pardoned = |(account, group, member): &Who| GroupEvent {
            id: fresh_id("pardon-").into(),
            account: account.clone().into(),
            group: group.clone().into(),
            member: Some(member.clone().into()),
            name: None,
            role: Role::Customer,
            at_ms: None,
            step: None,
            what: What::Pardoned { by: self.actor().operator.to_string().into() },
        };
        let not_ready = |detail: String| ApiError::new(Code::NotReady, detail);
        for some in who.chunks(TOGETHER) {
            let events = some.iter().map(|who| Ok(pardoned(who)));
            let taken = self.ingest().take(Source::Token(self.caller()), events).await;
            for result in taken.map_err(|refusal| not_ready(refusal.detail))? {
                result.map_err(|refusal| not_ready(refusal.detail))?;
            }
        }
        Ok(())
    }

    /// Takes a member off the kick lists, where the caller may.
    async fn forget_kicks(&self, account: &str, member: &str) -> ApiResult<usize> {
        if !self.scope().is_everything() {
            return Ok(0);
        }
        let forgotten = self.kicks().forget(self.actor(), account, member).await;
        forgotten.map_err(|error| ApiError::internal(&error))
    }

    async fn hits_of(
        &self,
        account: &str,
        member: &str,
        groups: &[PardonedView],
    ) -> ApiResult<Vec<PardonedHit>> {
        let (mut found, rules) = (Vec::new(), self.rules());
        for of in groups {
            if found.len() >= HITS_MAX {
                break;
            }
            let hits = self.hits(account.to_owned(), of.group.clone(), HITS_READ).await?;
            let theirs = hits.into_iter().filter(|hit| hit.member == member);
            found.extend(theirs.take(HITS_MAX - found.len()).map(|hit| PardonedHit {
                group: of.group.clone(),
                at: moment::show(hit.at_ms),
                term: rules.words.term(hit.term).map(|(_, term)| term.into_owned()),
                wordlist: hit.wordlist,
                category: hit.category,
            }));
        }
        Ok(found)
    }
}
