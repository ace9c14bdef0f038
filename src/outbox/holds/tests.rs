//! Stops against plain looks at what they name.

use super::*;
use crate::outbox::testing::{Atlas, delivery, reply};

#[test]
fn a_scope_is_read_back_as_it_is_written() {
    for text in [
        "all",
        "account:demo",
        "brand:acme",
        "region:east",
        "shop:s-1",
        "group:demo/g/7",
        "tag:高价值 vip",
        "broadcast:bc_1",
    ] {
        assert_eq!(text.parse::<HoldScope>().map(|scope| scope.to_string()).as_deref(), Ok(text));
    }
    for text in
        ["", "everything", "region:", "group:demo", "shop", "account: demo", "tag:", "tag: ", "broadcast:"]
    {
        assert_eq!(text.parse::<HoldScope>(), Err(HoldScopeError), "{text}");
    }
}

#[test]
fn a_hold_stops_what_it_names_and_nothing_else() {
    let stops = |scope: &str, kinds: &[HoldKind], until_ms: Option<i64>| {
        let hold = Hold {
            id: "hld_1".into(),
            kinds: kinds.to_vec(),
            scope: scope.parse().unwrap(),
            reason: String::new(),
            by: "op".into(),
            at_ms: 0,
            until_ms,
        };
        hold.stops(&delivery(&reply(1, "east-7", 0)), &Atlas, 1000)
    };
    for scope in [
        "all",
        "account:demo",
        "brand:acme",
        "region:east",
        "shop:east-shop",
        "group:demo/east-7",
        "tag:east-tag",
    ] {
        assert!(stops(scope, &[], None), "{scope}");
        assert!(stops(scope, &[HoldKind::Broadcast, HoldKind::Reply], Some(1001)), "{scope}");
        assert!(!stops(scope, &[HoldKind::Broadcast], None), "{scope}: another kind");
        assert!(!stops(scope, &[], Some(1000)), "{scope}: it is over");
    }
    for scope in [
        "account:other",
        "brand:other",
        "region:west",
        "shop:west-shop",
        "group:demo/east-8",
        "tag:west-tag",
        "broadcast:bc_1",
    ] {
        assert!(!stops(scope, &[], None), "{scope}");
    }
}

#[test]
fn a_hold_of_a_broadcast_stops_its_targets_only() {
    let broadcast = BroadcastId::parse("bc_1").unwrap();
    let target = Delivery {
        kind: "broadcast".into(),
        broadcast: Some((broadcast, 3)),
        ..delivery(&reply(1, "east-7", 0))
    };
    for (scope, expect) in [("broadcast:bc_1", true), ("broadcast:bc_2", false)] {
        let hold = Hold {
            id: "hld_1".into(),
            kinds: Vec::new(),
            scope: scope.parse().unwrap(),
            reason: String::new(),
            by: "op".into(),
            at_ms: 0,
            until_ms: None,
        };
        assert_eq!(hold.stops(&target, &Atlas, 0), expect, "{scope}");
    }
}

#[test]
fn a_mass_send_waits_with_any_of_the_groups_it_carries() {
    let targets = vec![(0, "west-1".to_owned()), (1, "east-7".to_owned())];
    let payload =
        Payload::MassSend { sender: "u-1".into(), targets, text: String::new(), attachments: Vec::new() };
    let (group, kind) = ("mass:u-1".to_owned(), MASS_SEND.to_owned());
    let send = Delivery { group, kind, payload, ..delivery(&reply(1, "g", 0)) };
    let stops = |scope: &str| {
        let hold = Hold {
            id: "hld_1".into(),
            kinds: vec![HoldKind::Broadcast],
            scope: scope.parse().unwrap(),
            reason: String::new(),
            by: "op".into(),
            at_ms: 0,
            until_ms: None,
        };
        hold.stops(&send, &Atlas, 1000)
    };
    for scope in ["all", "account:demo", "region:west", "region:east", "group:demo/east-7", "tag:west-tag"] {
        assert!(stops(scope), "{scope}");
    }
    for scope in ["account:other", "region:north", "group:demo/east-8"] {
        assert!(!stops(scope), "{scope}");
    }
}

#[test]
fn what_is_not_said_in_words_is_an_action() {
    let kind = |kind: &str| HoldKind::of(&Delivery { kind: kind.into(), ..delivery(&reply(1, "g", 0)) });
    assert_eq!(kind("recall"), HoldKind::Action);
    assert_eq!(kind("remove"), HoldKind::Action);
    assert_eq!(kind("welcome"), HoldKind::Welcome);
}
