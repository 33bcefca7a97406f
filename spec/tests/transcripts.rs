//! Runs the transcripts beside this file: each is a list of commands to a few servers, and after `----`
//! what came out. `UPDATE_TRANSCRIPTS=1 cargo test -p spec --test transcripts` writes what comes out now;
//! read the difference before you keep it.
//!
//! A block is one command a line, `----`, the output, and a blank line. The commands, where a *match* is
//! `Kind from->to`, each part possibly `*`, and then words that the message must contain (`Propose 0->1 slot 2`):
//!
//! | command | what happens |
//! | --- | --- |
//! | `servers 3 lease 8 grant 12 window 2` | starts afresh; all but the number may be left out |
//! | `timeout 1 election` | a timer runs out: `election`, `renew`, `retry` or `forward` |
//! | `submit 0 open 7`, `submit 0 update 5 session 1 sequence 2` | a client asks server 0 |
//! | `read 0 4` | a client asks server 0 for read 4 |
//! | `resign 0` | server 0 gives its leadership up |
//! | `deliver`, `drop`, `duplicate` *match* | what is under way, oldest first: each that matches, for `duplicate` the first |
//! | `stabilize` | delivers everything until nothing is under way |
//! | `forge Accept 1->0 view 1.0 slot 9` | a message that nobody sent is under way |
//! | `cut 0`, `mend 0` | server 0 and the others lose each other's messages, or no longer |
//! | `hold disk 1`, `flush 1`, `flush 1 2` | the disk stops writing; writes all and goes on; writes 2 records |
//! | `crash 0`, `restart 0` | what is not on disk is lost |
//! | `wipe 0` | its disk is lost, and it restarts to recover with its next incarnation |
//! | `damage 0 from slot 2 to 3` | it restarts with a disk that lost its votes and values of these slots |
//! | `compact 0` | server 0 has taken a snapshot and forgets its log up to there |
//! | `install 2 from 0`, `install 2 from 0 slot 3` | server 2 has got the latest snapshot of server 0, or an older one |
//! | `tick 0 3`, `tick * 3` | a clock moves on |
//! | `state 0` | what the server is in the middle of |
//! | `show timers` | from here on, tells which timers are armed |
//! | `quietly` and any command | the same, untold |

#[path = "support/group.rs"]
mod group;
#[path = "support/script.rs"]
mod script;
#[path = "support/words.rs"]
mod words;

use std::path::{Path, PathBuf};

use script::Script;

/// Rewrites the output of every block of a transcript.
fn run(text: &str) -> Result<String, String> {
    let mut script = Script::default();
    let mut result = String::new();
    for block in text.trim_end().split("\n\n") {
        if !result.is_empty() {
            result.push('\n');
        }
        let commands = block.split("\n----").next().unwrap_or_default();
        result += commands;
        result.push('\n');
        if commands.lines().all(|line| line.starts_with('#')) {
            continue;
        }
        for line in commands.lines() {
            let words: Vec<_> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            script.command(&words).map_err(|error| format!("'{line}': {error}"))?;
        }
        result += "----\n";
        result += &script.told();
    }
    Ok(result)
}

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The first line that differs, with its number.
fn first_difference(expected: &str, actual: &str) -> Option<String> {
    let lines = expected.lines().chain(["(end)"]).zip(actual.lines().chain(["(end)"]));
    let (at, (old, new)) = lines.enumerate().find(|(_, (old, new))| old != new)?;
    Some(format!("{}:\n  written  {old}\n  happened {new}", at + 1))
}

#[test]
fn every_transcript_tells_what_the_handlers_do() {
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut wrong = Vec::new();
    for file in transcripts() {
        let expected = std::fs::read_to_string(&file).unwrap();
        let name = file.display();
        match run(&expected) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(actual) if update => std::fs::write(&file, actual).unwrap(),
            Ok(actual) => wrong.extend(first_difference(&expected, &actual).map(|it| format!("{name}:{it}"))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_transcript_opens_with_two_sentences_of_intent() {
    for file in transcripts() {
        let text = std::fs::read_to_string(&file).unwrap();
        let heading: Vec<_> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let sentences = (heading.join(" ") + " ").matches(". ").count();
        assert_eq!(sentences, 2, "{} does not open with two sentences", file.display());
    }
}
