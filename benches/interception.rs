//! Judging a text, against the plain design: normalise into a string, then aho-corasick's contiguous NFA.
//!
//! All run in one process, interleaved round by round; what counts are the ratios at the end. Also: how long compiling
//! takes, what a ruleset occupies, and how long a message of 4,000 characters takes.
//! `cargo bench --bench interception`, for figures with `--profile dist`; with `-- --test` or `MENSHEN_BENCH_SMALL=1` it only shows that it runs.

#![expect(clippy::print_stdout, reason = "a bench speaks on standard output")]
#![expect(clippy::cast_precision_loss, reason = "rates are for people")]

#[path = "support/data.rs"]
mod data;

use std::hint::black_box;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use criterion::{Criterion, Throughput};
use menshen::clock::Stopwatch;
use menshen::interception::{
    Audience, Config, Origin, Policy, Ruleset, Scratch, Strictness, Term, WordlistRule, WordlistSource,
    fold_into,
};

use data::{Data, Random};

/// A corpus and its name in the ratio line.
struct Corpus {
    name: &'static str,
    messages: Vec<String>,
}

impl Corpus {
    fn bytes(&self) -> usize {
        self.messages.iter().map(String::len).sum()
    }
}

/// A ruleset and the policy that its messages are judged by.
struct Contender {
    name: &'static str,
    policy: Policy,
    ruleset: Ruleset,
}

/// The list of all terms.
const LEXICON: &str = "lexicon";

/// Characters of a long message.
const LONG: usize = 4_000;

fn main() {
    let data = Data::load();
    println!("data: {}, {} terms, {} messages", data.source, data.terms.len(), data.messages.len());
    // The plain design has terms and nothing else; what each of ours adds to them is told apart.
    let only_terms = |policy| Policy {
        wordlists: Some(vec![WordlistRule { name: LEXICON.to_owned(), ..WordlistRule::default() }]),
        ..policy
    };
    let contenders = [
        compile(&data.terms, "terms", only_terms(Policy::relaxed())),
        compile(&data.terms, "terms+disguises", only_terms(Policy::standard())),
        compile(&data.terms, "standard", Policy::standard()),
    ];
    let reference = reference(&data.terms);
    let corpora = corpora(&data, if data::small() { 300 } else { 20_000 });

    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    for corpus in &corpora {
        let mut group = criterion.benchmark_group(format!("interception/{}", corpus.name));
        group.throughput(Throughput::Bytes(corpus.bytes() as u64));
        for contender in &contenders {
            group.bench_function(contender.name, |b| {
                let mut scratch = Scratch::default();
                b.iter(|| judge(contender, &mut scratch, &corpus.messages));
            });
        }
        group.bench_function("reference", |b| {
            let mut folded = String::new();
            b.iter(|| normalise_and_search(&reference, &mut folded, &corpus.messages));
        });
        group.finish();
    }
    for contender in &contenders {
        for corpus in &corpora {
            print_ratio(contender, &reference, corpus);
        }
        for corpus in &corpora {
            print_long(contender, corpus);
        }
    }
}

fn compile(terms: &[String], name: &'static str, policy: Policy) -> Contender {
    let mut list = WordlistSource::new(LEXICON, Origin::File);
    list.terms = terms.iter().map(|t| Term { text: t.clone(), ..Term::default() }).collect();
    let config = Config { variants: policy.strictness != Some(Strictness::Relaxed), ..Config::default() };
    let watch = Stopwatch::start();
    let (ruleset, problems) =
        Ruleset::compile("bench", &[list], Vec::new(), &config).expect("the lexicon compiles");
    println!(
        "{name}: compiled {} terms in {:.3} s, {:.1} MB resident and {:.1} MB for disguises, {} lines left out or reported",
        ruleset.terms(),
        watch.elapsed().as_secs_f64(),
        ruleset.memory_bytes() as f64 / 1e6,
        ruleset.variants_memory_bytes() as f64 / 1e6,
        problems.len()
    );
    Contender { name, policy, ruleset }
}

fn reference(terms: &[String]) -> AhoCorasick {
    let folded = terms.iter().map(|term| {
        let mut folded = String::new();
        fold_into(term, &mut folded);
        folded
    });
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(MatchKind::LeftmostLongest)
        .build(folded.filter(|t| t.chars().nth(1).is_some()))
        .expect("the lexicon fits the automaton")
}

