//! Fuzz target: any text, judged by a small ruleset under every strictness.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| menshen_fuzz::judge(input));
