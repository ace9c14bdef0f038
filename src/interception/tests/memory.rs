//! What a large ruleset occupies: a promise that a change of a table's layout breaks without any other test failing.

use std::collections::BTreeSet;

use super::*;

const TERMS: usize = 60_000;

/// A ruleset of so many terms without variants occupies at most this.
const MEMORY_BYTES_MAX: usize = 8 << 20;

/// Numbers that look random and are always the same.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX generator; its high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// A few are drawn most of the time, as characters of a language are.
    fn uneven(&mut self, limit: usize) -> usize {
        let wide = self.below(limit) + 1;
        self.below(wide)
    }
}

/// Terms of the kinds of public lists, with as many different beginnings, which is what automata grow by: a quarter are names of
/// hosts, two in a hundred have two characters.
fn terms() -> BTreeSet<String> {
    const HOST: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut draws = Draws(1);
    let mut terms = BTreeSet::new();
    while terms.len() < TERMS {
        let kind = draws.below(100);
        let term: String = if kind < 23 {
            let name: String =
                (0..5 + draws.below(8)).map(|_| char::from(HOST[draws.uneven(HOST.len())])).collect();
            format!("{name}.{}", ["com", "net", "cn", "org"][draws.uneven(4)])
        } else {
            let length = if kind < 25 { 2 } else { 3 + draws.uneven(8) };
            let ideograph = |at: usize| char::from_u32(0x4E00 + u32::try_from(at * 5).unwrap()).unwrap();
            (0..length).map(|_| ideograph(draws.uneven(3_500))).collect()
        };
        terms.insert(term);
    }
    terms
}

#[test]
fn sixty_thousand_terms_without_variants_occupy_eight_megabytes_at_most() {
    let mut list = WordlistSource::new("large", Origin::Api);
    list.terms = terms().into_iter().map(|text| Term { text, ..Term::default() }).collect();
    let config = Config { variants: false, ..Config::default() };
    let (rules, _) = Ruleset::compile("r-1", &[list], Vec::new(), &config).unwrap();
    assert!(rules.terms() > TERMS * 9 / 10, "{} terms", rules.terms());
    let occupied = rules.memory_bytes();
    assert!(occupied <= MEMORY_BYTES_MAX, "{occupied} bytes");
}
