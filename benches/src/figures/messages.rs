//! What an update costs on the network: messages, datagrams and bytes that servers send for it, beside what the papers count.
//!
//! By Figures 5.5 and 5.6 of the thesis, where nothing is lost, an update takes a Propose to, an Accept from and a Commit to each of
//! N − 1 servers, and one answer to the client: 3(N − 1) + 1. Paper 000 says of its own 'on the order of n² messages per decree'.

use cluster::exit::Failure;

use super::Figure;
use super::lab::{Lab, MANY_CLIENTS};
use super::table::{Table, row, short};
use crate::plot::{Axis, Colour, Mark, Plot, Series, Size};

/// Servers, and for an update of one and of many clients: messages, datagrams, bytes.
type Row = (f64, [f64; 3], [f64; 3]);

fn of_the_thesis(servers: f64) -> f64 {
    3.0 * (servers - 1.0) + 1.0
}

pub(super) fn per_update(lab: &Lab) -> Result<Vec<Figure>, Failure> {
    let sizes = lab.some(&[3_u8, 5, 7, 9]);
    let mut data = Table::new(&["servers", "clients", "messages", "datagrams", "bytes"]);
    let mut beside = Table::new(&[
        "servers",
        "thesis, 3(N − 1) + 1",
        "000, n²",
        "here, messages, 1 client",
        "here, messages, 64 clients",
        "here, datagrams, 64 clients",
        "bytes, 1 client",
        "bytes, 64 clients",
    ]);
    let mut rows: Vec<Row> = Vec::new();
    for &servers in &sizes {
        let cluster = lab.start(servers, "")?;
        let mut both = [[0.0; 3]; 2];
        for (clients, each) in [1, MANY_CLIENTS].into_iter().zip(&mut both) {
            let (_, counted) = lab.run_counted(&cluster, &lab.load(clients, 3.0))?;
            *each = counted.each();
            data.push(row![servers, clients, each[0], each[1], each[2]]);
        }
        let at = f64::from(servers);
        let [one, many] = both;
        beside.push(row![servers, of_the_thesis(at), at * at, one[0], many[0], many[1], one[2], many[2]]);
        rows.push((at, one, many));
    }
    let of =
        |pick: fn(&Row) -> f64| -> Vec<(f64, f64)> { rows.iter().map(|row| (row.0, pick(row))).collect() };
    let axis = || Axis::linear("servers").with_ticks(sizes.iter().copied().map(f64::from));
    let plot = |title: &str, size, y: Axis, series| Plot {
        title: title.into(),
        size,
        x: axis(),
        y,
        series,
        moments: Vec::new(),
    };
    let messages = vec![
        Series::new("000: n²", Colour::Violet, Mark::Dashes, of(|row| row.0 * row.0)),
        Series::new("thesis: 3(N − 1) + 1", Colour::Grey, Mark::Dashes, of(|row| of_the_thesis(row.0))),
        Series::new("messages, 1 client", Colour::Sky, Mark::LineWithDots, of(|row| row.1[0])),
        Series::new("messages, 64 clients", Colour::Blue, Mark::LineWithDots, of(|row| row.2[0])),
        Series::new("datagrams, 64 clients", Colour::Blue, Mark::DashesWithDots, of(|row| row.2[1])),
    ];
    let bytes = vec![
        Series::new("1 client", Colour::Sky, Mark::LineWithDots, of(|row| row.1[2])),
        Series::new("64 clients", Colour::Blue, Mark::LineWithDots, of(|row| row.2[2])),
    ];
    let &(most, one, many) = rows.last().expect("there are sizes");
    Ok(vec![Figure {
        name: "messages",
        title: "Messages and bytes for an update".into(),
        shows: format!(
            "With {most} servers an update takes {} messages for one client and {} for {MANY_CLIENTS}, which travel in {} datagrams; the \
             thesis's figures make it {}, and n² is {}.",
            short(one[0]),
            short(many[0]),
            short(many[1]),
            of_the_thesis(most),
            most * most
        ),
        how: format!(
            "What all servers together sent in 3 s, by their own counters, for each update that was applied; whatever else they \
             say to each other (renewals of the lease, how they are) is in it. Values of {} bytes go to each of the others once, and again \
             with the Commit where a server has not voted for them.",
            benches::VALUE_BYTES
        ),
        plots: vec![
            plot(
                "Messages for an update by servers",
                Size::Wide,
                Axis::log("messages for an update"),
                messages,
            ),
            plot(
                "Bytes for an update by servers",
                Size::Wide,
                Axis::linear("bytes sent for an update"),
                bytes,
            ),
        ],
        beside: Some(beside),
        data,
    }])
}
