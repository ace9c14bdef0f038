//! Who is under way on which journey, and what became of those who were.

use serde::Serialize;
use serde_json::Value;

use super::body::{Answer, Path, Query};
use super::error::{ApiError, ApiResult, Code};
use super::moment;
use super::page::{self, Page, PageQuery};
use super::state::Cx;
use crate::directory::GroupContext;
use crate::event::FieldError;
use crate::journeys::{Compiled, Instance, Journey, Numbers, Stop};
use crate::pipeline::Rules;
use crate::rulesets::RuleKind;

/// Somebody under way, or the group as a whole.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Traveller {
    /// Which journey.
    journey: String,
    /// Who; null for the group's own journey.
    member: Option<String>,
    /// When it began.
    started_at: String,
    /// Steps that were passed, said or not, in that order.
    passed: Vec<String>,
    /// The step that comes next; null when the journey was shortened or removed and ends at the next look.
    step: Option<String>,
    /// When it comes. Quiet hours may put it off further.
    due_at: Option<String>,
    /// They have said something since the last step, where somebody asks for it and it can be seen; null where not.
    spoke: Option<bool>,
    /// What of the journey cannot be done in this group, and why.
    #[schema(inline)]
    unable: Vec<Unable>,
}

/// Something of a journey that cannot be done in a group.
#[derive(Clone, Serialize, utoipa::ToSchema)]
struct Unable {
    /// `say`, `only_if`, `stop_spoke`, or `segment`.
    what: &'static str,
    /// Why, in words (给人看的说明).
    why: &'static str,
}

const SAY: Unable = Unable {
    what: "say",
    why: "the platform lets nobody post into this group: its steps are passed over（平台不允许在该群发言，步骤会被跳过）",
};

const ONLY_IF: Unable = Unable {
    what: "only_if",
    why: "the platform does not show what members say: steps with a condition are passed over（平台看不到群消息，带条件的步骤会被跳过）",
};

const STOP_SPOKE: Unable = Unable {
    what: "stop_spoke",
    why: "the platform does not show what members say: nobody's words end it（平台看不到群消息，发言不会使旅程结束）",
};

const SEGMENT: Unable = Unable {
    what: "segment",
    why: "a segment of it rests on what members say, which the platform does not show: of whom nobody knows whether they are in it, nobody begins by it, steps that ask for it are passed over, and it ends nothing（平台看不到群消息，依赖发言的人群无法判断）",
};

const SEGMENT_GONE: Unable = Unable {
    what: "segment",
    why: "a segment of it is not there, or rests on scores: nobody begins by it, steps that ask for it are passed over, and it ends nothing（人群不存在或依赖评分）",
};

