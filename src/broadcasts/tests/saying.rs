//! Contents with their fall-back, what is shown beforehand, and tests to one group.

use super::*;
use crate::outbox::delivery::{Article, Payload, Priority};
use crate::storage::{DeliveryFilter, Storage as _};

fn link(title: &str) -> Content {
    let url = "https://shop.example/{shop.vars.code|all}".to_owned();
    Content::Link { link: Article { title: title.into(), url, ..Article::default() } }
}

fn shown(title: &str, text: &str) -> NewBroadcast {
    NewBroadcast { content: Some(link(title)), ..new(text, Audience::All) }
}

fn asked(text: &str, content: Option<Content>) -> Asked {
    let (exclude, account, group) = (None, None, None);
    Asked { audience: Audience::All, exclude, account, text: text.into(), content, group }
}

#[tokio::test(start_paused = true)]
async fn a_card_is_shown_where_it_can_be_and_said_as_text_elsewhere() {
    let house = House::open(10, &[], |p| p).await;
    let new = shown("{shop.name|本店}会员日", "会员日：https://shop.example/all");
    let broadcast = house.broadcasts.create(&everybody(), new, |_| None).await.unwrap();
    let progress = house.finished(&broadcast.id).await;
    // East 2's shop has a name that may not be said.
    assert_eq!((progress.counts.sent, progress.counts.failed), (9, 1));
    let calls = house.bench.platform.calls();
    let of = |group: &str| calls.iter().find(|call| call.group == group).map(|call| call.text.as_str());
    assert_eq!(of("east-00000"), Some("南京东路店会员日\n\nhttps://shop.example/all"));
    assert_eq!(of("west-00001"), Some("会员日：https://shop.example/all"));
    assert_eq!(of("east-00002"), None);
}

