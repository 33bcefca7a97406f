//! The examples run, and end well.

use std::process::Command;

fn run(example: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "cluster", "--example", example])
        .output()
        .unwrap();
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_counter_counts() {
    assert!(run("counter").contains("a read says 42"));
}

#[test]
fn a_holder_that_slept_is_fenced_off() {
    assert!(run("lock").contains("is refused, and it learns that it lost the lock"));
}

#[test]
fn the_banks_total_never_changes_while_servers_are_killed() {
    assert_eq!(run("bank").matches("the total is 8000").count(), 4);
}
