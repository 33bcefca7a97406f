//! As much of HTTP/1.1 as the page needs: the head of one request, one response, and the connection is closed.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The longest head that is read.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// How long a head may take.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// How long a write may wait for whoever reads.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// How much of a body that nobody wants is read, so that the answer arrives before the connection is reset.
const SURPLUS_BYTES_MAX: usize = 64 * 1024;
const SURPLUS_PATIENCE: Duration = Duration::from_millis(200);

/// Sent with everything: scripts and styles from here only, no frames, no forms, nothing that is guessed or kept.
const HEADERS: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src \
     'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
     X-Content-Type-Options: nosniff\r\n\
     X-Frame-Options: DENY\r\n\
     Referrer-Policy: no-referrer\r\n\
     Cross-Origin-Resource-Policy: same-origin\r\n\
     Cache-Control: no-store\r\n\
     Connection: close\r\n";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without what follows a `?`.
    pub(super) path: String,
    pub(super) host: String,
    /// What a stream that is taken up again has seen last.
    pub(super) last_event: Option<String>,
}

impl Request {
    /// Reads a head, or says with which status it is refused.
    pub(super) fn parse(head: &[u8]) -> Result<Self, u16> {
        let head = std::str::from_utf8(head).map_err(|_| 400_u16)?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        // A line ends with both characters; others of their kind could make others see other lines (RFC 9112, 2.2).
        let is_odd = |line: &str| line.contains(|c: char| c.is_control() && c != '\t');
        if first.contains(char::is_control) || lines.clone().any(is_odd) {
            return Err(400);
        }
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(400);
        };
        let (mut host, mut last_event) = (None, None);
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(400_u16)?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("host") && host.replace(value).is_some() {
                return Err(400);
            }
            if name.eq_ignore_ascii_case("last-event-id") {
                last_event = Some(value.to_owned());
            }
        }
        let path = target.split('?').next().unwrap_or_default();
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            host: host.ok_or(400_u16)?.to_owned(),
            last_event,
        })
    }
}

/// Reads the head of a request, or says with which status it is refused.
pub(super) fn read(connection: &mut TcpStream) -> Result<Request, u16> {
    let _ = connection.set_nodelay(true); // Without it, answers are slower.
    connection.set_write_timeout(Some(WRITE_PATIENCE)).map_err(|_| 500_u16)?;
    let begun = Instant::now();
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let left = HEAD_PATIENCE.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(408);
        }
        connection.set_read_timeout(Some(left)).map_err(|_| 500_u16)?;
        match connection.read(&mut buffer) {
            Ok(0) => return Err(400),
            Ok(length) => head.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(408),
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            return Request::parse(&head[..end]);
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err(431);
        }
    }
}

/// Whether a `Host` names this machine by a number, by `localhost`, or by one of the names that were given. A page of
/// another site that has its own name point here (DNS rebinding) is told by this.
pub(super) fn is_own_host(host: &str, names: &[String]) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) if name.contains(':') && (rest.is_empty() || rest.starts_with(':')) => {
            (name, rest.strip_prefix(':'))
        }
        Some(_) => return false,
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_known = name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok()
        || names.iter().any(|own| own.eq_ignore_ascii_case(name));
    is_port && is_known
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    media_type: &'static str,
    pub(super) body: String,
}

impl Response {
    pub(super) fn page(media_type: &'static str, body: &str) -> Self {
        Self { status: 200, media_type, body: body.to_owned() }
    }

    /// A refusal. It repeats nothing of what was asked.
    pub(super) fn error(status: u16) -> Self {
        let body = format!("{status} {}\n", reason(status));
        Self { status, media_type: "text/plain; charset=utf-8", body }
    }

    pub(super) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let Self { status, media_type, body } = self;
        let allow = if *status == 405 { "Allow: GET\r\n" } else { "" };
        let (reason, length) = (reason(*status), body.len());
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\n{HEADERS}{allow}Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        to.write_all(&[head.as_bytes(), body.as_bytes()].concat())
    }
}

/// The head of a stream of events.
pub(super) fn begin_stream(to: &mut impl Write) -> io::Result<()> {
    write!(to, "HTTP/1.1 200 OK\r\n{HEADERS}Content-Type: text/event-stream\r\n\r\nretry: 1000\n\n")
}

/// Ends a connection so that what was sent still arrives.
pub(super) fn close(connection: &mut TcpStream) {
    // Whatever fails here, the connection is over.
    let _ = connection.shutdown(Shutdown::Write);
    let _ = connection.set_read_timeout(Some(SURPLUS_PATIENCE));
    let (begun, mut surplus, mut buffer) = (Instant::now(), 0, [0; 4096]);
    while surplus < SURPLUS_BYTES_MAX && begun.elapsed() < SURPLUS_PATIENCE {
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => surplus += length,
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed: this page can only be read",
        408 => "Request Timeout",
        421 => "Misdirected Request: ask by an IP address, localhost, or a name in page_hosts",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable: come again",
        _ => "Internal Server Error",
    }
}
