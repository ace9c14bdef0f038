//! What is checked before any API runs, and the faults a caller meets.

use super::*;

const SELF: &str = "getcallbackip";

async fn call(sim: &Simulator, token: &str) -> Value {
    bare(sim, &format!("{SELF}?access_token={token}")).await
}

#[tokio::test]
async fn gettoken_says_what_is_missing_or_wrong() {
    let sim = small().await;
    let corpid = sim.with(|world| world.config.corpid.clone());
    for (path, expected) in [
        ("gettoken".to_owned(), 41_002),
        (format!("gettoken?corpid={corpid}"), 41_004),
        ("gettoken?corpid=wwother&corpsecret=x".to_owned(), 40_013),
        (format!("gettoken?corpid={corpid}&corpsecret=x"), 40_001),
    ] {
        let answer = bare(&sim, &path).await;
        assert_eq!(code(&answer), expected, "{answer}");
        let errmsg = text(&answer["errmsg"]);
        assert!(errmsg.contains(", hint: [") && errmsg.contains(", from ip: 127.0.0.1, "), "{errmsg}");
        assert!(errmsg.ends_with(&format!("/devtool/query?e={expected}")), "{errmsg}");
    }
    let first = token_of(&sim, 0).await;
    assert_eq!(first, token_of(&sim, 0).await);
    sim.with(|world| world.apps[0].config.is_enabled = false);
    assert_eq!(code(&call(&sim, &first).await), 50_003);
    let secret = sim.with(|world| world.apps[0].config.secret.clone());
    let refused = bare(&sim, &format!("gettoken?corpid={corpid}&corpsecret={secret}")).await;
    assert_eq!(code(&refused), 40_001);
    assert_eq!(sim.with(|world| world.ledger.count("gettoken", "40001")), 2);
}

#[tokio::test]
async fn tokens_are_asked_for_and_end() {
    let sim = small().await;
    assert_eq!(code(&bare(&sim, SELF).await), 41_001);
    assert_eq!(code(&call(&sim, "made-up").await), 40_014);
    let token = token_of(&sim, 0).await;
    assert_eq!(code(&call(&sim, &token).await), 0);
    sim.with(|world| world.clock.advance(Duration::from_hours(2)));
    assert_eq!(code(&call(&sim, &token).await), 42_001);
    let token = token_of(&sim, 0).await;
    sim.with(|world| world.tokens.void(0));
    assert_eq!(code(&call(&sim, &token).await), 40_014);
}

#[tokio::test]
async fn an_app_may_call_only_its_families_from_its_addresses() {
    let app = AppConfig {
        families: vec![Family::Directory],
        trusted_ips: vec!["10.0.0.1".parse().expect("an address")],
        ..AppConfig::default()
    };
    let sim = start(SimConfig { apps: vec![app], ..SimConfig::default() }).await;
    let refused = get(&sim, SELF, "").await;
    assert_eq!(code(&refused), 60_020);
    assert!(text(&refused["errmsg"]).contains("from ip: 127.0.0.1"), "{refused}");
    let ip = "127.0.0.1".parse().expect("an address");
    sim.with(|world| {
        let now_ms = world.now_ms();
        world.apps[0].trust(ip, now_ms);
    });
    assert_eq!(code(&get(&sim, SELF, "").await), 60_020, "a new address takes a minute");
    sim.with(|world| world.clock.advance(Duration::from_mins(1)));
    assert_eq!(code(&get(&sim, SELF, "").await), 0);
    assert_eq!(code(&post(&sim, "externalcontact/groupchat/list", json!({"limit": 1})).await), 48_002);
}

#[tokio::test]
async fn wrong_secrets_ban_the_address_for_an_hour() {
    let sim = small().await;
    let token = token_of(&sim, 0).await;
    let corpid = sim.with(|world| world.config.corpid.clone());
    for _ in 0..5 {
        assert_eq!(code(&bare(&sim, &format!("gettoken?corpid={corpid}&corpsecret=x")).await), 40_001);
    }
    assert_eq!(code(&call(&sim, &token).await), 45_009);
    sim.with(|world| world.clock.advance(Duration::from_hours(1)));
    assert_eq!(code(&call(&sim, &token).await), 0);
}

#[tokio::test]
async fn a_limit_gone_over_blocks_that_api_alone_for_the_whole_penalty() {
    let limits = LimitConfig { scale: 0.0003, ..LimitConfig::default() };
    let sim = start(SimConfig { limits, ..SimConfig::default() }).await;
    let token = token_of(&sim, 0).await;
    for expected in [0, 0, 0, 45_009, 45_009] {
        assert_eq!(code(&call(&sim, &token).await), expected);
    }
    let refused = sim.with(|world| world.ledger.calls(0, 10));
    assert_eq!(refused[4].errcode, Some(45_009));
    assert_eq!(code(&bare(&sim, &format!("agent/get?access_token={token}&agentid=1000002")).await), 0);
    sim.with(|world| world.clock.advance(Duration::from_millis(59_999)));
    assert_eq!(code(&call(&sim, &token).await), 45_009);
    sim.with(|world| world.clock.advance(Duration::from_millis(1)));
    assert_eq!(code(&call(&sim, &token).await), 0);
    let report = sim.report().limits;
    assert!(!report.is_kept());
    assert_eq!((report.exceeded, report.while_blocked), (1, 2));
}

