//! Which messages belong together: RFC 5256 section 3. Pure, iterative, in time in proportion to messages and references, but
//! for one sort by date.
//!
//! What a message says of others is given as numbers: an id has the same number wherever it stands, and so has a base subject
//! ([`Mail`]). [`references`] makes trees of them, [`subject`] joins and makes those that only a subject holds together,
//! and [`Trees::steps`] walks through them as they are printed.

mod forest;
mod references;
mod subject;
#[cfg(test)]
mod tests;

use protocol::imap::command::sort::{Algorithm, Step};

use forest::NONE;

/// What is known of the messages that are to be threaded, each by its place among them, in the order of their numbers.
pub trait Mail {
    /// How many.
    fn count(&self) -> usize;
    /// Ids are numbers below this one.
    fn ids(&self) -> usize;
    /// Of a message: `None` where it has none that can be used.
    fn id(&self, at: u32) -> Option<u32>;
    /// What it refers to, the oldest first.
    fn references(&self, at: u32) -> &[u32];
    /// The Date field in UTC, epoch seconds.
    fn sent(&self, at: u32) -> i64;
    /// INTERNALDATE, epoch seconds.
    fn arrived(&self, at: u32) -> i64;
    /// Something that is the same for the same base subject; `None` for an empty one.
    fn subject(&self, at: u32) -> Option<u64>;
    /// Whether something was taken off its subject that marks a reply or a forwarded message.
    fn is_reply(&self, at: u32) -> bool;
}

/// The threads, as steps with places of messages.
pub fn thread(mail: &impl Mail, algorithm: Algorithm) -> Vec<Step> {
    let by_date = by_date(mail);
    match algorithm {
        Algorithm::OrderedSubject => subject::ordered(mail, &by_date).steps(),
        Algorithm::References => {
            let trees = references::trees(mail, &by_date);
            subject::join(trees, mail).steps()
        }
        Algorithm::Refs => {
            let mut trees = references::trees(mail, &by_date);
            trees.newest_last(mail);
            trees.steps()
        }
    }
}

/// Places by the date that their messages were sent, then by number.
fn by_date(mail: &impl Mail) -> Vec<u32> {
    let mut places: Vec<(i64, u32)> = (0..mail.count() as u32).map(|at| (mail.sent(at), at)).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, at)| at).collect()
}

/// Trees of nodes. The first nodes are the messages, by their places; those behind them hold threads together whose first
/// message is not there.
pub struct Trees {
    messages: usize,
    /// The first and the last child, and the next sibling.
    nodes: Vec<Links>,
    roots: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Links {
    first: u32,
    last: u32,
    next: u32,
}

impl Trees {
    fn new(messages: usize, nodes: usize) -> Trees {
        let alone = Links { first: NONE, last: NONE, next: NONE };
        Trees { messages, nodes: vec![alone; nodes], roots: Vec::new() }
    }

    fn links(&self, node: u32) -> Links {
        self.nodes.get(node as usize).copied().unwrap_or(Links { first: NONE, last: NONE, next: NONE })
    }

    fn change(&mut self, node: u32, change: impl FnOnce(&mut Links)) {
        if let Some(links) = self.nodes.get_mut(node as usize) {
            change(links);
        }
    }

    fn is_message(&self, node: u32) -> bool {
        (node as usize) < self.messages
    }

    /// A node without a message.
    fn hold(&mut self) -> u32 {
        self.nodes.push(Links { first: NONE, last: NONE, next: NONE });
        (self.nodes.len() - 1) as u32
    }

    /// Makes a node, which is nowhere yet, the last child of another.
    fn add(&mut self, child: u32, parent: u32) {
        match self.links(parent).last {
            NONE => self.change(parent, |links| links.first = child),
            last => self.change(last, |links| links.next = child),
        }
        self.change(parent, |links| links.last = child);
        self.change(child, |links| links.next = NONE);
    }

    /// Makes the children of one the last children of another.
    fn hand_over(&mut self, from: u32, to: u32) {
        let Links { first, last, .. } = self.links(from);
        if first == NONE {
            return;
        }
        match self.links(to).last {
            NONE => self.change(to, |links| links.first = first),
            before => self.change(before, |links| links.next = first),
        }
        self.change(to, |links| links.last = last);
        self.change(from, |links| (links.first, links.last) = (NONE, NONE));
    }

    /// The message by which a root is sorted and named: its own, or its first child's.
    fn leader(&self, root: u32) -> u32 {
        if self.is_message(root) { root } else { self.links(root).first }
    }

    /// Sorts the children of a node.
    fn sort_children<K: Ord>(&mut self, of: u32, key: impl Fn(u32) -> K) {
        let (mut children, mut child) = (Vec::new(), self.links(of).first);
        while child != NONE {
            children.push(child);
            child = self.links(child).next;
        }
        if children.is_sorted_by_key(|child| key(*child)) {
            return;
        }
        children.sort_by_cached_key(|child| key(*child));
        self.change(of, |links| (links.first, links.last) = (NONE, NONE));
        for child in children {
            self.add(child, of);
        }
    }

    /// Orders the threads by the newest message of each, as THREAD=REFS has them.
    fn newest_last(&mut self, mail: &impl Mail) {
        let newest = |root: u32| {
            let (mut newest, mut open) = (i64::MIN, vec![root]);
            while let Some(node) = open.pop() {
                if self.is_message(node) {
                    newest = newest.max(mail.arrived(node));
                }
                let Links { first, next, .. } = self.links(node);
                open.extend([first].into_iter().filter(|first| *first != NONE));
                open.extend([next].into_iter().filter(|next| *next != NONE && node != root));
            }
            newest
        };
        let mut roots: Vec<(i64, u32, u32)> =
            self.roots.iter().map(|root| (newest(*root), self.leader(*root), *root)).collect();
        roots.sort_unstable();
        self.roots = roots.into_iter().map(|(_, _, root)| root).collect();
    }

    /// As they are printed: a message, its only child behind it, its several children each in parentheses.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.messages * 2);
        // What is still to be printed, the next last.
        let mut open: Vec<Next> = Vec::new();
        for root in &self.roots {
            open.push(Next::Thread(*root));
            while let Some(next) = open.pop() {
                let node = match next {
                    Next::End => {
                        steps.push(Step::Close);
                        continue;
                    }
                    Next::Thread(node) => {
                        steps.push(Step::Open);
                        open.push(Next::End);
                        node
                    }
                    Next::Only(node) => node,
                };
                if self.is_message(node) {
                    steps.push(Step::Message(node));
                }
                let Links { first, last, .. } = self.links(node);
                if first == last {
                    open.extend([first].into_iter().filter(|first| *first != NONE).map(Next::Only));
                    continue;
                }
                let (at, mut child) = (open.len(), first);
                while child != NONE {
                    open.push(Next::Thread(child));
                    child = self.links(child).next;
                }
                if let Some(children) = open.get_mut(at..) {
                    children.reverse();
                }
            }
        }
        steps
    }
}

enum Next {
    Thread(u32),
    Only(u32),
    End,
}
