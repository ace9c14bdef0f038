//! Promises about what goes out.

use std::sync::Arc;

use super::{Lack, Rig, delivery, has};
use crate::connectors::ContentType;
use crate::event::ActionKind;
use crate::outbox::delivery::{Decision, Outcome, Payload, Refusal, Resolution};

/// Calls at once when the credential is void.
const AT_ONCE: u32 = 50;

fn refusal(outcome: &Outcome) -> Option<&Refusal> {
    if let Outcome::Refused(refusal) = outcome { Some(refusal) } else { None }
}

fn type_of(payload: &Payload) -> Option<ContentType> {
    let Payload::Content { content } = payload else { return None };
    Some(ContentType::of(content))
}

fn is_taken(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Sent { .. } | Outcome::AwaitingConfirmation { .. })
}

pub(in crate::connectors) async fn what_it_can_it_does_once<R: Rig>(rig: &R) {
    let connector = rig.connect();
    for number in 1..=3 {
        let outcome = connector.deliver(&rig.text(number, 30), 1).await;
        assert!(is_taken(&outcome), "{outcome:?}");
        assert_eq!(rig.reached().await, number as usize);
    }
}

pub(in crate::connectors) async fn what_it_cannot_it_refuses_and_sends_nothing<R: Rig>(rig: &R) {
    let (connector, group) = (rig.connect(), rig.group());
    let can = connector.capabilities_of(&group);
    let act = |action| Payload::Action { action, of: Some("m-1".to_owned()) };
    let text = |welcome_code: Option<&str>| Payload::Text {
        text: "你好".to_owned(),
        welcome_code: welcome_code.map(str::to_owned),
        attachments: Vec::new(),
    };
    let mass = Payload::MassSend {
        sender: "u-1".to_owned(),
        targets: vec![(0, group.clone())],
        text: "你好".to_owned(),
        attachments: Vec::new(),
    };
    let cases = [
        (can.can_recall, act(ActionKind::Recall)),
        (can.can_edit, Payload::Edit { of: "m-1".to_owned(), text: "你好".to_owned() }),
        (can.can_mute, act(ActionKind::Mute)),
        (can.can_mute, act(ActionKind::Unmute)),
        (can.can_remove, act(ActionKind::Remove)),
        (can.can_post_into_group, act(ActionKind::Warn)),
        (can.can_post_into_group, text(None)),
        (can.can_welcome_by_code, text(Some("a-code"))),
        (can.sends_need_confirmation, mass),
    ];
    for (number, (can, payload)) in cases.into_iter().enumerate().filter(|(_, (can, _))| !can) {
        let before = rig.reached().await;
        let asked = delivery(u32::try_from(number).unwrap(), &group, payload);
        let asked = crate::outbox::delivery::Delivery { member: Some("u-9".to_owned()), ..asked };
        let outcome = connector.deliver(&asked, 1).await;
        let refused = refusal(&outcome).unwrap_or_else(|| panic!("{can}: {asked:?} came to {outcome:?}"));
        assert_eq!(refused.decision, Decision::Never, "{asked:?}");
        assert!(!refused.code.is_empty() && !refused.detail.is_empty());
        assert_eq!(rig.reached().await, before, "{asked:?}");
    }
}

pub(in crate::connectors) async fn a_text_may_be_as_long_as_it_says_and_no_longer<R: Rig>(rig: &R) {
    let connector = rig.connect();
    let most = connector.capabilities_of(&rig.text(1, 1).group).max_text_bytes;
    let fits = connector.deliver(&rig.text(1, most), 1).await;
    assert!(is_taken(&fits), "{most} bytes: {fits:?}");
    let reached = rig.reached().await;
    // A platform that records everything has no longer text to refuse.
    let Some(more) = most.checked_add(1).filter(|more| *more <= 1 << 20) else { return };
    let outcome = connector.deliver(&rig.text(2, more), 1).await;
    assert_eq!(refusal(&outcome).map(|refusal| refusal.decision), Some(Decision::Never), "{outcome:?}");
    assert_eq!(rig.reached().await, reached, "cut off and sent all the same");
}