#[tokio::test]
async fn a_limit_somebody_else_ate_is_nobodys_fault() {
    let sim = small().await;
    control(&sim, "limits", Some(json!({"api": SELF, "calls": 10_000}))).await;
    assert_eq!(code(&get(&sim, SELF, "").await), 45_009);
    assert!(sim.report().limits.is_kept());
}

#[tokio::test]
async fn too_many_calls_at_once_are_refused() {
    let limits = LimitConfig { concurrent_calls_max: 2, ..LimitConfig::default() };
    let faults = vec![format!("{SELF}:hang@first:2").parse().expect("a fault")];
    let sim = start(SimConfig { limits, faults, ..SimConfig::default() }).await;
    let token = token_of(&sim, 0).await;
    let path = format!("/cgi-bin/{SELF}?access_token={token}");
    let open = |_| {
        let (mut connection, call) = (connection(&sim), Call::get(path.clone()));
        tokio::spawn(async move { connection.try_once(&call).await.map(|reply| reply.status) })
    };
    let hanging: Vec<_> = (0..2).map(open).collect();
    in_time(sim.wait_for(|world| world.in_flight.get(SELF) == Some(&2))).await;
    in_time(sim.wait_for(|world| world.ledger.count(SELF, "0") == 2)).await;
    assert_eq!(code(&call(&sim, &token).await), 45_033);
    for call in hanging {
        call.abort();
    }
    in_time(sim.wait_for(|world| world.in_flight.get(SELF) == Some(&0))).await;
    assert_eq!(code(&call(&sim, &token).await), 0);
}

#[tokio::test]
async fn scripted_faults_look_to_a_caller_as_they_should() {
    let sim = small().await;
    let token = token_of(&sim, 0).await;
    let faults = ["errcode=-1", "503", "reset", "cut"].map(|what| format!("{SELF}:{what}@first:1"));
    sim.set_faults(faults.iter().map(|fault| fault.parse().expect(fault)).collect());
    let path = format!("/cgi-bin/{SELF}?access_token={token}");
    let once = async || connection(&sim).try_once(&Call::get(path.clone())).await;
    assert_eq!(code(&call(&sim, &token).await), -1);
    assert_eq!(once().await.expect("an answer").status, 503);
    assert!(once().await.is_err() && once().await.is_err());
    assert_eq!(code(&call(&sim, &token).await), 0);
    let calls = sim.with(|world| world.ledger.calls(1, 10));
    let ends: Vec<_> = calls.iter().map(|call| (call.end.as_str(), call.errcode)).collect();
    let expected =
        [("answered", Some(-1)), ("503", None), ("reset", Some(0)), ("cut", None), ("answered", Some(0))];
    assert_eq!(ends, expected, "a reset call took effect, a cut one did not");
    sim.set_faults(vec!["*:outage=10s..40s".parse().expect("a fault")]);
    assert_eq!(code(&call(&sim, &token).await), 0);
    sim.with(|world| world.clock.advance(Duration::from_secs(10)));
    assert!(once().await.is_err());
    sim.with(|world| world.clock.advance(Duration::from_secs(30)));
    assert_eq!(code(&call(&sim, &token).await), 0);
}

#[tokio::test]
async fn escapes_that_raw_utf8_does_not_need_are_refused() {
    let sim = small().await;
    let token = token_of(&sim, 0).await;
    let path = format!("/cgi-bin/externalcontact/groupchat/list?access_token={token}");
    for (name, expected) in [("\\u95e8", 40_033), ("\\\\u95e8", 60_111), ("\\u0041", 60_111), ("门", 60_111)]
    {
        let body = format!(r#"{{"limit":1,"owner_filter":{{"userid_list":["{name}"]}}}}"#);
        let answer = send(&sim, Call::post(path.clone(), "application/json", body)).await;
        assert_eq!(code(&answer), expected, "{name}");
    }
}

#[tokio::test]
async fn methods_and_the_debug_flag_are_looked_at() {
    let sim = small().await;
    assert_eq!(code(&post(&sim, SELF, json!({})).await), 43_001);
    assert_eq!(code(&get(&sim, "externalcontact/groupchat/list", "").await), 43_002);
    for expected in [0, 0, 0, 0, 0, 45_009] {
        assert_eq!(code(&get(&sim, SELF, "debug=1").await), expected);
    }
    assert_eq!(code(&get(&sim, SELF, "").await), 0);
}

#[tokio::test]
async fn unknown_paths_are_404() {
    let sim = small().await;
    for path in ["/", "/cgi-bin/", "/cgi-bin/nothing", "/_sim/nothing"] {
        assert_eq!(
            connection(&sim).try_once(&Call::get(path)).await.expect("an answer").status,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_app_with_a_key_that_is_none_does_not_start() {
    let app = AppConfig { aes_key: "short".to_owned(), ..AppConfig::default() };
    let started = Simulator::start(SimConfig { apps: vec![app], ..SimConfig::default() }).await;
    let error = started.expect_err("no key");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("EncodingAESKey"), "{error}");
}
