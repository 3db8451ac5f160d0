//! The HTTP side of a client: join, re-offer, trickle, leave. One resource per session (docs/api.md: participants,
//! WHIP, WHEP).

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};
use std::net::IpAddr;
use std::time::Duration;

/// Requests that take longer have failed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const MOST_ANSWER: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be used. Correct it.
    #[error("{0}")]
    Address(String),
    /// Nothing answered. Try again later.
    #[error("the server does not answer: {0}")]
    Unreachable(String),
    /// The server refused; `detail` is its own.
    #[error("{status}: {detail}")]
    Refused { status: u16, detail: String },
    /// The server's answer makes no sense.
    #[error("the server's answer has no {0}")]
    Incomplete(&'static str),
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        // The outer message is only "error sending request"; the cause is in the innermost.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Unreachable(cause.to_string())
    }
}

/// Which endpoint makes the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Participants,
    Whip,
    Whep,
}

/// Where and as whom to join.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server's root.
    pub base: Url,
    pub room: String,
    pub endpoint: Endpoint,
    pub name: Option<String>,
    pub view: Option<String>,
    pub token: Option<String>,
}

impl Target {
    /// `address`: the server's root, or a room's page such as `http://127.0.0.1:8080/r/standup`; a given `room` wins.
    pub fn new(address: &str, room: Option<&str>) -> Result<Self, Error> {
        let mut base = Url::parse(address).map_err(|error| Error::Address(format!("{address}: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(Error::Address(format!("{address}: not an http address")));
        }
        let segments: Vec<&str> = base.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let of_page = match segments[..] {
            ["r" | "watch" | "whip" | "whep", room, ..] | ["v1", "rooms", room, ..] => Some(room.to_owned()),
            _ => None,
        };
        let Some(room) = room.map(str::to_owned).or(of_page) else {
            return Err(Error::Address(format!("{address} names no room: give a room's page or --room")));
        };
        base.set_path("/");
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self { base, room, endpoint: Endpoint::Participants, name: None, view: None, token: None })
    }

    /// Where the session is made.
    pub fn url(&self) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            match self.endpoint {
                Endpoint::Participants => path.clear().extend(["v1", "rooms", &self.room, "participants"]),
                Endpoint::Whip => path.clear().extend(["whip", &self.room]),
                Endpoint::Whep => path.clear().extend(["whep", &self.room]),
            };
        }
        for (key, value) in [("name", &self.name), ("view", &self.view)] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(key, value);
            }
        }
        url
    }

    /// Host and port of the server.
    pub fn host(&self) -> (String, u16) {
        host(&self.base)
    }
}

/// Where a session is made, and where this client may go for it.
pub struct Door {
    pub http: Client,
    pub url: Url,
    /// Sent as Bearer.
    pub token: Option<String>,
    /// Whether a session may be where the server says that it is.
    pub may_ask: Box<dyn Fn(&Url) -> bool + Send + Sync>,
    /// Whether media may be sent to an address of the server.
    pub may_reach: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl Door {
    /// Anywhere.
    pub fn of(target: &Target) -> Result<Self, Error> {
        let (url, token) = (target.url(), target.token.clone());
        Ok(Self { http: client()?, url, token, may_ask: Box::new(|_| true), may_reach: Box::new(|_| true) })
    }

    /// Host and port of the server.
    pub fn host(&self) -> (String, u16) {
        host(&self.url)
    }
}

fn host(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned();
    (host, url.port_or_known_default().unwrap_or(80))
}

/// A session as the server keeps it.
#[derive(Debug, Clone)]
pub struct Resource {
    client: Client,
    url: Url,
    token: Option<String>,
    etag: Option<String>,
}

impl Resource {
    /// Makes the session. The server's answer comes along.
    pub async fn create(door: &Door, offer: String) -> Result<(Self, String), Error> {
        let request = door.http.post(door.url.clone()).header(header::CONTENT_TYPE, "application/sdp").body(offer);
        let response = send(request, door.token.as_deref()).await?;
        if response.status() != StatusCode::CREATED {
            return Err(Error::Refused { status: response.status().as_u16(), detail: "no session was made".into() });
        }
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let url = location.and_then(|path| door.url.join(path).ok()).ok_or(Error::Incomplete("Location"))?;
        if !(door.may_ask)(&url) {
            return Err(Error::Address("the session is at an address that may not be asked".into()));
        }
        let resource = Self { client: door.http.clone(), url, token: door.token.clone(), etag: etag(&response) };
        match read_answer(response).await {
            Ok(answer) => Ok((resource, answer)),
            Err(error) => {
                // There is a session, and nobody would end it.
                let _ = resource.delete().await;
                Err(error)
            }
        }
    }

