use super::*;
use crate::watch::{Events, Happening, tests::report};
use spec::LocalTime;
use std::io::{Read, Write};

fn board() -> Arc<Board> {
    let (board, mut events) = (Board::default(), Events::new(LocalTime(0)));
    (1..=3).for_each(|slots| events.note(Happening::CatchingUp { slots }, LocalTime(0)));
    assert!(board.publish(report(), &events));
    Arc::new(board)
}

fn page(board: Arc<Board>) -> Page {
    let servers = (7000..7003).map(|port| ([127, 0, 0, 1], port).into()).collect();
    let mut config = NodeConfig::new(0, "unused".into(), servers);
    config.page = Some(([127, 0, 0, 1], 0).into());
    config.page_hosts = vec!["status.example".into()];
    Page::start(&config, board).unwrap().unwrap()
}

/// Sends bytes and reads until the connection ends.
fn talk(page: &Page, request: &str) -> String {
    let mut connection = TcpStream::connect(page.address()).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer); // A reset after the answer is no matter.
    answer
}

fn get(page: &Page, path: &str, host: &str) -> String {
    talk(page, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

#[test]
fn only_a_host_that_cannot_be_rebound_is_answered() {
    let page = page(board());
    for host in ["localhost", "127.0.0.1:80", "[::1]:80", "LOCALHOST:9", "10.1.2.3", "status.example:1"] {
        assert!(get(&page, "/", host).starts_with("HTTP/1.1 200"), "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "",
        "[evil]",
        "localhost:x",
        "[::1",
        "[::1]evil.example",
    ] {
        for path in ["/", "/status.json", "/metrics", "/events"] {
            assert!(get(&page, path, host).starts_with("HTTP/1.1 421"), "{host} {path}");
        }
    }
    assert!(talk(&page, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"), "no host");
    assert!(
        talk(&page, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n")
            .starts_with("HTTP/1.1 400")
    );
}

#[test]
fn nothing_but_reading_is_possible() {
    let page = page(board());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "get"] {
        for path in ["/", "/events"] {
            let answer = talk(
                &page,
                &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody"),
            );
            assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("Allow: GET\r\n"), "{answer}");
        }
    }
}

#[test]
fn what_is_asked_is_never_repeated_and_no_script_but_the_pages_own_runs() {
    let page = page(board());
    for answer in
        [get(&page, "/<script>alert(1)</script>", "localhost"), get(&page, "/", "<script>alert(1)</script>")]
    {
        assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("alert"), "{answer}");
        assert!(
            answer.contains("Content-Security-Policy: default-src 'none'; script-src 'self';"),
            "{answer}"
        );
        assert!(answer.contains("X-Content-Type-Options: nosniff"), "{answer}");
    }
    let script = include_str!("page.js");
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
        assert!(!script.contains(way), "page.js uses {way}");
    }
    let html = include_str!("page.html");
    assert!(!html.contains("http") && !html.contains("style=") && !html.contains("onclick"));
}

#[test]
fn a_head_that_is_too_long_or_makes_no_sense_is_refused() {
    let page = page(board());
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(9_000));
    assert!(talk(&page, &long).starts_with("HTTP/1.1 431"));
    for head in [
        "\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n",
        "GET /\t HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /\r HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    ] {
        assert!(talk(&page, head).starts_with("HTTP/1.1 400"), "{head:?}");
    }
}

#[test]
fn connections_are_bounded_and_streams_leave_room_for_a_scrape() {
    let page = page(board());
    let mut streams: Vec<_> = (0..STREAMS_MAX)
        .map(|_| {
            let mut stream = TcpStream::connect(page.address()).unwrap();
            stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream.read_exact(&mut [0; 12]).unwrap();
            stream
        })
        .collect();
    assert!(get(&page, "/events", "localhost").starts_with("HTTP/1.1 503"));
    assert!(get(&page, "/metrics", "localhost").starts_with("HTTP/1.1 200"));
    streams.truncate(1);
    drop(page); // Ends the one that is left.
    streams[0].read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_stream_that_is_taken_up_again_misses_nothing_and_repeats_nothing() {
    for (seen, told) in [
        ("", vec![1, 2, 3]),
        ("3-1", vec![2, 3]),
        ("3-3", vec![]),
        ("2-3", vec![1, 2, 3]),
        ("<b>", vec![1, 2, 3]),
    ] {
        let board = board();
        let page = page(Arc::clone(&board));
        let mut stream = TcpStream::connect(page.address()).unwrap();
        let head = format!("GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {seen}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !text.contains("event: report") {
            let length = stream.read(&mut buffer).unwrap();
            text += std::str::from_utf8(&buffer[..length]).unwrap_or("");
        }
        let ids: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("id: 3-")).collect();
        assert_eq!(ids, told.iter().map(ToString::to_string).collect::<Vec<_>>(), "{seen}");
    }
}

#[test]
fn a_page_for_everybody_is_asked_for_by_name() {
    let mut config = NodeConfig::new(0, "unused".into(), vec![]);
    assert!(Page::start(&config, board()).unwrap().is_none());
    config.page = Some(([0, 0, 0, 0], 0).into());
    let refused = Page::start(&config, board()).unwrap_err();
    assert!(refused.to_string().contains("page_public = true"), "{refused}");
    config.page_public = true;
    assert!(Page::start(&config, board()).unwrap().is_some());
}

#[test]
fn the_metrics_are_the_golden_ones() {
    let text = metrics::text(&report());
    assert_eq!(text, include_str!("../../tests/golden/metrics.txt"), "got:\n{text}");
}

/// The families of the golden metrics: name as it is queried, kind, help.
fn families() -> Vec<(String, String, String)> {
    let text = metrics::text(&report());
    let help = |name: &str| {
        let prefix = format!("# HELP {name} ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().trim_end_matches('.').to_owned()
    };
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| {
            let total = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{total}"), kind.to_owned(), help(name))
        })
        .collect()
}

#[test]
fn the_readme_has_every_metric() {
    let readme = include_str!("../../README.md");
    let table: String =
        families().iter().map(|(name, kind, help)| format!("| `{name}` | {kind} | {help} |\n")).collect();
    assert!(readme.contains(&table), "README.md should have this table:\n{table}");
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let dashboard: serde_json::Value = serde_json::from_str(include_str!("../../grafana.json")).unwrap();
    let names: Vec<_> = families()
        .into_iter()
        .flat_map(|(name, kind, _)| {
            let parts = if kind == "histogram" { vec!["_bucket", "_sum", "_count"] } else { vec![""] };
            parts.into_iter().map(move |part| format!("{name}{part}"))
        })
        .collect();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            for word in words.filter(|word| word.starts_with("leasehold_")) {
                assert!(names.iter().any(|name| name == word), "{query}: no metric {word}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 10, "only {asked} metrics are shown");
}

#[test]
fn the_status_is_one_object_with_a_schema() {
    let page = page(board());
    let answer = get(&page, "/status.json", "localhost");
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&body["schema"], &body["status"]["role"]), (&1.into(), &"leading".into()));
    assert_eq!((&body["peers"][0]["lag"], &body["peers"][1]["up"]), (&20.into(), &false.into()));
}
