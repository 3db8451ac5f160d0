#![no_main]

mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::run(env!("CARGO_BIN_NAME"), data));
