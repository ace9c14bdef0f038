//! What is said for the kinds of groups there are.

use std::collections::BTreeSet;

use super::*;
use crate::connectors::ContentType;

const TEXT: &[ContentType] = &[ContentType::Text];
const RICH: &[ContentType] = &[ContentType::Text, ContentType::Image, ContentType::Link];

/// Everything a platform could do.
const ALL: Capabilities = Capabilities {
    can_block_before: true,
    can_recall: true,
    can_edit: true,
    can_mute: true,
    can_remove: true,
    can_post_into_group: true,
    can_welcome_by_code: true,
    sends_need_confirmation: false,
    gives_member_ids: true,
    gives_message_text: true,
    max_text_bytes: 4_000,
    content_types: TEXT,
    welcome_content_types: &[],
};

/// What a platform can do in a group.
fn of(platform: &str, group: &str) -> Capabilities {
    let found = crate::connectors::testing::one_of_each().into_iter().find(|(name, _)| *name == platform);
    found.unwrap().1.capabilities_of(group)
}

/// A customer group of WeCom.
fn customer_group() -> Capabilities {
    of("wecom", "wrOgAAA")
}

fn facts(capabilities: Capabilities) -> Facts<'static> {
    Facts {
        capabilities,
        sources: &[],
        unprotected: None,
        owner: Some("li"),
        greeting: Greeting::NoLibrary,
        staff_words: StaffWords::NotOffered,
        reaches_staff: true,
        robots: 0,
    }
}

/// One letter a promise, in order: `y`, `p`, `n`.
fn kept(facts: &Facts<'_>) -> String {
    let letter = |promise: &Promise| match promise.kept {
        Kept::Yes => 'y',
        Kept::Partly => 'p',
        Kept::No => 'n',
    };
    promises(facts).iter().map(letter).collect()
}

fn one(facts: &Facts<'_>, name: PromiseName) -> Promise {
    promises(facts).into_iter().find(|promise| promise.name == name).unwrap()
}

#[test]
fn each_kind_of_group_has_its_own_promises() {
    //    protection, before, judging, recall, mute, remove, conduct, staff words, posting, rich, broadcast,
    //    replies, welcome, contact, notices, roster, joins, numbers
    for (kind, capabilities, expect) in [
        ("sandbox", of("sandbox", "g-1"), "yyyyyyyyyyyyyyyyyy"),
        ("webhook without an address", of("webhook", "g-1"), "ynynnnynnnnnnnnyyy"),
        (
            "webhook",
            Capabilities { can_block_before: false, can_welcome_by_code: false, ..ALL },
            "ynyyyyynynyyynyyyy",
        ),
        ("customer group", customer_group(), "ynnnnnnnnypnnyyyyn"),
        ("robot group", of("wecom", "robot:watch"), "ynnnnnnnyyynnnynnn"),
        ("own group", of("wecom", "appchat:a"), "ynnnnynnyyynnnynnn"),
    ] {
        let facts = Facts { reaches_staff: kind != "webhook without an address", ..facts(capabilities) };
        assert_eq!(kept(&facts), expect, "{kind}");
    }
}

#[test]
fn what_is_known_of_the_group_changes_what_is_said() {
    let facts = facts(customer_group());
    let broadcast = one(&facts, PromiseName::Broadcast);
    assert!(broadcast.zh.contains("li") && broadcast.en.contains("(li)"));
    assert_eq!(one(&Facts { owner: None, ..facts.clone() }, PromiseName::Broadcast).kept, Kept::No);

    for (greeting, kept, word) in [
        (Greeting::Unplanned, Kept::No, "还没有"),
        (Greeting::ToDo("newcomers"), Kept::No, "newcomers"),
        (Greeting::Marked("newcomers", 7), Kept::Partly, "newcomers"),
    ] {
        let said = one(&Facts { greeting, ..facts.clone() }, PromiseName::GroupWelcome);
        assert_eq!(said.kept, kept);
        assert!(said.zh.contains(word), "{}", said.zh);
    }
    let marked = Facts { greeting: Greeting::Marked("newcomers", 7), ..facts.clone() };
    assert_eq!(one(&marked, PromiseName::GroupWelcome).since_ms, Some(7));

    let pushed = StaffWords::Pushed { words: 812, left_out: 3, since_ms: 9 };
    let said = one(&Facts { staff_words: pushed, ..facts.clone() }, PromiseName::StaffInterception);
    assert_eq!((said.kept, said.since_ms), (Kept::Partly, Some(9)));
    assert!(said.zh.contains("812") && said.zh.contains("3 个") && said.en.contains("reports no hits"));

    let rich = one(&facts, PromiseName::RichContent);
    assert!(rich.zh.contains("群发任务里") && rich.en.contains("links"), "{}", rich.en);

    let robots = Facts { robots: 2, reaches_staff: false, ..facts };
    assert_eq!(one(&robots, PromiseName::StaffNotices).kept, Kept::Partly);
    assert!(one(&robots, PromiseName::Posting).zh.contains("2 个内部群机器人"));
}

