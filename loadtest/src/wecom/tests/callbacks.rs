//! Callbacks as a receiver meets them: verified, sealed, repeated, lost, and forged.

use super::receiver::{Reaction, Receiver};
use super::*;

/// A small corp whose events go to a receiver.
async fn with_receiver() -> (Simulator, Receiver) {
    let (sim, receiver) = (small().await, Receiver::start("/hooks/wecom").await);
    sim.with(|world| world.apps[0].config.callback_url = Some(receiver.url.clone()));
    (sim, receiver)
}

fn join(sim: &Simulator, newcomers: usize) -> Deed {
    let chat_id = chat(sim, 0);
    let join = json!({"act": "join", "chat_id": chat_id, "newcomers": newcomers, "scene": 3});
    sim.act(serde_json::from_value::<Act>(join).expect("an act")).expect("a group")
}

fn deliveries(sim: &Simulator) -> Vec<DeliveryRecord> {
    sim.with(|world| world.ledger.deliveries(0, 1_000))
}

fn settings(sim: &Simulator, change: impl FnOnce(&mut CallbackConfig)) {
    sim.with(|world| change(&mut world.config.callbacks));
}

#[tokio::test]
async fn an_url_is_taken_only_when_it_echoes() {
    let sim = small().await;
    settings(&sim, |config| config.verify_deadline_ms = 500);
    for path in ["", "/", "/hooks/wecom", "/hooks/?account=a"] {
        let receiver = Receiver::start(path).await;
        receiver.then([Reaction::Echo("\n"), Reaction::Status(403), Reaction::Silence, Reaction::Echo("")]);
        let register = async || sim.register_callback("gateway", &receiver.url).await;
        assert!(matches!(register().await, Err(VerifyError::Body)), "{path}");
        assert!(matches!(register().await, Err(VerifyError::Status(403))));
        assert!(matches!(register().await, Err(VerifyError::NoAnswer(_))));
        assert_ne!(sim.with(|world| world.apps[0].config.callback_url.clone()), Some(receiver.url.clone()));
        register().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(sim.with(|world| world.apps[0].config.callback_url.clone()), Some(receiver.url.clone()));
    }
    assert!(matches!(sim.register_callback("gateway", "nowhere").await, Err(VerifyError::Url(_))));
    assert!(matches!(sim.register_callback("other", "http://h").await, Err(VerifyError::App(_))));
}

#[tokio::test]
async fn an_event_says_what_changed_and_between_which_versions() {
    let (sim, receiver) = with_receiver().await;
    let version = |sim: &Simulator| {
        sim.with(|world| world.groups.version(GroupNo(0), world.groups.group(GroupNo(0)).now.change))
    };
    let before = version(&sim);
    let deed = join(&sim, 2);
    in_time(sim.settled()).await;
    let document = receiver.documents().pop().expect("an event");
    let node = |name: &str| xml_text(&document, name).unwrap_or_else(|| panic!("{name} in {document}"));
    for (name, expected) in [
        ("ToUserName", "ww1f2e3d4c5b6a7988"),
        ("FromUserName", "sys"),
        ("CreateTime", "1767225600"),
        ("MsgType", "event"),
        ("Event", "change_external_chat"),
        ("ChatId", &chat(&sim, 0)),
        ("ChangeType", "update"),
        ("UpdateDetail", "add_member"),
        ("JoinScene", "3"),
        ("QuitScene", "0"),
        ("MemChangeCnt", "2"),
        ("LastMemVer", &before),
        ("CurMemVer", &version(&sim)),
    ] {
        assert_eq!(node(name), expected, "{name}");
    }
    let items = deed.members.join("]]></Item><Item><![CDATA[");
    let list = format!("<MemChangeList><Item><![CDATA[{items}]]></Item></MemChangeList>");
    assert!(document.contains(&list), "{document}");
    let envelope = &receiver.got()[0];
    assert_eq!(xml_text(&envelope.body, "AgentID").as_deref(), Some("1000002"));
    assert_eq!(xml_text(&envelope.body, "ToUserName").as_deref(), Some("ww1f2e3d4c5b6a7988"));
    let record = &deliveries(&sim)[0];
    assert_eq!(
        (record.end, record.tries, record.event),
        (DeliveryEnd::Delivered, 1, deed.event.expect("a number"))
    );
    assert_eq!(record.kind, "change_external_chat/update/add_member");
}

