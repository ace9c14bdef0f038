//! `POST /v1/events`: one object, an array or NDJSON in; the same shape out, in order, after the commit.

use std::borrow::Borrow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;

use super::asking::{self, Standing};
use super::partitions::Taken;
use super::reply::{self, EventResult, Refusal};
use super::{Ingest, batch, body};
use crate::access::{AccessError, Admission, Caller, Right};
use crate::connectors::{Capabilities, ContentType};
use crate::directory::{GroupContext, SeenGroup};
use crate::event::{
    Asked, Fact, GroupEvent, Hit, Message, Partition, Role, Status, Verdict, What, json, pointer_part,
};
use crate::fleet::kicks::Kick;
use crate::hook::{Heard, Hook, Question};
use crate::interception::{Audience, Speaker};
use crate::outbox::delivery::{Content, Delivery};
use crate::pipeline::{Asking, Decision, Home, Rules, Setting, SkipReason, Skipped, Travelled};
use crate::replies::Came;
use crate::storage::Receipt;
use crate::telemetry::metrics::{self, SayRefusal};

/// The code of an event whose roster step does not follow. Nobody outside sees it: only platforms have steps, and the
/// answer to a platform is its connector's.
pub(super) const GAP: &str = "gap";

/// After so many events of one request the worker lets others go first.
const YIELD_EVERY: usize = 100;

/// Who brings events: a token with its scope, or a platform whose signature was checked.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A caller of the API, held to the token's scope.
    Token(&'a Caller),
    /// A platform's callback, held to its own account.
    Platform,
}

/// An event that waits for its commit.
struct Waiting {
    result: EventResult,
    commit: Option<(Partition, Receipt)>,
    deliveries: Vec<Delivery>,
    /// What the verdict hook is asked then.
    question: Option<Question>,
}

impl Waiting {
    fn refused(refusal: Refusal) -> Self {
        Self { result: Err(refusal), commit: None, deliveries: Vec::new(), question: None }
    }
}

impl Ingest {
    /// Answers `POST /v1/events`.
    pub async fn events(&self, headers: &HeaderMap, body: Incoming, request_id: &str) -> Response<Bytes> {
        let admitted = match self.admit(headers) {
            Ok(admitted) => admitted,
            Err(refusal) => return refuse(refusal, request_id),
        };
        let mut response = match self.take_body(&admitted.caller, headers, body, request_id).await {
            Ok(response) => response,
            Err(refusal) => refuse(refusal, request_id),
        };
        if let Some(admission) = admitted.admission {
            rate_limit(response.headers_mut(), &self.policy_header, admission);
        }
        response
    }

    async fn take_body(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        body: Incoming,
        request_id: &str,
    ) -> Result<Response<Bytes>, Refusal> {
        let held = body::read(headers, body, &self.memory, &self.config).await?;
        let _permit = self.permits.try_acquire().map_err(|_| Refusal::overloaded("requests"))?;
        let shape = batch::shape(headers, &held.bytes)?;
        let parts = batch::parts(shape, &held.bytes, &self.config)?;
        let positions: Vec<usize> = parts.iter().map(|(at, _)| *at).collect();
        let parsed = parts.into_iter().map(|(_, raw)| raw.and_then(|raw| self.parse(raw)));
        let results = self.take(Source::Token(caller), parsed).await?;
        Ok(reply::answers(shape, positions.into_iter().zip(results).collect(), request_id))
    }

