//! A path as a sequence diagram in SVG: servers as lifelines, messages as arrows, crashes, disk writes and clock ticks
//! as marks, the lease as a bar on its holder's lifeline. It paints its own background, because the Explorer's page
//! is dark.

use std::collections::HashMap;
use std::fmt::Write;

use spec::{Effect, ServerId};

use crate::saved::Act;
use crate::step::Input;
use crate::system::{Action, System};
use crate::why::Steps;
use crate::words;

const LANE_WIDTH: usize = 300;
const ROW_HEIGHT: usize = 34;
const LEFT_MARGIN: usize = 70;
const TOP_MARGIN: usize = 70;

/// Colours of one meaning each.
const INK: &str = "#1c2333";
const FAINT: &str = "#9aa3b5";
const LEASE: &str = "#2e9e6b";
const CRASH: &str = "#c8362f";
const DISK: &str = "#7a4fc4";
const TIME: &str = "#b07a10";

/// Draws a path.
pub fn svg(system: &System, path: &Steps) -> String {
    let mut drawing = Drawing { text: String::new(), servers: system.servers().collect(), rows: path.len() };
    drawing.frame();
    drawing.lease_bars(path);
    let mut sent_in = HashMap::new();
    for (row, pair) in path.windows(2).enumerate() {
        let ((before, Some(action)), row) = (&pair[0], row + 1) else { break };
        drawing.label(10, drawing.y(row), FAINT, &row.to_string());
        match *action {
            Action::Tick(_) => drawing.tick(row, &words::action(*action)),
            Action::At(server, input) => {
                let local = system.local(before, server, input);
                match input {
                    Input::Deliver(message) => {
                        let sent = sent_in.get(&(message.0.index)).copied().unwrap_or(row);
                        drawing.arrow((message.from, sent), (server, row), &words::message(&message.message));
                    }
                    Input::Crash(_) => drawing.crash(server, row),
                    _ => drawing.event(server, row, &words::at_server(&Act::from(*action))),
                }
                if writes(input, &local.effects) {
                    drawing.disk(server, row);
                }
                for message in &local.sent {
                    sent_in.entry(message.0.index).or_insert(row);
                }
            }
        }
    }
    drawing.finish()
}

/// Whether a step writes to the disk.
fn writes(input: Input, effects: &[Effect<crate::state::Value>]) -> bool {
    input == Input::Flush || effects.iter().any(|effect| matches!(effect, Effect::Persist(_)))
}

struct Drawing {
    text: String,
    servers: Vec<ServerId>,
    rows: usize,
}

impl Drawing {
    fn x(&self, server: ServerId) -> usize {
        LEFT_MARGIN + usize::from(server.0) * LANE_WIDTH
    }

    fn y(&self, row: usize) -> usize {
        TOP_MARGIN + row * ROW_HEIGHT
    }

    fn width(&self) -> usize {
        LEFT_MARGIN + self.servers.len() * LANE_WIDTH + 40
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        self.text.write_fmt(element).expect("writing to a string does not fail");
        self.text.push('\n');
    }

