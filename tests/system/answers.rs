//! What a client is answered, as lines that can be compared.

use murder::clients::Imap;

/// The lines of an answer; the tag of an ESEARCH is the client's own.
pub fn ask(imap: &mut Imap, command: &str) -> Vec<String> {
    let reply = imap.command(command).expect(command);
    let untagged = |line: String| match (line.find("(TAG "), line.find(')')) {
        (Some(from), Some(to)) if from < to => format!("{}(TAG){}", &line[..from], &line[to + 1..]),
        _ => line,
    };
    reply.lines.into_iter().chain([reply.result]).map(untagged).collect()
}

/// The lines of an answer, without its last one.
pub fn told(imap: &mut Imap, command: &str) -> Vec<String> {
    let mut lines = ask(imap, command);
    assert!(lines.pop().unwrap().starts_with("OK"), "{command}");
    lines
}

/// The first line of an answer that was given.
pub fn first(imap: &mut Imap, command: &str) -> String {
    ask(imap, command).swap_remove(0)
}
