//! The README shows real commands with their real output: each is run again, in order, on one server.
use crate::examples::{examples, normalised};
use crate::programs::program;
use crate::server::Server;
use std::process::Command;

const README: &str = include_str!("../../../../README.md");

#[test]
fn every_command_of_the_readme_prints_what_the_readme_shows() {
    let Some(_) = program("redis-cli", &["--version"]) else { return };
    let server = Server::start();
    let mut ran = 0;
    for example in examples(README) {
        let Some(arguments) = example.command.strip_prefix("redis-cli -3 -p 9090 ") else {
            continue;
        };
        // --no-raw: as on a terminal. sh: the README's quotes are those of a shell.
        let command = format!("redis-cli -3 --no-raw -p {} {arguments}", server.port);
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(normalised(&text), normalised(&example.output), "{command}\n{text}");
        ran += 1;
    }
    assert!(ran >= 8, "the README lost its examples: {ran} left");
}

#[test]
fn the_log_of_a_start_is_the_one_in_the_readme() {
    let shown =
        examples(README).into_iter().find(|example| example.command.starts_with("sierradb --dir"));
    let shown = shown.expect("the README shows a start").output;
    let server = Server::start();
    let port = format!("127.0.0.1:{}", server.port);
    let log = server.start_log.join("\n").replace(&port, "0.0.0.0:9090");
    assert_eq!(normalised(&log), normalised(&shown));
}
