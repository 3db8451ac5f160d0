//! What a new room starts with.

use super::model::Canvas;
use super::sound::RoomAudio;
use mixdown_layouts::Layout;

/// What a new room starts with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub max_participants: u32,
    /// `main` included.
    pub max_views: u32,
    /// Pictures of one subscriber's own (`"self": "exclude"`); further subscribers share.
    pub max_private_pictures: u32,
    /// One picture alone goes on as it comes, where it fits.
    pub forward_pictures: bool,
    /// Whether those who lose pictures again and again are served by an encode apart, while there is time.
    pub repair_encodes: bool,
    pub canvas: Canvas,
    pub layout: Layout,
    pub audio: RoomAudio,
    pub waiting_room: bool,
    pub self_unmute: bool,
    pub auto_record: bool,
    pub recording_sign: bool,
    /// Chat lines that those who join later are sent.
    pub chat_history: usize,
    /// Of a 1280×720 picture at 30 fps; other canvases get their share.
    pub video_bitrate_bps: u32,
    /// Cameras and screens that are decoded still where the server is overloaded so far that others are not.
    pub overload_tiles: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_participants: 100,
            max_views: 16,
            max_private_pictures: 8,
            forward_pictures: true,
            repair_encodes: true,
            canvas: Canvas::default(),
            layout: Layout::default(),
            audio: RoomAudio::default(),
            waiting_room: false,
            self_unmute: false,
            auto_record: false,
            recording_sign: true,
            chat_history: 100,
            video_bitrate_bps: 1_500_000,
            overload_tiles: 4,
        }
    }
}
