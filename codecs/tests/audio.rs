//! The audio codecs through the traits alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use mixdown_codecs::{AudioCodec, AudioDecoder, AudioEncoder, FRAME_SAMPLES, audio};
use std::f32::consts::TAU;

const FRAME: usize = FRAME_SAMPLES * 2;

fn pair(codec: AudioCodec, bitrate: u32) -> (Box<dyn AudioEncoder>, Box<dyn AudioDecoder>) {
    (audio::encoder(codec, bitrate).unwrap(), audio::decoder(codec).unwrap())
}

/// Stereo sound of `seconds`, from a function of time in seconds.
fn sound(seconds: f32, wave: impl Fn(f32) -> f32) -> Vec<f32> {
    (0..(seconds * 48_000.0) as usize).flat_map(|n| [wave(n as f32 / 48_000.0); 2]).collect()
}

/// Something like a voice: harmonics under syllables.
fn voice(t: f32) -> f32 {
    let pitch = 130.0 + 20.0 * (TAU * 0.7 * t).sin() / (TAU * 0.7 * 130.0) * 10.0;
    let syllable = 0.55 + 0.45 * (TAU * 3.0 * t).sin();
    (1..12).map(|k| (TAU * pitch * k as f32 * t).sin() / k as f32).sum::<f32>() * 0.12 * syllable
}

/// Power of `signal` against that of its difference to `other`, at the delay within `most` samples that fits best; dB.
fn snr(signal: &[f32], other: &[f32], most: usize) -> f32 {
    let left = |pcm: &[f32]| pcm.iter().step_by(2).copied().collect::<Vec<f32>>();
    let (signal, other) = (left(signal), left(other));
    let length = signal.len() - most;
    let at = |delay: usize| {
        let pairs = signal[..length].iter().zip(&other[delay..delay + length]).skip(4800);
        let (power, error) = pairs.fold((0.0f64, 1e-12f64), |(p, e), (a, b)| (p + f64::from(a * a), e + f64::from((a - b) * (a - b))));
        10.0 * (power / error).log10()
    };
    (0..most).map(at).fold(f64::MIN, f64::max) as f32
}

#[test]
fn a_tone_survives_g711_with_the_quality_of_eight_bits() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma] {
        for hz in [300.0, 1000.0, 3000.0] {
            let (mut encoder, mut decoder) = pair(codec, 64_000);
            let tone = sound(0.5, |t| 0.5 * (TAU * hz * t).sin());
            let mut heard = Vec::new();
            for frame in tone.chunks_exact(FRAME) {
                let packet = encoder.encode(frame).unwrap().expect("always sends");
                assert_eq!(packet.len(), 160);
                assert_eq!(decoder.decode(&packet, &mut heard).unwrap(), FRAME_SAMPLES);
            }
            let quality = snr(&tone, &heard, 400);
            println!("{codec:?} {hz} Hz: {quality:.1} dB");
            assert!(quality > 33.0, "{codec:?} {hz} Hz: {quality} dB");
        }
    }
}

#[test]
fn g711_keeps_what_it_cannot_carry_out_of_the_band() {
    let (mut encoder, mut decoder) = pair(AudioCodec::Pcmu, 64_000);
    let tone = sound(0.4, |t| 0.5 * (TAU * 5200.0 * t).sin());
    let mut heard = Vec::new();
    for frame in tone.chunks_exact(FRAME) {
        decoder.decode(&encoder.encode(frame).unwrap().unwrap(), &mut heard).unwrap();
    }
    let power = heard[9600..].iter().map(|s| s * s).sum::<f32>() / (heard.len() - 9600) as f32;
    let below = 10.0 * (power / 0.125).log10();
    assert!(below < -45.0, "an alias at {below} dB");
}

#[test]
fn losses_in_g711_leave_no_click_and_fade_to_silence() {
    let (mut encoder, mut decoder) = pair(AudioCodec::Pcmu, 64_000);
    let tone = sound(0.6, |t| 0.5 * (TAU * 200.0 * t).sin());
    let mut heard = Vec::new();
    for (n, frame) in tone.chunks_exact(FRAME).enumerate() {
        let packet = encoder.encode(frame).unwrap().unwrap();
        if n % 5 == 4 || (10..15).contains(&n) {
            assert_eq!(decoder.conceal(FRAME_SAMPLES, &mut heard).unwrap(), FRAME_SAMPLES);
        } else {
            decoder.decode(&packet, &mut heard).unwrap();
        }
    }
    assert_eq!(heard.len(), tone.len());
    let steepest = heard.chunks_exact(2).map(|s| s[0]).collect::<Vec<_>>().windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(steepest < 0.5 * TAU * 200.0 / 48_000.0 * 4.0, "a step of {steepest}");
    let end_of_gap = &heard[14 * FRAME..15 * FRAME];
    assert!(end_of_gap.iter().all(|s| s.abs() < 0.01), "silent after 80 ms");
}