fn corpora(data: &Data, count: usize) -> [Corpus; 3] {
    let mut random = Random(3);
    let clean: Vec<_> = data.messages.iter().cycle().take(count).cloned().collect();
    let mut hits = clean.clone();
    for message in hits.iter_mut().step_by(100) {
        // Spliced between two characters: the text stays text.
        let at = message.char_indices().map(|(at, _)| at).nth(random.below(20)).unwrap_or(0);
        message.insert_str(at, random.pick::<String>(&data.terms));
    }
    // Nearly every position is deep in the automaton: terms without their ends, one in twenty whole, one in twenty
    // with separators.
    let adversarial = (0..count.div_ceil(2)).map(|_| {
        let mut message = String::new();
        while message.chars().count() < 40 {
            let term = random.pick(&data.terms);
            let letters: Vec<_> = term.chars().collect();
            match random.below(20) {
                0 => message.push_str(term),
                1 => letters.iter().for_each(|c| message.extend([*c, '·'])),
                _ => message.extend(&letters[..letters.len() - 1]),
            }
        }
        message
    });
    let adversarial = adversarial.collect();
    [("clean", clean), ("hits-1%", hits), ("adversarial", adversarial)]
        .map(|(name, messages)| Corpus { name, messages })
}

fn judge(contender: &Contender, scratch: &mut Scratch, messages: &[String]) -> usize {
    let Contender { policy, ruleset, .. } = contender;
    let judge = |m: &String| black_box(ruleset.judge(m, policy, &Audience::default(), scratch)).hits.len();
    messages.iter().map(judge).sum()
}

fn normalise_and_search(reference: &AhoCorasick, folded: &mut String, messages: &[String]) -> usize {
    let count = |message: &String| {
        fold_into(message, folded);
        reference.find_iter(folded.as_str()).count()
    };
    black_box(messages.iter().map(count).sum())
}

fn print_ratio(contender: &Contender, reference: &AhoCorasick, corpus: &Corpus) {
    let rounds = if data::small() { 1 } else { 9 };
    let (mut scratch, mut folded) = (Scratch::default(), String::new());
    let mut ratios = Vec::new();
    let mut fastest = f64::MAX;
    for _ in 0..rounds {
        let watch = Stopwatch::start();
        normalise_and_search(reference, &mut folded, &corpus.messages);
        let plain = watch.elapsed().as_secs_f64();
        let watch = Stopwatch::start();
        judge(contender, &mut scratch, &corpus.messages);
        let ours = watch.elapsed().as_secs_f64();
        ratios.push(plain / ours);
        fastest = fastest.min(ours);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "ratio interception {} {} {:.2} (reference: normalise + aho-corasick NFA; {:.2} to {:.2} in {rounds} rounds; best {:.0} MB/s, {:.2} M messages/s)",
        corpus.name,
        contender.name,
        ratios[rounds / 2],
        ratios[0],
        ratios[rounds - 1],
        corpus.bytes() as f64 / 1e6 / fastest,
        corpus.messages.len() as f64 / 1e6 / fastest,
    );
}

/// Times messages of [`LONG`] characters one by one. Each has the median of its rounds, so that what else the machine
/// does is no message's fault; the percentile is over messages.
fn print_long(contender: &Contender, corpus: &Corpus) {
    let letters: Vec<char> = corpus.messages.iter().flat_map(|message| message.chars()).collect();
    let messages: Vec<String> = letters.chunks_exact(LONG).map(|chunk| chunk.iter().collect()).collect();
    let rounds = if data::small() { 1 } else { 9 };
    let mut scratch = Scratch::default();
    let mut times = vec![Vec::with_capacity(rounds); messages.len()];
    for _ in 0..rounds {
        for (message, times) in messages.iter().zip(&mut times) {
            let watch = Stopwatch::start();
            judge(contender, &mut scratch, std::slice::from_ref(message));
            times.push(watch.elapsed().as_secs_f64() * 1e6);
        }
    }
    let mut medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |percent: usize| medians.get(medians.len() * percent / 100).copied().unwrap_or_default();
    println!(
        "long interception {} {} {LONG} characters: p50 {:.0} us, p99 {:.0} us of {} messages, medians of {rounds} rounds",
        corpus.name,
        contender.name,
        at(50),
        at(99),
        medians.len(),
    );
}
