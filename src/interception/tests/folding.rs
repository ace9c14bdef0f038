//! Every folding there and back.

use super::*;

/// A scalar that is not what it folds to, with that.
fn spellings() -> impl Iterator<Item = (char, String)> {
    ('\0'..=char::MAX).filter_map(|c| {
        let mut folded = String::new();
        fold_into(c.encode_utf8(&mut [0; 4]), &mut folded);
        (!folded.is_empty() && !folded.chars().eq([c])).then_some((c, folded))
    })
}

#[test]
fn a_term_in_one_spelling_is_found_in_a_text_in_any_other() {
    let spellings: Vec<_> = spellings().collect();
    assert!(spellings.len() > 9_000, "{}", spellings.len());
    // Listed first in the spelling, then as it folds: both ways of one term.
    for as_folded in [false, true] {
        let mut list = WordlistSource::new("list", Origin::File);
        list.terms.extend(spellings.iter().map(|(c, folded)| Term {
            text: if as_folded { format!("测{folded}验") } else { format!("测{c}验") },
            ..Term::default()
        }));
        let config = Config { variants: false, ..Config::default() };
        let (ruleset, _) = Ruleset::compile("r-1", &[list], Vec::new(), &config).unwrap();
        let (policy, mut scratch) = (ruleset.policy("relaxed").unwrap(), Scratch::default());
        for (c, folded) in &spellings {
            for text in [format!("测{c}验"), format!("测{folded}验")] {
                let hits = ruleset.judge(&text, policy, &Audience::default(), &mut scratch).hits;
                let spans: Vec<_> = hits.iter().map(|judged| judged.hit.span).collect();
                assert_eq!(spans, [[0, text.len()]], "{text} (U+{:04X})", u32::from(*c));
            }
        }
    }
}