/// How alike two sounds are to an ear: mean cosine of their short-time magnitude spectra (100 Hz to 6 kHz, 40 ms),
/// at the delay that fits best. 1 is the same; unrelated noise comes to about 0.7.
fn likeness(signal: &[f32], other: &[f32]) -> f32 {
    let spectrum = |pcm: &[f32], at: usize| -> Vec<f32> {
        let part = || pcm[2 * at..].iter().step_by(2).take(1920).enumerate();
        (1..60)
            .map(|k| {
                let angle = |n: usize| TAU * 100.0 * k as f32 * n as f32 / 48_000.0;
                let (re, im) = part().fold((0.0, 0.0), |(re, im), (n, s)| (re + s * angle(n).cos(), im + s * angle(n).sin()));
                f32::hypot(re, im)
            })
            .collect()
    };
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let at = |delay: usize| {
        let frames: Vec<f32> = (4800..signal.len() / 2 - 4800)
            .step_by(4800)
            .map(|n| (spectrum(signal, n), spectrum(other, n + delay)))
            .map(|(a, b)| dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt().max(1e-9))
            .collect();
        frames.iter().sum::<f32>() / frames.len() as f32
    };
    (0..8).map(|n| at(n * 60 + 192)).fold(0.0, f32::max)
}

#[test]
fn a_voice_survives_opus() {
    let (mut encoder, mut decoder) = pair(AudioCodec::Opus, 64_000);
    let pcm = sound(1.0, voice);
    let mut heard = Vec::new();
    let mut bytes = 0;
    for frame in pcm.chunks_exact(FRAME) {
        let packet = encoder.encode(frame).unwrap().expect("not silent");
        bytes += packet.len();
        assert_eq!(decoder.duration(&packet).unwrap(), FRAME_SAMPLES);
        assert_eq!(decoder.decode(&packet, &mut heard).unwrap(), FRAME_SAMPLES);
    }
    let alike = likeness(&pcm, &heard);
    println!("opus: {alike:.3} alike at {} kb/s", bytes * 8 / 1000);
    assert!(alike > 0.97, "{alike}");
}

#[test]
fn at_12_kbps_opus_is_mono_and_takes_no_more() {
    let (mut encoder, _) = pair(AudioCodec::Opus, 12_000);
    let ping_pong = |t: f32| voice(t) * (TAU * t).sin();
    let pcm: Vec<f32> = (0..96_000).flat_map(|n| [voice(n as f32 / 48_000.0), ping_pong(n as f32 / 48_000.0)]).collect();
    let packets: Vec<_> = pcm.chunks_exact(FRAME).map(|frame| encoder.encode(frame).unwrap().expect("not silent")).collect();
    // RFC 6716 §3.1: a bit of the first byte says stereo.
    assert!(packets[25..].iter().all(|packet| packet[0] & 4 == 0));
    let bytes: usize = packets.iter().map(|packet| packet.len()).sum();
    assert!(bytes * 8 / 2 < 13_000, "{} bits per second", bytes * 4);
}

/// SNR of sound whose every fifth packet was lost and rebuilt by `rebuild(decoder, next packet, out)`,
/// against the same packets without loss.
fn with_losses(rebuild: impl Fn(&mut dyn AudioDecoder, &[u8], &mut Vec<f32>)) -> f32 {
    let (mut encoder, mut decoder) = pair(AudioCodec::Opus, 32_000);
    encoder.set_loss(0.2);
    let pcm = sound(2.0, |t| voice(t) * if (t * 14.0).fract() < 0.5 { 1.0 } else { 0.2 });
    let packets: Vec<_> = pcm.chunks_exact(FRAME).map(|frame| encoder.encode(frame).unwrap().expect("not silent")).collect();
    let (mut whole, mut heard) = (Vec::new(), Vec::new());
    let mut lossless = audio::decoder(AudioCodec::Opus).unwrap();
    for (n, packet) in packets.iter().enumerate() {
        lossless.decode(packet, &mut whole).unwrap();
        match packets.get(n + 1) {
            Some(next) if n % 5 == 3 => rebuild(&mut *decoder, next, &mut heard),
            _ => drop(decoder.decode(packet, &mut heard).unwrap()),
        }
    }
    assert_eq!(heard.len(), whole.len());
    snr(&whole, &heard, 1)
}

#[test]
fn forward_error_correction_is_nearer_to_the_voice_than_concealment() {
    let fec = with_losses(|decoder, next, out| assert_eq!(decoder.recover(next, FRAME_SAMPLES, out).unwrap(), FRAME_SAMPLES));
    let plc = with_losses(|decoder, _, out| assert_eq!(decoder.conceal(FRAME_SAMPLES, out).unwrap(), FRAME_SAMPLES));
    println!("fec {fec:.1} dB, concealment {plc:.1} dB");
    assert!(fec > plc + 3.0, "fec {fec} dB, concealment {plc} dB");
}

