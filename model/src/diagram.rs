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
const RIGHT_MARGIN: usize = 40;
/// About how wide a letter is, generously: a label must end within the picture whatever the font.
const LETTER_WIDTH: usize = 8;

/// A colour of one meaning. Its class lets a page that embeds the diagram choose another shade.
#[derive(Clone, Copy)]
struct Colour {
    class: &'static str,
    shade: &'static str,
}

const PAPER: Colour = Colour { class: "paper", shade: "#ffffff" };
const INK: Colour = Colour { class: "ink", shade: "#1c2333" };
const FAINT: Colour = Colour { class: "faint", shade: "#6b7487" };
const LEASE: Colour = Colour { class: "lease", shade: "#2e9e6b" };
const CRASH: Colour = Colour { class: "crash", shade: "#c8362f" };
const DISK: Colour = Colour { class: "disk", shade: "#7a4fc4" };
const TIME: Colour = Colour { class: "time", shade: "#8f6108" };

/// Draws a path, as a picture that stands alone.
pub fn svg(system: &System, path: &Steps) -> String {
    titled(system, path, "run", "A run, as a sequence diagram")
}

/// Draws a path for a page that has other diagrams: `id` tells them apart, and `title` says what is shown to those
/// who cannot see it.
pub fn titled(system: &System, path: &Steps, id: &str, title: &str) -> String {
    let mut drawing = Drawing::new(id, system.servers().collect(), path.len());
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
                    Input::Crash(_) => drawing.crash(server, row, &words::at_server(&Act::from(*action))),
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
    drawing.finish(title, &described(path))
}

/// The actions of a path, for those who cannot see the diagram.
fn described(path: &Steps) -> String {
    let actions = path.iter().filter_map(|(_, action)| action.map(words::action));
    actions.enumerate().map(|(row, action)| format!("{}. {action}. ", row + 1)).collect()
}

/// Whether a step writes to the disk.
fn writes(input: Input, effects: &[Effect<crate::state::Value>]) -> bool {
    input == Input::Flush || effects.iter().any(|effect| matches!(effect, Effect::Persist(_)))
}

/// As text of an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

struct Drawing {
    id: String,
    servers: Vec<ServerId>,
    rows: usize,
    /// Lines and marks, below the labels.
    marks: String,
    labels: String,
    width: usize,
}

impl Drawing {
    fn new(id: &str, servers: Vec<ServerId>, rows: usize) -> Self {
        let width = LEFT_MARGIN + servers.len() * LANE_WIDTH;
        Self { id: id.into(), servers, rows, marks: String::new(), labels: String::new(), width }
    }

    fn x(&self, server: ServerId) -> usize {
        LEFT_MARGIN + usize::from(server.0) * LANE_WIDTH
    }

    fn y(&self, row: usize) -> usize {
        TOP_MARGIN + row * ROW_HEIGHT
    }

    fn mark(&mut self, element: std::fmt::Arguments<'_>) {
        self.marks.write_fmt(element).expect("writing to a string does not fail");
        self.marks.push('\n');
    }

    /// A shape with one colour, filled or drawn.
    fn filled(&mut self, colour: Colour, shape: &str) {
        let Colour { class, shade } = colour;
        self.mark(format_args!("<{shape} class='{class}' style='fill:{shade};stroke:none'/>"));
    }

    fn drawn(&mut self, colour: Colour, width: &str, shape: &str) {
        let Colour { class, shade } = colour;
        self.mark(format_args!(
            "<{shape} class='{class} line' style='fill:none;stroke:{shade};stroke-width:{width}'/>"
        ));
    }

