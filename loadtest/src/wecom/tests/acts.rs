//! What each act changes and which event it makes.

use super::receiver::Receiver;
use super::*;

/// Acts one after the other, and the events that come of it, in order.
async fn events_of(acts: impl FnOnce(&Simulator) -> Vec<Value>) -> (Simulator, Vec<String>) {
    let (sim, receiver) = (small().await, Receiver::start("/cb").await);
    sim.with(|world| {
        world.config.callbacks.concurrency = 1;
        world.apps[0].config.callback_url = Some(receiver.url.clone());
    });
    for value in acts(&sim) {
        let act: LaggedAct =
            serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"));
        sim.act(act).unwrap_or_else(|error| panic!("{value}: {error}"));
    }
    in_time(sim.settled()).await;
    (sim, receiver.documents())
}

fn summary(document: &str, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| xml_text(document, name).unwrap_or_else(|| "-".to_owned())).collect()
}

#[tokio::test]
async fn groups_change_and_say_so() {
    let (sim, documents) = events_of(|sim| {
        let (chat_id, member) = (chat(sim, 0), sim.with(|world| world.people.external_userid(CustomerNo(0))));
        vec![
            json!({"act": "change_name", "chat_id": chat_id, "name": "新名]]>"}),
            json!({"act": "change_notice", "chat_id": chat_id, "notice": "公告"}),
            json!({"act": "change_owner", "chat_id": chat_id, "owner": "owner00001"}),
            json!({"act": "leave", "chat_id": chat_id, "members": [member]}),
            json!({"act": "join", "chat_id": chat_id, "members": [member], "scene": 2}),
            json!({"act": "leave", "chat_id": chat_id, "members": [member], "removed": true}),
            json!({"act": "leave", "chat_id": chat_id, "members": [member]}),
            json!({"act": "create_group", "owner": "owner00002", "name": "N", "newcomers": 2}),
            json!({"act": "dismiss", "chat_id": chat_id}),
        ]
    })
    .await;
    let names = ["ChangeType", "UpdateDetail", "JoinScene", "QuitScene", "MemChangeCnt"];
    let found: Vec<_> = documents.iter().map(|document| summary(document, &names).join(" ")).collect();
    let expected = [
        "update change_name 0 0 0",
        "update change_notice 0 0 0",
        "update add_member 0 0 1",
        "update change_owner 0 0 0",
        "update del_member 0 0 1",
        "update add_member 0 0 1",
        "update del_member 0 1 1",
        "create - - - -",
        "dismiss - - - -",
    ];
    assert_eq!(found, expected, "who has left already makes no event");
    let versions: Vec<_> = documents[4..7].iter().map(|d| summary(d, &["LastMemVer", "CurMemVer"])).collect();
    assert_eq!(
        (&versions[0][1], &versions[1][1]),
        (&versions[1][0], &versions[2][0]),
        "versions are a chain"
    );
    sim.with(|world| {
        let group = &world.groups.group(GroupNo(0)).now;
        assert_eq!(
            (group.name.as_str(), group.notice.as_str(), group.is_dismissed),
            ("新名]]>", "公告", true)
        );
        let new = world.groups.group(GroupNo(6));
        assert_eq!((new.now.members.len(), new.now.change, new.created_s), (3, 0, START_S));
    });
}

#[tokio::test]
async fn contacts_and_tags_change_and_say_so() {
    let (sim, documents) = events_of(|sim| {
        let id = |number| sim.with(|world| world.people.external_userid(CustomerNo(number)));
        let pair =
            |act: &str, number| json!({"act": act, "userid": "owner00000", "external_userid": id(number)});
        let with = |mut value: Value, name: &str, more: Value| {
            value[name] = more;
            value
        };
        vec![
            with(pair("add_contact", 0), "state", json!("poster")),
            with(pair("add_contact", 1), "half", json!(true)),
            with(pair("add_contact", 2), "without_code", json!(true)),
            pair("edit_contact", 0),
            with(pair("delete_contact", 0), "by_transfer", json!(true)),
            pair("delete_follow", 1),
            with(pair("transfer_fail", 1), "reason", json!("customer_refused")),
            json!({"act": "change_tag", "change": "create", "id": "et1", "tag_type": "tag_group"}),
            pair("agree_to_archive", 2),
        ]
    })
    .await;
    let names = ["Event", "ChangeType", "UserID", "State", "Source", "FailReason", "TagType"];
    let found: Vec<_> = documents.iter().map(|document| summary(document, &names).join(" ")).collect();
    let contact = |rest: &str| format!("change_external_contact {rest}");
    let expected = [
        contact("add_external_contact owner00000 poster - - -"),
        contact("add_half_external_contact owner00000  - - -"),
        contact("add_external_contact owner00000  - - -"),
        contact("edit_external_contact owner00000 - - - -"),
        contact("del_external_contact owner00000 - DELETE_BY_TRANSFER - -"),
        contact("del_follow_user owner00000 - - - -"),
        contact("transfer_fail owner00000 - - customer_refused -"),
        "change_external_tag create - - - - tag_group".to_owned(),
        contact("msg_audit_approved owner00000 - - - -"),
    ];
    assert_eq!(found, expected);
    let has_code: Vec<_> =
        documents.iter().map(|document| xml_text(document, "WelcomeCode").is_some()).collect();
    assert_eq!(has_code, [true, true, false, false, false, false, false, false, true]);
    let code = xml_text(&documents[0], "WelcomeCode").expect("a code");
    sim.with(|world| {
        let now_ms = world.now_ms();
        let claimed = world.welcome.claim(&code, 0, now_ms).expect("fresh");
        assert_eq!((claimed.staff, claimed.customer), (StaffNo(0), CustomerNo(0)));
        assert_eq!(world.people.contacts_of(StaffNo(0)).filter(|customer| customer.0 < 3).count(), 1);
    });
}

