//! A server's status page over HTTP, its state as JSON, and its metrics for Prometheus. Read-only, on threads of
//! its own, which see nothing of the node but what it puts on its [`Board`].
//!
//! HTTP is spoken by hand (`http.rs`): one `GET` a connection, a head of bounded length in bounded time. That is little
//! code, and bounds what a framework leaves open (slow heads, idle connections).

pub(crate) mod fuzzing;
mod http;
mod json;
mod metrics;
mod stream;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use crate::config::NodeConfig;
use crate::watch::Board;
use http::{Request, Response};

/// Connections that are served at once; more are told to come again.
const CONNECTIONS_MAX: usize = 32;
/// Of these, live streams: some room is always left for a scrape.
const STREAMS_MAX: usize = 24;
/// How long to wait when no connection can be had, so that a lack of file descriptors takes no processor.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a page cannot be served.
#[derive(Debug, Error)]
pub enum PageError {
    /// The address is open to others, which nobody has said to be meant.
    #[error(
        "the page address {0} can be reached from other machines, and the page has no password: it shows how the \
         cluster is to everybody there. Use an address of this machine only, such as 127.0.0.1, or say \
         page_public = true"
    )]
    Public(SocketAddr),
    /// The address cannot be had.
    #[error("cannot bind the page's address {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What all connections share.
#[derive(Debug)]
struct Site {
    board: Arc<Board>,
    hosts: Vec<String>,
    servers: Vec<SocketAddr>,
    /// The page's threads end.
    is_over: AtomicBool,
    connections: AtomicUsize,
    streams: AtomicUsize,
}

/// A page that is being served. Dropping it ends that.
#[derive(Debug)]
pub struct Page {
    address: SocketAddr,
    site: Arc<Site>,
    thread: Option<JoinHandle<()>>,
}

impl Page {
    /// Serves what is on the board, where the configuration says.
    ///
    /// # Errors
    /// If the address cannot be had, or is open to others without `page_public`.
    pub(crate) fn start(config: &NodeConfig, board: Arc<Board>) -> Result<Option<Self>, PageError> {
        let Some(address) = config.page else { return Ok(None) };
        if !address.ip().is_loopback() && !config.page_public {
            return Err(PageError::Public(address));
        }
        let failed = |source| PageError::Bind { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let site = Arc::new(Site {
            board,
            hosts: config.page_hosts.clone(),
            servers: config.servers.clone(),
            is_over: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&site);
        let thread = thread::Builder::new()
            .name("page".into())
            .spawn(move || accept_all(&listener, &shared))
            .map_err(failed)?;
        Ok(Some(Self { address, site, thread: Some(thread) }))
    }

    /// Where it is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.site.is_over.store(true, Ordering::Relaxed);
        // The thread waits for a connection, so it is given one.
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            ip => ip,
        };
        let woken = TcpStream::connect_timeout(&SocketAddr::new(ip, self.address.port()), PAUSE);
        if let Some(thread) = self.thread.take().filter(|_| woken.is_ok()) {
            // It ends without a panic, and if not, the page is over all the same.
            let _ = thread.join();
        }
    }
}

/// One of a bounded number of places; given back when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize, most: usize) -> Option<Self> {
        let place = Self(taken);
        // Dropping the place gives it back if it is one too many.
        (taken.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn accept_all(listener: &TcpListener, site: &Arc<Site>) {
    while let accepted = listener.accept()
        && !site.is_over.load(Ordering::Relaxed)
    {
        let Ok((connection, _)) = accepted else {
            thread::sleep(PAUSE);
            continue;
        };
        let shared = Arc::clone(site);
        // Without a thread the connection is dropped, and whoever asked may ask again.
        let _ = thread::Builder::new().name("page connection".into()).spawn(move || shared.serve(connection));
    }
}

impl Site {
    fn serve(&self, mut connection: TcpStream) {
        let Some(_place) = Place::take(&self.connections, CONNECTIONS_MAX) else {
            let _ = connection.set_write_timeout(Some(PAUSE));
            let _ = Response::error(503).send(&mut connection);
            return;
        };
        // Whoever asks may have gone; then nobody waits for the answer.
        let _ = match http::read(&mut connection) {
            Ok(request) if is_stream(&request) && self.check(&request).is_none() => {
                match Place::take(&self.streams, STREAMS_MAX) {
                    Some(_stream) => stream::run(self, &request, &mut connection),
                    None => Response::error(503).send(&mut connection),
                }
            }
            Ok(request) => self.respond(&request).send(&mut connection),
            Err(status) => Response::error(status).send(&mut connection),
        };
        http::close(&mut connection);
    }

    /// What is wrong with a request, whatever it asks for.
    fn check(&self, request: &Request) -> Option<Response> {
        if request.method != "GET" {
            return Some(Response::error(405));
        }
        (!http::is_own_host(&request.host, &self.hosts)).then(|| Response::error(421))
    }

    fn respond(&self, request: &Request) -> Response {
        if let Some(refused) = self.check(request) {
            return refused;
        }
        match request.path.as_str() {
            "/" => Response::page("text/html; charset=utf-8", include_str!("page/page.html")),
            "/page.css" => Response::page("text/css; charset=utf-8", include_str!("page/page.css")),
            "/page.js" => Response::page("text/javascript; charset=utf-8", include_str!("page/page.js")),
            "/status.json" => self
                .report("application/json", |site, report| json::report(report, &site.servers).to_string()),
            "/metrics" => self.report(metrics::MEDIA_TYPE, |_, report| metrics::text(report)),
            _ => Response::error(404),
        }
    }

    fn report(
        &self,
        media_type: &'static str,
        text: impl Fn(&Self, &crate::watch::Report) -> String,
    ) -> Response {
        match self.board.report() {
            Some(report) if !self.board.is_over() => Response::page(media_type, &text(self, &report)),
            _ => Response::error(503),
        }
    }
}

fn is_stream(request: &Request) -> bool {
    request.path == "/events"
}

#[cfg(test)]
mod tests;