#[tokio::test]
async fn members_are_listed_in_every_form_the_platform_has_had() {
    let (sim, receiver) = with_receiver().await;
    settings(&sim, |config| config.concurrency = 1);
    for form in [MemberList::Joined, MemberList::VersionsOnly, MemberList::Absent] {
        settings(&sim, |config| config.member_list = form);
        let deed = join(&sim, 2);
        in_time(sim.settled()).await;
        let document = receiver.documents().pop().expect("an event");
        let list = xml_text(&document, "MemChangeList");
        assert_eq!(list, (form == MemberList::Joined).then(|| deed.members.join(",")));
        assert_eq!(xml_text(&document, "CurMemVer").is_some(), form != MemberList::Absent);
        assert_eq!(xml_text(&document, "MemChangeCnt").as_deref(), Some("2"));
    }
    settings(&sim, |config| config.envelope = Envelope::PlainXml);
    join(&sim, 1);
    in_time(sim.settled()).await;
    assert!(receiver.got().pop().expect("an event").body.starts_with("<xml>\n<Encrypt>"));
    settings(&sim, |config| config.envelope = Envelope::Json);
    join(&sim, 1);
    in_time(sim.settled()).await;
    assert!(receiver.got().pop().expect("an event").body.starts_with("{\"encrypt\":"));
    assert!(receiver.documents().pop().expect("an event").starts_with("<xml>"));
}