    fn frame(&mut self) {
        let (width, height) = (self.width(), self.y(self.rows) + ROW_HEIGHT);
        self.add(format_args!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' \
             viewBox='0 0 {width} {height}' font-family='system-ui, sans-serif' font-size='13'>"
        ));
        self.add(format_args!(
            "<defs><marker id='head' markerWidth='9' markerHeight='8' refX='9' refY='4' orient='auto'>\
             <polygon points='0 0, 9 4, 0 8' style='fill:{INK};stroke:none'/></marker></defs>"
        ));
        self.add(format_args!(
            "<rect width='{width}' height='{height}' rx='6' style='fill:#ffffff;stroke:none'/>"
        ));
        self.legend();
        for server in self.servers.clone() {
            let (x, bottom) = (self.x(server), self.y(self.rows));
            self.add(format_args!(
                "<line x1='{x}' y1='{TOP_MARGIN}' x2='{x}' y2='{bottom}' style='stroke:{FAINT};stroke-width:1.5'/>"
            ));
            self.add(format_args!(
                "<text x='{x}' y='{}' text-anchor='middle' style='fill:{INK};stroke:none;font-weight:600'>server {server}</text>",
                TOP_MARGIN - 10
            ));
        }
    }

    fn legend(&mut self) {
        let entries = [
            (LEASE, "holds the lease"),
            (DISK, "writes to disk"),
            (CRASH, "crash and restart"),
            (TIME, "time passes"),
        ];
        for (place, (colour, meaning)) in entries.into_iter().enumerate() {
            let x = LEFT_MARGIN + place * 170;
            self.add(format_args!(
                "<rect x='{x}' y='14' width='12' height='12' style='fill:{colour};stroke:none'/>"
            ));
            self.label(x + 18, 25, INK, meaning);
        }
    }

    fn label(&mut self, x: usize, y: usize, colour: &str, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        self.add(format_args!("<text x='{x}' y='{y}' style='fill:{colour};stroke:none'>{words}</text>"));
    }

    /// The lease, as a bar on its holder's lifeline.
    fn lease_bars(&mut self, path: &Steps) {
        for server in self.servers.clone() {
            let holds = |row: usize| path[row].0.nodes[usize::from(server.0)].holder;
            let mut row = 0;
            while row < path.len() {
                let first = row;
                while row < path.len() && holds(row) {
                    row += 1;
                }
                if row > first {
                    let (x, y, height) = (self.x(server) - 5, self.y(first), (row - first) * ROW_HEIGHT);
                    self.add(format_args!(
                        "<rect x='{x}' y='{y}' width='10' height='{height}' style='fill:{LEASE};stroke:none;opacity:0.75'/>"
                    ));
                }
                row += 1;
            }
        }
    }

    fn tick(&mut self, row: usize, words: &str) {
        let (y, right) = (self.y(row), self.width() - 20);
        self.add(format_args!(
            "<line x1='30' y1='{y}' x2='{right}' y2='{y}' style='stroke:{TIME};stroke-width:1;stroke-dasharray:6 5'/>"
        ));
        self.label(LEFT_MARGIN + 20, y - 4, TIME, words);
    }

    fn event(&mut self, server: ServerId, row: usize, words: &str) {
        let (x, y) = (self.x(server), self.y(row));
        self.add(format_args!("<circle cx='{x}' cy='{y}' r='5' style='fill:{INK};stroke:none'/>"));
        self.label(x + 14, y - 4, INK, words);
    }

    fn crash(&mut self, server: ServerId, row: usize) {
        let (x, y) = (self.x(server), self.y(row));
        self.add(format_args!(
            "<path d='M {} {} l 14 14 m 0 -14 l -14 14' style='fill:none;stroke:{CRASH};stroke-width:4'/>",
            x - 7,
            y - 7
        ));
        self.label(x + 14, y - 4, CRASH, "crashes and restarts");
    }

    /// A disk write: a small square beside the lifeline.
    fn disk(&mut self, server: ServerId, row: usize) {
        let (x, y) = (self.x(server) - 18, self.y(row) + 6);
        self.add(format_args!(
            "<rect x='{x}' y='{y}' width='9' height='9' style='fill:{DISK};stroke:none'/>"
        ));
    }

    fn arrow(&mut self, from: (ServerId, usize), to: (ServerId, usize), words: &str) {
        let ((x1, y1), (x2, y2)) = ((self.x(from.0), self.y(from.1)), (self.x(to.0), self.y(to.1)));
        self.add(format_args!(
            "<line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' marker-end='url(#head)' style='stroke:{INK};stroke-width:1.2;opacity:0.8'/>"
        ));
        // Beside the head, on the side that the arrow does not come from.
        let below = if x1 > x2 { 15 } else { 0 };
        self.label(x2 + 14, y2 - 4 + below, INK, words);
    }

    fn finish(mut self) -> String {
        self.text.push_str("</svg>");
        self.text
    }
}
