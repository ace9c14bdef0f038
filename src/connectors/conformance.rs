//! The suite that every connector must pass.
//!
//! Each promise is one function over a [`Rig`]: a connector and a real stand-in of its platform, over sockets wherever the
//! platform is one. `all!` makes a test of each promise. What a platform does not have (no callbacks, no credential) the
//! rig says by an empty list, and a promise that then has nothing to look at says so by name in [`Rig::LACKS`]; anything
//! else empty fails.
//!
//! To write a connector, write its rig first: `docs/CONNECTORS.md`.

mod callbacks;
mod honesty;
mod sends;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Method};

use super::{Callback, Connector};
use crate::event::{AccountId, EventType};
use crate::outbox::delivery::{Content, Delivery, Outcome, Payload, Priority};

pub(super) use callbacks::*;
pub(super) use honesty::*;
pub(super) use sends::*;

/// 2026-11-22T10:00:00+08:00.
pub(super) const NOW_MS: i64 = 1_795_312_800_000;

/// The account every rig connects.
pub(super) const ACCOUNT: &str = "conformant";

/// What a platform may lack, by the promise that then has nothing to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Nothing is ever posted to us.
    Callbacks,
    /// A new address is not verified by a request.
    Verification,
    /// Calls need no credential that expires.
    Credential,
    /// No call can end without anybody knowing what became of it.
    Uncertainty,
    /// Calls never fail.
    Faults,
    /// Nothing but text can be sent.
    Contents,
}

/// A callback as it would come in.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Raw {
    /// Looks at it as `ingest` would hand it over.
    pub(super) fn callback(&self) -> Callback<'_> {
        Callback {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
            now_ms: NOW_MS,
        }
    }
}

/// A genuine callback and the events it must come to.
pub(super) struct Genuine {
    pub(super) raw: Raw,
    pub(super) events: Vec<EventType>,
}

/// Something that goes wrong at the platform, and what a call must then come to.
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// Whether the stand-in takes the delivery all the same.
    pub(super) takes_effect: bool,
    /// Says whether the outcome is right.
    pub(super) expect: fn(&Outcome) -> bool,
}

/// A connector and a stand-in of its platform.
#[async_trait]
pub(super) trait Rig: Sized + Send + Sync {
    /// What its platform does not have.
    const LACKS: &'static [Lack];

    /// Starts the stand-in.
    async fn new() -> Self;

    /// Connects the account anew, as after a restart; stand-in and durable state stay.
    fn connect(&self) -> Arc<dyn Connector>;

    /// Callbacks of every kind of event the platform tells of, no two of which are the same happening; among them two that
    /// differ in nothing but what the platform's own ids are made of (the same second, the same group).
    fn genuine(&self) -> Vec<Genuine>;

    /// One of the same happening as `genuine()[nth]`, as the platform would send it again.
    fn again(&self, nth: usize) -> Raw;

    /// What nobody may get through with, by name.
    fn forged(&self) -> Vec<(&'static str, Raw)>;

    /// Requests that verify a new address, with the exact bytes to answer.
    fn verification(&self) -> Vec<(Raw, Vec<u8>)>;

    /// A text that the platform takes, of `bytes` bytes, to a group that can be posted into.
    fn text(&self, number: u32, bytes: usize) -> Delivery;

    /// Deliveries of contents other than text that the account's groups take.
    fn contents(&self) -> Vec<Delivery>;

    /// The group that `capabilities()` speaks of.
    fn group(&self) -> String;

    /// What goes wrong, class by class.
    fn faults(&self) -> Vec<Fault>;

    /// Lets this go wrong with the next call, once; `None` for nothing.
    async fn let_fail(&self, fault: Option<&'static str>);

    /// How many deliveries reached somebody at the stand-in, repeats that it recognises counted once.
    async fn reached(&self) -> usize;

    /// Makes the credential in use void, without telling.
    async fn void_credential(&self);

    /// How often a credential was given out.
    async fn credentials_given(&self) -> usize;
}

/// Whether a rig's platform has something.
pub(super) fn has<R: Rig>(lack: Lack) -> bool {
    !R::LACKS.contains(&lack)
}

/// A delivery of the account.
pub(super) fn delivery(number: u32, group: &str, payload: Payload) -> Delivery {
    let kind = match &payload {
        Payload::Text { welcome_code: Some(_), .. } => "welcome",
        Payload::Text { .. } | Payload::MassSend { .. } => "reply",
        Payload::Content { .. } => "notice",
        Payload::Edit { .. } => "edit",
        Payload::Action { action, .. } => action.as_str(),
    };
    Delivery {
        id: crate::event::DeliveryId::parse(&format!("c-{number}")).unwrap(),
        account: AccountId::parse(ACCOUNT).unwrap(),
        group: group.to_owned(),
        member: None,
        kind: kind.to_owned(),
        rule: String::new(),
        priority: Priority::Normal,
        payload,
        broadcast: None,
        expires_ms: 0,
        cost: 1,
    }
}

/// A text in a content.
pub(super) fn markdown(text: &str) -> Payload {
    Payload::Content { content: Content::Markdown { text: text.to_owned() } }
}

/// Makes a test of each promise for one rig.
macro_rules! suite {
    ($rig:ty: $($promise:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            let rig = <$rig as $crate::connectors::conformance::Rig>::new().await;
            $crate::connectors::conformance::$promise(&rig).await;
        }
    )+};
}

/// All promises, for one rig.
macro_rules! all {
    ($rig:ty) => {
        $crate::connectors::conformance::suite!($rig:
            genuine_callbacks_come_to_their_events,
            a_repeat_has_the_ids_of_the_first,
            no_two_happenings_share_an_id,
            forged_callbacks_are_refused_and_told_nothing,
            no_bytes_make_it_panic,
            a_new_address_is_verified,
            what_it_can_it_does_once,
            what_it_cannot_it_refuses_and_sends_nothing,
            a_text_may_be_as_long_as_it_says_and_no_longer,
            contents_are_rendered,
            every_class_of_failure_has_its_decision,
            nothing_uncertain_is_repeated_blindly,
            a_void_credential_is_renewed_once_for_all,
            every_flag_has_a_source,
            limits_can_be_read,
            offers_match_the_flags,
        );
    };
}

pub(super) use {all, suite};
