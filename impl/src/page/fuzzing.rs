//! The page's decoder of requests, for its fuzz target.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::Site;
use super::http::{self, Request};
use crate::watch::Board;

/// What became of the head of a request.
#[derive(Debug)]
pub struct PageRequest {
    /// What is looked up.
    pub path: String,
    /// The host that was asked.
    pub host: String,
    /// Whether that is this one.
    pub is_own_host: bool,
    /// The whole answer.
    pub answer: String,
}

impl PageRequest {
    /// Takes bytes for the head of a request, and answers it as a page without a report does.
    ///
    /// # Errors
    /// The status with which it is refused.
    pub fn parse(head: &[u8], names: &[String]) -> Result<Self, u16> {
        let request = Request::parse(head)?;
        let site = Site {
            board: Arc::new(Board::default()),
            hosts: names.to_vec(),
            servers: Vec::new(),
            is_over: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
        };
        if let Some(id) = &request.last_event {
            let _ = super::stream::number_in(id);
        }
        let mut answer = Vec::new();
        site.respond(&request).send(&mut answer).expect("there is room in memory");
        let is_own_host = http::is_own_host(&request.host, names);
        let answer = String::from_utf8(answer).expect("an answer is text");
        Ok(Self { path: request.path, host: request.host, is_own_host, answer })
    }
}
