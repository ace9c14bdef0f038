//! Every sample of the fact sheet, and what must never be confused.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::event::{ContactEnd, RosterStep};

const LAST: &str = "9d2c1b0a9d2c1b0a9d2c1b0a9d2c1b0a";
const CURRENT: &str = "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d";

#[derive(Default)]
struct World {
    staff: Staff,
    contacts: Contacts,
}

impl World {
    fn decode(&self, message: &str) -> Decoded {
        let decoder =
            Decoder { account: "shops", staff: &self.staff, contacts: &self.contacts, members_max: 1_000 };
        decoder.decode(message.as_bytes())
    }
}

fn decode(message: &str) -> Vec<GroupEvent<'static>> {
    World::default().decode(message).unwrap()
}

/// The head of a self-built app's event, and the rest of it.
fn event(name: &str, rest: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[ww1f2e3d4c5b6a7988]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>\
         <CreateTime>1767225602</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{name}]]></Event>{rest}</xml>"
    )
}

fn chat(change: &str, rest: &str) -> String {
    event(
        "change_external_chat",
        &format!("<ChatId><![CDATA[wrTEST1]]></ChatId><ChangeType><![CDATA[{change}]]></ChangeType>{rest}"),
    )
}

fn members(detail: &str, list: &str, more: &str) -> String {
    chat("update", &format!("<UpdateDetail>{detail}</UpdateDetail>{list}{more}"))
}

fn versions() -> String {
    format!("<LastMemVer>{LAST}</LastMemVer><CurMemVer>{CURRENT}</CurMemVer>")
}

const TWO: &str =
    "<MemChangeCnt>2</MemChangeCnt><MemChangeList><Item>wmA</Item><Item>wmB</Item></MemChangeList>";

