//! Outputs as the board runs them.

use super::life::{Reason, State};
use super::target::{Images, Whip};
use super::*;
use crate::record::testing::picture;
use crate::runtime::clock;
use mixdown_codecs::{I420Frame, Size};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Silent;

impl Report for Silent {
    fn changed(&self, _: EgressId) {}
}

fn settings() -> Settings {
    Settings {
        most: 1,
        most_per_room: 1,
        private_networks: true,
        ffmpeg: String::new(),
        hls: hls::Limits { segment: Duration::from_secs(2), window: Duration::from_secs(20), open_bytes: 1 << 20 },
        hls_bytes: 1 << 20,
        give_up: Duration::from_secs(60),
        queue_bytes: 1 << 20,
        queue_span: Duration::from_secs(4),
    }
}

fn start(board: &Board, target: Target) -> Arc<Egress> {
    let start = Start { id: EgressId(1), room: "here".parse().unwrap(), view: "main".into(), wall: clock::wall() };
    board.start(start, vec![target], &(Arc::new(Silent) as Arc<dyn Report>)).unwrap()
}

/// Reads a request, and gives its first line.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return head.lines().next().unwrap().to_owned();
            }
        }
        text.push(stream.read_u8().await.unwrap());
    }
}

async fn answer(mut stream: TcpStream, head: &str, body: &str) {
    let text = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_made_after_the_end_was_asked_for_is_deleted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/whip/there", listener.local_addr().unwrap()).parse().unwrap();
    let board = Board::new(settings());
    let egress = start(&board, Target::Whip(Whip { url, token: None }));
    let mut stream = loop {
        let _ = egress.video(&picture(0));
        tokio::select! {
            accepted = listener.accept() => break accepted.unwrap().0,
            () = tokio::task::yield_now() => {}
        }
    };
    assert_eq!(request(&mut stream).await, "POST /whip/there HTTP/1.1");
    board.end(egress.id, Reason::Requested);
    tokio::task::yield_now().await;
    let other = tokio::spawn(async move {
        answer(stream, "201 Created\r\nLocation: /session/7\r\nContent-Type: application/sdp", "v=0").await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let line = request(&mut stream).await;
        answer(stream, "200 OK", "").await;
        line
    });
    board.finish(Duration::from_secs(10)).await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), other).await.expect("a request").unwrap(), "DELETE /session/7 HTTP/1.1");
}

#[tokio::test(start_paused = true)]
async fn a_still_that_cannot_be_made_is_said_and_the_next_one_is_tried() {
    let board = Board::new(settings());
    let egress = start(&board, Target::Images(Images { interval: Duration::from_secs(1) }));
    let offer = async |width, state| {
        // JPEG ends at 65535.
        let frame = Arc::new(I420Frame::black(Size::new(width, 2)));
        for _ in 0..1000 {
            egress.picture(&frame);
            tokio::time::sleep(Duration::from_millis(10)).await;
            let shown = egress.shown().outputs.remove(0);
            if shown.state == state {
                return shown;
            }
        }
        panic!("{state:?}: {:?}", egress.shown());
    };
    offer(64, State::Active).await;
    let shown = offer(70_000, State::Interrupted).await;
    assert_eq!((shown.reason, shown.failures, shown.retry_at.is_some()), (Some(Reason::InternalError), 1, true));
    offer(64, State::Active).await;
}
