//! The words after the program of a SERVICES line, as Cyrus's programs take them.
//!
//! Cyrus's getopt(3) complains of an option that a program does not have, and the program goes on without it. So here: what no
//! program takes is left out and said with its line, for it would end the whole process, which serves other lines too.

use std::path::Path;

use crate::program::{Command, Program};

/// Takes what its program does not take out of a command. What is said of each option that has no effect.
pub fn fit(command: &mut Command) -> Vec<String> {
    let Program::Ours(path) = &command.program else { return Vec::new() };
    let Some(known) = known(path) else { return Vec::new() };
    let (kept, said) = sort(known, &command.written, &command.args);
    command.args = kept;
    said
}

/// The letters that a daemon takes, a colon after each that has a value, as getopt(3) has them.
fn known(program: &Path) -> Option<&'static str> {
    Some(match program.file_name()?.to_str()? {
        "backend" => "C:U:T:DXsaHkNqrfp:",
        "imapproxy" | "pop3proxy" | "lmtpproxy" => "C:U:T:DXsaHkNqp:",
        "sieveproxy" => "C:U:T:DXsHp:",
        "nntpproxy" => "C:U:T:DXsHrfp:",
        "mupdate" => "C:U:T:DXma",
        _ => return None,
    })
}

fn sort(known: &str, program: &str, args: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut said) = (Vec::new(), Vec::new());
    let mut words = args.iter().peekable();
    while let Some(word) = words.next() {
        if word == "--listen" {
            kept.push(word.clone());
            kept.extend(words.next().cloned());
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty() && !rest.starts_with('-'))
        else {
            said.push(format!("{program} takes no '{word}': ignored"));
            continue;
        };
        let mut flags = String::new();
        for (at, letter) in letters.char_indices() {
            match known.split_once(letter).map(|(_, rest)| rest.starts_with(':')) {
                Some(false) => {
                    flags.push(letter);
                    said.extend(without_effect(letter).map(str::to_owned));
                }
                Some(true) => {
                    let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
                    let value = if rest.is_empty() { words.next().cloned() } else { Some(rest.to_owned()) };
                    match value {
                        Some(value) => kept.extend([format!("-{letter}"), value]),
                        None => said.push(format!("-{letter} wants a value: ignored")),
                    }
                    break;
                }
                None => {
                    let value = words.next_if(|next| !next.starts_with('-'));
                    let whole = value.map_or(format!("-{letter}"), |value| format!("-{letter} {value}"));
                    said.push(format!(
                        "{program} has no option -{letter}: '{whole}' is ignored, as Cyrus does"
                    ));
                }
            }
        }
        if !flags.is_empty() {
            kept.push(format!("-{flags}"));
        }
    }
    (kept, said)
}

/// Options that Cyrus's programs take and that do nothing here.
fn without_effect(letter: char) -> Option<&'static str> {
    match letter {
        'D' => Some("-D: no debugger is started (debug_command): ignored"),
        'X' => Some("-X: a service here does not run on standard input and output: ignored"),
        'N' => Some("-N: passwords are checked all the same: ignored"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(program: &str, args: &str) -> (String, Vec<String>) {
        let words: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let (kept, said) = sort(known(Path::new(program)).unwrap(), "imapd", &words);
        (kept.join(" "), said)
    }

    #[test]
    fn what_cyruss_programs_take_is_kept_without_a_word() {
        for (program, args) in [
            ("backend", "-s -C /etc/x -U 250 -T 60 -p 2"),
            ("backend", "-sqH"),
            ("lmtpproxy", "-a"),
            ("mupdate", "-m"),
            ("imapproxy", "--listen imap=127.0.0.1:1"),
        ] {
            assert_eq!(sorted(program, args), (args.to_owned(), Vec::new()));
        }
        assert_eq!(sorted("backend", "-U30 -C/x").0, "-U 30 -C /x");
    }

    #[test]
    fn what_they_do_not_take_is_left_out_and_named() {
        let (kept, said) = sorted("backend", "-t 600 -sz -q 7 --fast -U");
        assert_eq!(kept, "-s -q");
        assert_eq!(
            said,
            [
                "imapd has no option -t: '-t 600' is ignored, as Cyrus does",
                "imapd has no option -z: '-z' is ignored, as Cyrus does",
                "imapd takes no '7': ignored",
                "imapd takes no '--fast': ignored",
                "-U wants a value: ignored",
            ]
        );
        assert_eq!(sorted("mupdate", "-m -q").0, "-m");
        assert_eq!(sorted("backend", "-D -X").1.len(), 2);
    }
}
