//! The data channel `mixdown`: JSON text messages, each with a `type`. Reading and writing them, without state.

use crate::ids::ParticipantId;
use crate::record::Manifest;
use crate::room::member::Member;
use mixdown_layouts::scene::TileSource;
use mixdown_layouts::{PersonId, Scene};
use serde::Deserialize;
use serde_json::{Value, json};

/// The longest chat text in characters.
pub const CHAT_MAX: usize = 4000;

/// What a client may send.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Up {
    Chat {
        text: String,
    },
    /// Mutes the sender, or with `participant` somebody else (moderators). Absent kinds stay.
    Mute {
        #[serde(default)]
        participant: Option<String>,
        #[serde(default)]
        audio: Option<bool>,
        #[serde(default)]
        video: Option<bool>,
    },
    /// Pins a participant for everybody (moderators), or with `pinned: false` lets go.
    Pin {
        participant: String,
        #[serde(default = "yes")]
        pinned: bool,
    },
    /// Opens the room to somebody in the waiting room (moderators).
    Admit {
        participant: String,
    },
    /// Turns somebody in the waiting room away (moderators).
    Deny {
        participant: String,
    },
    /// Removes somebody (moderators).
    Remove {
        participant: String,
    },
    /// Chooses the view that the sender watches.
    View {
        view: String,
    },
    /// How the sender shows the picture: its size in pixels, whether it is hidden, whether to save data. Absent ones stay.
    Hint {
        #[serde(default)]
        width: Option<u32>,
        #[serde(default)]
        height: Option<u32>,
        #[serde(default)]
        hidden: Option<bool>,
        #[serde(default)]
        save_data: Option<bool>,
    },
}

fn yes() -> bool {
    true
}

pub fn parse(text: &str) -> Result<Up, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// `waiting`: nothing else comes before the moderators open; then comes another `hello`.
pub fn hello(room: &str, member: &Member) -> String {
    json!({
        "type": "hello",
        "participant": member.id,
        "room": room,
        "name": member.name,
        "view": member.view,
        "waiting": member.waiting,
        "version": env!("CARGO_PKG_VERSION"),
    })
    .to_string()
}

/// Who waits to be admitted, for those who may admit.
pub fn waiting<'a>(members: impl Iterator<Item = &'a Member>) -> String {
    let people: Vec<Value> = members.filter(|member| member.waiting).map(|member| json!({"id": member.id, "name": member.name})).collect();
    json!({"type": "waiting", "participants": people}).to_string()
}

/// Asks the client to leave for another room; `token` opens it.
pub fn transfer(to: &crate::ids::RoomId, token: Option<&str>) -> String {
    json!({"type": "transfer", "room": to, "token": token}).to_string()
}

pub fn roster<'a>(members: impl Iterator<Item = &'a Member>) -> String {
    let people: Vec<Value> = members
        .filter(|member| !member.waiting)
        .map(|member| {
            let sends = |source| member.sends(source);
            json!({
                "id": member.id,
                "name": member.name,
                "kind": crate::room::model::ParticipantKind::from(member.kind),
                "role": member.role,
                "muted_audio": member.muted_audio,
                "muted_video": member.muted_video,
                "operator_muted_audio": member.held_audio,
                "operator_muted_video": member.held_video,
                "camera": sends(crate::ids::Source::Camera),
                "screen": sends(crate::ids::Source::Screen),
                "pinned": member.pinned,
                "speaking": member.speaking,
            })
        })
        .collect();
    json!({"type": "roster", "participants": people}).to_string()
}

pub fn tiles<'a>(scene: &Scene, rtp_time: u64, member: &dyn Fn(PersonId) -> Option<&'a Member>) -> String {
    tile_map(scene, rtp_time, member).to_string()
}

/// The tile map: canvas fractions, keyed by the RTP timestamp of the first picture that shows it.
pub fn tile_map<'a>(scene: &Scene, rtp_time: u64, member: &dyn Fn(PersonId) -> Option<&'a Member>) -> Value {
    let (width, height) = (f64::from(scene.canvas.width), f64::from(scene.canvas.height));
    let tiles: Vec<Value> = scene
        .tiles
        .iter()
        .filter_map(|tile| {
            let member = member(tile.person)?;
            Some(json!({
                "participant": member.id,
                "name": tile.name,
                "source": match tile.kind { TileSource::Camera => "camera", TileSource::Screen => "screen" },
                "x": f64::from(tile.rect.x) / width,
                "y": f64::from(tile.rect.y) / height,
                "width": f64::from(tile.rect.width) / width,
                "height": f64::from(tile.rect.height) / height,
                "speaking": tile.speaking,
                "muted": tile.muted,
            }))
        })
        .collect();
    // On the wire RTP timestamps have 32 bits.
    json!({"type": "tiles", "rtp_timestamp": rtp_time as u32, "width": scene.canvas.width, "height": scene.canvas.height, "tiles": tiles})
}

/// Whether what is shown now is recorded, and the recordings that have not ended.
pub fn recording<'a>(active: bool, recordings: impl Iterator<Item = &'a Manifest>) -> String {
    let recordings: Vec<Value> =
        recordings.map(|manifest| json!({"id": manifest.id, "view": manifest.view, "state": manifest.state})).collect();
    json!({"type": "recording", "active": active, "recordings": recordings}).to_string()
}

pub fn speaker(participant: ParticipantId) -> String {
    json!({"type": "speaker", "participant": participant}).to_string()
}

/// `history`: it was said before its reader came.
pub fn chat(from: Option<ParticipantId>, name: &str, text: &str, at: &str, history: bool) -> String {
    json!({"type": "chat", "participant": from, "name": name, "text": text, "at": at, "history": history}).to_string()
}

/// The refusal of a message.
pub fn error(status: u16, detail: &str) -> String {
    json!({"type": "error", "status": status, "detail": detail}).to_string()
}

/// A chat text as it may be shown: no control characters but line breaks, trimmed, of bounded length.
pub fn chat_text(text: &str) -> Result<String, String> {
    let text: String = text.trim().chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    if text.is_empty() {
        return Err("text is empty".into());
    }
    if text.chars().count() > CHAT_MAX {
        return Err(format!("text has at most {CHAT_MAX} characters"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_contract_are_read() {
        assert_eq!(parse(r#"{"type":"chat","text":"hi"}"#), Ok(Up::Chat { text: "hi".into() }));
        assert_eq!(parse(r#"{"type":"mute","audio":true}"#), Ok(Up::Mute { participant: None, audio: Some(true), video: None }));
        assert!(parse(r#"{"type":"reboot"}"#).is_err());
        assert!(parse(r#"{"type":"chat","text":"hi","as":"root"}"#).is_err());
        assert!(parse("[[[[").is_err());
    }

    #[test]
    fn chat_keeps_lines_and_drops_control_characters() {
        assert_eq!(chat_text(" a\u{7}b\nc ").as_deref(), Ok("ab\nc"));
        assert!(chat_text(" \u{0} ").is_err());
        assert!(chat_text(&"x".repeat(CHAT_MAX + 1)).is_err());
    }
}