#[test]
fn a_time_without_protection_is_said_wherever_it_matters() {
    let trouble =
        Trouble { since_ms: 14, code: "40001".into(), zh: "密钥不对".into(), en: "wrong secret".into() };
    let facts = Facts { unprotected: Some(trouble), ..facts(customer_group()) };
    for (name, kept) in [
        (PromiseName::Protection, Kept::No),
        (PromiseName::Roster, Kept::Partly),
        (PromiseName::JoinsAndLeaves, Kept::Partly),
    ] {
        let said = one(&facts, name);
        assert_eq!((said.kept, said.since_ms), (kept, Some(14)), "{name:?}");
    }
    assert!(one(&facts, PromiseName::Protection).zh.contains("密钥不对"));
}

/// Each flag changed alone, by its name in JSON.
fn flips(from: Capabilities) -> Vec<(&'static str, Capabilities)> {
    vec![
        ("can_block_before", Capabilities { can_block_before: !from.can_block_before, ..from }),
        ("can_recall", Capabilities { can_recall: !from.can_recall, ..from }),
        ("can_edit", Capabilities { can_edit: !from.can_edit, ..from }),
        ("can_mute", Capabilities { can_mute: !from.can_mute, ..from }),
        ("can_remove", Capabilities { can_remove: !from.can_remove, ..from }),
        ("can_post_into_group", Capabilities { can_post_into_group: !from.can_post_into_group, ..from }),
        ("can_welcome_by_code", Capabilities { can_welcome_by_code: !from.can_welcome_by_code, ..from }),
        (
            "sends_need_confirmation",
            Capabilities { sends_need_confirmation: !from.sends_need_confirmation, ..from },
        ),
        ("gives_member_ids", Capabilities { gives_member_ids: !from.gives_member_ids, ..from }),
        ("gives_message_text", Capabilities { gives_message_text: !from.gives_message_text, ..from }),
        ("max_text_bytes", Capabilities { max_text_bytes: from.max_text_bytes / 2, ..from }),
        ("content_types", Capabilities { content_types: RICH, ..from }),
        ("welcome_content_types", Capabilities { welcome_content_types: RICH, ..from }),
    ]
}

#[test]
fn every_flag_shapes_a_promise_and_has_a_source() {
    let before = promises(&facts(ALL));
    let flips = flips(ALL);
    for (flag, changed) in &flips {
        assert_ne!(promises(&facts(*changed)), before, "{flag} changes nothing that is said");
    }
    let named: BTreeSet<&str> = flips.iter().map(|(flag, _)| *flag).collect();
    let json = serde_json::to_value(ALL).unwrap();
    let flags: BTreeSet<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(named, flags, "a new flag is changed above, too");
    for (platform, connector) in crate::connectors::testing::one_of_each() {
        let sources: BTreeSet<&str> = connector.sources().iter().map(|source| source.flag).collect();
        assert_eq!(sources, flags, "{platform}");
    }
}

#[test]
fn every_promise_is_a_sentence_in_both_languages_and_names_its_source() {
    let sources = [CapabilitySource { flag: "can_recall", source: "page 96338" }];
    for capabilities in [ALL, customer_group(), of("wecom", "robot:watch"), of("wecom", "appchat:a")] {
        let facts = Facts { sources: &sources, ..facts(capabilities) };
        let said = promises(&facts);
        let names: BTreeSet<String> = said.iter().map(|promise| format!("{:?}", promise.name)).collect();
        assert_eq!(names.len(), said.len(), "each promise once");
        for promise in said {
            assert!(
                promise.zh.ends_with(['。', '.']) && promise.zh.chars().any(|c| c > '\u{4E00}'),
                "{promise:?}"
            );
            assert!(promise.en.ends_with('.') && promise.en.is_ascii(), "{promise:?}");
            assert!(!promise.source.is_empty() && !promise.title_zh.is_empty(), "{promise:?}");
        }
        assert_eq!(one(&facts, PromiseName::Recall).source, "can_recall: page 96338");
    }
}
