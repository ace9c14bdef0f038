//! Where benches take their data from: the shared sample where it is at hand, else one made up on the spot.

use std::path::PathBuf;

use menshen::interception::{Origin, WordlistSource, shipped, shop_talk};

/// Messages and terms to measure with.
pub(crate) struct Data {
    /// Says where they are from.
    pub(crate) source: String,
    /// Ordinary messages, one each.
    pub(crate) messages: Vec<String>,
    /// Listed words.
    pub(crate) terms: Vec<String>,
}

/// Says whether a bench should only show that it runs.
#[expect(clippy::disallowed_methods, reason = "benches have no configuration")]
pub(crate) fn small() -> bool {
    std::env::var("MENSHEN_BENCH_SMALL").is_ok_and(|v| v == "1") || std::env::args().any(|a| a == "--test")
}

impl Data {
    /// Loads `chat-sample.txt` and `lexicon-60k.txt` from `MENSHEN_BENCH_DATA` or beside the repository.
    #[expect(clippy::disallowed_methods, reason = "benches have no configuration")]
    pub(crate) fn load() -> Self {
        let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
        let directory = std::env::var("MENSHEN_BENCH_DATA").map_or_else(|_| beside(), PathBuf::from);
        let read = |name: &str| std::fs::read_to_string(directory.join(name));
        let (Ok(messages), Ok(terms)) = (read("chat-sample.txt"), read("lexicon-60k.txt")) else {
            return Self::generate();
        };
        let list = WordlistSource::parse("lexicon", Origin::File, &terms).expect("a list of terms");
        Self {
            source: "chat-sample.txt and lexicon-60k.txt".to_owned(),
            messages: messages.lines().map(str::to_owned).collect(),
            terms: list.terms.into_iter().map(|t| t.text).collect(),
        }
    }

    /// Makes up messages from our own shop talk, and terms by pairing the shipped ones.
    fn generate() -> Self {
        let talk: Vec<_> = shop_talk().collect();
        let mut random = Random(1);
        let mut phrase = || *random.pick(&talk);
        let messages = (0..20_000).map(|_| format!("{}，{}", phrase(), phrase())).collect();
        let shipped: Vec<_> = shipped().into_iter().flat_map(|l| l.terms).map(|t| t.text).collect();
        let mut random = Random(2);
        let mut terms: Vec<String> = shipped.clone();
        terms.extend(
            (0..60_000 - shipped.len())
                .map(|_| format!("{}{}", random.pick(&shipped), random.pick(&shipped))),
        );
        Self { source: "a generated sample".to_owned(), messages, terms }
    }
}

/// A small fixed generator: the same data in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound.max(1) as u64).unwrap_or(0)
    }

    /// Picks one.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
