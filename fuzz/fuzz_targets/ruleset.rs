//! Fuzz target: any wordlist and any rules, compiled and tried on their own terms.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| menshen_fuzz::ruleset(input));
