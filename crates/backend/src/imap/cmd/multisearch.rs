//! ESEARCH in several mailboxes at once: RFC 7377.

use protocol::imap::command::multisearch::MultiSearch;
use protocol::imap::{Refusal, Tag};

use crate::imap::reply::Outcome;
use crate::imap::session::Session;

pub async fn run(_session: &mut Session, _tag: &Tag, _search: MultiSearch) -> Outcome {
    Err(Refusal::Unrecognized.into())
}
