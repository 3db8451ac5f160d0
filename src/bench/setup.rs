//! What is measured: the command line, and one run of it. Pure.

use super::sender::RIDS;
use crate::client::{Camera, Config};
use clap::{ValueEnum, builder::RangedU64ValueParser, value_parser};
use mixdown_codecs::{Size, VideoCodec};
use mixdown_layouts::presets::MAX_TILES;
use serde::Serialize;
use std::path::PathBuf;

/// Settings of `mixdown bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A running server to load; without it the bench starts one of its own for each run.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// With --server: its process on this machine, for processor time and memory.
    #[arg(long, value_name = "N", requires = "server")]
    pub pid: Option<u32>,
    /// Token for a server that wants one, of `mixdown token create --admin` without --room: the rooms of each run have names of their own.
    #[arg(long, env = "MIXDOWN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = value_parser!(u16).range(1..=500))]
    pub rooms: u16,
    /// People who send, of each room.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = value_parser!(u16).range(1..=64))]
    pub senders: u16,
    /// People who watch and listen, of each room.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = value_parser!(u16).range(1..=1000))]
    pub viewers: u16,
    /// How many of the senders talk; the others are all but silent.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub talkers: u16,
    /// A layout's type; tiles are without names and borders, so that their quality can be measured.
    #[arg(long, default_value = "grid", value_name = "TYPE")]
    pub layout: String,
    /// What pictures are coded as, up and down.
    #[arg(long, default_value = "h264", value_parser = crate::demo::join::codec)]
    pub codec: VideoCodec,
    /// The senders' picture: 720, 360 or 180 lines.
    #[arg(long, default_value_t = 360, value_name = "LINES", value_parser = lines())]
    pub size: u16,
    /// Senders send all three sizes at once.
    #[arg(long, conflicts_with = "size")]
    pub simulcast: bool,
    /// Cameras are off: sound alone.
    #[arg(long, conflicts_with_all = ["simulcast", "size", "clip"])]
    pub audio_only: bool,
    /// Cameras are off, nobody talks, and viewers watch all the same: what a room costs in which nothing happens.
    #[arg(long, conflicts_with_all = ["audio_only", "simulcast", "size", "clip", "compare", "ramp", "plot"])]
    pub idle: bool,
    /// A film for the senders to send, in place of painted people; needs ffmpeg.
    #[arg(long, value_name = "FILE")]
    pub clip: Option<PathBuf>,
    /// In how many different ways the composite is encoded: viewers ask for smaller pictures in turn, then for the other codec. No more than
    /// there are viewers.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = value_parser!(u16).range(1..=10))]
    pub renditions: u16,
    /// Senders receive too, each without its own voice.
    #[arg(long)]
    pub conference: bool,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = value_parser!(u16).range(3..=3600))]
    pub duration: u16,
    /// Then add so many viewers and measure what each costs.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = value_parser!(u16).range(0..=500))]
    pub more_viewers: u16,
    /// Add of one kind until a guard breaks, and say where.
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with_all = ["compare", "plot"])]
    pub ramp: Option<Axis>,
    /// Let other programs do the same work in between, where they are installed, and print ratios.
    #[arg(long)]
    pub compare: bool,
    /// With --compare: how often all take their turn; medians count.
    #[arg(long, default_value_t = 3, value_name = "N", requires = "compare", value_parser = value_parser!(u16).range(1..=20))]
    pub rounds: u16,
    /// Measure with more and more senders, viewers, rooms and renditions, and draw each curve as a PNG into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "compare")]
    pub plot: Option<PathBuf>,
    /// With --plot: these curves alone.
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', requires = "plot")]
    pub curves: Vec<Axis>,
    /// JSON in place of tables.
    #[arg(long)]
    pub json: bool,
}

fn lines() -> impl clap::builder::TypedValueParser<Value = u16> {
    use clap::builder::TypedValueParser;
    RangedU64ValueParser::<u16>::new().range(180..=720).try_map(|lines| match lines {
        720 | 360 | 180 => Ok(lines),
        _ => Err("720, 360 or 180"),
    })
}

