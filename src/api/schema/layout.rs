//! A layout, with everything in it.

use utoipa::ToSchema;

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum LayoutType {
    Auto,
    Grid,
    Speaker,
    Presentation,
    SideBySide,
    Pip,
    Single,
    Custom,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Fit {
    Cover,
    Contain,
    Auto,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Order {
    Joined,
    Name,
    Activity,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Strip {
    Bottom,
    Top,
    Left,
    Right,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
}

/// Who a region is for.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Seat {
    /// This person alone: a participant's id, or the identity they came with.
    Participant(SeatName),
    Role(SeatName),
    ActiveSpeaker,
    PreviousSpeaker,
    Screen,
    Pinned,
    Any,
    /// A picture: see the overlays.
    Image(String),
}

/// 1 to 128 characters.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 128, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
pub struct SeatName(String);

/// A share of the canvas: a number from 0 to 1, or a fraction such as `"1/3"`.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub enum Share {
    Decimal(Decimal),
    Ratio(Ratio),
}

/// 0 to 1.
#[derive(serde::Serialize, ToSchema)]
#[schema(minimum = 0, maximum = 1)]
pub struct Decimal(f64);

/// Such as `1/3`.
#[derive(serde::Serialize, ToSchema)]
#[schema(pattern = "^[0-9]{1,6}/[1-9][0-9]{0,5}$")]
pub struct Ratio(String);

/// A place of a custom layout. Regions of one `z` stand apart.
#[derive(ToSchema)]
pub struct Region {
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    id: Option<String>,
    #[schema(required = false)]
    x: Share,
    #[schema(required = false)]
    y: Share,
    #[schema(required = false)]
    width: Share,
    #[schema(required = false)]
    height: Share,
    /// −100 to 100.
    #[schema(required = false, minimum = -100, maximum = 100)]
    z: i32,
    fit: Option<Fit>,
    #[schema(required = false)]
    seat: Seat,
    /// How many people share the region as a grid of its own, 1 to 49.
    #[schema(required = false, minimum = 1, maximum = 49)]
    tiles: u32,
    /// 0 to 60.
    #[schema(required = false, minimum = 0, maximum = 60)]
    min_fps: u32,
}

/// Regions for up to `max` people.
#[derive(ToSchema)]
pub struct Group {
    #[schema(minimum = 1, maximum = 4_294_967_295_u32)]
    max: u64,
    #[schema(min_items = 1, max_items = 49)]
    regions: Vec<Region>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Easing {
    Linear,
    EaseIn,
    EaseOut,
    EaseInOut,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum OverlayType {
    Text,
    LowerThird,
    Ticker,
    Clock,
    Image,
    Watermark,
    Background,
}

/// A text or picture over the people, or behind them.
#[derive(ToSchema)]
pub struct Overlay {
    #[schema(required = false)]
    r#type: OverlayType,
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    id: Option<String>,
    /// At most 256 characters; of `text`, `lower_third` and `ticker`.
    #[schema(min_length = 1, max_length = 256)]
    text: Option<String>,
    /// Of `lower_third`.
    #[schema(min_length = 1, max_length = 256)]
    subtitle: Option<String>,
    /// `data:image/…;base64,…` of a PNG, JPEG or WebP file, or the name of a stored one; of `image`, `watermark` and `background`.
    image: Option<String>,
    /// Of `text`, `lower_third` and `image`.
    x: Option<Share>,
    /// Of `text`, `lower_third`, `ticker` and `image`.
    y: Option<Share>,
    /// Of `image` and `watermark`.
    width: Option<Share>,
    /// Of `image`.
    height: Option<Share>,
    /// Of `clock` and `watermark`.
    corner: Option<Corner>,
    /// Of `image` and `background`.
    fit: Option<Fit>,
    /// Of pictures; 1 hides what lies below.
    opacity: Option<Share>,
    /// Of texts and the clock: height of the letters, of the canvas's.
    size: Option<Share>,
    /// Of `ticker`: widths of the canvas per second.
    speed: Option<Share>,
    /// Of `clock`: minutes east of Greenwich, −1080 to 1080.
    #[schema(minimum = -1080, maximum = 1080)]
    utc_offset_minutes: Option<i32>,
    /// Of `clock`.
    seconds: Option<bool>,
}

/// How rectangles and opacity go from one scene to the next.
#[derive(ToSchema)]
pub struct Transition {
    /// 0 (at once) to 5000.
    #[schema(required = false, minimum = 0, maximum = 5000)]
    ms: u32,
    #[schema(required = false)]
    easing: Easing,
}

#[derive(ToSchema)]
pub struct ActiveSpeaker {
    /// 0 to 10000.
    #[schema(required = false, minimum = 0, maximum = 10000)]
    attack_ms: u32,
    /// 0 to 60000.
    #[schema(required = false, minimum = 0, maximum = 60000)]
    hold_ms: u32,
    /// −127 (silence) to 0.
    #[schema(required = false, minimum = -127, maximum = 0)]
    min_level_dbov: i8,
    #[schema(required = false)]
    border: bool,
}

/// The rule that puts people into rectangles. An option without effect on the `type` is refused, and is not answered.
#[derive(ToSchema)]
pub struct Layout {
    /// Or a name of Vonage, RFC 6505 or FreeSWITCH, which is answered as one of these.
    #[schema(required = false)]
    r#type: LayoutType,
    #[schema(required = false)]
    fit: Fit,
    /// 1 to 49; of `auto`, `grid`, `speaker` and `presentation`.
    #[schema(required = false, minimum = 1, maximum = 49)]
    max_tiles: u32,
    /// Pixels between tiles, 0 to 200; not of `pip` and `single`.
    #[schema(required = false, minimum = 0, maximum = 200)]
    gap: u32,
    #[schema(required = false)]
    labels: bool,
    /// Not of `single`.
    #[schema(required = false)]
    order: Order,
    /// Of `auto`, `speaker` and `presentation`.
    #[schema(required = false)]
    strip: Strip,
    /// Of `pip`.
    #[schema(required = false)]
    corner: Corner,
    #[schema(required = false)]
    active_speaker: ActiveSpeaker,
    #[schema(required = false)]
    transition: Transition,
    /// What the canvas says while nobody is in the picture; empty: nothing. At most 256 characters.
    #[schema(required = false, max_length = 256)]
    empty: String,
    /// Bottom to top, at most 16.
    #[schema(required = false, max_items = 16)]
    overlays: Vec<Overlay>,
    /// Of `custom`, unless there are groups.
    #[schema(required = false, max_items = 49)]
    regions: Vec<Region>,
    /// Of `custom`: the first for the number of people.
    #[schema(required = false, max_items = 16)]
    groups: Vec<Group>,
}