    fn parse<'a>(&self, raw: &'a [u8]) -> Result<GroupEvent<'a>, Refusal> {
        json::parse(raw, &self.parse_limits).map_err(|error| {
            let code = if error.too_long { "text_too_long" } else { "decode" };
            Refusal::new(StatusCode::BAD_REQUEST, code, error.reason).at(pointer(&error.path))
        })
    }

    fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let caller = self
            .access
            .authenticate(authorization.unwrap_or_default())
            .map_err(|error| unauthorized(&error))?;
        if !caller.may(Right::EventsWrite) {
            let detail = "the token has no right `events:write`";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", detail));
        }
        let admission = self.access.admit(&caller);
        if let Some(admission) = admission.filter(|admission| !admission.admitted) {
            let detail = "the token has used up its requests; send batches, or ask for a higher limit";
            let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", detail);
            return Err(refusal.after(admission.more_in_s));
        }
        Ok(Admitted { caller, admission })
    }

    /// Takes events through the pipeline and waits until what they caused is durable. One result an event, in order.
    ///
    /// # Errors
    /// When a commit failed: nothing of the request is promised, and all of it may be sent again.
    pub async fn take<'a, E: Borrow<GroupEvent<'a>>>(
        &self,
        source: Source<'_>,
        events: impl Iterator<Item = Result<E, Refusal>>,
    ) -> Result<Vec<EventResult>, Refusal> {
        let rules = self.rules.load_full();
        let mut waiting = Vec::with_capacity(events.size_hint().0);
        let mut take = async |nth: usize, event: Result<E, Refusal>, standing: &Standing| {
            if nth > 0 && nth.is_multiple_of(YIELD_EVERY) {
                tokio::task::yield_now().await;
            }
            waiting.push(match event {
                Ok(event) => self.take_one(source, &rules, event.borrow(), standing).await,
                Err(refusal) => Waiting::refused(refusal),
            });
        };
        if let Some(hook) = self.hook.as_ref().filter(|hook| !hook.config().wait.is_zero()) {
            let events: Vec<_> = events.collect();
            let standings = self.ask_first(hook, source, &rules, &events).await;
            for (nth, (event, standing)) in events.into_iter().zip(&standings).enumerate() {
                take(nth, event, standing).await;
            }
        } else {
            for (nth, event) in events.enumerate() {
                take(nth, event, &Standing::Open).await;
            }
        }
        self.send_when_committed(&mut waiting);
        let mut results = Vec::with_capacity(waiting.len());
        let mut lost = false;
        for event in waiting {
            if let Some((partition, receipt)) = event.commit {
                lost |= self.partitions.committed(partition, receipt).await.is_err();
            }
            count(&event.result);
            results.push(event.result);
        }
        if lost {
            let detail = "the commit failed; send the request again, repeats are recognised";
            return Err(Refusal::not_ready(detail));
        }
        Ok(results)
    }

    /// Hands on what is to be sent and asked, once it is durable: in a task of its own, since the client may go away
    /// meanwhile.
    fn send_when_committed(&self, waiting: &mut [Waiting]) {
        let caused: Vec<_> = waiting
            .iter_mut()
            .filter(|event| !event.deliveries.is_empty() || event.question.is_some())
            .filter_map(|event| {
                Some((event.commit.clone()?.1, std::mem::take(&mut event.deliveries), event.question.take()))
            })
            .collect();
        if caused.is_empty() {
            return;
        }
        let (outbox, hook) = (self.outbox.clone(), self.hook.clone());
        self.tasks.spawn("send_when_committed", async move {
            for (receipt, deliveries, question) in caused {
                if receipt.wait().await.is_ok() {
                    outbox.submit(deliveries);
                    if let (Some(hook), Some(question)) = (&hook, question) {
                        hook.ask(question);
                    }
                }
            }
        });
    }

    async fn take_one(
        &self,
        source: Source<'_>,
        rules: &Arc<Rules>,
        event: &GroupEvent<'_>,
        standing: &Standing,
    ) -> Waiting {
        let refused = Waiting::refused;
        let Some(group) = self.directory.context(&event.account, &event.group) else {
            return refused(unknown_account(&event.account));
        };
        if let Source::Token(caller) = source
            && !group.covered_by(caller.scope(), &event.group)
        {
            let detail = "the group is outside the token's scope; assign it to a shop, or use another token";
            return refused(Refusal::new(StatusCode::FORBIDDEN, "outside_scope", detail).at("/group"));
        }
        let effective = group.effective_policy(rules.words.policy_book());
        let speaker = Speaker::from(event.role);
        // A contact is in no group: what is known is the shop that the staff member runs.
        let (shop, welcome_code_life) = if let What::ContactAdded { staff, .. } = &event.what {
            (self.directory.shop_run_by(staff), self.connectors.welcome_code_life(&event.account))
        } else {
            (None, None)
        };
        let variable = |name: &str| match &shop {
            Some(shop) => shop.variable(name),
            None => group.variable(name),
        };
        let asks = |message: &Message<'_>, verdict: Verdict| {
            self.hook.as_ref().is_some_and(|hook| asking::wants(hook, standing, message, verdict))
        };
        let can = self.connectors.capabilities_of(&event.account, &event.group);
        let shows = |content: &Content| can.is_none_or(|can| shows(&can, event, content));
        let may_say = |text: &str| judge_own(rules, &group, &event.group, self.clock.now_ms(), text).is_ok();
        let is_open = |at_ms: i64| group.shop.as_ref().and_then(|shop| shop.is_open_at(at_ms));
        let kicked = self.kick_of(&group, event);
        let setting = Setting {
            kicked: kicked.as_ref().map(|kick| kick.id.as_str()),
            home: Home {
                place: shop.as_ref().map_or(&group.place, |shop| &shop.place),
                zone: &group.time_zone,
                is_open: &is_open,
                kin: &|member| group.kin(member),
            },
            policy: effective.for_speaker(speaker),
            audience: group.audience(&event.group, speaker),
            variable: &variable,
            may_say: &may_say,
            can_withhold: can.is_some_and(|can| can.can_block_before),
            can_recall: can.is_some_and(|can| can.can_recall),
            // Without a connector nobody knows yet; the outbox waits for one, and then it is refused or said.
            can_post: can.is_none_or(|can| can.can_post_into_group),
            shows: &shows,
            can_mute: can.is_some_and(|can| can.can_mute),
            can_remove: can.is_some_and(|can| can.can_remove),
            budget: &|key| self.spend(rules, key),
            can_hear: can.is_none_or(|can| can.gives_message_text),
            welcome_code_life,
            asking: Asking {
                heard: if let Standing::Heard(Heard::Said(opinion)) = standing {
                    Some(opinion)
                } else {
                    None
                },
                asks: if self.hook.is_some() { Some(&asks) } else { None },
                must_answer: self.hook.as_ref().is_some_and(Hook::must_answer),
            },
        };
        match self.partitions.take(rules, &setting, event).await {
            Ok(taken) => {
                count_trials(rules, &setting, event, &taken.decision);
                self.observe(&group, event, &taken.decision);
                self.waiting(rules, event, taken, standing)
            }
            Err(error) => refused(take_refusal(&error)),
        }
    }

    /// Returns the list by which the event's member is to be kept out.
    fn kick_of(&self, group: &GroupContext, event: &GroupEvent<'_>) -> Option<Arc<Kick>> {
        let member = event.member.as_deref().filter(|_| event.role == Role::Customer)?;
        self.kicks.find(&event.account, member, &group.place, group.tags(), self.clock.now_ms())
    }

    /// Notes what was decided and returns what waits for its commit.
    fn waiting(
        &self,
        rules: &Rules,
        event: &GroupEvent<'_>,
        taken: Taken<'_>,
        standing: &Standing,
    ) -> Waiting {
        let decision = taken.decision;
        self.seen(event, decision.answer.status);
        self.keep(event, &decision);
        if let (What::LateVerdict { opinion, .. }, Status::Counted) = (&event.what, decision.answer.status) {
            metrics::late_verdict(opinion.verdict);
        }
        for skipped in &decision.skipped {
            tell_skipped(skipped, &event.group);
        }
        count_replies(rules, &decision);
        for Travelled { journey, came, members } in &decision.travelled {
            rules.journeys.count(journey, *came, *members);
            metrics::journey(came.as_str(), *members);
        }
        let effects = decision.effects;
        let caused = effects.iter().flat_map(|e| e.facts.iter().filter_map(|f| Delivery::caused(&e.head, f)));
        Waiting {
            deliveries: caused.collect(),
            question: self.question(event, decision.asked, decision.answer.verdict, standing),
            result: Ok(decision.answer),
            commit: taken.receipt.map(|receipt| (taken.partition, receipt)),
        }
    }

    /// Makes the question that is asked after the commit; one that was asked before is not asked again.
    fn question(
        &self,
        event: &GroupEvent<'_>,
        asked: Option<Asked>,
        verdict: Verdict,
        standing: &Standing,
    ) -> Option<Question> {
        let (hook, message) = (self.hook.as_ref()?, event.what.message()?);
        asked
            .filter(|_| *standing == Standing::Open)
            .map(|asked| hook.question(asked, message, Some(verdict)))
    }

    /// Lets the directory know of a group at its first sight, and of the name and owner its platform gives it.
    fn seen(&self, event: &GroupEvent<'_>, status: Status) {
        // What was told before, or long ago, says nothing: what was told since holds.
        let change = if status == Status::Counted { event.what.group_change() } else { None };
        let Some(change) = change else {
            self.directory.see(&event.account, &event.group);
            return;
        };
        let told = SeenGroup { name: change.name.as_deref(), owner: change.owner.as_deref() };
        self.directory.see_told(&event.account, &event.group, told);
    }
}

