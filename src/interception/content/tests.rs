//! Content rules against hostile addresses and ordinary messages.

use std::borrow::Cow;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::address::{each_in, each_of};
use super::*;
use crate::interception::{Config, Origin, Strictness, Term, WordlistSource};

/// One for all tests: compiling it takes longer than all that is judged by it.
static RULESET: LazyLock<Ruleset> = LazyLock::new(|| {
    let mut list = WordlistSource::new("diversion", Origin::Api);
    list.terms.push(Term { text: "加微信".into(), category: Some("contact".into()), ..Term::default() });
    Ruleset::compile("r-1", &[list], Vec::new(), &Config::default()).unwrap().0
});

fn policy(content: serde_json::Value) -> Policy {
    let content = Some(serde_json::from_value(content).unwrap());
    Policy { content, strictness: Some(Strictness::Standard), ..Policy::standard() }
}

fn judge(policy: &Policy, message: &Message<'_>) -> Judgement {
    RULESET.judge_message(message, policy, &Audience::default(), &mut Scratch::default())
}

fn said(text: &str) -> Message<'_> {
    Message { text: Cow::Borrowed(text), ..Message::default() }
}

fn attached(attachment: Attachment<'static>) -> Message<'static> {
    Message { attachments: vec![attachment], ..Message::default() }
}

fn link(url: &str) -> Message<'static> {
    attached(Attachment { kind: "link".into(), url: Some(url.to_owned().into()), ..Attachment::default() })
}

fn rows(judgement: &Judgement) -> Vec<(&str, &str, &str)> {
    judgement
        .hits
        .iter()
        .map(|judged| (&*judged.hit.category, &*judged.hit.term, &*judged.hit.matched))
        .collect()
}

/// What an address comes to with `brand.cn` allowed, `evil.com` and `坏蛋.中国` blocked, all others for review.
fn verdict_on(text: &str) -> (Verdict, Verdict) {
    let rules =
        json!({"domains": {"allow": ["brand.cn"], "block": ["evil.com", "坏蛋.中国"], "others": "review"}});
    let policy = policy(rules);
    (judge(&policy, &said(text)).verdict, judge(&policy, &link(text)).verdict)
}

#[test]
fn hostile_addresses_are_read_as_clients_read_them() {
    use Verdict::{Block, Pass, Review};
    let check = |address: &str, expect: Verdict| {
        assert_eq!(verdict_on(address), (expect, expect), "{address:?}");
    };
    for brand in [
        "https://brand.cn",
        "http://www.brand.cn/a?b=c#d",
        "HTTPS://Shop1.BRAND.cn:8443/x",
        "https://brand.cn.",
    ] {
        check(brand, Pass);
    }
    // Whole labels count, from the right.
    check("https://evil.com.brand.cn/", Pass);
    check("https://brand.cn.evil.com/", Block);
    check("https://notbrand.cn/", Review);
    check("https://notevil.com/", Review);
    check("https://brand-cn.com/", Review);
    // What stands before `@` is a name.
    check("https://brand.cn@evil.com/", Block);
    check("https://brand.cn:secret@evil.com/", Block);
    check("https://evil.com@brand.cn/", Pass);
    check("https://brand.cn%2f@evil.com/", Block);
    check("https://brand.cn／@evil.com/", Block);
    check("https://brand.cn＠evil.com/", Block);
    check("https://brand.cn?@evil.com/", Pass);
    check("https://brand.cn\\@evil.com/", Pass);
    // Percent signs, widths, dots, soft hyphens.
    check("https://%65vil.com/", Block);
    check("https://evil%2ecom/", Block);
    check("https://brand.cn%2eevil.com/", Block);
    check("https://evil。com/", Block);
    check("https://evil｡com", Block);
    check("https://ｅｖｉｌ．ｃｏｍ", Block);
    check("ｈｔｔｐｓ：／／ｅｖｉｌ。ｃｏｍ／ａ", Block);
    check("https://ev\u{ad}il.com/", Block);
    check("https://ev\u{200b}il.com/", Block);
    check("https:\\\\evil.com\\a", Block);
    check("https:///evil.com/", Block);
    check("http://EVIL.COM./x", Block);
    check("http://evil.com:80", Block);
    // Names in other scripts, spelled either way; look-alikes are other names.
    check("http://xn--ess93m.xn--fiqs8s/", Review);
    check("http://坏蛋.中国/", Block);
    check("http://a.坏蛋。中国/", Block);
    check("http://brаnd.cn/", Review); // Cyrillic а
    check("http://xn--brnd-83d.cn/", Review);
    // Addresses by number, in every base.
    check("http://203.0.113.9/", Review);
    check("http://3405803785/", Review);
    check("http://[2001:db8::1]/", Review);
    // What is no host is held against nobody's list, and passes nobody's.
    check("https://brand.cn%40evil.com/", Block);
    check("https://brand.cn%00/", Review);
    check("https://xn--/", Review);
}