/// What there can be more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    Senders,
    Viewers,
    Rooms,
    Renditions,
}

impl Axis {
    pub const ALL: [Self; 4] = [Self::Senders, Self::Viewers, Self::Rooms, Self::Renditions];

    pub fn name(self) -> &'static str {
        match self {
            Self::Senders => "senders",
            Self::Viewers => "viewers",
            Self::Rooms => "rooms",
            Self::Renditions => "renditions",
        }
    }

    /// The most that can be asked for.
    pub fn most(self) -> u16 {
        match self {
            Self::Senders => 64,
            Self::Viewers => 1000,
            Self::Rooms => 500,
            Self::Renditions => 10,
        }
    }

    /// Where a curve is measured.
    pub fn points(self) -> &'static [u16] {
        match self {
            Self::Senders => &[1, 2, 4, 9, 16],
            Self::Viewers => &[1, 4, 16, 32, 64],
            Self::Rooms => &[1, 2, 3, 4],
            Self::Renditions => &[1, 2, 3, 4, 5],
        }
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setup {
    pub rooms: u16,
    pub senders: u16,
    pub viewers: u16,
    pub talkers: u16,
    /// How many would where there were senders enough.
    #[serde(skip)]
    pub most_talkers: u16,
    /// Nothing happens.
    pub idle: bool,
    pub layout: String,
    #[serde(serialize_with = "codec_name")]
    pub codec: VideoCodec,
    /// Heights of the senders' picture, the smallest first; none: cameras are off.
    pub lines: Vec<u16>,
    pub renditions: u16,
    pub conference: bool,
    pub seconds: u16,
    pub more_viewers: u16,
}

fn codec_name<S: serde::Serializer>(codec: &VideoCodec, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(codec.name())
}

impl Args {
    /// What the command line's types cannot say.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        if self.renditions > self.viewers {
            let (renditions, viewers) = (self.renditions, self.viewers);
            return Err(format!(
                "--renditions {renditions} needs as many viewers, and there are {viewers}: each is made because somebody watches it"
            ));
        }
        Ok(())
    }

    pub fn setup(&self) -> Setup {
        let lines = match (self.audio_only || self.idle, self.simulcast) {
            (true, _) => Vec::new(),
            (_, true) => vec![180, 360, 720],
            _ => vec![self.size],
        };
        Setup {
            rooms: self.rooms,
            senders: self.senders,
            viewers: self.viewers,
            talkers: if self.idle { 0 } else { self.talkers.min(self.senders) },
            most_talkers: self.talkers,
            idle: self.idle,
            layout: self.layout.clone(),
            codec: self.codec,
            lines,
            renditions: self.renditions,
            conference: self.conference,
            seconds: self.duration,
            more_viewers: self.more_viewers,
        }
    }
}

impl Setup {
    /// The same with so many of one kind. There are no more renditions than viewers, and no more who talk than who send.
    pub fn with(&self, axis: Axis, count: u16) -> Self {
        let mut setup = self.clone();
        match axis {
            Axis::Senders => (setup.senders, setup.talkers) = (count, self.most_talkers.min(count)),
            Axis::Viewers => (setup.viewers, setup.renditions) = (count, self.renditions.min(count)),
            Axis::Rooms => setup.rooms = count,
            Axis::Renditions => (setup.renditions, setup.viewers) = (count, self.viewers.max(count)),
        }
        setup
    }

    pub fn count(&self, axis: Axis) -> u16 {
        match axis {
            Axis::Senders => self.senders,
            Axis::Viewers => self.viewers,
            Axis::Rooms => self.rooms,
            Axis::Renditions => self.renditions,
        }
    }

    pub fn sizes(&self) -> Vec<Size> {
        self.lines.iter().map(|lines| Size::new(u32::from(*lines) * 16 / 9, u32::from(*lines))).collect()
    }

    pub fn sends_video(&self) -> bool {
        !self.lines.is_empty()
    }

