//! A room in which nothing is heard costs nothing, and nobody hears that.

use super::*;
use crate::room::sound::Grade;
use std::sync::atomic::{AtomicUsize, Ordering};

static ENCODES: AtomicUsize = AtomicUsize::new(0);

/// A real encoder that counts.
struct Counted(Box<dyn AudioEncoder>);

impl AudioEncoder for Counted {
    fn encode(&mut self, pcm: &[f32]) -> Result<Option<Arc<[u8]>>, AudioEncodeError> {
        ENCODES.fetch_add(1, Ordering::Relaxed);
        self.0.encode(pcm)
    }
    fn set_loss(&mut self, loss: f32) {
        self.0.set_loss(loss);
    }
    fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.0.set_bitrate(bitrate_bps);
    }
    fn restart(&mut self) {
        self.0.restart();
    }
}

fn counted(codec: AudioCodec, bitrate_bps: u32) -> Result<Box<dyn AudioEncoder>, AudioEncodeError> {
    Ok(Box::new(Counted(mixdown_codecs::audio::encoder(codec, bitrate_bps)?)))
}

/// A listener with a real decoder, who conceals what does not come.
struct Listener {
    who: ParticipantId,
    decoder: Box<dyn AudioDecoder>,
    sound: Vec<f32>,
    packets: usize,
}

impl Listener {
    fn new(who: usize, codec: AudioCodec) -> Self {
        Self { who: id(who), decoder: mixdown_codecs::audio::decoder(codec).unwrap(), sound: Vec::new(), packets: 0 }
    }

    fn hear(&mut self, sent: &[Sent]) {
        let packet = sent.iter().find(|(listeners, _)| listeners.contains(&self.who));
        match packet {
            Some((_, packet)) => self.decoder.decode(&packet.data, &mut self.sound).unwrap(),
            None => self.decoder.conceal(960, &mut self.sound).unwrap(),
        };
        self.packets += usize::from(packet.is_some());
    }

    fn begin(&mut self) {
        self.sound.clear();
        self.packets = 0;
    }

    fn loudest(&self) -> f32 {
        self.sound.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
    }

    fn greatest_step(&self) -> f32 {
        self.sound
            .chunks_exact(2)
            .map(|frame| frame[0])
            .collect::<Vec<_>>()
            .windows(2)
            .fold(0.0, |most, pair| most.max((pair[1] - pair[0]).abs()))
    }
}

fn run(world: &mut World, listeners: &mut [Listener], ms: u64) -> usize {
    let before = ENCODES.load(Ordering::Relaxed);
    listeners.iter_mut().for_each(Listener::begin);
    for _ in 0..ms / 20 {
        world.step();
        let sent: Vec<Sent> = world.ears.0.lock().unwrap().drain(..).collect();
        listeners.iter_mut().for_each(|listener| listener.hear(&sent));
    }
    ENCODES.load(Ordering::Relaxed) - before
}

#[test]
fn silence_is_encoded_once_and_a_voice_after_it_comes_without_a_click() {
    let codecs = Codecs { decoder, encoder: counted };
    let mut world = World::with(3, Settings { codecs, ..Settings::default() });
    world.mix.handle(Input::Listener { participant: id(2), codec: AudioCodec::Pcmu, mix: MAIN });
    let mut listeners = [(0, AudioCodec::Opus), (2, AudioCodec::Pcmu), (7, AudioCodec::Opus), (8, AudioCodec::Opus)]
        .map(|(who, codec)| Listener::new(who, codec));
    for (who, grade) in [(7, Grade::Lean), (8, Grade::Thin)] {
        world.listen_to(who, MAIN);
        world.mix.handle(Input::Grade { listener: id(who), grade });
    }
    for round in 0..3 {
        world.only(&[1]);
        run(&mut world, &mut listeners, 300);
        let natural = 0.2 * hz(1) * std::f32::consts::TAU / 48_000.0;
        assert!(listeners[0].greatest_step() < natural * 4.0, "{} in round {round}", listeners[0].greatest_step());
        run(&mut world, &mut listeners, 1000);
        for listener in &listeners {
            assert!(tone_level(&listener.sound, f64::from(hz(1))) > 0.15, "{:?} in round {round}", listener.who);
        }
        world.only(&[]);
        run(&mut world, &mut listeners, 6000);
        let encodes = run(&mut world, &mut listeners, 8000);
        assert_eq!(encodes, 0, "in eight seconds of silence");
        assert_eq!(
            listeners.each_ref().map(|listener| listener.packets),
            [20, 400, 20, 20],
            "Opus says every 400 ms that the line lives, G.711 always"
        );
        assert!(listeners.iter().all(|listener| listener.loudest() < 0.001), "{}", listeners[0].loudest());
    }
}