#[test]
fn an_ample_link_is_coded_as_music_but_while_there_are_losses_and_for_ten_seconds_after_them() {
    let (mut encoder, _) = pair(AudioCodec::Opus, 64_000);
    let pcm = sound(2.0, voice);
    let mut frames = pcm.chunks_exact(FRAME).cycle();
    // RFC 6716 §3.1: from 16 on the number of the configuration says CELT alone, which has no FEC.
    let mut music = |encoder: &mut dyn AudioEncoder, packets: usize| {
        let packets: Vec<_> =
            frames.by_ref().take(packets).map(|frame| encoder.encode(frame).unwrap().expect("not silent")[0] >> 3 > 15).collect();
        (packets.first().copied(), packets.last().copied())
    };
    assert_eq!(music(&mut *encoder, 10).1, Some(true));
    encoder.set_loss(0.05);
    assert_eq!(music(&mut *encoder, 10).1, Some(false));
    encoder.set_loss(0.0);
    assert_eq!(music(&mut *encoder, 450), (Some(false), Some(false)));
    assert_eq!(music(&mut *encoder, 60).1, Some(true));
    let (mut thin, _) = pair(AudioCodec::Opus, 24_000);
    assert_eq!(music(&mut *thin, 20).1, Some(false));
}

#[test]
fn a_held_tone_is_never_taken_for_silence() {
    let mut encoder = mixdown_codecs::opus::Encoder::new(32_000).unwrap();
    let mut longest = 0;
    for block in 0..500 {
        let sample = |n: usize| ((block * 960 + n) as f32 / 48_000.0 * 550.0 * std::f32::consts::TAU).sin() * 0.2;
        let pcm: Vec<f32> = (0..1920).map(|n| sample(n / 2)).collect();
        longest = if encoder.encode(&pcm).unwrap().is_some() { 0 } else { longest + 1 };
        assert_eq!(longest, 0, "packet {block} of a held tone was left out");
    }
}

#[test]
fn silence_needs_no_packets() {
    let (mut encoder, _) = pair(AudioCodec::Opus, 48_000);
    let silence = vec![0.0; FRAME];
    let sent = (0..100).filter(|_| encoder.encode(&silence).unwrap().is_some()).count();
    assert!(sent < 30, "{sent} of 100 packets sent");
}

#[test]
fn a_restarted_stream_begins_clean_for_a_new_listener() {
    let (mut encoder, _) = pair(AudioCodec::Opus, 48_000);
    let pcm = sound(1.0, voice);
    let mut packets = Vec::new();
    for (n, frame) in pcm.chunks_exact(FRAME).enumerate() {
        if n == 25 {
            encoder.restart();
        }
        packets.push(encoder.encode(frame).unwrap().unwrap());
    }
    let mut late = audio::decoder(AudioCodec::Opus).unwrap();
    let mut heard = Vec::new();
    for packet in &packets[25..] {
        late.decode(packet, &mut heard).unwrap();
    }
    let alike = likeness(&pcm[25 * FRAME..], &heard);
    assert!(alike > 0.95, "{alike}");
}

#[test]
fn malformed_opus_packets_are_refused_and_the_next_good_one_plays() {
    let (mut encoder, mut decoder) = pair(AudioCodec::Opus, 48_000);
    let good = encoder.encode(&sound(0.02, voice)).unwrap().unwrap();
    let long = vec![0xfcu8; 65_536];
    let bad: [&[u8]; 9] = [
        &[],
        &[0x03],                     // code 3 without a count
        &[0x03, 0x00],               // no frames
        &[0x03, 49],                 // 49 frames
        &[0x1b, 3, 1, 2, 3],         // three frames of 60 ms
        &[0xfc | 2, 252, 255],       // a first frame beyond the end
        &[0xfd, 1, 2, 3],            // two frames of unequal size
        &[0xff, 0xc1, 255, 255, 10], // padding beyond the end
        &long,
    ];
    for packet in bad {
        let mut out = vec![0.5; 4];
        assert!(decoder.decode(packet, &mut out).is_err(), "{:?}", &packet[..packet.len().min(6)]);
        assert_eq!(out, [0.5; 4], "nothing is appended on error");
        assert_eq!(decoder.recover(packet, FRAME_SAMPLES, &mut out).unwrap(), FRAME_SAMPLES, "concealed instead");
        assert_eq!(decoder.decode(&good, &mut Vec::new()).unwrap(), FRAME_SAMPLES);
    }
    for odd in [1, 119, 121, 960, 961, 5760, 100_000] {
        let mut out = Vec::new();
        let samples = decoder.conceal(odd, &mut out).unwrap();
        assert_eq!((samples, out.len()), (odd.min(5760), odd.min(5760) * 2));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_decode_or_are_refused(packets in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), 1..6)) {
        for codec in [AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma] {
            let mut decoder = audio::decoder(codec).unwrap();
            for packet in &packets {
                let mut out = Vec::new();
                if let Ok(samples) = decoder.decode(packet, &mut out) {
                    assert_eq!(out.len(), samples * 2);
                    assert!(samples <= 5760);
                    assert_eq!(decoder.duration(packet).unwrap(), samples);
                    assert!(out.iter().all(|sample| sample.is_finite()));
                } else {
                    assert!(out.is_empty());
                }
            }
        }
    }
}
