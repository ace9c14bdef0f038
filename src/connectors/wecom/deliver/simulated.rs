//! The acting side against the simulated WeCom: what it keeps count of is what must have happened, once.

use std::time::Duration;

use bytes::Bytes;
use loadtest::wecom::{
    Act, ActingConfig, AppConfig, Fault, GroupNo, Population, SimConfig, Simulator, machines,
};
use serde_json::json;

use super::tests::{delivery, refused};
use super::*;
use crate::connectors::offers::{
    GroupLife, InterceptRule, JoinWay, MassSends, OwnGroups, StaffInterception, TargetResult,
    WelcomeTemplate, WelcomeTemplates,
};
use crate::connectors::testing::MemoryState;
use crate::connectors::wecom::testing::{Platform, Reply};
use crate::connectors::{AccountSpec, Config, Secret};
use crate::event::AccountId;
use crate::outbox::delivery::{Article, Content, Decision, FileKind, Miniprogram, RefusalScope};

const ROBOT_KEY: &str = "693a91f6-7a0b-4bc4-97a0-0ec21f5a5aaa";

async fn simulator() -> Simulator {
    let robots = vec![serde_json::from_value(json!({"key": ROBOT_KEY, "group": "staff room"})).unwrap()];
    let acting = ActingConfig { dispatch_ms: 0, robots, ..ActingConfig::default() };
    let population = Population { owners: 3, groups: 6, members: 60, contacts: 3 };
    Simulator::start(SimConfig { population, acting, ..SimConfig::default() }).await.unwrap()
}

fn connect(sim: &Simulator, state: &MemoryState, clock: &Clock) -> Wecom {
    let app = AppConfig::default();
    let spec = AccountSpec {
        id: AccountId::parse("shops").unwrap(),
        platform: Wecom::PLATFORM.to_owned(),
        settings: json!({"corp_id": "ww1f2e3d4c5b6a7988", "agent_id": app.agentid, "api_url": sim.url()}),
        secrets: vec![Secret::new("app_secret", app.secret), Secret::new("robot:watch", ROBOT_KEY)],
        limits: Vec::new(),
        group_limits: Vec::new(),
    };
    let config = Config { allow_private: vec!["127.0.0.0/8".parse().unwrap()], ..Config::default() };
    Wecom::build(&spec, &config, clock, Arc::new(state.clone())).unwrap()
}

fn alone(sim: &Simulator) -> Wecom {
    connect(sim, &MemoryState::default(), &Clock::system())
}

fn chat(sim: &Simulator, number: u32) -> String {
    sim.with(|world| world.groups.chat_id(GroupNo(number)))
}

fn break_once(sim: &Simulator, faults: &[&str]) {
    sim.set_faults(faults.iter().map(|fault| fault.parse::<Fault>().unwrap()).collect());
}

fn reached(sim: &Simulator, via: &str, target: &str, words: &str) -> u32 {
    sim.with(|world| world.ledger.times_reached(via, target, words))
}

fn say(id: &str, group: &str, member: Option<&str>, words: &str) -> Delivery {
    let payload = Payload::text(words.to_owned());
    Delivery { member: member.map(str::to_owned), ..delivery(id, group, payload) }
}

fn mass_send(id: &str, groups: &[String]) -> Delivery {
    let targets = (0..).zip(groups.iter().cloned()).collect();
    let (sender, text) = ("owner00000".to_owned(), "新品到店".to_owned());
    delivery(id, "", Payload::MassSend { sender, targets, text, attachments: Vec::new() })
}

#[tokio::test]
async fn a_mass_send_whose_answer_is_lost_is_found_confirmed_and_arrives_once() {
    let sim = simulator().await;
    let (state, clock) = (MemoryState::default(), Clock::system());
    let own = [chat(&sim, 0), chat(&sim, 3)];
    let send = mass_send("d-1", &own);
    break_once(&sim, &["add_msg_template:reset@first:1"]);
    let outcome = connect(&sim, &state, &clock).deliver(&send, 1).await;
    assert!(matches!(outcome, Outcome::Uncertain { .. }), "{outcome:?}");

    let wecom = connect(&sim, &state, &clock);
    let resolution = wecom.resolve(&send).await;
    let Resolution::Awaiting { platform_id: task } = resolution else { panic!("{resolution:?}") };
    assert_eq!(wecom.deliver(&send, 2).await, Outcome::AwaitingConfirmation { platform_id: task.clone() });
    assert_eq!(wecom.acts.progress(&task, "owner00000").await.unwrap().confirmed_ms, None);
    assert!(sim.with(|world| world.confirm_mass_send(&task, "owner00000")));
    let progress = wecom.acts.progress(&task, "owner00000").await.unwrap();
    assert!(progress.confirmed_ms.is_some());
    assert!(progress.targets.iter().all(|(_, result)| *result == TargetResult::Sent), "{progress:?}");
    for group in &own {
        assert_eq!(reached(&sim, "mass", group, "新品到店"), 1);
    }
    assert_eq!(sim.report().acting.mass.asked_twice, 0);
}

