//! The tables of `README.md` are those of the command. `UPDATE_DOCS=1 cargo test -p cluster --test options` writes them.

use std::fs;
use std::process::Command;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- options -->\n";
const END: &str = "<!-- /options -->";

fn cluster(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cluster")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_manual_lists_every_option_of_every_command() {
    let page = fs::read_to_string(PATH).unwrap();
    let from = page.find(BEGIN).expect("there is a mark where the table begins") + BEGIN.len();
    let to = page.find(END).expect("there is a mark where the table ends");
    let table = cluster(&["options-table"]);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PATH, format!("{}{table}{}", &page[..from], &page[to..])).unwrap();
    } else {
        let advice = "UPDATE_DOCS=1 cargo test -p cluster --test options";
        assert_eq!(&page[from..to], table, "{PATH} is out of date: {advice}");
    }
}

#[test]
fn shells_and_man_are_told_of_the_subcommands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(cluster(&["completions", shell]).contains("import"), "{shell}");
    }
    assert!(cluster(&["man"]).contains("transfer"));
    assert!(cluster(&["man", "kv", "import"]).contains("skip"));
}

#[test]
fn a_configuration_is_checked_with_line_and_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.toml");
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_cluster"))
            .args(["config", "check"])
            .arg(&path)
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let servers = "data = \"0\"\nservers = [\"10.0.0.1:1\", \"10.0.0.2:1\", \"10.0.0.3:1\"]\n";
    let (code, said) = check(&format!("server = 0\n{servers}"));
    assert!(code == 0 && !said.contains("warning"), "{said}");
    let (code, said) = check(&format!("server = 0\n{servers}lease_ms = 50\n"));
    assert!(code == 0 && said.contains("0.toml:4, `lease_ms`"), "{said}");
    let (code, said) = check(&format!("server = 0\n{servers}\nlease_ms = 600\nrenew_ms = 600\n"));
    assert!(code == 2 && said.contains("0.toml:6, `renew_ms`"), "{said}");
    let (code, said) = check(&format!("server = 3\n{servers}"));
    assert!(code == 2 && said.contains("0.toml:1, `server`"), "{said}");
    let (code, said) = check(&format!("server = 0\n{servers}lease = 5\n"));
    assert!(code == 2 && said.contains("line 4"), "{said}");
}
