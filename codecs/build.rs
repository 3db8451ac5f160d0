//! Without nasm the H.264 library builds all the same, without its assembly and 2.4 times slower.
//! That must be somebody's decision, not an accident. Once it is found it is not looked for again: a build that failed for want of it is
//! tried anew anyway, and another PATH is no reason to build everything anew.

use std::{env, process::Command};

const NASM: &str = "nasm is missing and H.264 would be built without its assembly, 2.4 times slower: \
    apt-get install nasm, then cargo clean -p openh264-sys2 (or set MIXDOWN_ALLOW_SLOW=1)";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MIXDOWN_ALLOW_SLOW");
    let set = |name: &str| env::var_os(name).is_some();
    let wanted = set("CARGO_FEATURE_H264") && env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    let found = || Command::new("nasm").arg("-v").output().is_ok_and(|output| output.status.success());
    if wanted && !set("MIXDOWN_ALLOW_SLOW") && !found() {
        println!("cargo::error={NASM}");
    }
}
