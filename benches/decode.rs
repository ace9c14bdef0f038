//! Reading an event's JSON, beside reading it into a `serde_json::Value` in the same run.
//!
//! Prints one line with both times per event and their ratio (below 1 is faster than the tree). The events are made here,
//! the same every time: messages of a shop group, some with mentions, one in ten a join. `MENSHEN_BENCH_SMALL=1` makes it
//! a smoke run.
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::hint::black_box;

use menshen::clock::Stopwatch;
use menshen::event::json::{ParseLimits, parse};

const LINES: [&str; 8] = [
    "请问今天几点关门?我下班过来大概八点半了",
    "上次买的那款牛奶还有吗,想要两箱",
    "好的,谢谢店长",
    "收到",
    "这个活动是全部门店都有还是只有南京路店?",
    "孩子用了有点红,能退吗?小票还在,包装拆了一包,剩下的都没有动过,可以拍照给你们看",
    "[图片] 这个码扫不出来",
    "明早九点前能送到小区门口吗?我要出门,放门卫那里就可以,电话打不通的话发群里",
];

fn events(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            let head = format!(
                r#"{{"id":"e-{n:08}","account":"demo","group":"wr{:05}","member":"wm{:06}","role":"customer","at":"2026-11-22T10:{:02}:{:02}+08:00""#,
                n % 2_000,
                n % 50_000,
                n / 60 % 60,
                n % 60,
            );
            let text = LINES[n % LINES.len()];
            match n % 10 {
                0 => format!(r#"{head},"type":"member_joined","scene":"qr_code","channel":"c-12"}}"#),
                1 => format!(r#"{head},"type":"message","text":"{text}","mentions":["u-1","u-2"]}}"#),
                _ => format!(r#"{head},"type":"message","text":"{text}"}}"#),
            }
        })
        .collect()
}

/// Returns the nanoseconds per event.
fn time(events: &[String], mut read: impl FnMut(&[u8])) -> f64 {
    let watch = Stopwatch::start();
    for event in events {
        read(event.as_bytes());
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of events")]
    let count = events.len() as f64;
    watch.elapsed().as_secs_f64() * 1e9 / count
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    #[expect(clippy::disallowed_methods, reason = "a bench has no configuration")]
    let is_small = std::env::var("MENSHEN_BENCH_SMALL").is_ok_and(|value| value == "1");
    let (count, rounds) = if is_small { (1_000, 5) } else { (20_000, 41) };
    let events = events(count);
    let bytes: usize = events.iter().map(String::len).sum();
    let limits = ParseLimits::default();
    let (mut ours, mut trees, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let tree = time(&events, |raw| {
            black_box(serde_json::from_slice::<serde_json::Value>(raw).expect("good JSON"));
        });
        let our = time(&events, |raw| {
            black_box(parse(raw, &limits).expect("a good event"));
        });
        ratios.push(our / tree);
        trees.push(tree);
        ours.push(our);
    }
    println!(
        "decode: {:.0} ns/event, serde_json::Value {:.0} ns/event, ratio {:.2} ({count} generated events of {} bytes, median of {rounds} rounds)",
        median(ours),
        median(trees),
        median(ratios),
        bytes / count,
    );
}
