//! `mixdown healthcheck`: asks the running server's `/healthz`, for containers that have no other program.

use std::io::{BufRead, BufReader, Error, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// `Err` says why the server that is bound to `bind` is not healthy.
pub fn ask(bind: SocketAddr) -> Result<(), Error> {
    let mut stream = TcpStream::connect_timeout(&reachable(bind), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    if status.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(Error::other(format!("/healthz answered {:?}", status.trim()))) }
}

/// Where a server that listens on every address can be asked from its own machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut request).unwrap();
            assert_eq!(request, "GET /healthz HTTP/1.1\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port())
    }

    #[test]
    fn a_server_that_answers_200_is_healthy_and_any_other_is_not() {
        assert!(ask(answering("HTTP/1.1 200 OK\r\n\r\n")).is_ok());
        let refusal = ask(answering("HTTP/1.1 503 Service Unavailable\r\n\r\n")).unwrap_err();
        assert!(refusal.to_string().contains("503"), "{refusal}");
        assert!(ask(answering("")).is_err());
    }

    #[test]
    fn nobody_there_is_not_healthy() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(port).is_err());
    }
}