    /// A grid that is encoded once: what a bare loop and other programs make too.
    pub fn is_plain(&self) -> bool {
        self.renditions == 1 && self.layout == "grid"
    }

    /// What its rooms are made as: tiles show pictures and nothing else, of everybody for whom a picture has a place.
    pub fn room(&self) -> serde_json::Value {
        let mut layout = serde_json::json!({"type": self.layout, "fit": "cover", "labels": false, "active_speaker": {"border": false}});
        // Others show whom they are for, and refuse the option.
        if ["auto", "grid", "speaker", "presentation"].contains(&self.layout.as_str()) {
            layout["max_tiles"] = MAX_TILES.into();
        }
        serde_json::json!({"layout": layout})
    }

    /// One of its rooms as `/v1/estimate` takes it; `None`: it is of a shape that cannot be told there.
    pub fn shape(&self) -> Option<serde_json::Value> {
        let [size] = self.sizes()[..] else { return None };
        let known = self.codec == VideoCodec::H264 && self.is_plain();
        let listeners = if self.conference { self.senders } else { 0 };
        known.then(|| serde_json::json!({"senders": self.senders, "sender_size": size.to_string(), "viewers": self.viewers + listeners}))
    }

    /// What a sender offers.
    pub fn sending(&self) -> Config {
        let camera = match self.lines.len() {
            0 => Camera::Off,
            1 => Camera::Single,
            count => Camera::Simulcast(RIDS.iter().take(count).map(|rid| (*rid).to_owned()).collect()),
        };
        let (receive_video, receive_audio, channel) = (self.conference && self.sends_video(), self.conference, self.conference);
        Config { video_codecs: vec![self.codec], camera, receive_video, receive_audio, channel, ..Config::default() }
    }

    /// What viewer `number` of a room offers, and what it asks for.
    pub fn receiving(&self, number: u16) -> (Config, Option<serde_json::Value>) {
        const HEIGHTS: [u32; 5] = [720, 540, 360, 270, 180];
        let which = usize::from(number % self.renditions.max(1));
        let other = if self.codec == VideoCodec::H264 { VideoCodec::Vp8 } else { VideoCodec::H264 };
        let codec = if which < HEIGHTS.len() { self.codec } else { other };
        let height = HEIGHTS.get(which % HEIGHTS.len()).copied().filter(|height| *height < 720);
        let config = Config {
            video_codecs: vec![codec],
            microphone: false,
            camera: Camera::Off,
            receive_video: self.sends_video() || self.idle,
            ..Config::default()
        };
        (config, height.map(|height| serde_json::json!({"max_height": height})))
    }
}