/// Judges what we are about to say in a group by its policy; nobody is exempt.
///
/// # Errors
/// With what blocks it.
pub fn judge_own(
    rules: &Rules,
    group: &GroupContext,
    id: &str,
    now_ms: i64,
    text: &str,
) -> Result<(), Vec<Hit>> {
    let effective = group.effective_policy(rules.words.policy_book());
    let audience = Audience { now_ms, ..group.audience(id, Speaker::Own) };
    effective.for_speaker(Speaker::Own).map_or(Ok(()), |policy| rules.own(text, policy, &audience))
}

/// Says whether the platform shows a content where an event happened, or with a new contact's greeting.
fn shows(can: &Capabilities, event: &GroupEvent<'_>, content: &Content) -> bool {
    let is_contact = matches!(event.what, What::ContactAdded { .. });
    let shown = if is_contact { can.welcome_content_types } else { can.content_types };
    shown.contains(&ContentType::of(content))
}

/// Counts what became of reply rules: numbers to decide by, like those of wordlists on trial.
fn count_replies(rules: &Rules, decision: &Decision<'_>) {
    for skipped in &decision.skipped {
        let came = match skipped.reason {
            SkipReason::Missing(_) => Came::Missing,
            SkipReason::Unsupported => Came::Unsupported,
            SkipReason::Blocked => Came::Blocked,
            SkipReason::Cooldown => Came::Cooldown,
            SkipReason::Echo | SkipReason::Loop => Came::Loop,
            SkipReason::Shadow => Came::Shadow,
            SkipReason::HandedOver => Came::HandedOver,
            SkipReason::Expired | SkipReason::Rejoined => continue, // of welcomes
        };
        rules.replies.count(&skipped.rule, came);
    }
    for fact in decision.effects.iter().flat_map(|effects| &effects.facts) {
        if let Fact::Send(send) = fact
            && send.kind == "reply"
        {
            rules.replies.count(&send.rule, Came::Answered);
        }
    }
}

