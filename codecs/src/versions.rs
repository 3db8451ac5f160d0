//! What was really linked: versions, assembly and processor features, for `--version --verbose` and `doctor`.

/// Name and value of each fact, in the order in which to show them; read from the running libraries.
pub fn report() -> Vec<(String, String)> {
    let (vpx, vpx_config) = crate::vp8::version();
    let mut facts = vec![
        ("openh264", openh264()),
        ("openh264 assembly", assembly()),
        ("libvpx", vpx),
        ("libvpx configuration", vpx_config),
        ("libopus", crate::opus::version().to_owned()),
    ];
    facts.push(("processor", processor()));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// How much of its assembly the H.264 library was built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assembly {
    Missing,
    /// All but the routines for processors with AVX2.
    WithoutAvx2,
    Whole,
}

/// What was linked; `None` where that cannot be told (or there is no H.264 in this build).
pub fn h264_assembly() -> Option<Assembly> {
    #[cfg(all(feature = "h264", target_arch = "x86_64", target_os = "linux"))]
    return Some(linked::assembly());
    // NEON comes through the C compiler, which is there anyway.
    #[cfg(all(feature = "h264", target_arch = "aarch64"))]
    return Some(Assembly::Whole);
    #[cfg(not(all(feature = "h264", any(all(target_arch = "x86_64", target_os = "linux"), target_arch = "aarch64"))))]
    None
}

fn assembly() -> String {
    let text = match h264_assembly() {
        Some(Assembly::Whole) => "yes",
        Some(Assembly::WithoutAvx2) => "without AVX2: build in the project's own folder, whose .cargo/config.toml asks for it",
        Some(Assembly::Missing) => "no: install nasm, then cargo clean -p openh264-sys2 and build again",
        None => "unknown",
    };
    text.to_owned()
}

fn openh264() -> String {
    #[cfg(feature = "h264")]
    return crate::h264::version();
    #[cfg(not(feature = "h264"))]
    "not in this build".to_owned()
}

/// Architecture and those vector extensions that the codecs and kernels make use of.
fn processor() -> String {
    let mut words = vec![std::env::consts::ARCH];
    #[cfg(target_arch = "x86_64")]
    for (name, there) in [
        ("ssse3", std::is_x86_feature_detected!("ssse3")),
        ("sse4.1", std::is_x86_feature_detected!("sse4.1")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512bw", std::is_x86_feature_detected!("avx512bw")),
    ] {
        words.extend(there.then_some(name));
    }
    #[cfg(target_arch = "aarch64")]
    words.extend(std::arch::is_aarch64_feature_detected!("neon").then_some("neon"));
    words.join(" ")
}

#[cfg(all(feature = "h264", target_arch = "x86_64", target_os = "linux"))]
mod linked {
    // Weak references to two of the library's assembly routines: their addresses, or 0 where they were not linked.
    std::arch::global_asm!(
        ".weak WelsSampleSad16x16_sse2",
        ".weak WelsDctFourT4_avx2",
        ".pushsection .data.rel.ro.mixdown_h264_assembly,\"aw\",@progbits",
        ".balign 8",
        ".globl mixdown_h264_assembly",
        ".hidden mixdown_h264_assembly",
        "mixdown_h264_assembly:",
        ".quad WelsSampleSad16x16_sse2",
        ".quad WelsDctFourT4_avx2",
        ".popsection",
    );

    unsafe extern "C" {
        static mixdown_h264_assembly: [usize; 2];
    }

    pub(super) fn assembly() -> super::Assembly {
        // SAFETY: defined above as two aligned words that nothing writes to after loading.
        match unsafe { std::ptr::read_volatile(&raw const mixdown_h264_assembly) } {
            [0, _] => super::Assembly::Missing,
            [_, 0] => super::Assembly::WithoutAvx2,
            _ => super::Assembly::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_are_recent_enough_and_fast() {
        let facts: std::collections::BTreeMap<_, _> = report().into_iter().collect();
        println!("{facts:#?}");
        let allowed_slow = std::env::var_os("MIXDOWN_ALLOW_SLOW").is_some();
        assert!(allowed_slow || h264_assembly().is_none_or(|assembly| assembly == Assembly::Whole), "{}", facts["openh264 assembly"]);
        assert!(facts["libopus"].contains("1.6"), "{}", facts["libopus"]);
        assert!(facts["libvpx"].starts_with("v1."), "{}", facts["libvpx"]);
        #[cfg(feature = "h264")]
        assert!(facts["openh264"].starts_with("2.7."), "{}", facts["openh264"]);
    }
}
