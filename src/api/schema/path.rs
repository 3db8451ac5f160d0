//! The parameters of paths.

use utoipa::IntoParams;

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RoomPath {
    /// 1–128 of `A-Za-z0-9._-`, beginning with a letter or digit.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    room: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ParticipantPath {
    /// 1–128 of `A-Za-z0-9._-`, beginning with a letter or digit.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    room: String,
    /// `pt_` and 32 hexadecimal digits.
    #[param(pattern = "^pt_[0-9a-f]{32}$")]
    id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SidebarPath {
    /// 1–128 of `A-Za-z0-9._-`, beginning with a letter or digit.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    room: String,
    /// 1–64 of `A-Za-z0-9._-`, beginning with a letter or digit.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    sidebar: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct IdentityPath {
    /// 1–128 of `A-Za-z0-9._-`, beginning with a letter or digit.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    room: String,
    /// A token's subject.
    #[param(min_length = 1, max_length = 256)]
    identity: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ViewPath {
    /// 1–128 of `A-Za-z0-9._-`, beginning with a letter or digit.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    room: String,
    /// `main` always exists.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    view: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct IngressPath {
    /// `in_` and 32 hexadecimal digits.
    #[param(pattern = "^in_[0-9a-f]{32}$")]
    ingress: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct LayoutPath {
    /// 1–64 of `A-Za-z0-9._-`, beginning with a letter or digit.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    name: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct EgressPath {
    /// `eg_` and 32 hexadecimal digits.
    #[param(pattern = "^eg_[0-9a-f]{32}$")]
    egress: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RecordingPath {
    /// `rec_` and 32 hexadecimal digits.
    #[param(pattern = "^rec_[0-9a-f]{32}$")]
    recording: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TrackPath {
    /// `rec_` and 32 hexadecimal digits.
    #[param(pattern = "^rec_[0-9a-f]{32}$")]
    recording: String,
    /// As it is listed.
    #[param(pattern = "^[a-z-]+-[0-9]{4}\\.mp4$")]
    file: String,
}
