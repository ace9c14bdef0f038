//! What the fuzz targets do with their input, as plain functions: `tests/fuzz.rs` of the gateway runs the same on a stable
//! compiler.
//!
//! Each takes any bytes and panics where interception breaks a promise. Not for: what a text should be judged as; the
//! table in `tests/cases/` says that.

use std::cell::RefCell;
use std::sync::LazyLock;

use menshen::event::{Hit, Verdict};
use menshen::interception::{
    Audience, Config, DETECTORS, Judgement, Origin, Outcome, Policy, Problem, RuleSource, Ruleset, Scratch,
    Sources, WordlistRule, WordlistSource, fold_into,
};
use unicode_segmentation::UnicodeSegmentation;

/// Longest input that is looked at: longer ones find nothing that shorter ones do not, only more slowly.
const INPUT_BYTES_MAX: usize = 2_048;

/// Terms of every kind: ideographs, letters, digits, both, short and long, what folds to several, allow phrases.
const LIST: &str = "\
# category: contact high
# category: lure medium
# category: soft low
!企业微信
!路口交通
加微信
加vx
加qq
vx
㎏
ass
69
口交
代开发票\tlure
信用卡套现\tlure
刷单群\tlure
telegram群\tlure
进群领红包\tlure
免费领\tsoft
群\tsoft
";

/// Counted apart.
const SHADOW: &str = "# category: trial medium\n# life: shadow\n加微\n兼职刷单\n";

const RULES: &str = r#"
[[rule]]
id = "rebate"
level = "medium"
all = ["返现"]
any = ["链接", "扫码"]
none = ["门店"]
near = { chars = 20 }

[[rule]]
id = "code"
level = "medium"
pattern = "口令[a-z0-9]{3,}"
"#;

/// Most hits that the small ruleset tells: few, so that texts with more are met.
const FIXED_HITS_MAX: usize = 8;

/// The same for arbitrary rulesets: more than an input can have.
const HITS_MAX: usize = 1 << 16;

const STRICTNESSES: [&str; 3] = ["relaxed", "standard", "strict"];

/// The small ruleset.
static FIXED: LazyLock<Ruleset> = LazyLock::new(|| {
    let list = |name, text| WordlistSource::parse(name, Origin::File, text).expect("it is written right");
    let wordlists = [list("fixed", LIST), list("trial", SHADOW)];
    let rules = [RuleSource::from_toml("rules", Origin::File, RULES).expect("it is written right")];
    let sources = Sources { wordlists: &wordlists, rules: &rules, ..Sources::default() };
    let config = Config { hits_max: FIXED_HITS_MAX, ..Config::default() };
    Ruleset::compile_with("r-1", sources, &config).expect("it is within every limit").0
});