#[tokio::test]
async fn a_link_arrives_with_the_text_of_its_task_and_is_found_again_by_it() {
    let sim = simulator().await;
    let wecom = alone(&sim);
    let own = [chat(&sim, 0), chat(&sim, 3)];
    let link = |title: &str| {
        let url = "https://shop.example/vip".to_owned();
        Content::Link { link: Article { title: title.to_owned(), url, ..Article::default() } }
    };
    let with = |id: &str, title: &str| {
        let mut send = mass_send(id, &own);
        if let Payload::MassSend { attachments, .. } = &mut send.payload {
            attachments.push(link(title));
        }
        send
    };
    let other = wecom.deliver(&with("d-1", "周末"), 1).await;
    let Outcome::AwaitingConfirmation { platform_id: other } = other else { panic!("{other:?}") };
    let send = with("d-2", "会员日");
    break_once(&sim, &["add_msg_template:reset@first:1"]);
    assert!(matches!(wecom.deliver(&send, 1).await, Outcome::Uncertain { .. }));
    let resolution = wecom.resolve(&send).await;
    let Resolution::Awaiting { platform_id: task } = resolution else { panic!("{resolution:?}") };
    assert_ne!(task, other, "the same text to the same groups, with another link");
    assert!(sim.with(|world| world.confirm_mass_send(&task, "owner00000")));
    let attached = json!({"msgtype": "link", "link": {"title": "会员日", "url": "https://shop.example/vip"}});
    let said = machines::ledger_text("新品到店", &[attached]);
    for group in &own {
        assert_eq!(reached(&sim, "mass", group, &said), 1);
    }
}

#[tokio::test]
async fn a_picture_and_a_card_arrive_with_the_ids_of_what_lies_at_their_addresses() {
    let sim = simulator().await;
    let wecom = alone(&sim);
    let shop = Platform::start(|_| Reply::Raw(200, Bytes::from_static(b"\x89PNG\r\n\x1a\nrest"))).await;
    let url = format!("http://{}/a.png", shop.address);
    let own = [chat(&sim, 0)];
    let mut send = mass_send("d-1", &own);
    if let Payload::MassSend { attachments, .. } = &mut send.payload {
        let miniprogram = Miniprogram {
            appid: "wx1".to_owned(),
            page: "pages/vip".to_owned(),
            title: "会员日".to_owned(),
            picture_url: url.clone(),
        };
        attachments.push(Content::Reference { of: FileKind::Image, name: "a.png".to_owned(), url });
        attachments.push(Content::Miniprogram { miniprogram });
    }
    let outcome = wecom.deliver(&send, 1).await;
    let Outcome::AwaitingConfirmation { platform_id: task } = outcome else { panic!("{outcome:?}") };
    assert!(sim.with(|world| world.confirm_mass_send(&task, "owner00000")));
    let progress = wecom.acts.progress(&task, "owner00000").await.unwrap();
    assert!(progress.targets.iter().all(|(_, result)| *result == TargetResult::Sent), "{progress:?}");
}