pub(in crate::connectors) async fn contents_are_rendered<R: Rig>(rig: &R) {
    let connector = rig.connect();
    let contents = rig.contents();
    assert_eq!(contents.is_empty(), !has::<R>(Lack::Contents));
    for (number, content) in contents.iter().enumerate() {
        let types = connector.capabilities_of(&content.group).content_types;
        assert!(type_of(&content.payload).is_none_or(|own| types.contains(&own)), "{:?}", content.payload);
        let outcome = connector.deliver(content, 1).await;
        assert!(is_taken(&outcome), "{:?}: {outcome:?}", content.payload);
        assert_eq!(rig.reached().await, number + 1, "{:?}", content.payload);
    }
}

pub(in crate::connectors) async fn every_class_of_failure_has_its_decision<R: Rig>(rig: &R) {
    let faults = rig.faults();
    assert_eq!(faults.is_empty(), !has::<R>(Lack::Faults));
    for (number, fault) in (100..).zip(faults) {
        // Each with a connector of its own: some failures stop an account until somebody has looked.
        let connector = rig.connect();
        let before = rig.reached().await;
        rig.let_fail(Some(fault.name)).await;
        let outcome = connector.deliver(&rig.text(number, 30), 1).await;
        assert!((fault.expect)(&outcome), "{}: {outcome:?}", fault.name);
        assert_eq!(rig.reached().await > before, fault.takes_effect, "{}", fault.name);
        rig.let_fail(None).await;
    }
}

pub(in crate::connectors) async fn nothing_uncertain_is_repeated_blindly<R: Rig>(rig: &R) {
    let uncertain: Vec<_> = rig
        .faults()
        .into_iter()
        .filter(|fault| (fault.expect)(&Outcome::Uncertain { detail: String::new() }))
        .collect();
    assert_eq!(uncertain.is_empty(), !has::<R>(Lack::Uncertainty));
    for (number, fault) in (200..).zip(uncertain) {
        let (connector, asked) = (rig.connect(), rig.text(number, 30));
        let before = rig.reached().await;
        rig.let_fail(Some(fault.name)).await;
        let outcome = connector.deliver(&asked, 1).await;
        assert!(matches!(outcome, Outcome::Uncertain { .. }), "{}: {outcome:?}", fault.name);
        rig.let_fail(None).await;
        let arrived = rig.reached().await > before;
        match connector.resolve(&asked).await {
            Resolution::Sent | Resolution::Awaiting { .. } => {
                assert!(arrived, "{}: it was not sent", fault.name);
            }
            Resolution::NotSent => assert!(!arrived, "{}: it was sent", fault.name),
            Resolution::Unknown | Resolution::NotAsked => {}
            Resolution::SafeToRepeat => {
                _ = connector.deliver(&asked, 2).await;
                assert!(rig.reached().await <= before + 1, "{}: the repeat arrived as well", fault.name);
            }
        }
    }
}

pub(in crate::connectors) async fn a_void_credential_is_renewed_once_for_all<R: Rig>(rig: &R) {
    if !has::<R>(Lack::Credential) {
        assert_eq!(rig.credentials_given().await, 0);
        return;
    }
    let connector = rig.connect();
    assert!(is_taken(&connector.deliver(&rig.text(1, 30), 1).await));
    let given = rig.credentials_given().await;
    rig.void_credential().await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 2..2 + AT_ONCE {
        let (connector, asked) = (Arc::clone(&connector), rig.text(number, 30));
        calls.spawn(async move { connector.deliver(&asked, 1).await });
    }
    while let Some(outcome) = calls.join_next().await {
        let outcome = outcome.unwrap();
        // Limits may make some wait; nobody is told that the credential is wrong.
        let waits = refusal(&outcome).is_some_and(|refusal| matches!(refusal.decision, Decision::After(_)));
        assert!(is_taken(&outcome) || waits, "{outcome:?}");
    }
    assert_eq!(rig.credentials_given().await, given + 1, "one renewal for all");
}