/// Lists who is under way in a group 查看群内进行中的旅程
///
/// By member, the group's own journey first. What became of those who are not under way any more is counted, not listed.
#[utoipa::path(
    get, path = "/v1/groups/{account}/{group}/journeys", tag = "groups", operation_id = "listGroupJourneys",
    params(
        ("account" = String, Path, description = "Its account"),
        ("group" = String, Path, description = "Its id there"),
        PageQuery,
    ),
    responses((status = 200, description = "By member", body = Page<Traveller>)),
)]
pub(super) async fn of_group(
    cx: Cx,
    Path((account, group)): Path<(String, String)>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Answer<Page<Traveller>>> {
    let limit = cx.page_rows(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let context = cx.directory().group_in(cx.scope(), &account, &group)?;
    let rules = cx.rules();
    let can = cx.connectors().capabilities_of(&account, &group);
    let can_hear = can.is_none_or(|can| can.gives_message_text);
    let can_post = can.is_none_or(|can| can.can_post_into_group);
    let found = cx.ingest().travellers(&account, &group, after.as_deref(), limit + 1);
    let found = found.map_err(|error| ApiError::new(Code::NotReady, error.to_string()))?;
    let page = Page::of(found, limit, |(member, _)| member.clone());
    let sight = Sight { can_hear, can_post };
    let about = |id: &str| About::of(&cx, id);
    Ok(Answer::ok(page.map(|(member, instance)| show(&rules, &context, (sight, &about), member, instance))))
}

/// Refuses a journey that asks about a segment which is not there, or which cannot be answered by a look at one group.
pub(super) fn refuse_segments(cx: &Cx, kind: RuleKind, body: &Value) -> ApiResult<()> {
    if kind != RuleKind::Journey {
        return Ok(());
    }
    // It was read before, by whoever checked it.
    let Ok(journey) = serde_json::from_value::<Journey>(body.clone()) else { return Ok(()) };
    let mut errors = Vec::new();
    for (pointer, id) in journey.segments() {
        match cx.segment(id) {
            Err(_) => {
                let detail = format!(
                    "no such segment: `{id}`; save it with `PUT /v1/segments/{id}` first（没有该人群，请先保存）"
                );
                errors.push(FieldError::new(pointer, "unknown", detail));
            }
            Ok(stored) if stored.is.segment.needs().scores => {
                let detail = format!(
                    "the segment `{id}` rests on scores, which are fifths among all members of a scope and change with \
                     everybody's doing; name one that rests on tags, days or counts（评分类人群不能用于旅程）"
                );
                errors.push(FieldError::new(pointer, "scores", detail));
            }
            Ok(_) => {}
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(errors)) }
}

/// What a segment can say of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// It is not there, or rests on scores.
    Gone,
    /// It rests on what members say.
    RestsOnWords,
    /// It rests on other things.
    Plain,
}

impl About {
    fn of(cx: &Cx, id: &str) -> Self {
        match cx.people().segment(id).map(|stored| stored.is.segment.needs()) {
            None => About::Gone,
            Some(needs) if needs.scores => About::Gone,
            Some(needs) if needs.days > 0 || cx.people().rules().give_any(&needs.tags) => About::RestsOnWords,
            Some(_) => About::Plain,
        }
    }
}

#[derive(Clone, Copy)]
struct Sight {
    can_hear: bool,
    can_post: bool,
}

fn show(
    rules: &Rules,
    context: &GroupContext,
    (sight, about): (Sight, &dyn Fn(&str) -> About),
    member: String,
    instance: Instance,
) -> Traveller {
    let journey = rules.journeys.get(&instance.journey);
    let next = journey.and_then(|journey| Some((journey, journey.next(&instance)?)));
    let due_ms = next.map(|(journey, step)| {
        let window = rules.limits.journeys.together_window;
        let planned = journey.moment(step, instance.started_ms, &context.time_zone, window);
        if journey.version_ms == instance.version_ms { planned.max(instance.due_ms) } else { planned }
    });
    let asks = journey.is_some_and(Compiled::asks);
    Traveller {
        member: Some(member).filter(|member| !member.is_empty()),
        started_at: moment::show(instance.started_ms),
        step: next.map(|(_, step)| step.id.to_string()),
        due_at: due_ms.map(moment::show),
        spoke: Some(instance.spoke).filter(|_| sight.can_hear && asks),
        unable: journey.map_or_else(Vec::new, |journey| unable(journey, sight, about)),
        passed: instance.passed,
        journey: instance.journey,
    }
}

/// Says what of a journey cannot be done where no more is seen, or nothing can be said.
fn unable(journey: &Compiled, sight: Sight, about: &dyn Fn(&str) -> About) -> Vec<Unable> {
    let is_blind = !sight.can_hear;
    let asks = |what: About| journey.segments().into_iter().any(|id| about(id) == what);
    let all = [
        (!sight.can_post, SAY),
        (is_blind && journey.asks(), ONLY_IF),
        (is_blind && journey.stops_on(&Stop::Spoke), STOP_SPOKE),
        (is_blind && asks(About::RestsOnWords), SEGMENT),
        (asks(About::Gone), SEGMENT_GONE),
    ];
    all.into_iter().filter_map(|(is_so, unable)| is_so.then_some(unable)).collect()
}

/// What became of a journey's members.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct JourneyNumbers {
    /// When they were read.
    as_of: String,
    /// Under way at this moment, over restarts; a group's own journey counts as one.
    running: u64,
    /// Since the gateway started; a change of the journey goes on counting.
    #[serde(flatten)]
    numbers: Numbers,
}

/// Shows what became of a journey's members 旅程的效果
///
/// Over all groups, so for unlimited scopes only.
#[utoipa::path(
    get, path = "/v1/journeys/{journey}/numbers", tag = "rules", operation_id = "getJourneyNumbers",
    params(("journey" = String, Path, description = "Its id")),
    responses((status = 200, description = "Counts", body = JourneyNumbers)),
)]
pub(super) async fn numbers(cx: Cx, Path(id): Path<String>) -> ApiResult<Answer<JourneyNumbers>> {
    super::rules::require_everything(&cx, "journey")?;
    cx.shared_document(RuleKind::Journey.document(), &id).await?;
    let numbers = cx.rules().journeys.numbers(&id).unwrap_or_default();
    let running = cx.ingest().travellers_of(&id).await;
    Ok(Answer::ok(JourneyNumbers { as_of: moment::show(cx.now_ms()), running, numbers }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journeys::{Config, Journey, Journeys};

    #[test]
    fn what_cannot_be_done_in_a_group_is_said() {
        let check = |fields: &str, can_hear: bool, can_post: bool, expect: &[&str]| {
            let json = format!(r#"{{"steps": [{{"id": "d1", "after": "1d", "text": "x" {fields}}}"#);
            let journey: Journey = serde_json::from_str(&json).unwrap();
            let journeys = Journeys::compile(&[("j".to_owned(), journey)], &Config::default()).unwrap();
            let about = |id: &str| match id {
                "gone" => About::Gone,
                "silent" => About::RestsOnWords,
                _ => About::Plain,
            };
            let unable = unable(journeys.get("j").unwrap(), Sight { can_hear, can_post }, &about);
            assert_eq!(unable.iter().map(|unable| unable.what).collect::<Vec<_>>(), expect, "{json}");
        };
        let (plain, asking) = ("}]", r#", "only_if": "silent"}], "stop_when": ["spoke"]"#);
        check(plain, true, true, &[]);
        check(plain, false, true, &[]);
        check(plain, false, false, &["say"]);
        check(asking, true, true, &[]);
        check(asking, false, true, &["only_if", "stop_spoke"]);
        let of_segments = |id: &str| {
            format!(r#", "only_if": {{"in_segment": "{id}"}}}}], "stop_when": ["not_in_segment:vip"]"#)
        };
        check(&of_segments("silent"), true, true, &[]);
        check(&of_segments("silent"), false, true, &["segment"]);
        check(&of_segments("vip"), false, true, &[]);
        check(&of_segments("gone"), true, true, &["segment"]);
    }
}
