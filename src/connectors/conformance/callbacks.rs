//! Promises about what comes in.

use std::collections::HashMap;

use super::{ACCOUNT, Lack, Raw, Rig, has};
use crate::event::{GroupEvent, What};

fn ids(events: &[GroupEvent<'_>]) -> Vec<(String, String)> {
    events.iter().map(|event| (event.group.to_string(), event.id.to_string())).collect()
}

pub(in crate::connectors) async fn genuine_callbacks_come_to_their_events<R: Rig>(rig: &R) {
    let connector = rig.connect();
    let genuine = rig.genuine();
    assert_eq!(genuine.is_empty(), !has::<R>(Lack::Callbacks));
    for (nth, callback) in genuine.iter().enumerate() {
        let opened = connector.open(callback.raw.callback()).unwrap_or_else(|error| panic!("{nth}: {error}"));
        let kinds: Vec<_> = opened.events.iter().map(|event| event.what.event_type()).collect();
        assert_eq!(kinds, callback.events, "{nth}");
        assert!(opened.reply.status().is_success(), "{nth}");
        for event in &opened.events {
            assert_eq!(event.account, ACCOUNT, "{nth}");
            assert!((1..=GroupEvent::ID_BYTES_MAX).contains(&event.id.len()), "{nth}: {}", event.id);
            assert!(event.group.len() <= GroupEvent::ID_BYTES_MAX, "{nth}");
            let without_group = matches!(
                event.what,
                What::ContactAdded { .. }
                    | What::ContactRemoved { .. }
                    | What::ConsentChanged { .. }
                    | What::TagsChanged { .. }
                    | What::Silence { .. }
            );
            assert!(without_group || !event.group.is_empty(), "{nth}: {:?}", event.what.event_type());
        }
    }
}

pub(in crate::connectors) async fn a_repeat_has_the_ids_of_the_first<R: Rig>(rig: &R) {
    let connector = rig.connect();
    for (nth, callback) in rig.genuine().iter().enumerate() {
        let first = connector.open(callback.raw.callback()).unwrap().events;
        let again = rig.again(nth);
        assert_eq!(ids(&connector.open(again.callback()).unwrap().events), ids(&first), "{nth}");
        // A restart between the two changes nothing: what an id is made of is in the callback.
        assert_eq!(ids(&rig.connect().open(again.callback()).unwrap().events), ids(&first), "{nth}");
    }
}

pub(in crate::connectors) async fn no_two_happenings_share_an_id<R: Rig>(rig: &R) {
    let connector = rig.connect();
    let mut seen = HashMap::new();
    for (nth, callback) in rig.genuine().iter().enumerate() {
        for id in ids(&connector.open(callback.raw.callback()).unwrap().events) {
            let before = seen.insert(id.clone(), nth);
            assert_eq!(before, None, "{id:?} stands for {nth} and for an earlier one");
        }
    }
}

pub(in crate::connectors) async fn forged_callbacks_are_refused_and_told_nothing<R: Rig>(rig: &R) {
    let connector = rig.connect();
    let forged = rig.forged();
    // Also a platform that never calls has a door that must be shut.
    assert!(!forged.is_empty());
    for (name, raw) in forged {
        let Err(error) = connector.open(raw.callback()) else { panic!("{name} got through") };
        assert!(error.status.is_client_error(), "{name}: {error}");
        assert!(!error.code.is_empty() && !error.detail.is_empty(), "{name}");
        let body = String::from_utf8_lossy(&raw.body);
        let told = body.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 16);
        for word in told {
            assert!(!error.detail.contains(word), "{name}: repeats `{word}`");
        }
    }
}

pub(in crate::connectors) async fn no_bytes_make_it_panic<R: Rig>(rig: &R) {
    let connector = rig.connect();
    let mut raws: Vec<Raw> = rig.genuine().into_iter().map(|callback| callback.raw).collect();
    raws.extend(rig.forged().into_iter().map(|(_, raw)| raw));
    for raw in raws {
        // Cut anywhere, and each byte changed once: whatever comes of it, it comes back.
        for length in 0..raw.body.len() {
            let cut = Raw { body: raw.body[..length].to_vec(), ..raw.clone() };
            _ = connector.open(cut.callback());
            let mut flipped = raw.clone();
            flipped.body[length] ^= 1 << (length % 8);
            _ = connector.open(flipped.callback());
        }
        for length in (0..raw.query.len()).filter(|at| raw.query.is_char_boundary(*at)) {
            let query = raw.query.split_at(length).0.to_owned();
            _ = connector.open(Raw { query, ..raw.clone() }.callback());
        }
    }
}

pub(in crate::connectors) async fn a_new_address_is_verified<R: Rig>(rig: &R) {
    let connector = rig.connect();
    let requests = rig.verification();
    assert_eq!(requests.is_empty(), !has::<R>(Lack::Verification));
    for (raw, expect) in requests {
        let opened = connector.open(raw.callback()).unwrap();
        assert!(opened.events.is_empty());
        assert!(opened.reply.status().is_success());
        assert_eq!(opened.reply.body().as_ref(), expect);
        let other = Raw { query: raw.query.replacen("nonce=", "nonce=0", 1), ..raw };
        assert!(connector.open(other.callback()).is_err(), "another nonce under the same signature");
    }
}
