//! `/v1/layouts`: layouts with a name of their own, for all rooms. Wherever a layout is taken, `{"type": "<name>"}` stands for the saved
//! one; further fields go over it. What is taken is a copy: a saved layout that changes later changes no room.
//!
//! They live in memory and, where `rooms.layouts_folder` is set, in one file each, replaced as a whole.

use super::app::App;
use super::body::Document;
use super::extract::{IfMatch, LayoutName, Query, etag, json};
use super::json::{merge, read};
use super::page::{Page, Paging};
use super::problem::{Code, FieldError, Problem};
use super::schema;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mixdown_layouts::Layout;
use mixdown_layouts::names::make_way;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// More are refused.
const MOST: usize = 1000;
const MAX_NAME: usize = 64;

#[derive(Default)]
pub struct Store {
    folder: Option<PathBuf>,
    saved: Mutex<Saved>,
    /// Held while a file is written, so that files and memory agree.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Saved {
    by_name: BTreeMap<String, (Layout, u64)>,
    last: u64,
}

/// What a caller believes of the layout that it writes: the revision of `If-Match`.
type Believed<'a> = &'a IfMatch;

impl Store {
    /// With everything that the folder has. What cannot be read is told in the log and left alone.
    pub fn open(folder: Option<&Path>) -> Self {
        let store = Self { folder: folder.map(Path::to_owned), ..Self::default() };
        let Some(folder) = folder else { return store };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json")) {
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            match load(&path).filter(|_| check_name(name).is_ok()) {
                Some(layout) => _ = store.lock().keep(name, layout),
                None => tracing::error!(file = %path.display(), "not a saved layout"),
            }
        }
        store
    }

    pub fn get(&self, name: &str) -> Option<(Layout, u64)> {
        self.lock().by_name.get(name).cloned()
    }

    fn list(&self) -> Vec<Named> {
        self.lock().by_name.iter().map(|(name, (layout, _))| Named { name: name.clone(), layout: layout.clone() }).collect()
    }

    /// A layout that is to be merged into another one: whether it stands alone, because it names a saved one.
    pub fn resolve(&self, patch: Value) -> (Value, bool) {
        let name = patch.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some((saved, _)) = self.get(name) else { return (patch, false) };
        let (mut layout, mut over) = (json!(saved), patch);
        if let Value::Object(fields) = &mut over {
            fields.remove("type");
        }
        merge(&mut layout, over);
        (layout, true)
    }

    /// Puts the saved layout in place of its name in the `layout` of a view's or a room's settings.
    pub fn resolve_in(&self, mut settings: Value) -> Value {
        if let Some(layout) = settings.get_mut("layout") {
            *layout = self.resolve(std::mem::take(layout)).0;
        }
        settings
    }

    async fn put(&self, name: &str, layout: Layout, if_match: Believed<'_>) -> Result<(u64, bool), Problem> {
        check_name(name)?;
        let _writing = self.writing.lock().await;
        let before = self.believed(name, if_match)?;
        if before.is_none() && self.lock().by_name.len() >= MOST {
            return Err(Problem::new(Code::Busy, format!("at most {MOST} layouts are saved")));
        }
        if let Some(file) = self.file(name) {
            let text = serde_json::to_vec_pretty(&layout).map_err(|_| Problem::new(Code::Internal, "the layout cannot be written"))?;
            on_disk(move || replace(&file, &text)).await?;
        }
        Ok((self.lock().keep(name, layout), before.is_none()))
    }

    async fn delete(&self, name: &str, if_match: Believed<'_>) -> Result<(), Problem> {
        let _writing = self.writing.lock().await;
        self.believed(name, if_match)?.ok_or_else(|| Problem::not_found("layout"))?;
        if let Some(file) = self.file(name) {
            on_disk(move || std::fs::remove_file(&file)).await?;
        }
        self.lock().by_name.remove(name);
        Ok(())
    }

    /// The revision of what is there, if the caller may go on.
    fn believed(&self, name: &str, if_match: Believed<'_>) -> Result<Option<u64>, Problem> {
        let revision = self.get(name).map(|(_, revision)| revision);
        match revision {
            Some(revision) => if_match.check(&etag(revision))?,
            None if !if_match.is_absent() => return Err(Problem::new(Code::PreconditionFailed, "the layout does not exist")),
            None => {}
        }
        Ok(revision)
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{name}.json")))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Saved> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Saved {
    fn keep(&mut self, name: &str, layout: Layout) -> u64 {
        self.last += 1;
        self.by_name.insert(name.to_owned(), (layout, self.last));
        self.last
    }
}

