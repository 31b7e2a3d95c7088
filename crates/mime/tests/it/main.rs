//! Answers on which real Cyrus 3.6.1 and Dovecot 2.3.19 agree, about messages that are odd in one way each.
//!
//! `answers/*.txt` has them: a line `== message`, then `item => value` for each item of a FETCH. Line ends of the message, and of
//! values that IMAP sends as literals, are written `\n`; such values stand in quotes here.

#![allow(clippy::unwrap_used)]

use mime::{Encoding, Shown, Structure, What, decode_transfer, pick_fields};

#[test]
fn messages_inside_messages_have_the_size_that_other_servers_tell() {
    all(include_str!("answers/embedded.txt"));
}

#[test]
fn multiparts_that_are_not_closed_show_all_their_parts() {
    all(include_str!("answers/unclosed.txt"));
}

#[test]
fn an_empty_message_inside_a_message_has_no_header() {
    all(include_str!("answers/empty.txt"));
}

#[test]
fn content_fields_that_make_no_sense_are_read_as_other_servers_read_them() {
    all(include_str!("answers/types.txt"));
}

#[test]
fn odd_addresses_are_shown_as_other_servers_show_them() {
    all(include_str!("answers/addresses.txt"));
}

#[test]
fn repeated_and_folded_fields_are_shown_as_other_servers_show_them() {
    all(include_str!("answers/fields.txt"));
}

/// Compares all answers of a file; tells of all that are wrong.
fn all(file: &str) {
    let (mut wrong, mut count) = (String::new(), 0);
    for block in file.split("== ").filter(|block| !block.is_empty()) {
        let mut lines = block.lines();
        let message = unescaped(lines.next().unwrap());
        let structure = Structure::parse(&message);
        for line in lines {
            let (item, expected) = line.split_once(" => ").unwrap();
            let answer = escaped(&answer(&structure, &message, item));
            count += 1;
            if answer != expected {
                wrong.push_str(&format!("{}\n{item}\n  is  {answer}\n  not {expected}\n", escaped(&message)));
            }
        }
    }
    assert!(wrong.is_empty() && count > 50, "of {count}:\n{wrong}");
}

fn unescaped(text: &str) -> Vec<u8> {
    let text = text.replace("\\\\", "\u{1}").replace("\\n", "\r\n").replace("\\r", "\r").replace("\\t", "\t");
    text.replace('\u{1}', "\\").into_bytes()
}

fn escaped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace('\\', "\\\\");
    text.replace("\r\n", "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

/// What FETCH answers.
fn answer(structure: &Structure, message: &[u8], item: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match item {
        "ENVELOPE" => Shown::Envelope.print(structure, &mut out),
        "BODYSTRUCTURE" => Shown::BodyStructure.print(structure, &mut out),
        _ => return section(structure, message, item),
    }
    out
}

fn section(structure: &Structure, message: &[u8], item: &str) -> Vec<u8> {
    let (kind, rest) = item.split_once('[').unwrap();
    let (section, partial) = rest.rsplit_once(']').unwrap();
    let (mut path, mut text) = (Vec::new(), section);
    while text.starts_with(|char: char| char.is_ascii_digit()) {
        let (number, rest) = text.split_once('.').unwrap_or((text, ""));
        path.push(number.parse().unwrap());
        text = rest;
    }
    let found = match kind {
        "BINARY.PEEK" | "BINARY.SIZE" => structure.part(&path).map(|part| match part.transfer_encoding() {
            Encoding::Unknown => panic!("{item}: both refuse it"),
            encoding => decode_transfer(part.body.of(message), encoding).into_owned(),
        }),
        _ => body(structure, message, &path, text),
    };
    let Some(bytes) = found else { return b"NIL".to_vec() };
    if kind == "BINARY.SIZE" {
        return bytes.len().to_string().into_bytes();
    }
    let (from, count) = match partial.trim_matches(['<', '>']).split_once('.') {
        Some((from, count)) => (from.parse().unwrap(), count.parse().unwrap()),
        None => (0, usize::MAX),
    };
    let cut: Vec<u8> = bytes.into_iter().skip(from).take(count).collect();
    [b"\"", cut.as_slice(), b"\""].concat()
}

fn body(structure: &Structure, message: &[u8], path: &[u32], text: &str) -> Option<Vec<u8>> {
    let what = match text {
        "" => What::Whole,
        "TEXT" => What::Text,
        "MIME" => What::Mime,
        _ => What::Header,
    };
    let found = structure.locate(path, what)?.of(message);
    Some(match text.strip_prefix("HEADER.FIELDS (").and_then(|names| names.strip_suffix(')')) {
        Some(names) => pick_fields(found, &names.split(' ').collect::<Vec<_>>(), false),
        None => found.to_vec(),
    })
}