#[tokio::test]
async fn no_code_comes_for_those_who_were_greeted_or_have_chatted() {
    let sim = small().await;
    let userid = "owner00000".to_owned();
    let id = |number| sim.with(|world| world.people.external_userid(CustomerNo(number)));
    let add = |number, half| {
        let (external_userid, state) = (Some(id(number)), String::new());
        let act =
            Act::AddContact { userid: userid.clone(), external_userid, state, half, without_code: false };
        sim.act(act).expect("possible").welcome_code
    };
    let code = add(0, true).expect("a code");
    sim.with(|world| {
        let now_ms = world.now_ms();
        world.welcome.claim(&code, 0, now_ms).expect("fresh");
    });
    assert_eq!(add(0, false), None, "consumed through the half contact");
    add(1, true).expect("a code");
    sim.act(Act::StartChat { userid: userid.clone(), external_userid: id(1) }).expect("contacts");
    assert_eq!(add(1, false), None, "the chat has started");
    sim.act(Act::DeleteFollow { userid: userid.clone(), external_userid: id(1) }).expect("contacts");
    assert!(add(1, false).is_some(), "strangers again");
    assert_eq!(add(49, false), None, "a customer of another corp");
}

#[tokio::test]
async fn what_is_impossible_changes_nothing() {
    let sim = small().await;
    let (chat_id, member) = (chat(&sim, 0), sim.with(|world| world.people.external_userid(CustomerNo(0))));
    let before = sim.report();
    for (value, expected) in [
        (json!({"act": "join", "chat_id": "wrX", "newcomers": 1}), "no group `wrX`"),
        (json!({"act": "join", "chat_id": chat_id, "newcomers": 1, "scene": 9}), "`9` is not a known value"),
        (json!({"act": "join", "chat_id": chat_id, "members": ["wmX"]}), "nobody is called `wmX`"),
        (json!({"act": "join", "chat_id": chat_id, "newcomers": 490}), "is full"),
        (json!({"act": "create_group", "owner": "nobody"}), "no member `nobody`"),
        (
            json!({"act": "message", "chat_id": chat_id, "from": "owner00002"}),
            "nobody is called `owner00002`",
        ),
        (
            json!({"act": "edit_contact", "userid": "owner00000", "external_userid": member}),
            "is no contact of",
        ),
        (json!({"act": "change_tag", "change": "x", "id": "et", "tag_type": "tag"}), "`x` is not"),
    ] {
        let act: LaggedAct = serde_json::from_value(value.clone()).expect("an act");
        let error = sim.act(act).expect_err(expected).to_string();
        assert!(error.contains(expected), "{value}: {error}");
    }
    let after = sim.report();
    assert_eq!(
        (after.memberships, after.events, after.groups),
        (before.memberships, before.events, before.groups)
    );
    sim.act(Act::Dismiss { chat_id: chat_id.clone() }).expect("a group");
    let again = sim.act(Act::Dismiss { chat_id: chat_id.clone() });
    assert_eq!(again, Err(ActError::Dismissed(chat_id)));
}

#[tokio::test]
async fn a_crowd_lives_at_its_rates_and_by_its_seed() {
    let live = async |seed: u64| {
        let sim = small().await;
        sim.live(Rates { joins: 2.0, leaves: 1.0, contacts: 0.5, messages: 3.0, seed });
        for _ in 0..60 {
            sim.advance(Duration::from_secs(1));
        }
        sim.be_still();
        sim.advance(Duration::from_mins(1));
        sim.with(|world| {
            let members: Vec<usize> = world.groups.all().map(|(_, group)| group.now.members.len()).collect();
            (members, world.queue.numbered(), world.welcome.counts().0)
        })
    };
    let (members, events, codes) = live(1).await;
    let total: usize = members.iter().sum();
    assert!((66 + 120 - 60..=66 + 120).contains(&total), "{total}");
    assert!((120 + 30..=120 + 60 + 30).contains(&events), "{events}");
    assert!((25..=30).contains(&codes), "customers of other corps come without a code: {codes}");
    assert_eq!(live(1).await.0, members);
    assert_ne!(live(2).await.0, members);
}