#[test]
fn a_blocked_name_in_punycode_is_the_name() {
    let (text, attachment) = verdict_on(&format!("http://{}/", idna("坏蛋.中国")));
    assert_eq!((text, attachment), (Verdict::Block, Verdict::Block));
}

fn idna(name: &str) -> String {
    address::host_of(name).unwrap().0
}

#[test]
fn addresses_end_where_the_sentence_goes_on() {
    use Verdict::{Block, Pass, Review};
    let check = |text: &str, expect: Verdict| assert_eq!(verdict_on(text).0, expect, "{text:?}");
    check("看这里https://brand.cn快来", Pass);
    check("看这里https://brand.cn。快来看", Pass);
    check("https://brand.cn，https://evil.com", Block);
    check("https://brand.cn:https://evil.com", Block);
    check("（https://brand.cn/a）！", Pass);
    check("快来www.evil.com买", Block);
    check("www.evil.com", Block);
    check("www.什么意思", Pass);
    check("http://快来", Pass);
    check("http 协议", Pass);
    // The brand's page leads on: every client opens the outer address.
    check("https://brand.cn/go?to=https://example.org", Pass);
    check("https://brand.cn/go?to=https://evil.com/", Block);
    check("https://example.org/", Review);
}

#[test]
fn a_name_without_scheme_split_or_styled_is_judged_too() {
    let check = |text: &str, expect: Verdict| assert_eq!(verdict_on(text).0, expect, "{text:?}");
    for evil in [
        "evil.com",
        "evil.com/x",
        "去evil.com看看",
        "awww.evil.com",
        "evil点com",
        "e v i l . com",
        "evil . com",
        "ｅｖｉｌ．ｃｏｍ",
        "ⓔⓥⓘⓛ.ⓒⓞⓜ",
        "evil。com",
        "evil[.]com",
        "hxxp://evil.com",
        "hxxps://a.evil.com/b",
        "h t t p : / / evil.com",
        "http://e v i l . com",
        "http://evil点com/x",
        "https://brand.cn 和 evil点com",
    ] {
        check(evil, Verdict::Block);
    }
    check("brand.cn", Verdict::Pass);
    check("brand点cn", Verdict::Pass);
    check("shop1.brand.cn/a", Verdict::Pass);
    check("notevil.com", Verdict::Review);
    check("brand.cn.evil.com", Verdict::Block);
    check("evil.com.brand.cn", Verdict::Pass);
    check("xyz点top", Verdict::Review);
    for ordinary in
        ["a.txt", "README.md", "report.docx", "3.5折", "vs.", "e.g. this", "8.0.30", "我。com", "ok。好的"]
    {
        check(ordinary, Verdict::Pass);
    }
}

#[test]
fn a_split_name_is_masked_as_a_whole() {
    let rules = json!({"domains": {"block": ["evil.com"], "blocked": "mask"}});
    let judgement = judge(&policy(rules), &said("看 http://e v i l . com 吧，evil点com"));
    assert_eq!(judgement.masked.as_deref(), Some("看 ******************** 吧，****＊***"));
}

#[test]
fn an_attachment_leads_on_too() {
    let check = |url: &str, expect: Verdict| assert_eq!(verdict_on(url).1, expect, "{url:?}");
    check("https://brand.cn/go?to=https%3A%2F%2Fevil.com%2F", Verdict::Block);
    check("brand.cn/a", Verdict::Pass);
    check("evil.com/a", Verdict::Block);
    check("weixin://dl/business?t=1", Verdict::Review);
    check(" https://ev\nil.com ", Verdict::Block);
    check("", Verdict::Pass);
}

#[test]
fn the_longest_listed_domain_decides() {
    let rules =
        json!({"domains": {"allow": ["brand.cn", "ok.evil.com"], "block": ["evil.com", "bad.brand.cn"]}});
    let policy = policy(rules);
    let verdict = |host: &str| judge(&policy, &said(&format!("https://{host}/"))).verdict;
    assert_eq!(verdict("ok.evil.com"), Verdict::Pass);
    assert_eq!(verdict("x.bad.brand.cn"), Verdict::Block);
    assert_eq!(verdict("example.org"), Verdict::Pass);
}