fn load(file: &Path) -> Option<Layout> {
    let mut layout: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    // Earlier versions wrote options without effect too.
    let kind = json!({"type": layout.get("type").cloned().unwrap_or_else(|| "auto".into())});
    make_way(&mut layout, &kind);
    read(layout).ok()
}

/// The new file takes the old one's place at once, or not at all.
fn replace(file: &Path, text: &[u8]) -> std::io::Result<()> {
    let unfinished = file.with_extension("unfinished");
    let mut out = std::fs::File::create(&unfinished)?;
    out.write_all(text)?;
    out.sync_all()?;
    std::fs::rename(&unfinished, file)
}

async fn on_disk(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<(), Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).and_then(|done| done);
    done.map_err(|error| {
        tracing::error!(%error, "rooms.layouts_folder cannot be written");
        Problem::new(Code::Internal, "the layout cannot be kept: the server's log says why")
    })
}

/// A name is none that a layout's `type` may have by itself.
fn check_name(name: &str) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::validation(vec![FieldError::new("/name", detail)]));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.len() > MAX_NAME || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
        return refuse(format!("a layout's name is 1 to {MAX_NAME} of A-Z a-z 0-9 . _ - and begins with a letter or digit"));
    }
    if serde_json::from_value::<Layout>(json!({"type": name})).is_ok() || name == "custom" {
        return refuse(format!("{name:?} is a type of layout by itself"));
    }
    Ok(())
}

/// A saved layout and its name.
#[derive(Debug, Serialize)]
struct Named {
    name: String,
    layout: Layout,
}

/// All saved layouts, by name.
#[utoipa::path(get, path = "/v1/layouts", tag = "layouts", params(Paging), responses((status = 200, body = Page<schema::SavedLayout>)))]
pub async fn list(State(app): State<App>, Query(paging): Query<Paging>) -> Result<Response, Problem> {
    Ok(json(&paging.page("layouts", app.layouts.list(), |saved| saved.name.clone())?, None))
}

/// A saved layout.
#[utoipa::path(get, path = "/v1/layouts/{name}", tag = "layouts", params(schema::LayoutPath),
    responses((status = 200, body = schema::Layout, headers(("ETag" = String)))))]
pub async fn get(State(app): State<App>, LayoutName(name): LayoutName) -> Result<Response, Problem> {
    let (layout, revision) = app.layouts.get(&name).ok_or_else(|| Problem::not_found("layout"))?;
    Ok(json(&layout, Some(&etag(revision))))
}

/// Save a layout under a name, which `type` may then have wherever a layout is taken.
#[utoipa::path(put, path = "/v1/layouts/{name}", tag = "layouts", params(schema::LayoutPath), request_body = schema::Layout,
    responses((status = 200, body = schema::Layout), (status = 201, body = schema::Layout)))]
pub async fn put(
    State(app): State<App>,
    LayoutName(name): LayoutName,
    if_match: IfMatch,
    Document(document): Document,
) -> Result<Response, Problem> {
    let layout: Layout = read(app.layouts.resolve(document).0)?;
    let (revision, made) = app.layouts.put(&name, layout.clone(), &if_match).await?;
    let mut response = json(&layout, Some(&etag(revision)));
    if made {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Forget a saved layout. Rooms that took it keep what they took.
#[utoipa::path(delete, path = "/v1/layouts/{name}", tag = "layouts", params(schema::LayoutPath), responses((status = 204, description = "Gone.")))]
pub async fn delete(State(app): State<App>, LayoutName(name): LayoutName, if_match: IfMatch) -> Result<Response, Problem> {
    app.layouts.delete(&name, &if_match).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_saved_is_there_after_a_restart_and_half_a_file_never() {
        let folder = std::env::temp_dir().join(format!("mixdown-layouts-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&folder).unwrap();
        let (store, anyone) = (Store::open(Some(&folder)), IfMatch(None));
        let wide = Layout { gap: 33, ..Layout::default() };
        store.put("wide", wide.clone(), &anyone).await.unwrap();
        store.put("gone", wide.clone(), &anyone).await.unwrap();
        store.delete("gone", &anyone).await.unwrap();
        std::fs::write(folder.join("broken.json"), "{").unwrap();
        std::fs::write(folder.join("half.unfinished"), "{").unwrap();
        let again = Store::open(Some(&folder));
        assert_eq!(again.get("wide").map(|(layout, _)| layout), Some(wide));
        assert_eq!(again.list().len(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_name_that_a_type_has_is_refused() {
        for name in ["grid", "auto", "custom", "", "a b", "../x", ".x"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("town-hall.2").is_ok());
    }
}
