//! One event from JSON to encoded effects and applied state, beside the same work done the obvious way.
//!
//! The reference decodes into a `serde_json::Value`, normalises with NFKC and lower case into a new `String`, scans with
//! one aho-corasick automaton over the same terms, and keeps ids and counters in maps of strings: no spans, no policy,
//! no journal record. Interleaved rounds in one process; the ratio is the median of the rounds' ratios (below 1 is
//! cheaper than the reference). `MENSHEN_BENCH_SMALL=1` makes it a smoke run.
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::path::PathBuf;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use menshen::clock::Stopwatch;
use menshen::event::json::{ParseLimits, parse};
use menshen::event::{EventKey, Status};
use menshen::interception::{self, Audience, Origin, Ruleset, WordlistSource};
use menshen::journeys::Journeys;
use menshen::pipeline::{self, Arrival, Home, Limits, PartitionState, Recognised, Rules, Scratch, Setting};
use menshen::replies;
use menshen::storage::codec;
use menshen::welcomes::Welcomes;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

const NOW: i64 = 1_790_000_000_000;

struct Data {
    what: String,
    lexicon: String,
    messages: Vec<String>,
}

/// The shared sample where it is, else lines and words of our own.
fn data(messages_max: usize) -> Data {
    #[expect(clippy::disallowed_methods, reason = "a bench has no configuration")]
    let dir = std::env::var("MENSHEN_BENCH_DATA")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let read = |name: &str| std::fs::read_to_string(dir.join(name));
    if let (Ok(lexicon), Ok(chat)) = (read("lexicon-60k.txt"), read("chat-sample.txt")) {
        let messages: Vec<String> = chat.lines().take(messages_max).map(str::to_owned).collect();
        return Data { what: "chat sample, 60,000 terms".into(), lexicon, messages };
    }
    let lexicon = (0..20_000).map(|n| format!("广告{n:05}号")).collect::<Vec<_>>().join("\n");
    let messages =
        (0..messages_max).map(|n| format!("今天第{n}位顾客问三黄鸡还有没有货，路口那家店几点关门")).collect();
    Data { what: "generated sample, 20,000 terms".into(), lexicon, messages }
}

fn bodies(messages: &[String], round: usize) -> Vec<Vec<u8>> {
    let body = |(n, text): (usize, &String)| {
        serde_json::json!({
            "id": format!("r{round}-{n}"), "account": "demo", "group": format!("wr{:05}", n % 2_000),
            "member": format!("wm{:06}", n % 50_000), "type": "message", "text": text,
        })
    };
    messages.iter().enumerate().map(|event| body(event).to_string().into_bytes()).collect()
}

/// Returns nanoseconds an event.
fn time(bodies: &[Vec<u8>], mut take: impl FnMut(&[u8])) -> f64 {
    let watch = Stopwatch::start();
    for body in bodies {
        take(body);
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of events")]
    let count = bodies.len() as f64;
    watch.elapsed().as_secs_f64() * 1e9 / count
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rules(lexicon: &str) -> Rules {
    let list = WordlistSource::parse("bench", Origin::File, lexicon).expect("a readable lexicon");
    let config = interception::Config::default();
    let (words, _) = Ruleset::compile("r-1", &[list], Vec::new(), &config).expect("a lexicon within limits");
    let limits = Limits { policy: "standard".into(), ..Limits::default() };
    let replies = replies::Rules::default();
    let welcomes = Welcomes::compile(&[], &limits.welcomes).expect("no welcomes");
    Rules { words, replies, welcomes, journeys: Journeys::default(), limits }
}

/// Ours: decode, recognise, decide, encode, apply.
struct Ours {
    rules: Rules,
    state: PartitionState,
    scratch: Scratch,
    record: Vec<u8>,
}

impl Ours {
    fn take(&mut self, body: &[u8]) {
        let event = parse(body, &ParseLimits::default()).expect("a good event");
        let key = EventKey::of(&[7; 16], &event.account, &event.group, &event.id);
        let arrival = Arrival { now_ms: NOW, key, secret: [7; 16] };
        let recognised = pipeline::recognise(&self.state, &self.rules.limits.dedupe, &event, &arrival, None);
        assert_eq!(recognised, Recognised::As(Status::Counted));
        let setting = Setting {
            home: Home::unknown(),
            policy: self.rules.policy(None, event.role),
            audience: Audience::default(),
            variable: &|_| None,
            may_say: &|_| true,
            can_withhold: true,
            can_recall: true,
            can_post: true,
            shows: &|_| true,
            can_mute: true,
            can_remove: true,
            kicked: None,
            budget: &|_| false,
            can_hear: true,
            welcome_code_life: None,
            asking: pipeline::Asking::default(),
        };
        let status = Status::Counted;
        let decision =
            pipeline::decide(&self.state, &self.rules, &setting, &event, status, &arrival, &mut self.scratch);
        if let Some(effects) = &decision.effects {
            self.record.clear();
            codec::encode(effects, &mut self.record);
            self.state.apply(effects);
        }
        black_box(serde_json::to_vec(&decision.answer).expect("an answer"));
    }
}

/// The obvious way.
struct Plain {
    words: AhoCorasick,
    seen: HashSet<String>,
    counts: HashMap<String, u64>,
}

impl Plain {
    fn take(&mut self, body: &[u8]) {
        let event: Value = serde_json::from_slice(body).expect("good JSON");
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        if !self.seen.insert(format!("{}/{}", text("group"), text("id"))) {
            return;
        }
        let folded = text("text").nfkc().collect::<String>().to_lowercase();
        let hits = self.words.find_overlapping_iter(&folded).count();
        *self.counts.entry(text("group")).or_default() += 1;
        *self.counts.entry(format!("{}/{}", text("group"), text("member"))).or_default() += 1;
        let verdict = if hits > 0 { "block" } else { "pass" };
        black_box(serde_json::json!({"id": event["id"], "verdict": verdict, "hits": hits}).to_string());
    }
}

fn main() {
    #[expect(clippy::disallowed_methods, reason = "a bench has no configuration")]
    let is_small = std::env::var("MENSHEN_BENCH_SMALL").is_ok_and(|value| value == "1");
    let (messages_max, rounds) = if is_small { (1_000, 3) } else { (20_000, 9) };
    let data = data(messages_max);
    let terms: Vec<String> = data
        .lexicon
        .lines()
        .filter_map(|line| line.split('\t').next())
        .map(|term| term.nfkc().collect::<String>().to_lowercase())
        .collect();
    let kind = Some(AhoCorasickKind::ContiguousNFA);
    let words = AhoCorasick::builder().kind(kind).build(&terms).expect("an automaton");
    let mut plain = Plain { words, seen: HashSet::new(), counts: HashMap::new() };
    let mut ours = Ours {
        rules: rules(&data.lexicon),
        state: PartitionState::default(),
        scratch: Scratch::default(),
        record: Vec::new(),
    };
    let (mut ours_ns, mut plain_ns, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let bodies = bodies(&data.messages, round);
        let reference = time(&bodies, |body| plain.take(body));
        let measured = time(&bodies, |body| ours.take(body));
        ratios.push(measured / reference);
        plain_ns.push(reference);
        ours_ns.push(measured);
    }
    println!(
        "pipeline: {:.0} ns/event, the obvious way {:.0} ns/event, ratio {:.2} ({}, {} events, median of {rounds} rounds)",
        median(ours_ns),
        median(plain_ns),
        median(ratios),
        data.what,
        data.messages.len(),
    );
}
