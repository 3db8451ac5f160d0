//! The bucket itself: a few requests, and why they fail in one line that says what to do.

use super::{Hidden, Settings};
use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Attribute, Attributes, BackoffConfig, ClientOptions, Error, GetOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::Stream;

const CONNECT: Duration = Duration::from_secs(5);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The bucket knows the upload in parts no more: begin it anew.
    #[error("the bucket no longer knows this upload")]
    Forgotten,
    #[error("the bucket has no such object")]
    Unknown,
    /// Try again later.
    #[error("{0}")]
    Refused(String),
    /// Nobody answers, or not in time: try again later, and nothing else meanwhile.
    #[error("{0}")]
    Silent(String),
}

trait Backend: ObjectStore + MultipartStore {}
impl<T: ObjectStore + MultipartStore> Backend for T {}

/// Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    backend: Arc<dyn Backend>,
    /// Scheme, bucket and prefix, with a slash at the end.
    url: String,
    prefix: String,
    /// Azure takes no content type with a list of blocks.
    typed: bool,
}

impl Bucket {
    /// `Err`: one line with key and remedy. Connects to nobody.
    pub fn open(settings: &Settings) -> Result<Self, String> {
        let (scheme, name, prefix) = split(&settings.url)?;
        let typed = scheme != "az";
        let backend: Arc<dyn Backend> = match scheme {
            "s3" => Arc::new(s3(settings, name).build().map_err(|error| unusable(&error))?),
            "gs" => Arc::new(google(settings, name).build().map_err(|error| unusable(&error))?),
            _ => Arc::new(azure(settings, name).build().map_err(|error| unusable(&error))?),
        };
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { backend, url: format!("{scheme}://{name}/{prefix}"), prefix, typed })
    }

    /// Of an object, for people.
    pub fn url(&self, key: &str) -> String {
        format!("{}{key}", self.url)
    }

    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        let options = attributes(key).into();
        self.backend.put_opts(&self.path(key), bytes.into(), options).await.map(drop).map_err(|error| fault(&error))
    }

    /// Begins an upload in parts.
    pub async fn begin(&self, key: &str) -> Result<String, Fault> {
        let options = if self.typed { attributes(key).into() } else { Default::default() };
        self.backend.create_multipart_opts(&self.path(key), options).await.map_err(|error| fault(&error))
    }

    /// Sends a part, and gives its tag.
    pub async fn put_part(&self, key: &str, id: &str, index: usize, bytes: Bytes) -> Result<String, Fault> {
        let sent = self.backend.put_part(&self.path(key), &id.to_owned(), index, bytes.into()).await;
        sent.map(|part| part.content_id).map_err(|error| of_session(fault(&error)))
    }

    pub async fn complete(&self, key: &str, id: &str, tags: impl Iterator<Item = String>) -> Result<(), Fault> {
        let parts = tags.map(|content_id| PartId { content_id }).collect();
        let completed = self.backend.complete_multipart(&self.path(key), &id.to_owned(), parts).await;
        completed.map(drop).map_err(|error| of_session(fault(&error)))
    }

    /// Frees what was sent in parts and not completed.
    pub async fn abort(&self, key: &str, id: &str) -> Result<(), Fault> {
        match self.backend.abort_multipart(&self.path(key), &id.to_owned()).await.map_err(|error| fault(&error)) {
            Err(Fault::Unknown) => Ok(()),
            done => done,
        }
    }

    /// An object's size.
    pub async fn size(&self, key: &str) -> Result<u64, Fault> {
        self.backend.head(&self.path(key)).await.map(|object| object.size).map_err(|error| fault(&error))
    }

    pub async fn delete(&self, key: &str) -> Result<(), Fault> {
        match self.backend.delete(&self.path(key)).await.map_err(|error| fault(&error)) {
            Err(Fault::Unknown) => Ok(()),
            done => done,
        }
    }

    /// A range of an object, as it comes.
    pub async fn read(&self, key: &str, range: Range<u64>) -> Result<impl Stream<Item = std::io::Result<Bytes>> + Send + 'static, Fault> {
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        let object = self.backend.get_opts(&self.path(key), options).await.map_err(|error| fault(&error))?;
        Ok(tokio_stream::StreamExt::map(object.into_stream(), |piece| piece.map_err(std::io::Error::other)))
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }
}