impl std::fmt::Display for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = |count: u16, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let picture = match self.lines[..] {
            [] => "without cameras".into(),
            [lines] => format!("of {lines} lines in {}", self.codec.name()),
            _ => {
                format!("of {} lines at once in {}", self.lines.iter().map(u16::to_string).collect::<Vec<_>>().join("/"), self.codec.name())
            }
        };
        let each = if self.rooms == 1 { String::new() } else { format!("{}, each of ", plural(self.rooms, "room")) };
        let renditions = if self.sends_video() { format!(", {}", plural(self.renditions, "rendition")) } else { String::new() };
        write!(
            f,
            "{each}{} {picture}, {} talking, {}{renditions}, layout {}",
            plural(self.senders, "sender"),
            self.talkers,
            plural(self.viewers, "viewer"),
            self.layout
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use clap::Parser;
    use mixdown_layouts::{Cast, Layout, Person};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    pub fn setup(line: &str) -> Setup {
        parse(line).unwrap().setup()
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(["bench"].into_iter().chain(line.split_whitespace())).map(|line| line.args)
    }

    #[test]
    fn its_rooms_show_everybody_and_are_taken_whatever_the_layout() {
        for kind in ["grid", "auto", "speaker", "presentation", "pip", "side_by_side", "single", "bestFit", "3up+9"] {
            let room = setup(&format!("--layout {kind}")).room();
            let layout: Layout = serde_json::from_value(room["layout"].clone()).unwrap();
            assert!(layout.faults().is_empty(), "{kind}: {:?}", layout.faults());
            let cast = Cast { people: (0..49).map(Person::plain).collect(), ..Cast::default() };
            let seen = layout.arrange(&cast, Size::new(1280, 720), [0; 3]).tiles.len();
            assert!(seen == 49 || kind != "grid", "{seen} of 49 are seen");
        }
    }

    #[test]
    fn a_command_line_becomes_a_setup_that_says_what_it_is() {
        let one = setup("");
        assert_eq!(one.to_string(), "4 senders of 360 lines in h264, 3 talking, 4 viewers, 1 rendition, layout grid");
        let many = setup("--rooms 2 --senders 1 --viewers 1 --simulcast --codec vp8 --renditions 3");
        let said = "2 rooms, each of 1 sender of 180/360/720 lines at once in vp8, 1 talking, 1 viewer, 3 renditions, layout grid";
        assert_eq!(many.to_string(), said);
        assert_eq!(many.sizes(), [Size::new(320, 180), Size::new(640, 360), Size::new(1280, 720)]);
        assert_eq!(setup("--audio-only").sending().camera, Camera::Off);
        assert!(!setup("--audio-only").receiving(0).0.receive_video);
        for wrong in ["--size 240", "--simulcast --size 180", "--senders 65", "--viewers 0", "--rounds 2", "--ramp all", "--pid 3"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_room_is_told_to_the_estimate_where_it_is_of_a_shape_that_it_knows() {
        let shape = serde_json::json!({"senders": 9, "sender_size": "640x360", "viewers": 11});
        assert_eq!(setup("--rooms 2 --senders 9 --viewers 2 --conference").shape(), Some(shape));
        for other in ["--audio-only", "--simulcast", "--codec vp8", "--renditions 2", "--layout speaker"] {
            assert_eq!(setup(other).shape(), None, "{other}");
        }
    }

    #[test]
    fn every_rendition_is_asked_for_in_turn() {
        let setup = setup("--renditions 7 --viewers 7");
        let asked: Vec<_> = (0..8).map(|n| setup.receiving(n)).map(|(config, wish)| (config.video_codecs[0].name(), wish)).collect();
        let height = |height: u32| Some(serde_json::json!({"max_height": height}));
        assert_eq!(asked[0], ("h264", None));
        assert_eq!(asked[2], ("h264", height(360)));
        assert_eq!(asked[5], ("vp8", None));
        assert_eq!(asked[6], ("vp8", height(540)));
        assert_eq!(asked[7], asked[0]);
    }

    #[test]
    fn more_of_one_kind_leaves_the_others_alone() {
        let one = setup("--viewers 2");
        for axis in Axis::ALL {
            assert_eq!(one.with(axis, 9).count(axis), 9);
            assert_eq!(one.with(axis, one.count(axis)), one);
            assert!(axis.points().iter().all(|point| *point <= axis.most()));
        }
        assert_eq!(one.with(Axis::Renditions, 4).viewers, 4, "each is watched by somebody");
        let many = setup("--senders 1 --renditions 3");
        assert_eq!(many.with(Axis::Viewers, 2).renditions, 2);
        let talkers = [1, 2, 8].map(|senders| many.with(Axis::Senders, senders).talkers);
        assert_eq!(talkers, [1, 2, 3], "as many talk as were asked for, once they are there");
    }

    #[test]
    fn a_rendition_that_nobody_watches_is_refused_and_only_one_grid_is_plain() {
        let refused = parse("--renditions 5 --viewers 4").unwrap().check().unwrap_err();
        assert!(refused.contains("--renditions 5") && refused.contains('4'), "{refused}");
        assert_eq!(parse("--renditions 4 --viewers 4").unwrap().check(), Ok(()));
        let plain = ["", "--renditions 2", "--layout spotlight"].map(|line| setup(line).is_plain());
        assert_eq!(plain, [true, false, false]);
    }
}
