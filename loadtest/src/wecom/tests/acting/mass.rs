//! Mass sends over the wire: made, dispatched, confirmed by some, reminded, cancelled, capped.

use super::*;
use crate::wecom::machines::Cap;

const ADD: &str = "externalcontact/add_msg_template";
const LIST: &str = "externalcontact/get_groupmsg_list_v2";
const TASK: &str = "externalcontact/get_groupmsg_task";
const RESULT: &str = "externalcontact/get_groupmsg_send_result";
const REMIND: &str = "externalcontact/remind_groupmsg_send";
const CANCEL: &str = "externalcontact/cancel_groupmsg_send";

fn at_once() -> ActingConfig {
    ActingConfig { dispatch_ms: 0, ..ActingConfig::default() }
}

fn to_groups(chats: &[String], owner: usize) -> Value {
    json!({"chat_type": "group", "chat_id_list": chats, "sender": userid(owner), "text": {"content": "早"}})
}

fn arrived(sim: &Simulator, chat_id: &str) -> u32 {
    sim.with(|world| world.ledger.times_reached("mass", chat_id, "早"))
}

async fn confirm(sim: &Simulator, made: &Value, owner: usize) {
    control(sim, "confirm", Some(json!({"msgid": made["msgid"], "userid": userid(owner)}))).await;
}

async fn statuses(sim: &Simulator, made: &Value, owner: usize) -> Vec<u64> {
    let results = post(sim, RESULT, json!({"msgid": made["msgid"], "userid": userid(owner)})).await;
    let list = results["send_list"].as_array().unwrap_or_else(|| panic!("{results}"));
    list.iter().map(|line| line["status"].as_u64().expect("a status")).collect()
}

