//! Pages against the figures they were made of.

use super::*;

fn report() -> Report {
    let day = |messages: u64| Day {
        messages: Some(messages),
        active: Some(messages / 2),
        joins: 3,
        leaves: 1,
        members: 12_345,
        unanswered: Some(2),
        first_reply_s: Some(130),
        ..Day::default()
    };
    Report {
        region: Some("华东<区>".into()),
        date: "2026-11-28".into(),
        as_of: "2026-11-29 07:30".into(),
        groups: 3,
        seen: 2,
        dark_since: Some("2026-11-20 14:03".into()),
        today: day(40),
        week_before: day(50),
        days: (15..=28).map(|date| (format!("2026-11-{date}"), day(date))).collect(),
        heat: Some(vec![vec![Some(1); 24]; 7]),
        people: 1_234_567,
        shops: vec![Line { name: "西湖店".into(), groups: 2, day: Some(Day::default()) }],
        outcomes: vec![Outcome { kind: "order".into(), count: 1_200, value: 58.5 }],
        words: vec![Word { word: "缺货<b>".into(), people: 38, usual: (0, 3) }],
        ..Report::default()
    }
}

#[test]
fn a_page_holds_the_figures_in_its_language_and_needs_nothing_else() {
    let zh = render(&report(), Language::Zh);
    for text in [
        "华东&lt;区&gt; · 群日报",
        "1,234,567",
        "12,345",
        "较上周同日",
        "-10",
        "2 分钟",
        "只有 2 / 3 个群",
        "最早从 2026-11-20 14:03 起看不到",
        "西湖店",
        "<td>order</td><td>1,200</td><td>58.5</td>",
        "<td>缺货&lt;b&gt;</td><td>38</td><td>0–3</td>",
    ] {
        assert!(zh.contains(text), "{text}");
    }
    let en = render(&report(), Language::En);
    for text in [
        "Daily report",
        "against last week",
        "2 min",
        "of 3 groups only",
        "cannot be seen since 2026-11-20 14:03",
        "What each number means",
    ] {
        assert!(en.contains(text), "{text}");
    }
    for page in [zh, en] {
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
        assert_eq!(page.matches("<svg").count(), 3);
    }
}

#[test]
fn what_cannot_be_seen_is_a_dash_and_never_0() {
    let mut blind = Report { groups: 1, heat: None, ..report() };
    blind.seen = 0;
    blind.today.messages = None;
    let page = render(&blind, Language::En);
    assert!(page.contains("<span class=\"soft\">messages</span><b>—</b>"), "{page}");
    assert_eq!(page.matches("<svg").count(), 2, "no heat map");
}