fn ids(events: &[GroupEvent<'_>]) -> Vec<String> {
    events.iter().map(|event| event.id.to_string()).collect()
}

#[test]
fn members_come_in_one_by_one_each_with_its_step() {
    let message =
        members("add_member", &format!("<JoinScene>3</JoinScene><QuitScene>0</QuitScene>{TWO}"), &versions());
    let events = decode(&message);
    let seen: Vec<_> =
        events.iter().map(|event| (event.group.as_ref(), event.member.as_deref(), event.at_ms)).collect();
    let at = Some(1_767_225_602_000);
    assert_eq!(seen, [("wrTEST1", Some("wmA"), at), ("wrTEST1", Some("wmB"), at)]);
    for event in &events {
        let What::MemberJoined { scene, inferred, .. } = &event.what else { panic!("{event:?}") };
        assert_eq!((scene.as_deref(), *inferred, event.role), (Some("qr_code"), false, Role::Customer));
        assert!(event.id.starts_with("wc-") && event.id.len() == 35);
    }
    let half = RosterStep::mark_between(CURRENT, 1);
    let steps: Vec<_> = events.iter().map(|event| event.step.unwrap()).collect();
    assert_eq!(
        steps,
        [
            RosterStep { from: Some(RosterStep::mark(LAST)), to: half },
            RosterStep { from: Some(half), to: RosterStep::mark(CURRENT) }
        ]
    );
}

#[test]
fn the_list_may_be_one_text_and_the_words_are_ours() {
    let list = "<MemChangeList><![CDATA[wmA, wmB]]></MemChangeList>";
    for (number, word) in [("0", "left"), ("1", "removed"), ("7", "scene_7")] {
        let message = members("del_member", &format!("<QuitScene>{number}</QuitScene>{list}"), &versions());
        let events = decode(&message);
        assert_eq!(events.len(), 2);
        let What::MemberLeft { reason, .. } = &events[1].what else { panic!() };
        assert_eq!(reason.as_deref(), Some(word));
    }
    let joined = |scene: &str| {
        let message = members("add_member", &format!("{scene}{TWO}"), &versions());
        let What::MemberJoined { scene, .. } = decode(&message).remove(0).what else { panic!() };
        scene.map(Cow::into_owned)
    };
    assert_eq!(joined("<JoinScene>0</JoinScene>").as_deref(), Some("invited"));
    assert_eq!(joined("<JoinScene>加微信</JoinScene>"), None);
    assert_eq!(joined(""), None);
}

#[test]
fn a_change_whose_members_are_not_all_named_never_advances_the_roster() {
    let reached = reached_step(CURRENT);
    for list in [
        "",
        "<MemChangeCnt>3</MemChangeCnt><MemChangeList><Item>wmA</Item></MemChangeList>",
        "<MemChangeList><Item></Item></MemChangeList>",
        "<MemChangeList><Item>wmA</Item><Item>bad\u{7}id</Item></MemChangeList>",
    ] {
        let events = decode(&members("add_member", list, &versions()));
        assert_eq!(events.len(), 1, "{list}");
        assert!(matches!(events[0].what, What::GroupUpdated(_)));
        assert_eq!(events[0].step, Some(reached), "{list}: it only checks");
    }
    assert_eq!(reached.from, Some(reached.to));
    let many = (0..1_001).map(|n| format!("<Item>wm{n}</Item>")).collect::<Vec<_>>().concat();
    let events =
        decode(&members("add_member", &format!("<MemChangeList>{many}</MemChangeList>"), &versions()));
    assert_eq!((events.len(), events[0].step), (1, Some(reached)), "more than a callback may have");
}

#[test]
fn without_versions_what_is_named_counts_and_the_group_is_read() {
    let events = decode(&members("del_member", TWO, ""));
    assert_eq!(events.iter().map(|event| event.step).collect::<Vec<_>>(), [None, None, Some(read_step())]);
    let events = decode(&members("add_member", "", ""));
    assert_eq!((events.len(), events[0].step), (1, Some(read_step())));
}

#[test]
fn groups_come_go_and_change() {
    let created = decode(&chat("create", ""));
    assert!(matches!(created[0].what, What::GroupCreated(_)) && created[0].step.is_none());
    assert_eq!(
        (created.len(), created[1].step),
        (2, Some(read_step())),
        "who is in it, only a reading tells"
    );
    assert_ne!(created[0].id, created[1].id);
    let dismissed = decode(&chat("dismiss", ""));
    assert!(matches!(dismissed[..], [GroupEvent { what: What::GroupDismissed, step: None, .. }]));
    let mut all = HashSet::new();
    for detail in ["change_owner", "change_name", "change_notice", "change_of_tomorrow"] {
        let events = decode(&chat("update", &format!("<UpdateDetail>{detail}</UpdateDetail>")));
        assert_eq!((events.len(), events[0].step), (1, Some(read_step())), "{detail}");
        assert!(all.insert(events[0].id.clone()));
    }
}

#[test]
fn a_suites_form_is_read_like_an_apps() {
    let suite = "<xml><SuiteId>ww4asffe99e54c0f4c</SuiteId><AuthCorpId>wxf8b4f85f3a794e77</AuthCorpId>\
                 <InfoType>change_external_chat</InfoType><TimeStamp>1767225602</TimeStamp><ChatId>wrTEST1</ChatId>\
                 <ChangeType>dismiss</ChangeType></xml>";
    let events = decode(suite);
    assert_eq!((events[0].group.as_ref(), events[0].at_ms), ("wrTEST1", Some(1_767_225_602_000)));
    assert_eq!(ids(&events), ids(&decode(&chat("dismiss", ""))), "the same thing told another way");
}

#[test]
fn whoever_was_seen_as_staff_joins_as_staff() {
    let world = World::default();
    let contact = event(
        "change_external_contact",
        "<ChangeType>edit_external_contact</ChangeType><UserID>wmA</UserID><ExternalUserID>wmX</ExternalUserID>",
    );
    assert_eq!(world.decode(&contact), Err(WecomIgnored::Known));
    let events = world.decode(&members("add_member", TWO, &versions())).unwrap();
    assert_eq!(events.iter().map(|event| event.role).collect::<Vec<_>>(), [Role::Staff, Role::Customer]);
}

#[test]
fn events_of_one_second_stay_apart_and_repeats_do_not() {
    let with = |detail: &str, list: &str, last: &str, current: &str| {
        let more = format!("<LastMemVer>{last}</LastMemVer><CurMemVer>{current}</CurMemVer>");
        ids(&decode(&members(detail, list, &more)))
    };
    let one = "<MemChangeList><Item>wmA</Item></MemChangeList>";
    let apart = [
        with("add_member", one, "v1", "v2"),
        with("del_member", one, "v2", "v3"),
        with("add_member", one, "v3", "v4"),
        ids(&decode(&members("add_member", one, ""))),
        ids(&decode(&members("add_member", TWO, ""))),
        ids(&decode(&members("add_member", TWO, &versions()))),
    ]
    .concat();
    assert_eq!(apart.iter().collect::<HashSet<_>>().len(), apart.len());
    assert_eq!(with("add_member", one, "v1", "v2"), with("add_member", one, "v1", "v2"));
    let plain = members("add_member", TWO, &versions());
    let cdata =
        plain.replace("<Item>wmA</Item>", "<Item><![CDATA[wmA]]></Item>").replace("<xml>", "<xml>\n  ");
    assert_eq!(ids(&decode(&plain)), ids(&decode(&cdata)), "written another way, it is the same");
    let twice = members("add_member", "<MemChangeList>wmA,wmA</MemChangeList>", &versions());
    assert_eq!(decode(&twice).len(), 1, "somebody named twice came in once");
}

fn contact(change: &str, more: &str) -> String {
    let head =
        format!("<ChangeType>{change}</ChangeType><UserID>u1</UserID><ExternalUserID>wmA</ExternalUserID>");
    event("change_external_contact", &format!("{head}{more}"))
}

#[test]
fn a_new_contact_has_staff_code_and_channel() {
    let events =
        decode(&contact("add_external_contact", "<State>poster</State><WelcomeCode>CODE</WelcomeCode>"));
    let What::ContactAdded { staff, welcome_code, channel } = &events[0].what else { panic!() };
    assert_eq!(
        (staff.as_ref(), welcome_code.as_deref(), channel.as_deref()),
        ("u1", Some("CODE"), Some("poster"))
    );
    assert_eq!((events[0].group.as_ref(), events[0].member.as_deref()), ("", Some("wmA")));
    let plain = decode(&contact("add_external_contact", ""));
    assert!(matches!(&plain[0].what, What::ContactAdded { welcome_code: None, channel: None, .. }));
}

#[test]
fn both_halves_of_a_contact_are_one_event() {
    let world = World::default();
    let half =
        world.decode(&contact("add_half_external_contact", "<WelcomeCode>CODE</WelcomeCode>")).unwrap();
    let later = contact("add_external_contact", "").replace("1767225602", "1767229999");
    let whole = world.decode(&later).unwrap();
    assert_eq!((&half[0].id, half[0].at_ms), (&whole[0].id, whole[0].at_ms));
    _ = world.decode(&contact("del_follow_user", ""));
    assert_ne!(world.decode(&later).unwrap()[0].id, half[0].id, "after it ended, a new one");
}

#[test]
fn a_contact_ends_by_somebodys_doing() {
    let check = |change: &str, more: &str, expect: ContactEnd| {
        let events = decode(&contact(change, more));
        let What::ContactRemoved { staff, by } = &events[0].what else { panic!("{events:?}") };
        assert_eq!((staff.as_ref(), *by, events[0].member.as_deref()), ("u1", expect, Some("wmA")));
    };
    check("del_follow_user", "", ContactEnd::Customer);
    check("del_external_contact", "", ContactEnd::Staff);
    check("del_external_contact", "<Source>DELETE_BY_TRANSFER</Source>", ContactEnd::Transfer);
}

#[test]
fn a_change_of_tags_is_told_in_the_platforms_words() {
    let rest = "<Id><![CDATA[etAAA]]></Id><TagType><![CDATA[tag_group]]></TagType>";
    let message = |change: &str, rest: &str| {
        event("change_external_tag", &format!("<ChangeType><![CDATA[{change}]]></ChangeType>{rest}"))
    };
    let events = decode(&message("update", rest));
    let What::TagsChanged { change, id, tag_type } = &events[0].what else { panic!("{events:?}") };
    assert_eq!(
        (change.as_ref(), id.as_deref(), tag_type.as_deref()),
        ("update", Some("etAAA"), Some("tag_group"))
    );
    let all = decode(&message("shuffle", ""));
    assert!(matches!(&all[0].what, What::TagsChanged { id: None, tag_type: None, .. }));
    assert_ne!(all[0].id, events[0].id);
    assert_eq!(World::default().decode(&event("change_external_tag", rest)), Err(WecomIgnored::Malformed));
}

#[test]
fn consent_is_told_of_a_person() {
    let events = decode(&contact("msg_audit_approved", "<WelcomeCode>CODE</WelcomeCode>"));
    assert!(matches!(events[0].what, What::ConsentChanged { granted: true }));
    assert_eq!(events[0].member.as_deref(), Some("wmA"));
}

#[test]
fn everything_else_is_taken_and_counted_by_kind() {
    let check = |message: &str, expect: WecomIgnored| {
        assert_eq!(World::default().decode(message), Err(expect), "{message}");
    };
    check(&contact("transfer_fail", "<FailReason>customer_refused</FailReason>"), WecomIgnored::Known);
    check(&contact("change_of_tomorrow", ""), WecomIgnored::Unknown);
    check(&event("msgaudit_notify", ""), WecomIgnored::Known);
    check(&event("event_of_tomorrow", ""), WecomIgnored::Unknown);
    check(&chat("change_of_tomorrow", ""), WecomIgnored::Unknown);
    check(
        "<xml><MsgType>text</MsgType><Content>加微信</Content><MsgId>7</MsgId></xml>",
        WecomIgnored::AppMessage,
    );
    check("{\"msgid\":\"M1\",\"msgtype\":\"text\",\"text\":{\"content\":\"hi\"}}", WecomIgnored::Robot);
    check("{\"msgid\":", WecomIgnored::Malformed);
    check("<xml>", WecomIgnored::Malformed);
    check(&event("change_external_chat", "<ChangeType>dismiss</ChangeType>"), WecomIgnored::Malformed);
    check(&event("change_external_contact", "<UserID>u1</UserID>"), WecomIgnored::Malformed);
    let long = format!("<ChatId>{}</ChatId><ChangeType>dismiss</ChangeType>", "w".repeat(129));
    check(&event("change_external_chat", &long), WecomIgnored::Malformed);
}

proptest! {
    #[test]
    fn no_message_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), inner in "[<>/a-zA-Z0-9&;,\\[\\]!{}\": ]{0,200}") {
        let world = World::default();
        let decoder =
            Decoder { account: "shops", staff: &world.staff, contacts: &world.contacts, members_max: 10 };
        _ = decoder.decode(&bytes); // that it returns is the point
        _ = decoder.decode(inner.as_bytes());
        _ = decoder.decode(members("add_member", &inner, &versions()).as_bytes());
        _ = decoder.decode(contact("add_external_contact", &inner).as_bytes());
    }

    /// However many come in at once, the steps lead from the one version to the other without a hole.
    #[test]
    fn the_steps_are_a_chain(count in 1_usize..600) {
        let steps: Vec<_> = steps("v1", "v2", count).collect();
        prop_assert_eq!(steps.len(), count);
        prop_assert_eq!(steps[0].from, Some(RosterStep::mark("v1")));
        prop_assert_eq!(steps[count - 1].to, RosterStep::mark("v2"));
        prop_assert!(steps.windows(2).all(|pair| Some(pair[0].to) == pair[1].from));
        let marks: HashSet<_> = steps.iter().map(|step| step.to).collect();
        prop_assert_eq!(marks.len(), count);
    }
}