#[tokio::test]
async fn a_mass_send_that_never_arrived_is_not_taken_for_one_that_did() {
    let sim = simulator().await;
    let clock = Clock::manual(i64::try_from(sim.report().now_ms).unwrap());
    let wecom = connect(&sim, &MemoryState::default(), &clock);
    let send = mass_send("d-1", &[chat(&sim, 0)]);
    break_once(&sim, &["add_msg_template:cut@first:1"]);
    assert!(matches!(wecom.deliver(&send, 1).await, Outcome::Uncertain { .. }));
    assert_eq!(wecom.resolve(&send).await, Resolution::Unknown, "it might still be listed");
    clock.advance(Duration::from_mins(1));
    break_once(&sim, &["get_groupmsg_list_v2:cut"]);
    assert_eq!(wecom.resolve(&send).await, Resolution::NotAsked, "nothing is learned from an outage");
    break_once(&sim, &[]);
    assert_eq!(wecom.resolve(&send).await, Resolution::NotSent);
    assert!(matches!(wecom.deliver(&send, 2).await, Outcome::AwaitingConfirmation { .. }));
}

#[tokio::test]
async fn groups_of_another_owner_are_refused_and_a_task_is_cancelled_and_reminded_of() {
    let sim = simulator().await;
    let wecom = alone(&sim);
    let groups = [chat(&sim, 0), chat(&sim, 1)];
    let outcome = wecom.deliver(&mass_send("d-1", &groups), 1).await;
    let Outcome::AwaitingConfirmation { platform_id: task } = outcome else { panic!("{outcome:?}") };
    let progress = wecom.acts.progress(&task, "owner00000").await.unwrap();
    assert_eq!(progress.targets, [(groups[1].clone(), TargetResult::Failed("refused"))]);
    for _ in 0..3 {
        wecom.acts.remind(&task).await.unwrap();
    }
    assert_eq!(wecom.acts.remind(&task).await.unwrap_err().code, "remind_cap");
    wecom.acts.cancel(&task).await.unwrap();
    assert_eq!(wecom.acts.progress(&task, "owner00000").await.unwrap_err().code, "cancelled");
}

#[tokio::test]
async fn a_new_contact_is_greeted_once_though_the_answer_was_lost() {
    let sim = simulator().await;
    let wecom = alone(&sim);
    let (userid, state) = ("owner00000".to_owned(), String::new());
    let act = Act::AddContact { userid, external_userid: None, state, half: false, without_code: false };
    let deed = sim.act(act).unwrap();
    let (customer, code) = (&deed.members[0], deed.welcome_code.clone());
    let link =
        Article { title: "会员卡".into(), url: "https://a.example/card".into(), ..Article::default() };
    let (text, attachments) = ("您好".to_owned(), vec![Content::Link { link }]);
    let payload = Payload::Text { text, welcome_code: code, attachments };
    let greeting = Delivery {
        member: Some(customer.clone()),
        expires_ms: Clock::system().now_ms() + 20_000,
        ..delivery("d-1", "", payload)
    };
    break_once(&sim, &["send_welcome_msg:reset@first:1"]);
    let outcome = wecom.deliver(&greeting, 1).await;
    refused(outcome, Decision::Backoff, RefusalScope::Delivery, "lost");
    assert_eq!(wecom.deliver(&greeting, 2).await, Outcome::Sent { platform_id: None });
    let attached = json!({"msgtype": "link", "link": {"title": "会员卡", "url": "https://a.example/card"}});
    assert_eq!(reached(&sim, "welcome", customer, &machines::ledger_text("您好", &[attached])), 1);
    let late = Delivery { id: crate::event::DeliveryId::parse("d-2").unwrap(), ..greeting };
    refused(wecom.deliver(&late, 1).await, Decision::Never, RefusalScope::Delivery, "welcome_already_sent");
}

