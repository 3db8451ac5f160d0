//! A program of its own: what its allocator is told cannot be taken back.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::hint::black_box;

/// What the process has in memory, in MiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// 40 MiB, each 100 KiB of which have a small block behind them that stays.
fn come_and_go(small: &mut Vec<Vec<u8>>) -> (usize, usize) {
    let mut large = Vec::new();
    for _ in 0..400 {
        large.push(black_box(vec![1u8; 100 * 1024]));
        small.push(black_box(vec![1u8; 256]));
    }
    let most = resident();
    drop(large);
    (most, resident())
}

#[test]
fn what_left_is_no_longer_in_memory_whatever_small_blocks_lie_between() {
    let mut small = Vec::new();
    let before = resident();
    mixdown_codecs::memory::large_blocks_apart();
    let (most, after) = come_and_go(&mut small);
    assert!(most >= before + 35, "{before} MiB, then {most}");
    assert!(after <= before + 5, "{before} MiB, then {most}, and {after} when they had gone");
}
