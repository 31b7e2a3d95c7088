//! What goes out in steps: an article's pieces, or the lines of a list, until a lone dot.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use identity::auth::Login;
use protocol::dots::Stuffer;
use protocol::nntp::words::Range;
use store::Mailbox;

use super::groups::GroupList;
use super::limits::{NUMBERS, PIECE};
use super::newnews::NewNews;
use super::node::Node;
use super::overview::Fields;
use super::selected::run;

/// What is on its way out.
pub(super) enum Listing {
    Article(Box<Sending>),
    Numbers(Numbers),
    Groups(Box<GroupList>),
    Fields(Box<Fields>),
    NewNews(Box<NewNews>),
    /// Lines that are there.
    Lines(Vec<String>),
}

/// An article, or a part of one.
pub(super) struct Sending {
    rest: Bytes,
    stuffer: Stuffer,
}

/// LISTGROUP's numbers.
pub(super) struct Numbers {
    pub mailbox: Arc<Mailbox>,
    pub range: Range,
    pub next: u32,
}

impl Listing {
    pub fn article(text: Bytes) -> Listing {
        Listing::Article(Box::new(Sending { rest: text, stuffer: Stuffer::faithful() }))
    }

    /// Puts the next piece out. None: that was all.
    pub async fn step(self, node: &Arc<Node>, login: &Login, out: &mut BytesMut) -> Option<Listing> {
        let mut lines = Vec::new();
        let rest = match self {
            Listing::Article(sending) => return sending.step(out),
            Listing::Numbers(numbers) => numbers.step(&mut lines),
            Listing::Lines(all) => {
                all.iter().for_each(|line| lines.extend_from_slice(format!("{line}\r\n").as_bytes()));
                None
            }
            Listing::Groups(list) => list.step(node, login, &mut lines).await.map(Listing::Groups),
            Listing::Fields(fields) => fields.step(node, login, &mut lines).await.map(Listing::Fields),
            Listing::NewNews(news) => news.step(node, &mut lines).await.map(Listing::NewNews),
        };
        out.extend_from_slice(&lines);
        if rest.is_none() {
            out.extend_from_slice(b".\r\n");
        }
        rest
    }
}

impl Sending {
    fn step(mut self: Box<Self>, out: &mut BytesMut) -> Option<Listing> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        let mut wire = Vec::new();
        self.stuffer.push(&piece, &mut wire);
        let rest = match self.rest.is_empty() {
            true => {
                self.stuffer.finish(&mut wire);
                None
            }
            false => Some(Listing::Article(self)),
        };
        out.extend_from_slice(&wire);
        rest
    }
}

impl Numbers {
    fn step(mut self, lines: &mut Vec<u8>) -> Option<Listing> {
        let run = run(&self.mailbox.view(), self.next, self.range, NUMBERS);
        run.iter().for_each(|record| lines.extend_from_slice(format!("{}\r\n", record.uid).as_bytes()));
        let last = run.last().filter(|_| run.len() == NUMBERS)?;
        self.next = last.uid.checked_add(1)?;
        Some(Listing::Numbers(self))
    }
}
