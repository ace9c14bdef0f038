//! What the fuzz targets do with their input, on a stable compiler: over their seeds, and over random pieces of text.
//!
//! Not for: finding what is rare. `cargo +nightly fuzz run judge` in `fuzz/` does that; what it finds becomes a seed.

#[path = "../fuzz/src/lib.rs"]
pub mod bodies;

use std::path::Path;

use proptest::prelude::*;

/// Runs a target over its seeds.
fn over_seeds(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in std::fs::read_dir(&folder).expect("every target has a folder of seeds") {
        let path = entry.expect("the folder can be read").path();
        body(&std::fs::read(&path).expect("a seed can be read"));
        seeds += 1;
    }
    assert!(seeds >= 5, "{seeds} seeds in {}", folder.display());
}

/// Pieces of words in many spellings, and bytes: enough of each that terms, disguises and gaps meet.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &str = "加|微|信|薇|❤|➕|力|口|亻|言|v|x|Ｖ|ⓥ|q|qq|🐧|jia|wei|xin|群|刷|单|開|代|发|票|1|3|9|①|壹|⑩|㎏|\
        138|1234|5678|@|.|点|com|http://|微信：|ab12|返现|链接|口令|a|s|6|\u{200B}|\u{301}|\u{200D}|\u{FE0F}|👩|🇨|🇳|·| |。|\n|\
        #|!|\t|# masked: true\n|# strictness: strict\n|# category: a low\n|level=low|\0|[[rule]]\n|id = \"a\"\n|all = [\"加\"]\n|\
        pattern = \"a+b\"\n|\u{3164}|𠮷|ａ|が|한|\u{202E}|！|丶";
    let piece =
        prop::sample::select(PIECES.split('|').map(str::as_bytes).map(<[u8]>::to_vec).collect::<Vec<_>>());
    let piece = prop_oneof![12 => piece, 1 => prop::collection::vec(any::<u8>(), 1..4)];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

#[test]
fn seeds_keep_every_promise() {
    over_seeds("judge", bodies::judge);
    over_seeds("ruleset", bodies::ruleset);
    over_seeds("detectors", bodies::detectors);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_judged_within_the_promises(input in pieces()) {
        bodies::judge(&input);
    }

    #[test]
    fn any_text_is_looked_at_by_the_detectors_within_the_promises(input in pieces()) {
        bodies::detectors(&input);
    }
}

proptest! {
    // Each compiles a ruleset.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_wordlist_finds_its_own_terms(input in pieces()) {
        bodies::ruleset(&input);
    }
}
