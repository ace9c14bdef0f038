//! Welcomes to new customers, and what newcomers of groups really saw.

use super::*;

const SEND: &str = "externalcontact/send_welcome_msg";
const TEMPLATE: &str = "externalcontact/group_welcome_template";

fn new_contact(sim: &Simulator) -> (String, String) {
    let act = Act::AddContact {
        userid: userid(0),
        external_userid: Some(strangers(sim, 1).remove(0)),
        state: String::new(),
        half: false,
        without_code: false,
    };
    let deed = sim.with(|world| world.act(act)).expect("a contact");
    (deed.welcome_code.expect("a code"), deed.members[0].clone())
}

fn welcome(code: &str) -> Value {
    json!({"welcome_code": code, "text": {"content": "您好"}})
}

#[tokio::test]
async fn a_welcome_arrives_once_and_within_twenty_seconds() {
    let sim = two_apps(ActingConfig::default()).await;
    let (welcome_code, customer) = new_contact(&sim);
    advance(&sim, Duration::from_millis(19_999));
    assert_eq!(code(&post(&sim, SEND, json!({"welcome_code": welcome_code})).await), 44_004);
    assert_eq!(code(&post(&sim, SEND, welcome(&welcome_code)).await), 0, "what was refused used nothing up");
    assert_eq!(code(&post_as(&sim, 1, SEND, welcome(&welcome_code)).await), 41_051);
    assert_eq!(sim.with(|world| world.ledger.times_reached("welcome", &customer, "您好")), 1);
    assert_eq!(sim.report().acting.slowest_welcome_ms, 19_999);
    let (late, customer) = new_contact(&sim);
    advance(&sim, Duration::from_secs(20));
    assert_eq!(code(&post(&sim, SEND, welcome(&late)).await), 41_050);
    assert_eq!(sim.with(|world| world.ledger.times_reached("welcome", &customer, "您好")), 0);
    assert_eq!(code(&post(&sim, SEND, welcome("made up")).await), 41_050);
}

#[tokio::test]
async fn another_app_in_the_way_is_told_apart_from_one_that_has_sent() {
    let sim = two_apps(ActingConfig::default()).await;
    let (welcome_code, _) = new_contact(&sim);
    let occupied = json!({"welcome_code": welcome_code, "for_ms": 2_000, "succeeds": false});
    control(&sim, "occupy", Some(occupied)).await;
    assert_eq!(code(&post(&sim, SEND, welcome(&welcome_code)).await), 41_096);
    advance(&sim, Duration::from_secs(2));
    assert_eq!(code(&post(&sim, SEND, welcome(&welcome_code)).await), 0);
    let (started, customer) = new_contact(&sim);
    let chat = Act::StartChat { userid: userid(0), external_userid: customer };
    sim.with(|world| world.act(chat)).expect("a chat");
    assert_eq!(code(&post(&sim, SEND, welcome(&started)).await), 41_051);
}

#[tokio::test]
async fn templates_belong_to_the_app_that_made_them() {
    let sim = two_apps(ActingConfig::default()).await;
    let body =
        json!({"text": {"content": "hi %NICKNAME%"}, "link": {"title": "t", "url": "u"}, "agentid": 1});
    let made = post(&sim, &format!("{TEMPLATE}/add"), body).await;
    let id = text(&made["template_id"]);
    assert!(id.starts_with("msg"), "{id}");
    let named = json!({"template_id": id});
    let shown = post_as(&sim, 1, &format!("{TEMPLATE}/get"), named.clone()).await;
    assert_eq!((&shown["text"]["content"], &shown["link"]["title"]), (&json!("hi %NICKNAME%"), &json!("t")));
    assert_eq!(shown["agentid"], Value::Null);
    let edit = json!({"template_id": id, "text": {"content": "hello"}});
    assert_eq!(code(&post_as(&sim, 1, &format!("{TEMPLATE}/edit"), edit.clone()).await), 41_058);
    assert_eq!(code(&post_as(&sim, 1, &format!("{TEMPLATE}/del"), named.clone()).await), 41_058);
    assert_eq!(code(&post(&sim, &format!("{TEMPLATE}/edit"), edit).await), 0);
    let shown = post(&sim, &format!("{TEMPLATE}/get"), named.clone()).await;
    assert_eq!((&shown["text"]["content"], &shown["link"]), (&json!("hello"), &Value::Null), "replaced");
    assert_eq!(code(&post(&sim, &format!("{TEMPLATE}/del"), named.clone()).await), 0);
    assert_eq!(code(&post(&sim, &format!("{TEMPLATE}/get"), named).await), 40_058);
}

fn join(sim: &Simulator, chat_id: &str, member: &str) {
    let act = Act::Join {
        chat_id: chat_id.to_owned(),
        members: vec![member.to_owned()],
        newcomers: 0,
        scene: 3,
        inviter: None,
        state: String::new(),
    };
    sim.with(|world| world.act(act)).expect("joined");
}

#[tokio::test]
async fn newcomers_see_a_template_only_where_the_owner_applied_it() {
    let sim = two_apps(ActingConfig::default()).await;
    temper(&sim, 0, "prompt").await;
    temper(&sim, 1, "never").await;
    let body = json!({"text": {"content": "hi %NICKNAME%"}, "link": {"title": "t", "url": "u"}});
    let made = post(&sim, &format!("{TEMPLATE}/add"), body).await;
    // Groups go to owners in turn: group 0 is the first's, group 1 the second's.
    let (groups, newcomers) = ([chat(&sim, 0), chat(&sim, 1)], strangers(&sim, 2));
    join(&sim, &groups[0], &newcomers[0]);
    advance(&sim, Duration::from_mins(31));
    join(&sim, &groups[0], &newcomers[1]);
    join(&sim, &groups[1], &newcomers[1]);
    let seen = control(&sim, &format!("greetings?chat_id={}", groups[0]), None).await;
    assert_eq!((&seen[0]["template_id"], &seen[0]["messages"]), (&Value::Null, &json!(0)), "too early");
    assert_eq!((&seen[1]["template_id"], &seen[1]["messages"]), (&made["template_id"], &json!(2)));
    let name = sim.with(|world| {
        let customer = world.people.customer_of(&newcomers[1]).expect("known");
        world.people.customer_name(customer)
    });
    let (target, hi) = (format!("{}/{}", groups[0], newcomers[1]), format!("hi {name}"));
    assert_eq!(sim.with(|world| world.ledger.times_reached("group_welcome", &target, &hi)), 1);
    let report = sim.report().acting;
    assert_eq!((report.newcomers_greeted, report.newcomers_not_greeted), (1, 2));
    let pick = json!({"chat_id": groups[1], "template_id": made["template_id"]});
    control(&sim, "template", Some(pick)).await;
    join(&sim, &groups[1], &newcomers[0]);
    assert_eq!(sim.report().acting.newcomers_greeted, 2);
}
