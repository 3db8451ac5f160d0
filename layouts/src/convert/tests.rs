use super::*;
use crate::layout::Kind;
use crate::region::Seat;
use crate::{Fraction, Rect};
use mixdown_codecs::Size;

fn one(system: System, text: &str) -> Converted {
    let mut all = convert(system, text).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn refused(system: System, text: &str) -> String {
    convert(system, text).unwrap_err().to_string()
}

const MAIN_WITH_ROW: &str = r#"{"resolution": "1280x720", "video_layout": {
    "main": {"z_pos": 1, "video_sources": ["screen"]},
    "row": {"z_pos": 2, "x_pos": 10, "y_pos": 530, "width": 1260, "height": 160, "max_rows": 1, "max_columns": 5, "reuse": "none", "video_sources": ["*"]},
    "teacher": {"z_pos": 3, "x_pos": 960, "y_pos": 0, "width": 320, "height": 180, "video_sources": ["teacher-cam"], "reuse": "none"},
    "students": {"z_pos": 3, "x_pos": 0, "y_pos": 0, "width": 320, "height": 180, "video_sources": ["student-*"], "reuse": "none"}}}"#;

#[test]
fn a_twilio_composition_keeps_its_rectangles_its_grids_and_what_lies_over_what() {
    let converted = one(System::Twilio, MAIN_WITH_ROW);
    let size = Size::new(1280, 720);
    let find = |id: &str| converted.layout.regions.iter().find(|region| region.id.as_deref() == Some(id)).unwrap();
    assert_eq!((find("main").rect(size), &find("main").seat), (Rect::new(0, 0, 1280, 720), &Seat::Screen));
    assert_eq!((find("row").rect(size), find("row").tiles), (Rect::new(10, 530, 1260, 160), 5));
    assert_eq!(find("teacher").seat, Seat::Participant("teacher-cam".into()));
    assert_eq!(find("students").seat, Seat::Role("student".into()));
    assert!(find("main").z < find("row").z && find("main").z < find("teacher").z);
    assert!(converted.notes.iter().any(|note| note.contains("1280x720")));
    assert_eq!(find("row").x, Fraction::new(10, 1280));
}

#[test]
fn what_twilio_would_not_take_is_refused_with_its_place() {
    assert!(refused(System::Twilio, r#"{"main": {"video_sources": []}}"#).starts_with("/main/video_sources: "));
    assert!(refused(System::Twilio, r#"{"main": {"x_pos": 600, "width": 100, "video_sources": ["*"]}}"#).starts_with("/main/width: "));
    assert!(refused(System::Twilio, r#"{"main": {"x": 1}}"#).contains("unknown field `x`"));
    assert!(refused(System::Twilio, "{").starts_with("line 1: "));
    assert!(refused(System::Twilio, r#"{"resolution": "big", "video_layout": {}}"#).starts_with("/resolution: "));
}

#[test]
fn vonage_layouts_become_their_counterparts_and_style_sheets_are_refused() {
    let layout = |text: &str| one(System::Vonage, text).layout;
    assert_eq!(layout(r#"{"type": "bestFit"}"#).kind, Kind::Grid);
    assert_eq!(layout(r#"{"type": "pip"}"#).kind, Kind::Pip);
    assert_eq!(layout(r#"{"type": "bestFit", "screenshareType": "verticalPresentation"}"#).kind, Kind::Auto);
    assert!(refused(System::Vonage, r#"{"type": "custom", "stylesheet": "stream {}"}"#).starts_with("/stylesheet: "));
    assert!(refused(System::Vonage, r#"{"type": "fit"}"#).starts_with("/type: "));
    assert!(refused(System::Vonage, r#"{"type": "pip", "screenshareType": "pip"}"#).starts_with("/screenshareType: "));
}

#[test]
fn freeswitch_layouts_and_groups_keep_their_places_floors_reservations_and_overlaps() {
    let text = r#"<configuration><!-- <layout name="no"> --><layouts>
        <layout name="1x1"><image x="0" y="0" scale="360" floor="true"/></layout>
        <layout name='pair' auto-3d-position="true">
          <image x="0" y="0" scale="360" floor-only="true"/>
          <image x="270" y="270" scale="90" overlap="true" reservation_id="presenter" zoom="true"/>
        </layout></layouts>
        <groups><group name="all"><layout>1x1</layout><layout>pair</layout></group></groups></configuration>"#;
    let all = convert(System::FreeSwitch, text).unwrap();
    let names: Vec<_> = all.iter().map(|converted| converted.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["1x1", "pair", "all"]);
    let pair = &all[1].layout.regions;
    assert_eq!((&pair[0].seat, &pair[1].seat, pair[1].z), (&Seat::ActiveSpeaker, &Seat::Role("presenter".into()), 1));
    assert_eq!(pair[1].rect(Size::new(1280, 720)), Rect::new(960, 540, 320, 180));
    assert_eq!(all[2].layout.groups.iter().map(|group| group.max).collect::<Vec<_>>(), [1, 2]);
    assert!(all[1].notes.iter().any(|note| note.contains("presenter")));
}

#[test]
fn a_damaged_file_is_refused_with_its_line() {
    let freeswitch = |text: &str| refused(System::FreeSwitch, text);
    assert!(freeswitch("<layout name=\"a\">\n<image x=\"400\" scale=\"1\"/></layout>").starts_with("line 2: x is \"400\""));
    assert!(freeswitch("<layout name=\"a\">\n<image x=\"4\"/></layout>").starts_with("line 2: an image has no scale"));
    assert!(freeswitch("<image x=\"4\"").starts_with("line 1: a tag does not end"));
    assert!(freeswitch("<image scale=\"9\"/>").starts_with("line 1: an image stands outside"));
    assert!(freeswitch("<a/>").contains("no <layout>"));
    assert!(
        freeswitch("<layout name=\"a\"><image scale=\"9\"/></layout>\n<group name=\"g\"><layout>b</layout></group>")
            .starts_with("line 2: ")
    );
}
