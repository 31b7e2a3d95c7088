//! What this server knows by itself.

use protocol::nntp::command::List;
use protocol::nntp::{No, Reply, overview};
use time::OffsetDateTime;
use time::macros::format_description;

use super::Served;

/// DATE: in GMT.
pub(super) fn date() -> Served {
    let format = format_description!("[year][month][day][hour][minute][second]");
    match OffsetDateTime::now_utc().format(&format) {
        Ok(date) => Reply::Date(date).into(),
        Err(_) => No::Failed.into(),
    }
}

pub(super) fn help() -> Served {
    let lines = COMMANDS.iter().map(|command| format!("\t{command}")).collect();
    Served::Listed(Reply::HelpFollows.to_string(), lines)
}

/// The LISTs that do not depend on what groups there are.
pub(super) fn list(list: &List, metadata: bool) -> Served {
    match list {
        List::OverviewFmt => {
            let lines = overview::format(metadata).map(str::to_owned).to_vec();
            Served::Listed(Reply::ListFollows("Order of overview fields").to_string(), lines)
        }
        List::Headers => {
            let lines = [":", ":bytes", ":lines"].map(str::to_owned).to_vec();
            Served::Listed(Reply::ListFollows("Header and metadata list").to_string(), lines)
        }
        List::Active(_) | List::Newsgroups(_) | List::Unsupported(_) => No::UnsupportedList.into(),
    }
}

const COMMANDS: [&str; 29] = [
    "ARTICLE [ message-id | number ]",
    "AUTHINFO USER username | PASS password | SASL mechanism [ initial-response ]",
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
    "LIST [ ACTIVE wildmat | HEADERS | NEWSGROUPS wildmat | OVERVIEW.FMT ]",
    "LISTGROUP [ newsgroup [ range ] ]",
    "MODE READER | STREAM",
    "NEWGROUPS date time [ GMT ]",
    "NEWNEWS wildmat date time [ GMT ]",
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
    "XPAT header message-id | range pattern [ pattern ... ]",
];
