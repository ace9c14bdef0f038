//! What apps do: send, ask, hand over, keep rules. One file a family; what all of them use is here.

mod appchats;
mod intercept;
mod life;
mod mass;
mod messages;
mod robots;
mod welcomes;

use super::*;

/// Two apps, three owners with two groups each, ten customers in every one, three contacts.
async fn two_apps(acting: ActingConfig) -> Simulator {
    let other = AppConfig {
        name: "other".to_owned(),
        agentid: 1_000_003,
        secret: "another-secret".to_owned(),
        ..AppConfig::default()
    };
    start(SimConfig {
        apps: vec![AppConfig::default(), other],
        population: Population { owners: 3, groups: 6, members: 60, contacts: 3 },
        acting,
        ..SimConfig::default()
    })
    .await
}

async fn post_as(sim: &Simulator, app: usize, api: &str, body: Value) -> Value {
    let token = token_of(sim, app).await;
    let path = format!("/cgi-bin/{api}?access_token={token}");
    send(sim, Call::post(path, "application/json", body.to_string())).await
}

fn advance(sim: &Simulator, by: Duration) {
    sim.with(|world| {
        world.clock.advance(by);
        world.tick();
    });
}

/// Customers nobody has met.
fn strangers(sim: &Simulator, count: usize) -> Vec<String> {
    sim.with(|world| {
        (0..count)
            .map(|_| world.act(Act::NewCustomer { name: None }).expect("born").members[0].clone())
            .collect()
    })
}

fn userid(number: usize) -> String {
    format!("owner{number:05}")
}

fn form(kind: &str, bytes: &[u8]) -> Call {
    let mut body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.bin\"; filelength={}\r\n\r\n",
        bytes.len()
    )
    .into_bytes();
    body.extend(bytes);
    body.extend(b"\r\n--b--\r\n");
    Call::post(kind.to_owned(), "multipart/form-data; boundary=b", body)
}

/// One object with the fields of another put over its own.
fn with(mut base: Value, more: Value) -> Value {
    let (Some(fields), Value::Object(more)) = (base.as_object_mut(), more) else { panic!("no objects") };
    fields.extend(more);
    base
}

async fn temper(sim: &Simulator, owner: usize, temper: &str) {
    control(sim, "temper", Some(json!({"userid": userid(owner), "temper": temper}))).await;
}

#[tokio::test]
async fn what_people_cannot_do_is_refused_with_the_reason() {
    let sim = two_apps(ActingConfig::default()).await;
    for (path, body, reason) in [
        ("acting", json!({"cup": 1}), "unknown field `cup`"),
        ("temper", json!({"userid": "nobody", "temper": "late"}), "no such member"),
        ("temper", json!({"userid": userid(0), "temper": "angry"}), "unknown variant `angry`"),
        ("confirm", json!({"msgid": "msgNone", "userid": userid(0)}), "nothing waits"),
        ("template", json!({"chat_id": "wrNone"}), "no such group"),
        ("say", json!({"userid": "nobody"}), "no such member"),
        ("robot", json!({"key": "k"}), "missing field `group`"),
        ("occupy", json!({"welcome_code": "x", "for_ms": 1, "succeeds": true}), "no such welcome code"),
        ("join_way", json!({"config_id": "x", "members": ["y"]}), "`x` is not a known value"),
    ] {
        let call = Call::post(format!("/_sim/{path}"), "application/json", body.to_string());
        let reply = connection(&sim).try_once(&call).await.expect("an answer");
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status, 400, "{path}: {text}");
        assert!(text.contains(reason), "{path}: {text}");
    }
    let acting = control(&sim, "acting", Some(json!({"cap": "one_per_day", "owners": {"late": 0.5}}))).await;
    assert_eq!((&acting["cap"], &acting["sent_status"]), (&json!("one_per_day"), &json!(2)));
    assert_eq!(control(&sim, "acting", None).await, acting);
}
