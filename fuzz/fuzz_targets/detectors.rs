//! Fuzz target: any text, looked at by the detectors alone.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| menshen_fuzz::detectors(input));
