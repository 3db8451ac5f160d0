//! The way of HTTP: a proxy on loopback, for one child, that connects to nothing but what [`crate::address`] lets pass.
//!
//! Whatever the child asks for, also after a redirect and out of a playlist, is asked for here: the name is looked up once, filtered, and that
//! very address is connected to. Tunnels (`CONNECT`) carry TLS from end to end; of plain requests the first line is written in
//! the form that servers expect.

use super::source::Refused;
use crate::address::{reach, resolve};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Connections of one child at the same time.
const MOST: usize = 32;
const HEAD_BYTES: usize = 16 << 10;
const HEAD_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Runs until it is dropped, and all its connections with it.
#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// `private`: also to this machine and its network.
    pub async fn start(private: bool) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { address: listener.local_addr()?, task: tokio::spawn(run(listener, private)) })
    }
}

/// After an error of the listener.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(100);

async fn run(listener: TcpListener, private: bool) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: it comes again, and is not spun on.
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        if connections.len() < MOST {
            connections.spawn(serve(stream, private));
        } else {
            metrics::counter!("mixdown_drops_total", "reason" => "ingress_connections").increment(1);
        }
    }
}

async fn serve(mut client: TcpStream, private: bool) {
    let Ok(Ok(head)) = tokio::time::timeout(HEAD_WITHIN, read_head(&mut client)).await else { return };
    let done = match Request::parse(&head) {
        None => Err("400 Bad Request"),
        Some(request) => match connect(&request, private).await {
            Ok(server) => Ok((request, server)),
            Err(Refused::Address) => {
                metrics::counter!("mixdown_drops_total", "reason" => "ingress_address").increment(1);
                Err("403 Address not allowed")
            }
            Err(_) => Err("502 Bad Gateway"),
        },
    };
    // Where one side is gone, the other learns it by the end of the stream.
    let _ = match done {
        Ok((request, server)) => pass(client, server, &request).await,
        Err(status) => client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await,
    };
}

async fn pass(mut client: TcpStream, mut server: TcpStream, request: &Request) -> io::Result<()> {
    match &request.forward {
        Some(head) => server.write_all(head).await?,
        None => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?,
    }
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn read_head(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Byte by byte: what follows the head belongs to whoever it is for.
        head.push(client.read_u8().await?);
    }
    Ok(head)
}

async fn connect(request: &Request, private: bool) -> Result<TcpStream, Refused> {
    let addresses = resolve(&request.host, request.port, |ip| reach(ip).is_allowed(private)).await?;
    let connecting = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(&addresses[..]));
    connecting.await.map_err(|_| Refused::Unknown)?.map_err(|_| Refused::Unknown)
}

/// What the child asks its proxy for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub host: String,
    pub port: u16,
    /// The head as the server gets it; `None`: a tunnel.
    pub forward: Option<Vec<u8>>,
}

impl Request {
    /// `None`: it cannot be read, or is for no proxy.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        // Lines end with CRLF alone: what stands after a bare one would be a line of its own to the server.
        if text.split("\r\n").any(|line| line.contains(|c: char| c.is_control() && c != '\t')) {
            return None;
        }
        let (line, rest) = text.split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next().filter(|version| version.starts_with("HTTP/1."))?);
        if method == "CONNECT" {
            let (host, port) = authority(target, None)?;
            return Some(Self { host, port, forward: None });
        }
        let target = target.strip_prefix("http://")?;
        let at = target.find(['/', '?']).unwrap_or(target.len());
        let (host, port) = authority(&target[..at], Some(80))?;
        let path = if target[at..].starts_with('/') { target[at..].to_owned() } else { format!("/{}", &target[at..]) };
        let lines = rest.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"));
        let forward = format!("{method} {path} {version}\r\n{}", lines.collect::<Vec<_>>().join("\r\n"));
        Some(Self { host, port, forward: Some(forward.into_bytes()) })
    }
}

/// Host and port.
fn authority(text: &str, port: Option<u16>) -> Option<(String, u16)> {
    let text = text.rsplit('@').next()?;
    let (host, digits) = match text.rsplit_once(':').filter(|(_, digits)| !digits.contains(']')) {
        Some((host, digits)) => (host, Some(digits)),
        None => (text, None),
    };
    let port = match digits {
        Some(digits) => digits.parse().ok()?,
        None => port?,
    };
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_written_anew() {
        let request = |text: &str| Request::parse(text.as_bytes());
        let tunnel = Request { host: "example.org".into(), port: 443, forward: None };
        assert_eq!(request("CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n"), Some(tunnel));
        let plain =
            request("GET http://u:p@[2001:db8::1]:8000/a?b=c HTTP/1.1\r\nHost: x\r\nProxy-Connection: y\r\nRange: bytes=0-\r\n\r\n")
                .unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("2001:db8::1", 8000));
        assert_eq!(plain.forward.as_deref(), Some(&b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\n\r\n"[..]));
        assert_eq!(request("GET http://example.org HTTP/1.0\r\n\r\n").unwrap().forward.as_deref(), Some(&b"GET / HTTP/1.0\r\n\r\n"[..]));
        for bad in [
            "GET / HTTP/1.1\r\n\r\n",
            "CONNECT example.org HTTP/1.1\r\n\r\n",
            "GET http:///x HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
            "A B\r\n\r\n",
            "GET http://example.org/\nX: y HTTP/1.1\r\n\r\n",
            "GET http://example.org/ HTTP/1.1\nX: y\r\n\r\n",
            "GET http://example.org/ HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
        ] {
            assert_eq!(request(bad), None, "{bad:?}");
        }
    }

    async fn ask(relay: &Relay, text: &str) -> String {
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn this_machine_is_reached_only_where_that_is_allowed() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                let head = read_head(&mut stream).await.unwrap();
                stream.write_all(&head).await.unwrap();
            }
        });
        let (closed, open) = (Relay::start(false).await.unwrap(), Relay::start(true).await.unwrap());
        for host in ["127.0.0.1", "localhost", "2130706433"] {
            let text = format!("GET http://{host}:{port}/a HTTP/1.1\r\n\r\n");
            assert!(ask(&closed, &text).await.starts_with("HTTP/1.1 403"), "{host}");
        }
        assert!(ask(&closed, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n")).await.starts_with("HTTP/1.1 403"));
        assert_eq!(ask(&open, &format!("GET http://localhost:{port}/a HTTP/1.1\r\n\r\n")).await, "GET /a HTTP/1.1\r\n\r\n");
        assert!(ask(&open, "CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 403"), "never");
        assert!(ask(&open, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    }
}
