//! HELP's lines.

/// The commands that there are.
pub(super) fn help() -> Vec<String> {
    HELP.iter().map(|line| format!("\t{line}")).collect()
}

const HELP: [&str; 29] = [
    "ARTICLE [ message-id | number ]",
    "AUTHINFO ( USER name | PASS password | SASL mechanism [ initial-response ] )",
    "BODY [ message-id | number ]",
    "CAPABILITIES",
    "CHECK message-id",
    "COMPRESS DEFLATE",
    "DATE",
    "GROUP newsgroup",
    "HDR header [ message-id | range ]",
    "HEAD [ message-id | number ]",
    "HELP",
    "IHAVE message-id",
    "LAST",
    "LIST [ ACTIVE | HEADERS | NEWSGROUPS | OVERVIEW.FMT ] [ wildmat ]",
    "LISTGROUP [ newsgroup [ range ] ]",
    "MODE ( READER | STREAM )",
    "NEWGROUPS [yy]yymmdd hhmmss [ GMT ]",
    "NEWNEWS wildmat [yy]yymmdd hhmmss [ GMT ]",
    "NEXT",
    "OVER [ message-id | range ]",
    "POST",
    "QUIT",
    "SLAVE",
    "STARTTLS",
    "STAT [ message-id | number ]",
    "TAKETHIS message-id",
    "XHDR header [ message-id | range ]",
    "XOVER [ range ]",
    "XPAT header ( message-id | range ) pattern [ pattern ... ]",
];
