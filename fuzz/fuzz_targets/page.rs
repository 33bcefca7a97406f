//! The head of a request for the status page, with its query string, its `Host` and the event to go on from.
#![no_main]

use cluster::fuzzing::PageRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let names = ["cluster.example".to_owned()];
    let Ok(request) = PageRequest::parse(data, &names) else { return };
    assert!(!request.path.contains('?'), "what is looked up has no query string");
    assert!(!request.path.contains(|c: char| c == ' ' || c.is_control()), "{}", request.path);
    if request.is_own_host {
        let host = request.host.to_ascii_lowercase();
        let is_number = host.contains(':') || host.contains('.') || host.starts_with('[');
        assert!(is_number || host == "localhost", "{host} is nobody's name here");
        assert!(!host.contains(char::is_whitespace) && !host.contains(['/', '@', '\\']), "{host}");
    }
    assert!(request.answer.starts_with("HTTP/1.1 "));
    assert_eq!(request.answer.matches("\r\n\r\n").count(), 1, "one head, and no second answer");
});