    fn label(&mut self, x: usize, y: usize, colour: Colour, words: &str) {
        self.width = self.width.max(x + words.chars().count() * LETTER_WIDTH + RIGHT_MARGIN);
        let (Colour { class, shade }, words) = (colour, escaped(words));
        // A rim in the colour of the paper, so that a line behind the words does not cross them out.
        writeln!(
            self.labels,
            "<text x='{x}' y='{y}' class='{class} rim' style='fill:{shade};stroke:{};stroke-width:4;\
             stroke-linejoin:round;paint-order:stroke'>{words}</text>",
            PAPER.shade
        )
        .expect("writing to a string does not fail");
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
                    self.filled(LEASE, &format!("rect x='{x}' y='{y}' width='10' height='{height}'"));
                }
                row += 1;
            }
        }
    }

    fn tick(&mut self, row: usize, words: &str) {
        let (y, right) = (self.y(row), LEFT_MARGIN + self.servers.len() * LANE_WIDTH);
        let line = format!("line x1='30' y1='{y}' x2='{right}' y2='{y}' stroke-dasharray='6 5'");
        self.drawn(TIME, "1", &line);
        self.label(LEFT_MARGIN + 20, y - 4, TIME, words);
    }

    fn event(&mut self, server: ServerId, row: usize, words: &str) {
        let (x, y) = (self.x(server), self.y(row));
        self.filled(INK, &format!("circle cx='{x}' cy='{y}' r='5'"));
        self.label(x + 14, y - 4, INK, words);
    }

    fn crash(&mut self, server: ServerId, row: usize, words: &str) {
        let (x, y) = (self.x(server), self.y(row));
        self.drawn(CRASH, "4", &format!("path d='M {} {} l 14 14 m 0 -14 l -14 14'", x - 7, y - 7));
        self.label(x + 14, y - 4, CRASH, words);
    }

    /// A disk write: a small square beside the lifeline.
    fn disk(&mut self, server: ServerId, row: usize) {
        let (x, y) = (self.x(server) - 18, self.y(row) + 6);
        self.filled(DISK, &format!("rect x='{x}' y='{y}' width='9' height='9'"));
    }

    fn arrow(&mut self, from: (ServerId, usize), to: (ServerId, usize), words: &str) {
        let ((x1, y1), (x2, y2)) = ((self.x(from.0), self.y(from.1)), (self.x(to.0), self.y(to.1)));
        let head = format!("marker-end='url(#{}-head)'", self.id);
        self.drawn(INK, "1.2", &format!("line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' {head}"));
        // Beside the head, on the side that the arrow does not come from.
        let below = if x1 > x2 { 17 } else { 0 };
        self.label(x2 + 14, y2 - 4 + below, INK, words);
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
            self.filled(colour, &format!("rect x='{x}' y='14' width='12' height='12'"));
            self.label(x + 18, 25, INK, meaning);
        }
    }

    fn lifelines(&mut self) -> String {
        let mut lines = String::new();
        for server in self.servers.clone() {
            let (x, bottom, Colour { class, shade }) = (self.x(server), self.y(self.rows), FAINT);
            lines += &format!(
                "<line x1='{x}' y1='{TOP_MARGIN}' x2='{x}' y2='{bottom}' class='{class} line' \
                 style='stroke:{shade};stroke-width:1.2;opacity:0.6'/>\n"
            );
            self.label(x - 28, TOP_MARGIN - 12, INK, &format!("server {server}"));
        }
        lines
    }

    fn finish(mut self, title: &str, description: &str) -> String {
        self.legend();
        let lifelines = self.lifelines();
        let Self { id, marks, labels, width, .. } = &self;
        let (height, title, description) =
            (self.y(self.rows) + ROW_HEIGHT, escaped(title), escaped(description));
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' class='diagram' width='{width}' height='{height}' \
             viewBox='0 0 {width} {height}' font-family='system-ui, sans-serif' font-size='13' \
             role='img' aria-labelledby='{id}-title {id}-desc'>\n\
             <title id='{id}-title'>{title}</title><desc id='{id}-desc'>{description}</desc>\n\
             <defs><marker id='{id}-head' markerWidth='9' markerHeight='8' refX='9' refY='4' orient='auto' \
             markerUnits='userSpaceOnUse'>\
             <polygon points='0 0, 9 4, 0 8' class='ink' style='fill:{};stroke:none'/></marker></defs>\n\
             <rect width='{width}' height='{height}' rx='6' class='paper' style='fill:{};stroke:none'/>\n\
             {lifelines}{marks}{labels}</svg>",
            INK.shade, PAPER.shade
        )
    }
}