#[test]
fn a_hit_says_what_and_where() {
    let policy = policy(json!({
        "types": {"verdicts": {"miniprogram": "review", "image": "pass"}},
        "domains": {"block": ["evil.com"]},
        "appids": {"allow": ["wx-own"], "others": "block"},
        "hashes": {"block": ["AA".repeat(32)]},
        "forwarded": "review",
    }));
    let text = "看：http://a.evil.com/x?y 好";
    let message = Message {
        text: text.into(),
        forwarded: true,
        attachments: vec![
            Attachment { kind: "MiniProgram".into(), appid: Some("wx-1".into()), ..Attachment::default() },
            Attachment {
                kind: "image".into(),
                sha256: Some("aa".repeat(32).into()),
                ..Attachment::default()
            },
            Attachment { kind: "miniprogram".into(), appid: Some("wx-own".into()), ..Attachment::default() },
        ],
        ..Message::default()
    };
    let judgement = judge(&policy, &message);
    assert_eq!(judgement.verdict, Verdict::Block);
    let digest = "aa".repeat(32);
    assert_eq!(
        rows(&judgement),
        [
            ("url", "url", "http://a.evil.com/x?y"),
            ("content_type", "miniprogram", "MiniProgram"),
            ("domain", "evil.com", "http://a.evil.com/x?y"),
            ("appid", "*", "wx-1"),
            ("hash", &*digest, &*digest),
            ("forwarded", "forwarded", ""),
        ]
    );
    let domain = &judgement.hits[2].hit;
    assert_eq!((&*domain.wordlist, domain.span), (WORDLIST, [6, 27]));
    assert_eq!(text.get(6..27), Some("http://a.evil.com/x?y"));
    assert!(
        judgement
            .hits
            .iter()
            .filter(|judged| !["domain", "url"].contains(&&*judged.hit.category))
            .all(|j| j.hit.span == [0, 0])
    );
}

#[test]
fn only_listed_types_come_in_where_the_others_are_blocked() {
    let policy =
        policy(json!({"types": {"verdicts": {"image": "pass", "Link": "review"}, "others": "block"}}));
    let of = |kind: &'static str| {
        let message = Message { content_type: Some(kind.into()), ..Message::default() };
        judge(&policy, &message).verdict
    };
    assert_eq!(of("image"), Verdict::Pass);
    assert_eq!(of("link"), Verdict::Review);
    assert_eq!(of("text"), Verdict::Pass);
    assert_eq!(of("red_packet"), Verdict::Block);
    assert_eq!(judge(&policy, &said("你好")).verdict, Verdict::Pass);
}

#[test]
fn quotes_and_titles_are_judged_as_the_policy_says() {
    let check = |content: serde_json::Value, message: &Message<'_>, expect: Verdict| {
        let judgement = judge(&policy(content.clone()), message);
        assert_eq!(judgement.verdict, expect, "{content}");
        judgement
    };
    let quoting =
        Message { text: "这是骗子".into(), quote: Some("加微信领奖".into()), ..Message::default() };
    check(json!({}), &quoting, Verdict::Pass);
    check(json!({"quoted": "review"}), &quoting, Verdict::Review);
    let same = check(json!({"quoted": "same"}), &quoting, Verdict::Block);
    let hit = &same.hits[0].hit;
    assert_eq!(
        (&*hit.wordlist, &*hit.category, &*hit.matched, hit.span),
        ("diversion", "quoted", "加微信", [0, 0])
    );
    let titled = attached(Attachment {
        kind: "card".into(),
        title: Some("加微信 http://evil.com".into()),
        ..Attachment::default()
    });
    check(json!({"titles": "off"}), &titled, Verdict::Pass);
    let judgement = check(json!({"domains": {"block": ["evil.com"]}}), &titled, Verdict::Block);
    assert_eq!(
        rows(&judgement),
        [
            ("contact", "加微信", "加微信"),
            ("url", "url", "http://evil.com"),
            ("domain", "evil.com", "evil.com")
        ]
    );
}