    /// The last part of the address: the participant's id.
    pub fn id(&self) -> &str {
        self.url.path_segments().and_then(|mut path| path.next_back()).unwrap_or_default()
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A new offer; the answer.
    pub async fn offer(&mut self, offer: String) -> Result<String, Error> {
        let request = self.client.patch(self.url.clone()).header(header::CONTENT_TYPE, "application/sdp").body(offer);
        let response = send(request, self.token.as_deref()).await?;
        self.etag = etag(&response).or(self.etag.take());
        Ok(response.text().await?)
    }

    /// A trickle fragment. The server's fragment, where this was an ICE restart.
    pub async fn trickle(&mut self, fragment: String, restart: bool) -> Result<Option<String>, Error> {
        let condition = if restart { "*" } else { self.etag.as_deref().unwrap_or("*") }.to_owned();
        let request = self
            .client
            .patch(self.url.clone())
            .header(header::CONTENT_TYPE, "application/trickle-ice-sdpfrag")
            .header(header::IF_MATCH, condition)
            .body(fragment);
        let response = send(request, self.token.as_deref()).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        self.etag = etag(&response).or(self.etag.take());
        Ok(Some(response.text().await?))
    }

    /// A merge-patch such as `{"muted_audio": true}`.
    pub async fn patch(&self, patch: &serde_json::Value) -> Result<(), Error> {
        let request =
            self.client.patch(self.url.clone()).header(header::CONTENT_TYPE, "application/merge-patch+json").body(patch.to_string());
        send(request, self.token.as_deref()).await.map(drop)
    }

    /// Ends the session.
    pub async fn delete(&self) -> Result<(), Error> {
        send(self.client.delete(self.url.clone()), self.token.as_deref()).await.map(drop)
    }
}

async fn read_answer(mut response: Response) -> Result<String, Error> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if answer.len() + chunk.len() > MOST_ANSWER {
            return Err(Error::Incomplete("answer of a size that is one"));
        }
        answer.extend_from_slice(&chunk);
    }
    String::from_utf8(answer).map_err(|_| Error::Incomplete("answer that is text"))
}

/// A client that talks to the server itself, never through a proxy of the environment.
fn client() -> Result<Client, Error> {
    Ok(Client::builder().no_proxy().timeout(TIMEOUT).build()?)
}

/// Text of a GET, such as the server's metrics.
pub async fn get(url: Url, token: Option<&str>) -> Result<String, Error> {
    Ok(send(client()?.get(url), token).await?.text().await?)
}

/// Makes or replaces what is at `url`.
pub async fn put(url: Url, token: Option<&str>, body: &serde_json::Value) -> Result<(), Error> {
    let request = client()?.put(url).header(header::CONTENT_TYPE, "application/json").body(body.to_string());
    send(request, token).await.map(drop)
}

/// Asks `url` something, and gives the JSON that it answers.
pub async fn post(url: Url, token: Option<&str>, body: &serde_json::Value) -> Result<serde_json::Value, Error> {
    let request = client()?.post(url).header(header::CONTENT_TYPE, "application/json").body(body.to_string());
    let text = send(request, token).await?.text().await?;
    serde_json::from_str(&text).map_err(|_| Error::Incomplete("answer that is JSON"))
}

async fn send(request: RequestBuilder, token: Option<&str>) -> Result<Response, Error> {
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let response = request.send().await?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let text = response.text().await.unwrap_or_default();
    let problem: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")).and_then(|detail| detail.as_str());
    Err(Error::Refused { status, detail: detail.unwrap_or("refused").chars().take(300).collect() })
}

fn etag(response: &Response) -> Option<String> {
    response.headers().get(header::ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_a_root_and_an_endpoint_all_lead_to_the_room() {
        for address in ["http://h:81/r/a", "http://h:81/watch/a?x=1", "http://h:81/v1/rooms/a/participants", "http://h:81/whip/a"] {
            let target = Target::new(address, None).unwrap();
            assert_eq!(target.url().as_str(), "http://h:81/v1/rooms/a/participants");
        }
        assert_eq!(Target::new("http://h/r/a", Some("b")).unwrap().room, "b");
        assert!(Target::new("http://h/", None).is_err());
        assert!(Target::new("ftp://h/r/a", None).is_err());
        assert!(Target::new("nonsense", Some("a")).is_err());
    }

    #[test]
    fn names_views_and_rooms_are_escaped() {
        let mut target = Target::new("http://[::1]:9", Some("a b")).unwrap();
        target.name = Some("Ann & Bob".into());
        target.view = Some("main".into());
        assert_eq!(target.url().as_str(), "http://[::1]:9/v1/rooms/a%20b/participants?name=Ann+%26+Bob&view=main");
        assert_eq!(target.host(), ("::1".to_owned(), 9));
        target.endpoint = Endpoint::Whep;
        assert!(target.url().as_str().starts_with("http://[::1]:9/whep/a%20b?"));
    }
}