#[tokio::test]
async fn what_is_not_answered_200_in_time_comes_three_times_more() {
    for reencrypts in [false, true] {
        let (sim, receiver) = with_receiver().await;
        settings(&sim, |config| {
            config.retry_reencrypts = reencrypts;
            config.deadline_ms = 500;
        });
        receiver.then([
            Reaction::Status(500),
            Reaction::Silence,
            Reaction::Status(204),
            Reaction::Status(200),
        ]);
        join(&sim, 1);
        in_time(sim.settled()).await;
        let record = deliveries(&sim).pop().expect("a delivery");
        assert_eq!((record.end, record.tries), (DeliveryEnd::Delivered, 4));
        assert_eq!(record.statuses, ["500", "timeout", "204", "200"]);
        let got = receiver.got();
        assert_eq!(got.iter().all(|one| one.body == got[0].body && one.uri == got[0].uri), !reencrypts);
        let documents = receiver.documents();
        assert!(documents.iter().all(|document| *document == documents[0]));
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_loses_events_and_the_ledger_says_which() {
    let (sim, receiver) = with_receiver().await;
    receiver.then([Reaction::Status(503); 4]);
    settings(&sim, |config| config.retry_spacing_ms = 5);
    let lost = join(&sim, 1);
    in_time(sim.settled()).await;
    let kept = join(&sim, 1);
    in_time(sim.settled()).await;
    drop(receiver);
    let refused = join(&sim, 1);
    in_time(sim.settled()).await;
    let ends: Vec<_> = deliveries(&sim).iter().map(|record| (Some(record.event), record.end)).collect();
    let expected = [
        (lost.event, DeliveryEnd::Lost),
        (kept.event, DeliveryEnd::Delivered),
        (refused.event, DeliveryEnd::Lost),
    ];
    assert_eq!(ends, expected);
    let last = deliveries(&sim).pop().expect("a delivery");
    assert_eq!(last.statuses, ["broken"; 4]);
    let lost = sim.with(|world| world.ledger.deliveries_that(DeliveryEnd::Lost));
    assert_eq!(lost.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 3]);
}

#[tokio::test]
async fn the_queue_is_bounded_and_what_did_not_fit_is_counted() {
    let (sim, receiver) = with_receiver().await;
    settings(&sim, |config| (config.is_running, config.queue_max) = (false, 3));
    for _ in 0..5 {
        join(&sim, 1);
    }
    assert_eq!(sim.with(|world| world.queue.depth()), (3, 0));
    assert_eq!(sim.with(|world| world.ledger.deliveries_ended(DeliveryEnd::Overflowed)), 2);
    settings(&sim, |config| config.is_running = true);
    in_time(sim.settled()).await;
    assert_eq!(receiver.got().len(), 3);
}

#[tokio::test]
async fn so_many_are_tried_at_once_and_no_more() {
    let (sim, receiver) = with_receiver().await;
    settings(&sim, |config| config.concurrency = 2);
    receiver.then([Reaction::Silence, Reaction::Silence]);
    for _ in 0..3 {
        join(&sim, 1);
    }
    receiver.wait_for(2).await;
    assert_eq!(sim.with(|world| world.queue.depth()), (1, 2));
}

#[tokio::test]
async fn deliveries_come_twice_or_late_when_asked_to() {
    let (sim, receiver) = with_receiver().await;
    settings(&sim, |config| config.duplicate_share = 1.0);
    join(&sim, 1);
    in_time(sim.settled()).await;
    let documents = receiver.documents();
    assert!(documents.len() == 2 && documents[0] == documents[1]);
    // The first is held back; what the second meets is a receiver that has seen nothing of it.
    settings(&sim, |config| {
        (config.duplicate_share, config.reorder_share, config.reorder_hold_ms) = (0.0, 1.0, 1_000);
    });
    let first = join(&sim, 1);
    in_time(sim.wait_for(|world| world.queue.depth() == (0, 1))).await;
    settings(&sim, |config| config.reorder_share = 0.0);
    let second = join(&sim, 1);
    in_time(sim.settled()).await;
    let order: Vec<_> = deliveries(&sim).iter().skip(2).map(|record| Some(record.event)).collect();
    assert_eq!(order, [second.event, first.event]);
}

#[tokio::test]
async fn forged_callbacks_are_counted_by_how_they_were_met() {
    let (sim, receiver) = with_receiver().await;
    let all = [
        Injection::BadSignature,
        Injection::WrongReceiveid,
        Injection::BadPadding,
        Injection::DeclaredTooLong,
        Injection::BrokenBlocks,
        Injection::NotBase64,
        Injection::NotAnEnvelope,
    ];
    for injection in all {
        sim.with(|world| world.inject(0, injection));
    }
    in_time(sim.settled()).await;
    let count = |end| sim.with(|world| world.ledger.deliveries_ended(end));
    assert_eq!((count(DeliveryEnd::InjectedRefused), count(DeliveryEnd::InjectedAccepted)), (7, 0));
    assert!(deliveries(&sim).iter().all(|record| record.tries == 1));
    receiver.then([Reaction::Status(200)]);
    sim.with(|world| world.inject(0, Injection::BadPadding));
    in_time(sim.settled()).await;
    assert_eq!(count(DeliveryEnd::InjectedAccepted), 1);
}

#[tokio::test]
async fn every_app_that_sees_customers_gets_its_own_delivery() {
    let other = |name: &str, families: &[Family]| AppConfig {
        name: name.to_owned(),
        secret: name.to_owned(),
        families: families.to_vec(),
        ..AppConfig::default()
    };
    let apps =
        vec![AppConfig::default(), other("second", &Family::ALL), other("blind", &[Family::Directory])];
    let population = Population { owners: 1, groups: 1, ..Population::default() };
    let sim = start(SimConfig { apps, population, ..SimConfig::default() }).await;
    let receiver = Receiver::start("/a").await;
    sim.with(|world| {
        for app in &mut world.apps {
            app.config.callback_url = Some(receiver.url.clone());
        }
    });
    let deed = join(&sim, 1);
    in_time(sim.settled()).await;
    let mut to: Vec<_> =
        deliveries(&sim).into_iter().map(|record| (record.app, Some(record.event))).collect();
    to.sort();
    assert_eq!(to, [("gateway".to_owned(), deed.event), ("second".to_owned(), deed.event)]);
}

#[tokio::test]
async fn the_same_seed_and_time_send_the_same_bytes() {
    let run = async |seed: u64| {
        let receiver = Receiver::start("/cb").await;
        let callbacks = CallbackConfig { concurrency: 1, ..CallbackConfig::default() };
        let population = Population { owners: 1, groups: 1, members: 5, contacts: 0 };
        let sim = start(SimConfig { seed, population, callbacks, ..SimConfig::default() }).await;
        sim.with(|world| world.apps[0].config.callback_url = Some(receiver.url.clone()));
        for newcomers in 1..4 {
            join(&sim, newcomers);
        }
        in_time(sim.settled()).await;
        receiver.got().into_iter().map(|got| got.uri + &got.body).collect::<Vec<_>>()
    };
    let once = run(1).await;
    assert_eq!((once.len(), &once), (3, &run(1).await));
    assert_ne!(once, run(2).await);
}