#[test]
fn what_is_in_the_text_can_be_masked_and_what_is_not_is_reviewed() {
    let rules = json!({"domains": {"block": ["evil.com"], "blocked": "mask"}});
    let mut policy = policy(rules);
    policy.levels.high = Some(Verdict::Mask);
    let judgement = judge(&policy, &said("加微信 http://evil.com/加微信 再见"));
    assert_eq!(judgement.verdict, Verdict::Mask);
    assert_eq!(judgement.masked.as_deref(), Some("＊＊＊ ****************＊＊＊ 再见"));
    let judgement = judge(&policy, &link("http://evil.com"));
    assert_eq!((judgement.verdict, judgement.masked), (Verdict::Review, None));
}

#[test]
fn lists_are_checked_when_they_are_read() {
    let check = |content: serde_json::Value, expect: &str| {
        let error = serde_json::from_value::<ContentPolicy>(content).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(json!({"domains": {"allow": ["https://brand.cn"]}}), "is no domain");
    check(json!({"domains": {"allow": ["brand.cn/x"]}}), "is no domain");
    check(json!({"domains": {"allow": ["com.cn"]}}), "everybody shares");
    check(json!({"domains": {"block": ["com"]}}), "everybody shares");
    check(json!({"hashes": {"block": ["abc"]}}), "64 hexadecimal digits");
    check(json!({"hashes": {"block": ["é".repeat(32)]}}), "64 hexadecimal digits");
    check(json!({"types": {"verdicts": {"a b": "block"}}}), "is no name");
    check(json!({"types": {"verdicts": {"image": "maybe"}}}), "maybe");
    check(json!({"domain": {}}), "unknown field");
    let content = json!({"domains": {"allow": ["*.Brand.CN", ".例子.中国", "203.0.113.9"]}});
    let content: ContentPolicy = serde_json::from_value(content).unwrap();
    let again: ContentPolicy = serde_json::from_value(serde_json::to_value(&content).unwrap()).unwrap();
    assert_eq!(again, content);
    let names: Vec<String> = content.domains.allow.into();
    assert_eq!(names, ["203.0.113.9", "brand.cn", &idna("例子.中国")]);
}

#[test]
fn an_ordinary_message_has_no_hits_by_default() {
    let judgement = judge(
        &Policy::standard(),
        &Message {
            text: "明天几点开门，example 那家".into(),
            quote: Some("加微信".into()),
            forwarded: true,
            content_type: Some("image".into()),
            ..Message::default()
        },
    );
    assert_eq!(judgement, Judgement::default());
}

#[test]
fn a_text_full_of_beginnings_is_read_in_linear_time() {
    // A reading of everything behind each beginning would cost seconds here.
    let policy = policy(json!({"domains": {"block": ["evil.com"], "others": "review"}}));
    for text in [
        "www.中".repeat(3_000),
        "http:/中@".repeat(2_000),
        "http://".repeat(3_000),
        "https:www.a@".repeat(2_000),
    ] {
        judge(&policy, &said(&text));
    }
    let behind = format!("http://brand.cn{}@evil.com/", "中".repeat(4_000));
    assert_eq!(judge(&policy, &said(&behind)).verdict, Verdict::Block);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_and_spans_fit(text in any::<String>(), parts in proptest::collection::vec(
        prop_oneof![
            Just("http://"), Just("www."), Just("evil.com"), Just("@"), Just("。"), Just("："), Just("／"), Just("%2e"),
            Just("xn--"), Just("["), Just("]"), Just(":"), Just("\u{301}"), Just("👍🏽"), Just("中国"), Just("brand.cn"),
            Just(" "), Just("\\"),
        ], 0..12))
    {
        let policy = policy(json!({
            "domains": {"block": ["evil.com"], "blocked": "mask", "others": "mask"}, "quoted": "same",
            "types": {"others": "review"}, "appids": {"others": "block"}, "hashes": {"block": ["00".repeat(32)]},
        }));
        let text = format!("{text}{}", parts.concat());
        each_in(&text, &mut |address| {
            assert!(address.span.into_iter().all(|at| text.is_char_boundary(at)), "{address:?}");
        });
        each_of(&text, &mut |_| {});
        let attachment = Attachment {
            kind: text.clone().into(),
            url: Some(text.clone().into()),
            appid: Some(text.clone().into()),
            title: Some(text.clone().into()),
            sha256: Some(text.clone().into()),
        };
        let message = Message {
            text: text.clone().into(),
            quote: Some(text.clone().into()),
            content_type: Some(text.clone().into()),
            attachments: vec![attachment],
            ..Message::default()
        };
        judge(&policy, &message);
        let alone = judge(&policy, &said(&text));
        prop_assert_eq!(alone.masked.is_some(), alone.verdict == Verdict::Mask);
    }
}
