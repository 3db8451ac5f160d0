//! An S3 server process that is not ours (moto), and a line to it that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

pub const BUCKET: &str = "films";

/// The server, killed when it is dropped. What it holds is gone then.
pub struct S3 {
    child: Child,
    pub port: u16,
}

/// The program; `None`, with a printed reason: it is not installed.
pub fn program() -> Option<PathBuf> {
    let usual = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/moto_server");
    let program = std::env::var_os("MIXDOWN_TEST_S3").map_or(usual, PathBuf::from);
    if program.exists() {
        return Some(program);
    }
    assert!(std::env::var_os("MIXDOWN_TEST_COMPLETE").is_none(), "{} does not exist, and nothing may be skipped", program.display());
    println!("skipped: {} does not exist: tools/requirements.py tests/requirements.txt installs it", program.display());
    None
}

impl S3 {
    /// With an empty bucket. `open`: requests that need no credentials; the first makes the bucket.
    pub fn start(program: &PathBuf, port: u16, open: Option<u32>) -> Self {
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env("S3_UPLOAD_PART_MIN_SIZE", "1024");
        command.envs(open.map(|count| ("INITIAL_NO_AUTH_ACTION_COUNT", count.to_string())));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
        let server = Self { child, port };
        for _ in 0..1000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                assert_eq!(server.ask("PUT", &format!("/{BUCKET}")).0, 200);
                return server;
            }
            let (_sender, patience) = std::sync::mpsc::channel::<()>();
            // Nobody sends: this waits.
            let _ = patience.recv_timeout(Duration::from_millis(20));
        }
        panic!("moto does not listen on port {port}");
    }

    /// Status and body.
    pub fn ask(&self, method: &str, path: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        // Whoever shows credentials may do all here; they are not looked at unless the server was told to.
        let key = "AWS4-HMAC-SHA256 Credential=example/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: {key}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let status = String::from_utf8_lossy(&answer[9..12]).parse().expect("a status");
        (status, answer.split_off(head))
    }

    /// An object; `None`: there is none.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        let (status, body) = self.ask("GET", &format!("/{BUCKET}/{key}"));
        (status == 200).then_some(body)
    }

    /// Keys of all objects, and whether uploads in parts are under way, as the server tells it.
    pub fn listed(&self) -> (String, String) {
        let text = |path: &str| String::from_utf8_lossy(&self.ask("GET", path).1).into_owned();
        (text(&format!("/{BUCKET}?list-type=2")), text(&format!("/{BUCKET}?uploads")))
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a port").port()
}

/// A line to a server: cut once so many bytes have gone up.
pub struct Line {
    pub port: u16,
    left: Arc<AtomicI64>,
    sent: Arc<AtomicU64>,
}

impl Line {
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let (port, left, sent) = (listener.local_addr().expect("address").port(), Arc::new(AtomicI64::new(i64::MAX)), Arc::default());
        let line = Self { port, left: Arc::clone(&left), sent: Arc::clone(&sent) };
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // A line that is cut, or a server that is not there, closes at once.
                let Ok(far) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (left, sent) = (Arc::clone(&left), Arc::clone(&sent));
                let (Ok(up), Ok(down)) = (near.try_clone(), far.try_clone()) else { continue };
                std::thread::spawn(move || pass(up, far, &left, &sent));
                std::thread::spawn(move || pass(down, near, &AtomicI64::new(i64::MAX), &AtomicU64::new(0)));
            }
        });
        line
    }

    pub fn cut_after(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64, sent: &AtomicU64) {
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if left.fetch_sub(length as i64, Ordering::SeqCst) < length as i64 || to.write_all(&piece[..length]).is_err() {
            break;
        }
        sent.fetch_add(length as u64, Ordering::SeqCst);
    }
    // Either may be closed already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
