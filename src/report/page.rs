//! The page itself.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{Series, bars, heat};
use super::words::{figure, lasting, say, weekdays};
use super::{Day, Language, Line, Report};

const STYLE: &str = "
:root{--ink:#1d2433;--soft:#667085;--line:#e4e7ec;--a:#2563eb;--b:#0d9488;--c:#dc6803;--bg:#f6f7f9}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 -apple-system,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC','Segoe UI',sans-serif}
main{max-width:960px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0 0 4px} h2{font-size:17px;margin:34px 0 10px}
.soft{color:var(--soft)} .warn{background:#fffaeb;border:1px solid #fedf89;border-radius:8px;padding:8px 12px;margin:14px 0}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(148px,1fr));gap:10px;margin-top:18px}
.card{background:#fff;border:1px solid var(--line);border-radius:10px;padding:10px 12px}
.card b{display:block;font-size:22px;line-height:1.3}
.panel{background:#fff;border:1px solid var(--line);border-radius:10px;padding:12px}
svg{width:100%;height:auto;display:block} .grid{stroke:var(--line)} .scale,.place{font-size:11px;fill:var(--soft)}
.scale{text-anchor:end} .place{text-anchor:middle} .a{fill:var(--a)} .b{fill:var(--b)} .c{fill:var(--c)} .heat{fill:var(--a)}
.key span{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 5px 0 14px}
.key .a{background:var(--a)} .key .b{background:var(--b)} .key .c{background:var(--c)}
table{width:100%;border-collapse:collapse;background:#fff;border:1px solid var(--line);border-radius:10px;overflow:hidden}
th,td{padding:7px 10px;text-align:right;border-top:1px solid var(--line);font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:500;border-top:0} th:first-child,td:first-child{text-align:left;white-space:nowrap}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:0} dt{font-weight:600} dd{margin:0;color:var(--soft)}
@media print{body{background:#fff} main{max-width:none}}
";

/// Writes the page.
pub fn render(report: &Report, language: Language) -> String {
    let say = |zh, en| say(language, zh, en);
    let region = report.region.as_deref().unwrap_or(say("全部群", "All groups"));
    let lang = say("zh-CN", "en");
    html! {
        (DOCTYPE)
        html lang=(lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (region) " · " (say("群日报", "Daily report")) " · " (report.date) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                h1 { (region) " · " (say("群日报", "Daily report")) }
                p.soft {
                    (report.date) " · " (say("数据截至 ", "as of ")) (report.as_of) " · " (report.groups) (say(" 个群", " groups"))
                }
                (coverage(report, language))
                (cards(report, language))
                (charts(report, language))
                (tables(report, language))
                (meanings(language))
            } }
        }
    }
    .into_string()
}

fn coverage(report: &Report, language: Language) -> Markup {
    let (seen, of) = (report.seen, report.groups);
    html! {
        @if seen < of {
            p.warn {
                @match language {
                    Language::Zh => { "只有 " (seen) " / " (of) " 个群一直看得到消息原文；消息、活跃、命中、提问等数字只含看得到的，看不到的留空，不是 0。" @if let Some(since) = &report.dark_since { "最早从 " (since) " 起看不到。" } }
                    Language::En => { "Message text can be seen all the time in " (seen) " of " (of) " groups only; messages, activity, hits and questions are of what is seen. What cannot be seen is left empty, which is not 0." @if let Some(since) = &report.dark_since { " The earliest cannot be seen since " (since) "." } }
                }
            }
        }
    }
}

/// A figure of the day, and the same a week before.
type Told = (&'static str, Option<u64>, Option<u64>);

fn cards(report: &Report, language: Language) -> Markup {
    let today = &report.today;
    // Of a day before there was anything, nothing is said: it was not a day with 0 messages.
    let before = Some(report.week_before).filter(Day::is_known);
    let before = |read: fn(&Day) -> Option<u64>| before.as_ref().and_then(read);
    let told: [Told; 14] = [
        ("people", Some(report.people), None),
        ("members", Some(today.members), before(|day| Some(day.members))),
        ("new_people", Some(report.new_people), None),
        ("lost_people", Some(report.lost_people), None),
        ("active_members", today.active, before(|day| day.active)),
        ("messages", today.messages, before(|day| day.messages)),
        ("customer_joins", Some(today.joins), before(|day| Some(day.joins))),
        ("customer_leaves", Some(today.leaves), before(|day| Some(day.leaves))),
        ("early_leaves", Some(today.early_leaves), before(|day| Some(day.early_leaves))),
        ("silent_members", report.silent, None),
        ("dormant_groups", report.dormant, None),
        ("blocked", today.blocked, before(|day| day.blocked)),
        ("broadcasts", Some(today.broadcasts), before(|day| Some(day.broadcasts))),
        ("unanswered", today.unanswered, before(|day| day.unanswered)),
    ];
    html! {
        div.cards {
            @for (field, value, week_before) in told {
                @let (name, meaning) = figure(language, field);
                div.card title=(meaning) {
                    span.soft { (name) }
                    b { (number(value)) }
                    (change(value, week_before, language))
                }
            }
            @let (name, meaning) = figure(language, "first_reply");
            div.card title=(meaning) {
                span.soft { (name) }
                b { @match today.first_reply_s { Some(seconds) => { (lasting(language, seconds)) } None => { "—" } } }
                span.soft { (say(language, "中位数", "median")) }
            }
        }
    }
}

fn change(value: Option<u64>, before: Option<u64>, language: Language) -> Markup {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    html! {
        @if let (Some(value), Some(before)) = (value, before) {
            @let change = signed(value) - signed(before);
            span.soft {
                (say(language, "较上周同日 ", "against last week "))
                (format!("{change:+}"))
            }
        }
    }
}

fn charts(report: &Report, language: Language) -> Markup {
    let places: Vec<String> = report.days.iter().map(|(date, _)| date.clone()).collect();
    let of = |read: &dyn Fn(&Day) -> Option<u64>| report.days.iter().map(|(_, day)| read(day)).collect();
    let name = |field| figure(language, field).0;
    let talk = [
        Series { name: name("messages"), class: "a", values: of(&|day| day.messages) },
        Series { name: name("active_members"), class: "b", values: of(&|day| day.active) },
    ];
    let moves = [
        Series { name: name("customer_joins"), class: "b", values: of(&|day| Some(day.joins)) },
        Series { name: name("customer_leaves"), class: "c", values: of(&|day| Some(day.leaves)) },
    ];
    html! {
        @for (title, series) in [(say(language, "最近 14 天：消息和活跃", "14 days: messages and activity"), &talk),
            (say(language, "最近 14 天：入群和退群", "14 days: joins and leaves"), &moves)] {
            h2 { (title) }
            div.panel {
                div.key { @for one in series { span class=(one.class) {} (one.name) } }
                (bars(&places, series))
            }
        }
        @if let Some(week) = &report.heat {
            h2 { (say(language, "一周里客户什么时候说话（最近 28 天）", "When customers talk (28 days)")) }
            div.panel { (heat(week, &weekdays(language))) }
        }
    }
}

fn tables(report: &Report, language: Language) -> Markup {
    html! {
        (table(say(language, "门店", "Shops"), &report.shops, true, language))
        (table(say(language, "最活跃的群", "Liveliest groups"), &report.top, false, language))
        (table(say(language, "最安静的群", "Quietest groups"), &report.bottom, false, language))
        (outcomes(report, language))
        (words(report, language))
    }
}

fn outcomes(report: &Report, language: Language) -> Markup {
    let (name, meaning) = figure(language, "outcomes");
    html! {
        @if !report.outcomes.is_empty() {
            h2 title=(meaning) { (name) }
            table {
                tr {
                    th { (say(language, "种类", "Kind")) }
                    th { (say(language, "次数", "Count")) }
                    th { (say(language, "金额", "Value")) }
                }
                @for outcome in &report.outcomes {
                    tr { td { (outcome.kind) } td { (number(Some(outcome.count))) } td { (outcome.value) } }
                }
            }
        }
    }
}

fn words(report: &Report, language: Language) -> Markup {
    let (_, meaning) = figure(language, "words");
    html! {
        @if !report.words.is_empty() {
            h2 title=(meaning) { (say(language, "升得最快的词", "Fastest-rising words")) }
            table {
                tr {
                    th { (say(language, "词", "Word")) }
                    th { (say(language, "说到的客户", "Customers who said it")) }
                    th { (say(language, "平时", "Usual")) }
                }
                @for word in &report.words {
                    @let (low, high) = word.usual;
                    tr { td { (word.word) } td { (number(Some(word.people))) } td { (low) "–" (high) } }
                }
            }
        }
    }
}

fn table(title: &str, lines: &[Line], has_groups: bool, language: Language) -> Markup {
    let fields = [
        "members",
        "active_members",
        "messages",
        "customer_joins",
        "customer_leaves",
        "blocked",
        "unanswered",
    ];
    html! {
        @if !lines.is_empty() {
            h2 { (title) }
            table {
                tr {
                    th { (say(language, "名称", "Name")) }
                    @if has_groups { th { (say(language, "群数", "Groups")) } }
                    @for field in fields { @let (name, meaning) = figure(language, field); th title=(meaning) { (name) } }
                }
                @for line in lines {
                    tr {
                        td { (line.name) }
                        @if has_groups { td { (line.groups) } }
                        @for value in line.day.as_ref().map_or([None; 7], cells) { td { (number(value)) } }
                    }
                }
            }
        }
    }
}

fn cells(day: &Day) -> [Option<u64>; 7] {
    [
        Some(day.members),
        day.active,
        day.messages,
        Some(day.joins),
        Some(day.leaves),
        day.blocked,
        day.unanswered,
    ]
}

const EXPLAINED: [&str; 18] = [
    "people",
    "members",
    "new_people",
    "lost_people",
    "active_members",
    "messages",
    "customer_joins",
    "customer_leaves",
    "early_leaves",
    "silent_members",
    "dormant_groups",
    "blocked",
    "questions",
    "unanswered",
    "first_reply",
    "broadcasts",
    "outcomes",
    "words",
];

fn meanings(language: Language) -> Markup {
    html! {
        h2 { (say(language, "口径", "What each number means")) }
        div.panel { dl {
            @for field in EXPLAINED {
                @let (name, meaning) = figure(language, field);
                dt { (name) } dd { (meaning) }
            }
        } }
    }
}

/// Writes a figure with a mark every three digits; a dash where it cannot be seen.
fn number(value: Option<u64>) -> String {
    let Some(value) = value else { return "—".to_owned() };
    let digits = value.to_string();
    let mut written = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}