/// Counts a message for the wordlists on trial. Its commit may still fail: these are numbers to decide by, not the journal's.
fn count_trials(rules: &Rules, setting: &Setting<'_>, event: &GroupEvent<'_>, decision: &Decision<'_>) {
    let (Some(policy), Some(_), Some(effects)) = (setting.policy, event.what.message(), &decision.effects)
    else {
        return;
    };
    if effects.head.status != Status::Counted {
        return;
    }
    let audience = Audience { now_ms: effects.head.arrived_ms, ..setting.audience };
    rules.words.count_trials(policy, &audience, |list| {
        let is_hit =
            |fact: &Fact<'_>| matches!(fact, Fact::Hit(hit) | Fact::ShadowHit(hit) if hit.wordlist == list);
        effects.facts.iter().any(is_hit)
    });
}

/// Counts a refusal and renders it.
pub(super) fn refuse(refusal: Refusal, request_id: &str) -> Response<Bytes> {
    metrics::ingest_rejected(refusal.code, 1);
    refusal.into_response(request_id)
}

struct Admitted {
    caller: Caller,
    admission: Option<Admission>,
}

fn take_refusal(error: &super::partitions::TakeError) -> Refusal {
    use super::partitions::TakeError;
    match error {
        TakeError::Future => {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "future", error.to_string()).at("/at")
        }
        TakeError::Gap => Refusal::new(StatusCode::CONFLICT, GAP, error.to_string()),
        TakeError::NotReady => Refusal::not_ready(error.to_string()),
    }
}

/// Says once that a rule could not say its text: a counter always, words only where an operator can do something.
fn tell_skipped(skipped: &Skipped, group: &str) {
    let reason = match &skipped.reason {
        SkipReason::Missing(variable) => {
            tracing::warn!(
                rule.id = skipped.rule,
                variable,
                group.id = group,
                "a rule said nothing: its text needs a variable this group has no value for"
            );
            SayRefusal::MissingVariable
        }
        SkipReason::Unsupported => SayRefusal::Unsupported,
        SkipReason::Blocked => {
            tracing::warn!(
                rule.id = skipped.rule,
                group.id = group,
                "a rule said nothing: interception refuses its text there"
            );
            SayRefusal::Blocked
        }
        SkipReason::Expired => SayRefusal::Expired,
        SkipReason::Cooldown => SayRefusal::Cooldown,
        SkipReason::Echo => SayRefusal::Echo,
        SkipReason::Loop => SayRefusal::Loop,
        SkipReason::Shadow => SayRefusal::Shadow,
        SkipReason::HandedOver => SayRefusal::HandedOver,
        SkipReason::Rejoined => SayRefusal::Rejoined,
    };
    metrics::say_skipped(reason);
}

fn unknown_account(account: &str) -> Refusal {
    let detail = format!(
        "there is no account `{account}`; create it with PUT /v1/accounts/{account}, or use the account `demo`"
    );
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_account", detail).at("/account")
}

fn unauthorized(error: &AccessError) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", error.to_string())
}

fn count(result: &EventResult) {
    match result {
        Ok(answer) => {
            metrics::event_answered(answer.status, answer.verdict);
            metrics::hits(answer.hits.len());
        }
        Err(refusal) if refusal.code == GAP => metrics::roster_gap(),
        Err(refusal) => metrics::ingest_rejected(refusal.code, 1),
    }
}

/// Turns a decoder's path (`attachments[2].url`) into a JSON Pointer (`/attachments/2/url`).
fn pointer(path: &str) -> String {
    path.split(['.', '[', ']']).filter(|part| !part.is_empty()).map(pointer_part).collect()
}

fn rate_limit(headers: &mut HeaderMap, policy: &HeaderValue, admission: Admission) {
    let now = format!("\"requests\";r={};t={}", admission.remaining, admission.more_in_s);
    headers.insert("ratelimit-policy", policy.clone());
    if let Ok(now) = HeaderValue::from_str(&now) {
        headers.insert("ratelimit", now);
    }
}
