//! `Idempotency-Key`: a POST that is sent again gets the first answer again.
//!
//! Answers live in memory, bounded in number and time. The key counts per caller, method and path; another
//! body under the same key is 422, one whose answer is not there yet 409. Answers that invite another try
//! (429 and 5xx) are not kept.

use super::app::App;
use super::auth::Caller;
use super::body::collect;
use super::problem::{Code, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use sha1::{Digest, Sha1};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_KEY_BYTES: usize = 255;

type Fingerprint = [u8; 20];

pub struct Store {
    most: usize,
    ttl: Duration,
    answers: Mutex<Answers>,
}

#[derive(Default)]
struct Answers {
    by_key: HashMap<String, Slot>,
    /// Oldest first.
    order: VecDeque<(String, Instant)>,
}

struct Slot {
    body: Fingerprint,
    at: Instant,
    answer: Option<Answer>,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Store {
    pub fn new(most: usize, ttl: Duration) -> Self {
        Self { most, ttl, answers: Mutex::default() }
    }

    /// `Ok(None)`: the request is new, and a slot is taken for it.
    fn begin(&self, key: &str, body: Fingerprint, now: Instant) -> Result<Option<Answer>, Problem> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.forget(self.most, self.ttl, now);
        if let Some(slot) = answers.by_key.get(key) {
            if slot.body != body {
                return Err(Problem::new(Code::IdempotencyMismatch, "use a new Idempotency-Key for a new request"));
            }
            let running = || Problem::new(Code::Conflict, "the first request with this Idempotency-Key is still being answered");
            return slot.answer.clone().map(Some).ok_or_else(running);
        }
        answers.by_key.insert(key.to_owned(), Slot { body, at: now, answer: None });
        answers.order.push_back((key.to_owned(), now));
        Ok(None)
    }

    fn finish(&self, key: &str, answer: Option<Answer>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match (answer, answers.by_key.get_mut(key)) {
            (Some(answer), Some(slot)) => slot.answer = Some(answer),
            (None, _) => drop(answers.by_key.remove(key)),
            (Some(_), None) => {}
        }
    }
}

impl Answers {
    fn forget(&mut self, most: usize, ttl: Duration, now: Instant) {
        while let Some((key, at)) =
            self.order.front().filter(|(_, at)| self.order.len() >= most || now.saturating_duration_since(*at) >= ttl)
        {
            // The same key may have been used again since.
            if self.by_key.get(key).is_some_and(|slot| slot.at == *at) {
                self.by_key.remove(key);
            }
            self.order.pop_front();
        }
    }
}

/// Gives the slot back when the caller hangs up in the middle.
struct Claim<'a> {
    store: &'a Store,
    key: String,
    done: bool,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.store.finish(&self.key, None);
        }
    }
}

/// The layer around all operations.
pub async fn layer(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let Some(given) = request.headers().get(HEADER).filter(|_| request.method() == Method::POST) else {
        return Ok(next.run(request).await);
    };
    let given = given.to_str().ok().filter(|given| !given.is_empty() && given.len() <= MAX_KEY_BYTES);
    let given = given.ok_or_else(|| Problem::new(Code::BadRequest, "Idempotency-Key has 1 to 255 visible characters"))?.to_owned();
    let (parts, body) = request.into_parts();
    let caller = match parts.extensions.get::<Caller>() {
        Some(Caller::Token(claims)) => format!("{} {}", claims.iss, claims.sub),
        other => format!("{other:?}"),
    };
    let key = format!("{caller}\n{}\n{given}", parts.uri);
    // The largest that any operation takes; each holds its own limit afterwards.
    let http = &app.config.http;
    let limit = http.sdp_limit_bytes.max(http.layout_limit_bytes).max(http.body_limit_bytes);
    let body = collect(&app, &parts.headers, body, limit).await?;
    let fingerprint = Sha1::digest(&body).into();
    if let Some(answer) = app.idempotency.begin(&key, fingerprint, app.now())? {
        return Ok(answer.into_response());
    }
    let mut claim = Claim { store: &app.idempotency, key, done: false };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (response, answer) = keep(response).await?;
    claim.done = true;
    app.idempotency.finish(&claim.key, answer);
    Ok(response)
}

/// The response with its body read into memory, and what of it is kept.
async fn keep(response: Response) -> Result<(Response, Option<Answer>), Problem> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Problem::new(Code::Internal, "the answer broke off"))?.to_bytes();
    let passing = parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS;
    let answer = (!passing).then(|| Answer { status: parts.status, headers: parts.headers.clone(), body: body.clone() });
    Ok((Response::from_parts(parts, Body::from(body)), answer))
}

impl Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer { status: StatusCode::CREATED, headers: HeaderMap::new(), body: Bytes::from_static(b"x") }
    }

    #[test]
    fn a_repeated_request_gets_the_first_answer_and_another_body_is_refused() {
        let store = Store::new(8, Duration::from_secs(60));
        let now = crate::runtime::clock::now();
        assert!(store.begin("k", [1; 20], now).expect("new").is_none());
        assert_eq!(store.begin("k", [1; 20], now).err().map(|problem| problem.code), Some(Code::Conflict));
        store.finish("k", Some(answer()));
        assert!(store.begin("k", [1; 20], now).expect("kept").is_some());
        assert_eq!(store.begin("k", [2; 20], now).err().map(|problem| problem.code), Some(Code::IdempotencyMismatch));
        assert!(store.begin("k", [2; 20], now + Duration::from_secs(61)).expect("forgotten").is_none());
    }

    #[test]
    fn a_request_that_failed_can_be_tried_again() {
        let store = Store::new(8, Duration::from_secs(60));
        let now = crate::runtime::clock::now();
        drop(store.begin("k", [1; 20], now));
        store.finish("k", None);
        assert!(store.begin("k", [2; 20], now).expect("free again").is_none());
    }

    #[test]
    fn the_store_is_bounded_however_many_keys_come() {
        let store = Store::new(16, Duration::from_secs(60));
        let now = crate::runtime::clock::now();
        for n in 0..1000 {
            let key = (n % 300).to_string();
            if store.begin(&key, [0; 20], now).is_ok_and(|answer| answer.is_none()) {
                store.finish(&key, (n % 3 == 0).then(answer));
            }
        }
        let answers = store.answers.lock().expect("lock");
        assert!(answers.by_key.len() <= 16 && answers.order.len() <= 16, "{} {}", answers.by_key.len(), answers.order.len());
    }
}
