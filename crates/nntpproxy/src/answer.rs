//! An answer on its way from backends to the client: the lines of one after another, in pieces, sifted where that is needed.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use bytes::BytesMut;
use protocol::acl::Rights;
use tracing::warn;

use crate::gone::Gone;
use crate::limits::{IDS, LOOKED_AT, REPLIES, rows};
use crate::link::Link;
use crate::links::Links;
use crate::map::Map;

/// The lines that follow a status which the client has.
pub struct Answer {
    /// Whose lines are still to come, in their order.
    links: VecDeque<Link>,
    sieve: Sieve,
    /// A line that has begun to come.
    line: BytesMut,
}

/// What becomes of each line.
pub enum Sieve {
    /// They pass as they are.
    All,
    /// Those of groups that the list has at the server, and on which the user has these rights.
    Groups(Box<Map>, Rights),
    /// The same of groups that are new: whoever misses one is not told of it again.
    NewGroups(Box<Map>, Rights),
    /// Message-ids, each once.
    Ids(Ids),
    /// What begins with an article's number: 0, since it is not one of the selected group.
    Unnumbered,
}

/// Message-ids that were told.
pub struct Ids {
    told: HashSet<u64>,
    keys: RandomState,
}

/// How far an answer has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    End,
    /// It cannot be told to its end: the client must not take it for whole.
    Broken,
}

impl Answer {
    pub fn new(links: impl IntoIterator<Item = Link>, sieve: Sieve) -> Answer {
        Answer { links: links.into_iter().collect(), sieve, line: BytesMut::new() }
    }

    /// Passes some more on; backends whose lines have ended are given back.
    pub async fn go_on(&mut self, links: &mut Links, out: &mut BytesMut) -> Progress {
        while out.len() < REPLIES {
            let Some(link) = self.links.front_mut() else {
                out.extend_from_slice(b".\r\n");
                return Progress::End;
            };
            match link.piece().await {
                Ok(Some(piece)) => {
                    if matches!(self.sieve, Sieve::All) {
                        out.extend_from_slice(&piece);
                        continue;
                    }
                    self.line.extend_from_slice(&piece);
                    if !self.sift(out) {
                        return Progress::Broken;
                    }
                }
                Ok(None) => {
                    self.line.clear();
                    self.links.pop_front().into_iter().for_each(|link| links.give_back(link));
                }
                Err(gone) => {
                    if !self.went(&gone, links) {
                        return Progress::Broken;
                    }
                }
            }
        }
        Progress::More
    }

    /// A backend is gone in the middle. What lists all groups goes on with the others', as if it had been down before.
    fn went(&mut self, gone: &Gone, links: &Links) -> bool {
        self.line.clear();
        if let Some(link) = self.links.pop_front() {
            links.lost(link.server(), gone);
        }
        matches!(self.sieve, Sieve::Groups(..))
    }

    /// All lines that have come to their end. False: one has none.
    fn sift(&mut self, out: &mut BytesMut) -> bool {
        let server = self.links.front().map(Link::server).unwrap_or_default();
        while let Some(end) = self.line.iter().position(|&byte| byte == b'\n') {
            let line = self.line.split_to(end + 1);
            self.sieve.line(server, &line, out);
        }
        if self.line.len() > LOOKED_AT {
            rows::LOOKED_AT.met(format_args!("{server}: a line without end in an answer"));
            warn!(
                "{server}: a line of an answer is longer than {LOOKED_AT} bytes: the answer is not told to its end"
            );
            return false;
        }
        true
    }
}

impl Sieve {
    fn line(&mut self, server: &str, line: &[u8], out: &mut BytesMut) {
        let word = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        match self {
            Sieve::All => out.extend_from_slice(line),
            Sieve::Groups(map, rights) | Sieve::NewGroups(map, rights) => {
                if map.shows(word, server, *rights) {
                    out.extend_from_slice(line);
                }
            }
            Sieve::Ids(ids) => {
                if ids.is_new(word) {
                    out.extend_from_slice(line);
                }
            }
            Sieve::Unnumbered if !word.is_empty() && word.iter().all(u8::is_ascii_digit) => {
                out.extend_from_slice(b"0");
                out.extend_from_slice(line.get(word.len()..).unwrap_or_default());
            }
            // XHDR's may begin with the message-id.
            Sieve::Unnumbered => out.extend_from_slice(line),
        }
    }
}

impl Ids {
    pub fn new() -> Ids {
        Ids { told: HashSet::new(), keys: RandomState::new() }
    }

    /// By a keyed hash: two ids of one hash are as good as impossible, also for who would like to hide an article.
    fn is_new(&mut self, id: &[u8]) -> bool {
        let hash = self.keys.hash_one(id);
        if self.told.len() < IDS {
            return self.told.insert(hash);
        }
        rows::IDS.met("a NEWNEWS names more articles than are remembered: some may be named twice");
        !self.told.contains(&hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_told_once_and_a_foreign_number_not_at_all() {
        let (mut sieve, mut out) = (Sieve::Ids(Ids::new()), BytesMut::new());
        for line in ["<a@b>\r\n", "<c@d>\r\n", "<a@b>\r\n"] {
            sieve.line("be", line.as_bytes(), &mut out);
        }
        assert_eq!(&out[..], b"<a@b>\r\n<c@d>\r\n");
        out.clear();
        Sieve::Unnumbered.line("be", b"17\tSubject\tx\r\n", &mut out);
        Sieve::Unnumbered.line("be", b"3 text\r\n", &mut out);
        Sieve::Unnumbered.line("be", b"<a@b> text\r\n", &mut out);
        assert_eq!(&out[..], b"0\tSubject\tx\r\n0 text\r\n<a@b> text\r\n");
    }
}