#[tokio::test(start_paused = true)]
async fn a_card_that_some_cannot_show_is_refused_without_a_text() {
    let house = House::open(10, &[], |p| p).await;
    let create = async |new| house.broadcasts.create(&everybody(), new, |_| None).await;
    let refused = create(shown("会员日", "")).await.unwrap_err();
    assert!(
        matches!(&refused, BroadcastError::CannotShow { platforms } if platforms["sandbox"] == 5),
        "{refused}"
    );
    assert!(refused.to_string().contains("5 groups on sandbox"), "{refused}");
    let east = Audience::Regions([RegionId::parse("east").unwrap()].into());
    create(NewBroadcast { audience: east, ..shown("会员日", "") }).await.unwrap();

    let blocked = create(shown("来玩博彩", "会员日")).await.unwrap_err();
    assert!(matches!(blocked, BroadcastError::Blocked(_)), "{blocked}");
    let mistake = create(shown("{shop.nme}", "会员日")).await.unwrap_err();
    assert!(
        matches!(&mistake, BroadcastError::Content { pointer, .. } if pointer == "/content/title"),
        "{mistake}"
    );
    let bytes = serde_json::json!({"type": "image", "media": {"name": "a.png", "base64": "AA=="}});
    let content = Some(serde_json::from_value(bytes).unwrap());
    let heavy = create(NewBroadcast { content, ..new("会员日", Audience::All) }).await.unwrap_err();
    assert!(
        matches!(&heavy, BroadcastError::Content { pointer, .. } if pointer == "/content/type"),
        "{heavy}"
    );
    let long = create(shown(&"长".repeat(4000), "会员日")).await.unwrap_err();
    assert!(matches!(&long, BroadcastError::Content { code: "length", .. }), "{long}");
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_beforehand_is_what_is_sent() {
    let house = House::open(10, &[], |p| p).await;
    let text = "{shop.name}的朋友们，{group.name}好";
    let group = Some(named("east-00004"));
    let before =
        house.broadcasts.preview_of_new(&everybody(), Asked { group, ..asked(text, None) }).await.unwrap();
    let checked = before.checked.unwrap();
    let problems: Vec<_> = checked.problems.iter().map(|p| (p.code.as_str(), p.groups)).collect();
    assert_eq!((checked.can_be_told, problems), (4, vec![("missing_variable", 5), ("blocked", 1)]));
    assert!(checked.problems[0].examples[0].detail.contains("shop.name"), "{checked:?}");
    let shown = before.shown.unwrap();
    assert_eq!((shown.text_bytes, shown.text_bytes_max), (shown.words.len(), Some(200)));
    assert_eq!(shown.call, Some("say"));
    let said: Payload = serde_json::from_value(shown.body.unwrap()).unwrap();

    let broadcast = house.create(text, Audience::All).await;
    house.finished(&broadcast.id).await;
    let calls = house.bench.platform.calls();
    let sent = calls.iter().find(|call| call.group == "east-00004").unwrap();
    assert_eq!(said, Payload::text(sent.text.clone()));
    assert_eq!(house.progress(&broadcast.id).await.counts.sent, checked.can_be_told, "as it was foretold");

    let of = async |group: &str| {
        let preview = house.broadcasts.preview_of(&everybody(), &broadcast, Some(named(group))).await?;
        Ok::<_, BroadcastError>(preview.shown.unwrap())
    };
    let missing = of("west-00001").await.unwrap();
    assert_eq!(
        (missing.code.as_deref(), missing.missing.as_slice()),
        (Some("missing_variable"), &["shop.name".to_owned()][..])
    );
    let blocked = of("east-00002").await.unwrap();
    assert_eq!((blocked.code.as_deref(), blocked.hits.len()), (Some("blocked"), 1));
    assert!(matches!(of("gone-1").await, Err(BroadcastError::Audience(AudienceError::Unknown { .. }))));
    let west = actor(r#"{"regions":["west"]}"#);
    let foreign = Asked { group: Some(named("east-00000")), ..asked(text, None) };
    assert!(matches!(
        house.broadcasts.preview_of_new(&west, foreign).await,
        Err(BroadcastError::Audience(AudienceError::Unknown { .. }))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_text_that_values_make_too_long_is_foretold_and_counted() {
    let house = House::open(4, &[], |p| p).await;
    house.book.name_shop("east-00000", &"长".repeat(70));
    let text = "{shop.name|本店}好";
    let preview =
        house.broadcasts.preview_of_new(&everybody(), asked(text, Some(link("会员日")))).await.unwrap();
    let checked = preview.checked.unwrap();
    assert_eq!((checked.can_be_told, checked.by_fallback), (4, 2), "the card needs no name");
    let preview = house.broadcasts.preview_of_new(&everybody(), asked(text, None)).await.unwrap();
    let checked = preview.checked.unwrap();
    let codes: Vec<_> = checked.problems.iter().map(|p| (p.code.as_str(), p.groups)).collect();
    assert_eq!(codes, [("too_long", 1), ("blocked", 1)]);
    let broadcast = house.create(text, Audience::All).await;
    let progress = house.finished(&broadcast.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_test_goes_to_one_group_and_is_no_target() {
    let house = House::open(10, &[], |p| p).await;
    let draft = NewBroadcast { draft: true, ..new("{shop.name|本店}会员日", Audience::All) };
    let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
    let test = async |actor: &Actor, group: &str, notice: &str| {
        house.broadcasts.test(actor, &draft, &named(group), notice, Priority::Urgent).await
    };
    test(&everybody(), "east-00000", "ntc_1").await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    let calls = house.bench.platform.calls();
    assert_eq!((calls.len(), calls[0].text.as_str()), (1, "南京东路店会员日"));
    let progress = house.progress(&draft.id).await;
    assert_eq!((progress.state, progress.targets, progress.counts), (State::Draft, 0, Counts::default()));
    let id = Some("ntc_1_0".to_owned());
    let filter = DeliveryFilter { id, limit: 1, ..DeliveryFilter::default() };
    let row = house.bench.ledger.deliveries(filter).await.unwrap().remove(0);
    assert_eq!((row.state, row.broadcast.as_str()), (DeliveryState::Sent, ""));
    assert_eq!(house.bench.ledger.audit_verbs(), ["create", "test"]);

    let blocked = test(&everybody(), "east-00002", "ntc_2").await;
    assert!(matches!(blocked, Err(BroadcastError::Blocked(_))), "{blocked:?}");
    let west = actor(r#"{"regions":["west"]}"#);
    let foreign = test(&west, "east-00004", "ntc_3").await;
    assert!(matches!(foreign, Err(BroadcastError::Audience(AudienceError::Unknown { .. }))), "{foreign:?}");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(house.bench.platform.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn groups_in_which_nothing_can_be_said_are_told_beforehand_and_fail_without_a_call() {
    let house = House::open(6, &[], |p| p).await;
    house.book.mute.lock().extend(["east-00000".to_owned(), "west-00003".to_owned()]);
    let preview = house.broadcasts.preview_of_new(&everybody(), asked("会员日", None)).await.unwrap();
    let checked = preview.checked.unwrap();
    assert_eq!((checked.can_be_told, checked.problems.len()), (4, 1));
    let problems = &checked.problems[0];
    assert_eq!((problems.code.as_str(), problems.groups), ("cannot_post", 2));
    assert_eq!(problems.examples[0].group, "demo/east-00000");
    let shown = preview.shown.unwrap();
    assert_eq!(shown.code.as_deref(), Some("cannot_post"), "the first group is one of them");

    let draft = NewBroadcast { draft: true, ..new("会员日", Audience::All) };
    let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
    let submitted = house.command(&draft.id, Command::Submit).await.unwrap();
    assert_eq!(submitted.checked, Some(checked), "submitting says it too");
    let progress = house.finished(&draft.id).await;
    assert_eq!((progress.counts.sent, progress.counts.failed), (4, 2));
    assert_eq!(house.bench.platform.count(), 4, "nobody was called in vain");

    house.book.mute.lock().clear();
    assert_eq!(house.broadcasts.replay_failed(&everybody(), &draft.id).await.unwrap(), 2);
    assert_eq!(house.finished(&draft.id).await.counts.sent, 6);
}

#[tokio::test(start_paused = true)]
async fn who_requires_all_groups_is_refused_with_how_many_cannot_be_told_and_why() {
    let house = House::open(10, &[], |p| p).await;
    let text = "{shop.name}的朋友们";
    let draft = NewBroadcast { draft: true, ..new(text, Audience::All) };
    let draft = house.broadcasts.create(&everybody(), draft, |_| None).await.unwrap();
    let refused = house.broadcasts.submit(&everybody(), &draft.id, true, "").await.unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("6 of 10 groups cannot be told"), "{said}");
    assert!(said.contains("missing_variable in 5 groups, as demo/west-00001"), "{said}");
    assert!(said.contains("blocked in 1 groups, as demo/east-00002"), "{said}");
    assert_eq!(house.progress(&draft.id).await.state, State::Draft, "it is a draft still");
    let at_once = NewBroadcast { require_all: true, ..new(text, Audience::All) };
    let refused = house.broadcasts.create(&everybody(), at_once, |_| None).await.unwrap_err();
    assert!(matches!(refused, BroadcastError::Unsayable { groups: 6, all: 10, .. }), "{refused}");
    let all = NewBroadcast { require_all: true, ..new("会员日", Audience::All) };
    house.broadcasts.create(&everybody(), all, |_| None).await.unwrap();
    house.broadcasts.submit(&everybody(), &draft.id, false, "").await.unwrap();
    assert_eq!(house.finished(&draft.id).await.counts.failed, 6, "who does not ask sends to the others");
}

#[tokio::test(start_paused = true)]
async fn the_house_says_how_many_groups_may_be_left_out() {
    for (percent, goes) in [(59, false), (60, true)] {
        let config = Config { unsayable_percent_max: percent, ..Config::default() };
        let house = House::open_with(config, 10, &[], |p| p).await;
        let created =
            house.broadcasts.create(&everybody(), new("{shop.name}的朋友们", Audience::All), |_| None).await;
        assert_eq!(created.is_ok(), goes, "{percent} %");
    }
}
