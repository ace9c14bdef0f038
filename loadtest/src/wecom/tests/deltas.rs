//! Whoever applies the changes in the order of their versions has the true roster.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

/// What a careful reader of events knows of a group.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Known {
    version: String,
    members: BTreeSet<String>,
}

fn truth(world: &World) -> HashMap<String, Known> {
    let known = |(number, group): (GroupNo, &Group)| {
        let members = group.now.members.iter().map(|member| world.people.id_of(member.person())).collect();
        let version = world.groups.version(number, group.now.change);
        (world.groups.chat_id(number), Known { version, members })
    };
    world.groups.all().filter(|(_, group)| !group.now.is_dismissed).map(known).collect()
}

/// Applies one event; a new group is read, as its event lists nobody.
fn apply(known: &mut HashMap<String, Known>, document: &str, created: &HashMap<String, Known>) {
    let node = |name: &str| xml_text(document, name).unwrap_or_default();
    let chat_id = node("ChatId");
    match node("ChangeType").as_str() {
        "create" => {
            known.insert(chat_id.clone(), created[&chat_id].clone());
        }
        "dismiss" => {
            known.remove(&chat_id).expect("known before it is dismissed");
        }
        _ => {
            let listed = node("MemChangeList");
            let members: Vec<String> =
                listed.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
            assert_eq!(node("MemChangeCnt"), members.len().to_string());
            let group = known.get_mut(&chat_id).expect("a known group");
            match node("UpdateDetail").as_str() {
                "add_member" => assert!(members.into_iter().all(|id| group.members.insert(id)), "new to it"),
                "del_member" => assert!(members.iter().all(|id| group.members.remove(id)), "was in it"),
                _ => return,
            }
            assert_eq!(group.version, node("LastMemVer"), "the chain of versions");
            group.version = node("CurMemVer");
        }
    }
}

fn world() -> World {
    let config = SimConfig {
        clock: Clock::manual(START_S),
        population: Population { owners: 3, groups: 4, members: 40, contacts: 0 },
        callbacks: CallbackConfig { member_list: MemberList::Joined, ..CallbackConfig::default() },
        ..SimConfig::default()
    };
    let mut world = World::new(config).expect("a key");
    world.apps[0].config.callback_url = Some("http://nowhere".to_owned());
    world
}

/// One of the things people do, made from two numbers; some turn out impossible.
fn act(world: &World, (what, which): (u8, u32)) -> Act {
    let count = u32::try_from(world.groups.count()).expect("few");
    let group = GroupNo(which % count);
    let chat_id = world.groups.chat_id(group);
    let members = &world.groups.group(group).now.members;
    let picked: Vec<String> =
        members.iter().skip(1).step_by(3).take(2).map(|member| world.people.id_of(member.person())).collect();
    let owner = format!("owner{:05}", which % 3);
    match what {
        0..4 => {
            let scene = u8::try_from(which % 3).expect("small") + 1;
            let newcomers = usize::try_from(which % 3).expect("small");
            Act::Join { chat_id, members: vec![owner], newcomers, scene, inviter: None, state: String::new() }
        }
        4..7 => Act::Leave { chat_id, members: picked, removed: which % 2 == 0 },
        7 => Act::ChangeOwner { chat_id, owner },
        8 => Act::ChangeName { chat_id, name: which.to_string() },
        9 => Act::CreateGroup { owner, name: String::new(), members: picked, newcomers: 2 },
        _ => Act::Dismiss { chat_id },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changes_applied_in_order_give_the_true_roster(deeds in prop::collection::vec((0_u8..11, 0_u32..1_000), 0..60)) {
        let mut world = world();
        let mut known = truth(&world);
        for deed in deeds {
            let act = act(&world, deed);
            let before = world.queue.waiting.len();
            let possible = world.act(act).is_ok();
            let created = truth(&world);
            let documents: Vec<String> =
                world.queue.waiting.iter().skip(before).map(|pending| pending.event.document.clone()).collect();
            prop_assert!(possible || documents.is_empty());
            for document in documents {
                apply(&mut known, &document, &created);
            }
            prop_assert_eq!(&known, &created);
        }
    }
}