thread_local! {
    /// Kept from input to input, so that whatever leaks from one into the next is seen.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Judges any text by the small ruleset under every strictness.
pub fn judge(input: &[u8]) {
    let text = text_of(input);
    check_folding(&text);
    for strictness in STRICTNESSES {
        let policy = FIXED.policy(strictness).expect("it is built in");
        check((&FIXED, FIXED_HITS_MAX), policy, &text);
    }
}

/// Looks at any text by the detectors alone.
pub fn detectors(input: &[u8]) {
    let text = text_of(input);
    let only = WordlistRule { name: DETECTORS.to_owned(), ..WordlistRule::default() };
    let policy = FIXED.policy("standard").expect("it is built in");
    let policy = Policy { wordlists: Some(vec![only]), ..policy.clone() };
    let judgement = check((&FIXED, FIXED_HITS_MAX), &policy, &text);
    let mut before = 0;
    for judged in &judgement.hits {
        let hit = &judged.hit;
        assert_eq!(hit.wordlist, DETECTORS, "{text:?}");
        assert!(before <= hit.span[0], "detections overlap in {text:?}: {:?}", judgement.hits);
        before = hit.span[1];
        let shown = judged.masked.as_deref().expect("a detection can always be shown");
        // The host of an address is shown, which may be all of it.
        let is_address = ["url", "invite", "qr", "ipv4"].contains(&hit.term.as_str());
        assert!(is_address || shown.contains('*'), "{text:?} is shown as {shown:?}");
    }
}

/// Compiles any wordlist and, after a zero byte, any rules, and tries every listed term on itself.
pub fn ruleset(input: &[u8]) {
    let text = text_of(input);
    let (list, rules) = text.split_once('\0').unwrap_or((&text, ""));
    let list = WordlistSource::parse("listed", Origin::File, list).ok().map(WordlistSource::unrestricted);
    let rules = RuleSource::from_toml("rules", Origin::File, rules).ok();
    let config = Config {
        terms_max: 64,
        rules_max: 8,
        regex_bytes_max: 1 << 16,
        regex_cache_bytes_max: 1 << 16,
        hits_max: HITS_MAX,
        ..Config::default()
    };
    let (wordlists, rules) = (list.as_slice(), rules.as_slice());
    let sources = Sources { wordlists, rules, ..Sources::default() };
    let Ok((compiled, problems)) = Ruleset::compile_with("r-1", sources, &config) else { return };
    for strictness in STRICTNESSES {
        let policy = compiled.policy(strictness).expect("it is built in");
        check((&compiled, HITS_MAX), policy, &text);
        for list in wordlists {
            find_terms(&compiled, policy, list, &problems);
        }
    }
}

/// Arbitrary bytes as a text: what is no UTF-8 is replaced, so that no input is wasted.
fn text_of(input: &[u8]) -> String {
    String::from_utf8_lossy(input.get(..INPUT_BYTES_MAX).unwrap_or(input)).into_owned()
}

fn check_folding(text: &str) {
    let (mut once, mut twice) = (String::from("of another text"), String::new());
    fold_into(text, &mut once);
    fold_into(&once, &mut twice);
    assert_eq!(once, twice, "folding {text:?} twice is not folding it once");
}

/// Judges a text, and holds against it all that is true of every judgement.
fn check((rules, hits_max): (&Ruleset, usize), policy: &Policy, text: &str) -> Judgement {
    let judged = |scratch: &mut Scratch| rules.judge(text, policy, &Audience::default(), scratch);
    let judgement = judged(&mut Scratch::default());
    let again = SCRATCH.with_borrow_mut(judged);
    assert_eq!(judgement, again, "{text:?} is judged otherwise after another text, under {}", policy.name);
    let Judgement { hits, shadow, .. } = &judgement;
    assert!(hits.len() <= hits_max && shadow.len() <= hits_max, "{} hits of {text:?}", hits.len());
    for judged in hits.iter().chain(shadow) {
        check_hit(rules, text, &judged.hit);
    }
    check_masked(text, &judgement, hits.len() < hits_max);
    check_explained(rules, policy, text, &judgement);
    judgement
}

/// A span is whole grapheme clusters of the text, and what matched is what stands there.
fn check_hit(rules: &Ruleset, text: &str, hit: &Hit) {
    let [start, end] = hit.span;
    let is_boundary = |at: usize| at == text.len() || text.grapheme_indices(true).any(|(from, _)| from == at);
    assert!(start < end && is_boundary(start) && is_boundary(end), "{hit:?} cuts {text:?}");
    let masked = rules.wordlists().iter().any(|list| list.name == hit.wordlist && list.masked);
    assert!(masked || text.get(start..end) == Some(&hit.matched), "{hit:?} is not what stands in {text:?}");
    assert!((1..=100).contains(&hit.confidence), "{hit:?}");
}

/// Whatever no hit covers is in the masked text, in order and untouched. Where not all hits are told, some that are not
/// are masked too.
fn check_masked(text: &str, judgement: &Judgement, all_told: bool) {
    assert_eq!(judgement.masked.is_some(), judgement.verdict == Verdict::Mask, "{text:?}");
    let Some(masked) = &judgement.masked else { return };
    let mut rest = masked.as_str();
    for (at, cluster) in text.grapheme_indices(true) {
        let mask = if cluster.len() == 1 { "*" } else { "＊" };
        let is_covered = judgement.hits.iter().any(|h| (h.hit.span[0]..h.hit.span[1]).contains(&at));
        let hidden = rest.strip_prefix(mask).filter(|_| is_covered || !all_told);
        let left = hidden.or_else(|| rest.strip_prefix(cluster));
        rest = left.unwrap_or_else(|| panic!("{text:?} is masked as {masked:?} at byte {at}"));
    }
    assert_eq!(rest, "", "{text:?} is masked as {masked:?}");
}

/// The explanation comes to the same, and the verdict is the severest of all that count.
fn check_explained(rules: &Ruleset, policy: &Policy, text: &str, judgement: &Judgement) {
    let explanation = rules.explain(text, policy, &Audience::default());
    assert_eq!(explanation.verdict, judgement.verdict, "{text:?} under {}", policy.name);
    assert_eq!(explanation.masked, judgement.masked, "{text:?} under {}", policy.name);
    let counted = |shadow| {
        explanation.hits.iter().filter(move |hit| hit.outcome == Outcome::Counted && hit.shadow == shadow)
    };
    let severest = counted(false).map(|hit| hit.verdict).max().unwrap_or_default();
    assert_eq!(severest, judgement.verdict, "{text:?} under {}", policy.name);
    for (told, shadow) in [(&judgement.hits, false), (&judgement.shadow, true)] {
        for judged in told {
            assert!(counted(shadow).any(|hit| hit.hit == judged.hit), "{:?} of {text:?}", judged.hit);
        }
        assert!(told.is_empty() == counted(shadow).next().is_none(), "{text:?} under {}", policy.name);
    }
}

/// Each listed term that nothing is wrong with is found in its own text, and counts there unless something is skipped
/// inside it, an allow phrase cancels it or a longer way to see it covers it.
fn find_terms(rules: &Ruleset, policy: &Policy, list: &WordlistSource, problems: &[Problem]) {
    for term in list.terms.iter().filter(|_| !list.masked) {
        if problems.iter().any(|problem| problem.line == term.line) {
            continue;
        }
        let explanation = rules.explain(&term.text, policy, &Audience::default());
        let mut own = explanation.hits.iter().filter(|hit| hit.hit.term == term.text && !hit.shadow);
        let has_gap = explanation.folded.chars().count() < term.text.chars().count();
        let is_fine = |outcome: &Outcome| match outcome {
            Outcome::Counted | Outcome::Covered | Outcome::Allowed { .. } => true,
            Outcome::Gap | Outcome::Sentence | Outcome::Boundary | Outcome::Ordinary => has_gap,
        };
        assert!(
            own.any(|hit| is_fine(&hit.outcome)),
            "{:?} is not found in itself under {}: {:?}",
            term.text,
            policy.name,
            explanation.hits
        );
    }
}