/// Scheme, bucket, prefix.
fn split(url: &str) -> Result<(&str, &str, &str), String> {
    let form = "write s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("recordings.upload.url: has no scheme; {form}"))?;
    if !["s3", "gs", "az"].contains(&scheme) {
        return Err(format!("recordings.upload.url: {scheme}:// is not known; {form}"));
    }
    let (name, prefix) = rest.trim_end_matches('/').split_once('/').unwrap_or((rest.trim_end_matches('/'), ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    if name.is_empty() || !plain(name) || !plain(prefix) || prefix.split('/').any(|part| part == "." || part == "..") {
        return Err(format!("recordings.upload.url: names no bucket, or has odd characters; {form}"));
    }
    Ok((scheme, name, prefix))
}

fn unusable(error: &Error) -> String {
    format!("recordings.upload: cannot be used: {}; correct it, or empty recordings.upload.url", line(error))
}

fn client(settings: &Settings) -> (ClientOptions, RetryConfig) {
    let options = ClientOptions::new().with_timeout(settings.timeout).with_connect_timeout(CONNECT);
    let options = options.with_allow_http(settings.endpoint.starts_with("http://"));
    // Who comes again, and when, is the driver's to say.
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(1), base: 2.0 };
    (options, RetryConfig { backoff, max_retries: 1, retry_timeout: Duration::from_secs(60) })
}

fn s3(settings: &Settings, bucket: &str) -> AmazonS3Builder {
    let (options, retry) = client(settings);
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(options).with_retry(retry);
    builder = builder.with_virtual_hosted_style_request(!settings.path_style);
    let Hidden(secret) = &settings.secret_access_key;
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(&settings.endpoint);
    }
    if !settings.region.is_empty() {
        builder = builder.with_region(&settings.region);
    }
    if !settings.access_key_id.is_empty() {
        builder = builder.with_access_key_id(&settings.access_key_id).with_secret_access_key(secret);
    }
    builder
}

fn google(settings: &Settings, bucket: &str) -> GoogleCloudStorageBuilder {
    let (options, retry) = client(settings);
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_client_options(options).with_retry(retry);
    if !settings.endpoint.is_empty() {
        builder = builder.with_base_url(&settings.endpoint);
    }
    if !settings.service_account_file.is_empty() {
        builder = builder.with_service_account_path(&settings.service_account_file);
    }
    builder
}

fn azure(settings: &Settings, container: &str) -> MicrosoftAzureBuilder {
    let (options, retry) = client(settings);
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container).with_client_options(options).with_retry(retry);
    let Hidden(secret) = &settings.secret_access_key;
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(settings.endpoint.clone());
    }
    if !settings.access_key_id.is_empty() {
        builder = builder.with_account(&settings.access_key_id);
    }
    if !secret.is_empty() {
        builder = builder.with_access_key(secret);
    }
    builder
}

/// What a browser is told that it is.
fn attributes(key: &str) -> Attributes {
    let kind = match key.rsplit('.').next() {
        Some("mp4") => "video/mp4",
        Some("json") => "application/json",
        Some("vtt") => "text/vtt; charset=utf-8",
        Some("jpg") => "image/jpeg",
        _ => "application/octet-stream",
    };
    [(Attribute::ContentType, kind)].into_iter().collect()
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::NotFound { .. } if line(error).contains("NoSuchBucket") => {
            Fault::Refused("there is no such bucket: make it, or correct recordings.upload.url".into())
        }
        Error::NotFound { .. } => Fault::Unknown,
        Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => {
            let why = line(error);
            let code = why.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
            let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
            Fault::Refused(format!(
                "the bucket refuses the credentials{code}: correct recordings.upload.access_key_id and secret_access_key, or what they may do"
            ))
        }
        _ if is_silent(error) => Fault::Silent(format!("the bucket does not answer: {}", line(error))),
        _ => Fault::Refused(format!("the bucket does not take it: {}", line(error))),
    }
}

fn is_silent(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut requests = causes.filter_map(|error| error.downcast_ref::<HttpError>());
    requests.any(|error| matches!(error.kind(), HttpErrorKind::Connect | HttpErrorKind::Timeout))
}

/// What is not found where an upload in parts goes on is the upload.
fn of_session(fault: Fault) -> Fault {
    if matches!(fault, Fault::Unknown) { Fault::Forgotten } else { fault }
}

/// An error with all that caused it, in one line of bearable length.
fn line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_by_its_url_and_what_is_none_is_told() {
        assert_eq!(split("s3://films"), Ok(("s3", "films", "")));
        assert_eq!(split("gs://films/"), Ok(("gs", "films", "")));
        assert_eq!(split("az://films/a/b/"), Ok(("az", "films", "a/b")));
        for bad in
            ["", "films", "s3://", "s3:///a", "ftp://films", "s3://films/../x", "s3://fi lms", "s3://films/ä", "https://user:pw@films"]
        {
            let fault = split(bad).unwrap_err();
            assert!(fault.starts_with("recordings.upload.url: ") && fault.lines().count() == 1, "{fault}");
        }
    }
}