#[tokio::test]
async fn a_task_is_dispatched_then_confirmed_then_sent_once() {
    let sim = two_apps(ActingConfig::default()).await;
    temper(&sim, 0, "prompt").await;
    let own = [chat(&sim, 0), chat(&sim, 3)];
    let foreign = chat(&sim, 1);
    // Somebody else's group, one that never was, and one named twice.
    let chats = [&own[..], &[foreign.clone(), "wrNone".to_owned(), own[0].clone()]].concat();
    let made = post(&sim, ADD, to_groups(&chats, 0)).await;
    assert_eq!(made["fail_list"], json!([foreign, "wrNone"]));
    let about = json!({"msgid": made["msgid"], "userid": userid(0)});
    for api in [TASK, RESULT, REMIND, CANCEL] {
        assert_eq!(code(&post(&sim, api, about.clone()).await), 41_063, "{api}");
    }
    advance(&sim, Duration::from_secs(10));
    let tasks = post(&sim, TASK, about.clone()).await;
    assert_eq!(tasks["task_list"], json!([{"userid": userid(0), "status": 0}]));
    assert_eq!(arrived(&sim, &own[0]), 0, "nothing is sent by the call");
    advance(&sim, Duration::from_mins(30));
    let tasks = post(&sim, TASK, about.clone()).await;
    assert_eq!(tasks["task_list"][0]["status"], json!(2));
    assert!(tasks["task_list"][0]["send_time"].as_u64() > Some(START_S + 10));
    assert_eq!(statuses(&sim, &made, 0).await, [1, 1]);
    let results = post(&sim, RESULT, json!({"msgid": made["msgid"], "userid": userid(0), "limit": 1})).await;
    assert_eq!((&results["send_list"][0]["chat_id"], &results["next_cursor"]), (&json!(own[0]), &json!("1")));
    assert_eq!((arrived(&sim, &own[0]), arrived(&sim, &own[1]), arrived(&sim, &foreign)), (1, 1, 0));
    let report = sim.report();
    assert_eq!((report.acting.mass.sent, report.ledger.sends_repeated), (2, 0));
    // Whoever asks for the same again is found out.
    post(&sim, ADD, to_groups(&own, 0)).await;
    assert_eq!(sim.report().acting.mass.asked_twice, 2);
    advance(&sim, Duration::from_mins(31));
    assert_eq!(sim.report().ledger.sends_repeated, 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_task_is_told() {
    let sim = two_apps(ActingConfig::default()).await;
    let own = [chat(&sim, 0)];
    let group = |more: Value| with(json!({"chat_type": "group", "text": {"content": "a"}}), more);
    let single = |more: Value| with(json!({"text": {"content": "a"}}), more);
    for (body, expected) in [
        (group(json!({"chat_id_list": own})), 40_063),
        (group(json!({"chat_id_list": own, "sender": "nobody"})), 40_003),
        (group(json!({"chat_id_list": own, "sender": userid(0), "text": null})), 44_004),
        (group(json!({"chat_id_list": vec!["wr"; 2_001], "sender": userid(0)})), 40_058),
        (group(json!({"chat_id_list": [chat(&sim, 1)], "sender": userid(0)})), 41_048),
        (group(json!({"chat_type": "pair"})), 40_058),
        (single(json!({})), 40_063),
        (single(json!({"external_userid": vec!["wm"; 10_001]})), 40_032),
        (single(json!({"external_userid": ["wmNobody"]})), 41_048),
        (
            single(
                json!({"sender": userid(0), "tag_filter": {"group_list": [{"tag_list": vec!["t"; 101]}]}}),
            ),
            40_058,
        ),
    ] {
        assert_eq!(code(&post(&sim, ADD, body).await), expected);
    }
    let about = json!({"msgid": "msgNone", "userid": userid(0)});
    for api in [TASK, RESULT, REMIND, CANCEL] {
        assert_eq!(code(&post(&sim, api, about.clone()).await), 40_058, "{api}");
    }
}

#[tokio::test]
async fn a_sender_without_groups_named_picks_all_of_theirs() {
    let sim = two_apps(at_once()).await;
    let made = post(&sim, ADD, to_groups(&[], 0)).await;
    assert_eq!(statuses(&sim, &made, 0).await, [0, 0]);
    confirm(&sim, &made, 0).await;
    assert_eq!((arrived(&sim, &chat(&sim, 0)), arrived(&sim, &chat(&sim, 3))), (1, 1));
}

#[tokio::test]
async fn customers_get_it_from_the_member_whose_contact_they_are() {
    let sim = two_apps(at_once()).await;
    let people = strangers(&sim, 3);
    for (owner, customer) in [(0, &people[0]), (1, &people[1])] {
        let act = Act::AddContact {
            userid: userid(owner),
            external_userid: Some(customer.clone()),
            state: String::new(),
            half: false,
            without_code: true,
        };
        sim.with(|world| world.act(act)).expect("a contact");
    }
    let made = post(&sim, ADD, json!({"external_userid": people, "text": {"content": "早"}})).await;
    assert_eq!(made["fail_list"], json!([people[2]]));
    let act = Act::DeleteFollow { userid: userid(0), external_userid: people[0].clone() };
    sim.with(|world| world.act(act)).expect("gone");
    confirm(&sim, &made, 0).await;
    confirm(&sim, &made, 1).await;
    assert_eq!(statuses(&sim, &made, 0).await, [2], "not a friend any more");
    assert_eq!(statuses(&sim, &made, 1).await, [1]);
    assert_eq!((arrived(&sim, &people[0]), arrived(&sim, &people[1])), (0, 1));
    assert_eq!(sim.report().acting.mass.not_friends, 1);
    let foreign = json!({"external_userid": [people[1]], "sender": userid(2), "text": {"content": "早"}});
    assert_eq!(code(&post(&sim, ADD, foreign).await), 41_048, "another member's customer");
}

#[tokio::test]
async fn tags_are_or_inside_a_group_and_and_between_groups() {
    let sim = two_apps(at_once()).await;
    let tagged = strangers(&sim, 3);
    sim.with(|world| {
        let staff = world.people.staff_of(&userid(0)).expect("an owner");
        for (id, tags) in tagged.iter().zip([&["etA"][..], &["etB", "etC"], &["etA", "etC"]]) {
            let customer = world.people.customer_of(id).expect("a customer");
            world.people.follow(staff, customer, START_S, "");
            world.people.tag(staff, customer, tags.iter().map(|tag| (*tag).to_owned()).collect());
        }
    });
    let groups = json!({"group_list": [{"tag_list": ["etA", "etB"]}, {"tag_list": ["etC"]}]});
    let body = json!({"sender": userid(0), "tag_filter": groups, "text": {"content": "早"}});
    let made = post(&sim, ADD, body).await;
    confirm(&sim, &made, 0).await;
    assert_eq!(tagged.iter().map(|id| arrived(&sim, id)).collect::<Vec<_>>(), [0, 1, 1]);
}

#[tokio::test]
async fn a_group_at_its_cap_is_refused_at_once_or_when_it_is_sent() {
    let sim = two_apps(ActingConfig { cap: Cap::OnePerDay, ..at_once() }).await;
    let own = [chat(&sim, 0), chat(&sim, 3)];
    let first = post(&sim, ADD, to_groups(&own[..1], 0)).await;
    let second = post(&sim, ADD, to_groups(&own, 0)).await;
    assert_eq!(second["fail_list"], json!([]), "nothing was received yet");
    confirm(&sim, &first, 0).await;
    confirm(&sim, &second, 0).await;
    assert_eq!(statuses(&sim, &second, 0).await, [3, 1]);
    assert_eq!(arrived(&sim, &own[0]), 1);
    let third = post(&sim, ADD, to_groups(&own, 0)).await;
    assert_eq!((code(&third), sim.report().acting.mass.failed_at_once), (41_048, 2));
    // It is 08:00; the next day begins in 16 hours.
    advance(&sim, Duration::from_hours(16));
    assert_eq!(post(&sim, ADD, to_groups(&own, 0)).await["fail_list"], json!([]));
}

fn ids(answer: &Value) -> Vec<String> {
    let list = answer["group_msg_list"].as_array().unwrap_or_else(|| panic!("{answer}"));
    list.iter().map(|line| text(&line["msgid"])).collect()
}

#[tokio::test]
async fn the_list_is_by_kind_time_and_creator_and_has_pages() {
    let sim = two_apps(ActingConfig { list_lag_ms: 5_000, ..ActingConfig::default() }).await;
    let mut made = Vec::new();
    for (group, owner) in [(0, 0), (3, 0), (1, 1)] {
        made.push(text(&post(&sim, ADD, to_groups(&[chat(&sim, group)], owner)).await["msgid"]));
    }
    let body = |more: Value| {
        with(json!({"chat_type": "group", "start_time": START_S, "end_time": START_S + 60}), more)
    };
    assert!(ids(&post(&sim, LIST, body(json!({}))).await).is_empty(), "the list lags");
    advance(&sim, Duration::from_secs(5));
    let all = post(&sim, LIST, body(json!({}))).await;
    assert_eq!(ids(&all), made);
    let line = &all["group_msg_list"][0];
    assert_eq!((&line["creator"], &line["create_time"]), (&json!(userid(0)), &json!(START_S)));
    assert_eq!((&line["create_type"], &line["text"]["content"]), (&json!(0), &json!("早")));
    assert_eq!(ids(&post(&sim, LIST, body(json!({"creator": userid(1)}))).await), made[2..]);
    let first = post(&sim, LIST, body(json!({"limit": 2}))).await;
    assert_eq!(ids(&first), made[..2]);
    let rest = post(&sim, LIST, body(json!({"limit": 2, "cursor": first["next_cursor"]}))).await;
    assert_eq!((ids(&rest), &rest["next_cursor"]), (made[2..].to_vec(), &Value::Null));
    let earlier = json!({"start_time": START_S - 9, "end_time": START_S - 1});
    for other in [json!({"filter_type": 1}), json!({"chat_type": "single"}), earlier] {
        assert!(ids(&post(&sim, LIST, body(other.clone())).await).is_empty(), "{other}");
    }
    for (wrong, expected) in [
        (json!({"limit": 101}), 40_058),
        (json!({"cursor": "x"}), 50_100),
        (json!({"filter_type": 3}), 40_058),
        (json!({"end_time": START_S + 31 * 86_400 + 1}), 40_058),
        (json!({"end_time": START_S - 1}), 40_058),
    ] {
        assert_eq!(code(&post(&sim, LIST, body(wrong.clone())).await), expected, "{wrong}");
    }
    sim.with(|world| world.config.acting.shows_creator = false);
    let hidden = post(&sim, LIST, body(json!({}))).await;
    assert_eq!((ids(&hidden).len(), &hidden["group_msg_list"][0]["creator"]), (3, &Value::Null));
}

#[tokio::test]
async fn reminders_wake_some_and_are_three_a_day() {
    let mut acting = at_once();
    acting.owners.reminded = 1.0;
    let sim = two_apps(acting).await;
    temper(&sim, 0, "never").await;
    let own = [chat(&sim, 0)];
    let made = post(&sim, ADD, to_groups(&own, 0)).await;
    let about = json!({"msgid": made["msgid"]});
    advance(&sim, Duration::from_hours(48));
    assert_eq!(arrived(&sim, &own[0]), 0);
    assert_eq!(code(&post(&sim, REMIND, about.clone()).await), 0);
    advance(&sim, Duration::from_mins(31));
    assert_eq!(arrived(&sim, &own[0]), 1);
    for expected in [0, 0, 41_094] {
        assert_eq!(code(&post(&sim, REMIND, about.clone()).await), expected);
    }
    advance(&sim, Duration::from_hours(24));
    assert_eq!(code(&post(&sim, REMIND, about).await), 0);
    assert_eq!(arrived(&sim, &own[0]), 1, "a reminder sends nothing twice");
}

#[tokio::test]
async fn a_cancelled_task_stops_and_says_so() {
    let sim = two_apps(at_once()).await;
    temper(&sim, 0, "prompt").await;
    let own = [chat(&sim, 0)];
    let made = post(&sim, ADD, to_groups(&own, 0)).await;
    let about = json!({"msgid": made["msgid"], "userid": userid(0)});
    assert_eq!(code(&post(&sim, CANCEL, about.clone()).await), 0);
    advance(&sim, Duration::from_hours(1));
    assert_eq!(arrived(&sim, &own[0]), 0);
    for api in [TASK, RESULT, REMIND, CANCEL] {
        assert_eq!(code(&post(&sim, api, about.clone()).await), 41_093, "{api}");
    }
    sim.with(|world| world.config.acting.refuses_cancelled = false);
    for (api, expected) in [(TASK, 0), (RESULT, 0), (REMIND, 41_093), (CANCEL, 41_093)] {
        assert_eq!(code(&post(&sim, api, about.clone()).await), expected, "{api}");
    }
}

#[tokio::test]
async fn who_has_left_confirms_nothing_and_whose_group_it_was_gets_nothing() {
    let sim = two_apps(at_once()).await;
    let own = [chat(&sim, 0), chat(&sim, 3)];
    let made = post(&sim, ADD, to_groups(&own, 0)).await;
    let act = Act::ChangeOwner { chat_id: own[0].clone(), owner: userid(1) };
    sim.with(|world| world.act(act)).expect("another owner");
    confirm(&sim, &made, 0).await;
    let msgid = text(&made["msgid"]);
    assert!(!sim.with(|world| world.confirm_mass_send(&msgid, &userid(0))), "once");
    assert_eq!((arrived(&sim, &own[0]), arrived(&sim, &own[1])), (0, 1));
    assert_eq!(statuses(&sim, &made, 0).await, [2, 1]);
    let again = text(&post(&sim, ADD, to_groups(&own[1..], 0)).await["msgid"]);
    sim.with(|world| world.act(Act::OwnerLeaves { userid: userid(0) })).expect("gone");
    assert!(!sim.with(|world| world.confirm_mass_send(&again, &userid(0))));
    let shown = control(&sim, "mass?after=1", None).await;
    assert_eq!(shown[0]["senders"][0]["by_status"], json!([1, 0, 0, 0]));
}

#[tokio::test]
async fn a_whole_fleet_is_asked_and_every_group_reads_it_at_most_once() {
    let population = Population { owners: 4_000, groups: 24_000, members: 24_000, contacts: 0 };
    let sim = start(SimConfig { population, ..SimConfig::default() }).await;
    let route = apis::find(ADD).expect("an API");
    sim.with(|world| {
        let caller = Caller { app: Some(0), ip: [127, 0, 0, 1].into(), now_ms: world.now_ms(), call: 0 };
        let chats: Vec<String> = world.groups.all().map(|(number, _)| world.groups.chat_id(number)).collect();
        for owner in 0..4_000 {
            let own: Vec<String> = chats.iter().skip(owner).step_by(4_000).cloned().collect();
            let request = Request {
                method: hyper::Method::POST,
                path: ADD.to_owned(),
                query: std::collections::BTreeMap::new(),
                content_type: String::new(),
                body: to_groups(&own, owner).to_string().into(),
            };
            (route.handler)(world, &caller, &request).expect("a task");
        }
    });
    advance(&sim, Duration::from_hours(48));
    let report = sim.report();
    let mass = report.acting.mass;
    assert_eq!((mass.tasks, mass.targets, mass.asked_twice), (4_000, 24_000, 0));
    // Nine of ten owners confirm, each for six groups.
    assert!((3_500..3_700).contains(&mass.confirmed), "{mass:?}");
    assert_eq!((mass.sent, mass.capped, mass.not_friends), (mass.confirmed * 6, 0, 0));
    let way = report.ledger.sends_by_way["mass"];
    assert_eq!((way.sends, way.repeated, way.unchecked), (mass.sent, 0, 0));
    let reached = sim.with(|world| {
        let chats = world.groups.all().map(|(number, _)| world.groups.chat_id(number));
        chats.filter(|chat_id| world.ledger.times_reached("mass", chat_id, "早") == 1).count()
    });
    assert_eq!(reached as u64, mass.sent);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_has_made_its_task() {
    let sim = two_apps(ActingConfig::default()).await;
    let own = [chat(&sim, 0)];
    let token = token_of(&sim, 0).await;
    sim.set_faults(vec!["add_msg_template:reset@first:1".parse().expect("a fault")]);
    let path = format!("/cgi-bin/{ADD}?access_token={token}");
    let call = Call::post(path, "application/json", to_groups(&own, 0).to_string());
    assert!(connection(&sim).try_once(&call).await.is_err(), "no answer");
    let asked =
        json!({"chat_type": "group", "start_time": START_S, "end_time": START_S, "creator": userid(0)});
    let list = post(&sim, LIST, asked).await;
    assert_eq!((ids(&list).len(), &list["group_msg_list"][0]["text"]["content"]), (1, &json!("早")));
}