#[tokio::test]
async fn staff_robots_and_own_groups_are_reached_once() {
    let sim = simulator().await;
    let wecom = alone(&sim);
    let told = say("d-1", "", Some("owner00001"), "请确认群发");
    break_once(&sim, &["message/send:reset@first:1"]);
    assert!(matches!(wecom.deliver(&told, 1).await, Outcome::Uncertain { .. }));
    assert_eq!(wecom.resolve(&told).await, Resolution::SafeToRepeat);
    assert!(matches!(wecom.deliver(&told, 2).await, Outcome::Sent { .. }));
    assert_eq!(reached(&sim, "app", "owner00001", "请确认群发"), 1);
    assert_eq!(sim.report().acting.duplicates_dropped, 1);
    assert!(matches!(
        wecom.deliver(&say("d-2", "", Some("owner00001"), "请确认群发"), 1).await,
        Outcome::Sent { .. }
    ));
    assert_eq!(reached(&sim, "app", "owner00001", "请确认群发"), 2, "another delivery is no repeat");

    assert_eq!(
        wecom.deliver(&say("d-3", "robot:watch", None, "开门"), 1).await,
        Outcome::Sent { platform_id: None }
    );
    assert_eq!(reached(&sim, "robot", "staff room", "开门"), 1);

    let staff = ["owner00000".to_owned(), "owner00001".to_owned(), "owner00002".to_owned()];
    let chat = wecom.acts.create("值班", Some("owner00000"), &staff, Some("duty")).await.unwrap();
    let said = say("d-4", &format!("appchat:{chat}"), None, "早");
    assert_eq!(wecom.deliver(&said, 1).await, Outcome::Sent { platform_id: None });
    assert_eq!((reached(&sim, "appchat", "duty", "早"), wecom.cost(&said)), (1, 3));
    let payload = Payload::Action { action: ActionKind::Remove, of: None };
    let remove = Delivery { member: Some(staff[2].clone()), ..delivery("d-5", "appchat:duty", payload) };
    assert_eq!(wecom.deliver(&remove, 1).await, Outcome::Sent { platform_id: None });
    assert_eq!(OwnGroups::get(&wecom.acts, "duty").await.unwrap().2, staff[..2]);
}

#[tokio::test]
async fn templates_rules_and_ways_in_are_kept_as_written() {
    let sim = simulator().await;
    let acts = alone(&sim).acts;
    let template = WelcomeTemplate { text: "欢迎 %NICKNAME%".to_owned(), link: None, notify: false };
    let id = WelcomeTemplates::add(&acts, &template).await.unwrap();
    let template = WelcomeTemplate { text: "欢迎光临 %NICKNAME%".to_owned(), ..template };
    acts.edit(&id, &template).await.unwrap();
    assert_eq!(WelcomeTemplates::get(&acts, &id).await, Ok(template));
    WelcomeTemplates::remove(&acts, &id).await.unwrap();
    assert_eq!(sim.report().acting.templates, 0);

    let rule = InterceptRule {
        name: "门神 1".to_owned(),
        words: vec!["刷单".to_owned(), "加微信".to_owned()],
        warn_only: false,
        staff: Vec::new(),
        departments: vec![1],
    };
    let id = StaffInterception::add(&acts, &rule).await.unwrap();
    let to = InterceptRule {
        words: vec!["刷单".to_owned()],
        staff: vec!["owner00000".to_owned()],
        ..rule.clone()
    };
    StaffInterception::update(&acts, &id, &rule, &to).await.unwrap();
    assert_eq!(acts.list().await, Ok(vec![(id.clone(), to)]));
    StaffInterception::remove(&acts, &id).await.unwrap();
    assert_eq!(acts.list().await, Ok(Vec::new()));

    let way = JoinWay {
        remark: "海报".to_owned(),
        groups: vec![chat(&sim, 0)],
        channel: "poster".to_owned(),
        opens_next: true,
        next_name: "会员群".to_owned(),
        next_number: 2,
    };
    let (id, _) = acts.add_join_way(&way).await.unwrap();
    acts.update_join_way(&id, &JoinWay { groups: vec![chat(&sim, 3)], ..way }).await.unwrap();
    acts.remove_join_way(&id).await.unwrap();
    assert!(acts.remove_join_way(&id).await.is_err(), "it is gone");
}

#[tokio::test]
async fn the_groups_of_an_owner_who_left_are_given_to_an_heir() {
    let sim = simulator().await;
    let acts = alone(&sim).acts;
    assert_eq!(acts.orphans().await, Ok(Vec::new()));
    sim.act(Act::OwnerLeaves { userid: "owner00000".to_owned() }).unwrap();
    let orphans = acts.orphans().await.unwrap();
    let owner = Some("owner00000".to_owned());
    assert_eq!(orphans, [(chat(&sim, 0), owner.clone()), (chat(&sim, 3), owner)]);
    let groups: Vec<String> = orphans.into_iter().map(|(group, _)| group).collect();
    assert_eq!(acts.transfer(&groups, "owner00001", true).await, Ok(Vec::new()));
    let foreign = acts.transfer(&[chat(&sim, 2)], "owner00001", true).await.unwrap();
    assert_eq!(foreign.len(), 1, "its owner has not left: {foreign:?}");
}
