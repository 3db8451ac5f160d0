//! Coded pictures and packets to fragmented MP4 that can be played as it comes: a recording's session without a file.
//!
//! A stream has one size. Where pictures of another size come, it ends, and another begins with a head of its own.

use crate::record::Reason;
use crate::record::mp4::fragment::Fragment;
use crate::record::mp4::picture_size;
use crate::record::queue::{Command, Item};
use crate::record::session::{self, Session};
use crate::record::tracks::Mode;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// What comes of it, in order.
#[derive(Debug)]
pub enum Output {
    /// A stream begins.
    Head(Vec<u8>),
    Fragment(Fragment),
    /// A picture could not be used; the next one must be a keyframe.
    Broken,
}

/// See the module.
pub struct Mux {
    fragment: Duration,
    session: Session,
    size: Option<(u16, u16)>,
    outputs: VecDeque<Output>,
}

impl Mux {
    /// `fragment`: how long one becomes at most; one ends before every keyframe anyway.
    pub fn new(fragment: Duration) -> Self {
        Self { fragment, session: session(fragment), size: None, outputs: VecDeque::new() }
    }

    pub fn handle(&mut self, item: Item, wall: SystemTime) {
        if let Item::Picture { picture, .. } = &item
            && picture.keyframe
        {
            let size = picture_size(picture.codec, &picture.data);
            if self.size.is_some() && size != self.size {
                self.session.handle(Item::Command { command: Command::Stop(Reason::Requested), wall }, wall);
                self.take();
            }
            self.size = size;
        }
        self.session.handle(item, wall);
        self.take();
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn take(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                session::Output::Head { bytes, .. } => self.outputs.push_back(Output::Head(bytes)),
                session::Output::Fragment(fragment) => self.outputs.push_back(Output::Fragment(fragment)),
                session::Output::Broken => self.outputs.push_back(Output::Broken),
                // It was stopped, or cannot go on: another one does.
                session::Output::End { .. } => {
                    self.session = session(self.fragment);
                    self.outputs.push_back(Output::Broken);
                }
                session::Output::Line(_) | session::Output::State(_) | session::Output::Track(_) | session::Output::Framing(_) => {}
            }
        }
    }
}

fn session(fragment: Duration) -> Session {
    Session::new(session::Options { fragment, max_duration: None, tracks: Mode::Composite, sound_late: session::MIX_LATE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::mp4::fixtures::{SMALL_H264, units};
    use crate::record::testing::{Medium, coded, media, packet, picture};
    use mixdown_codecs::VideoCodec;

    #[test]
    fn pictures_of_another_size_begin_a_stream_of_their_own() {
        let mut mux = Mux::new(Duration::from_secs(6));
        let small = |tick: u64| coded(VideoCodec::H264, units(SMALL_H264)[tick as usize - 90], tick);
        let items = media(0, 4000).into_iter().filter_map(|medium| match medium {
            Medium::Picture(tick) if tick < 90 => Some(Item::Picture { picture: picture(tick), lost: 0 }),
            Medium::Picture(tick) => (tick < 120).then(|| Item::Picture { picture: small(tick), lost: 0 }),
            Medium::Packet(tick) => Some(Item::Packet { packet: packet(tick), lost: 0 }),
        });
        let mut seen = String::new();
        for item in items {
            mux.handle(item, SystemTime::UNIX_EPOCH);
            while let Some(output) = mux.poll_output() {
                match output {
                    Output::Head(head) => {
                        assert_eq!(&head[4..8], b"ftyp");
                        seen.push('h');
                    }
                    Output::Fragment(fragment) => {
                        // The packet of a keyframe's time begins 9 ms before it.
                        assert!(fragment.keyframe && (fragment.start.ms() + 9) % 1500 < 20, "{fragment:?}");
                        seen.push('f');
                    }
                    Output::Broken => seen.push('-'),
                }
            }
        }
        assert_eq!(seen, "hff-h", "keyframes are at 0 and 1.5 s; the third one is of another size");
    }
}
