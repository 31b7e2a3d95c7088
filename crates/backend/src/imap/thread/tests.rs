//! Threads by examples, by a model that does what RFC 5256 says word by word, and by what would be too long for recursion.

use super::*;
use proptest::prelude::*;
use protocol::imap::command::sort::print_thread;

#[derive(Debug, Clone, Default)]
struct Message {
    id: Option<u32>,
    references: Vec<u32>,
    sent: i64,
    arrived: i64,
    subject: Option<u64>,
    reply: bool,
}

impl Mail for Vec<Message> {
    fn count(&self) -> usize {
        self.len()
    }

    fn ids(&self) -> usize {
        let all = self.iter().flat_map(|message| message.references.iter().copied().chain(message.id));
        all.max().map_or(0, |id| id as usize + 1)
    }

    fn id(&self, at: u32) -> Option<u32> {
        self[at as usize].id
    }

    fn references(&self, at: u32) -> &[u32] {
        &self[at as usize].references
    }

    fn sent(&self, at: u32) -> i64 {
        self[at as usize].sent
    }

    fn arrived(&self, at: u32) -> i64 {
        self[at as usize].arrived
    }

    fn subject(&self, at: u32) -> Option<u64> {
        self[at as usize].subject
    }

    fn is_reply(&self, at: u32) -> bool {
        self[at as usize].reply
    }
}

fn threads(mail: &Vec<Message>, algorithm: Algorithm) -> String {
    let mut out = Vec::new();
    let number = |step| if let Step::Message(at) = step { Step::Message(at + 1) } else { step };
    print_thread(&mut out, thread(mail, algorithm).into_iter().map(number));
    String::from_utf8(out).unwrap().trim_start_matches("* THREAD").trim().to_owned()
}

/// A message that answers others, each a day after the one before.
fn mail(messages: &[(u32, &[u32], u32, bool)]) -> Vec<Message> {
    let message = |(at, (id, references, subject, reply)): (usize, &(u32, &[u32], u32, bool))| Message {
        id: Some(*id),
        references: references.to_vec(),
        sent: at as i64,
        arrived: at as i64,
        subject: (*subject > 0).then_some(u64::from(*subject)),
        reply: *reply,
    };
    messages.iter().enumerate().map(message).collect()
}

#[test]
fn answers_stand_below_what_they_answer() {
    for (what, messages, expected) in [
        ("nothing", mail(&[]), ""),
        ("a chain", mail(&[(1, &[], 0, false), (2, &[1], 0, true), (3, &[1, 2], 0, true)]), "(1 2 3)"),
        ("a star", mail(&[(1, &[], 0, false), (2, &[1], 0, true), (3, &[1], 0, true)]), "(1 (2)(3))"),
        ("a missing first message", mail(&[(2, &[1], 0, true), (3, &[1], 0, true)]), "((1)(2))"),
        ("one answer to a missing message", mail(&[(2, &[1], 0, true)]), "(1)"),
        (
            "missing between",
            mail(&[(1, &[], 0, false), (3, &[1, 2], 0, true), (4, &[1, 2], 0, true)]),
            "(1 (2)(3))",
        ),
        ("missing above missing", mail(&[(3, &[1, 2], 0, true), (4, &[1, 2], 0, true)]), "((1)(2))"),
        ("an answer before its question", mail(&[(2, &[1], 0, true), (1, &[], 0, false)]), "(2 1)"),
        ("a loop", mail(&[(1, &[2], 0, true), (2, &[1], 0, true)]), "(2 1)"),
        ("an answer to itself", mail(&[(1, &[1], 0, true), (2, &[2, 1], 0, true)]), "(2 1)"),
        (
            "the same id twice",
            mail(&[(1, &[], 0, false), (1, &[], 0, false), (2, &[1], 0, true)]),
            "(1 3)(2)",
        ),
        ("what a message says itself", mail(&[(3, &[1, 2], 0, true), (2, &[4], 0, true)]), "(2 1)"),
        ("one subject", mail(&[(1, &[], 7, false), (2, &[], 7, true), (3, &[], 7, true)]), "(1 (2)(3))"),
        ("one subject, no question", mail(&[(1, &[], 7, true), (2, &[], 7, true)]), "((1)(2))"),
        (
            "one subject, two questions",
            mail(&[(1, &[], 7, false), (2, &[], 7, false), (3, &[], 7, true)]),
            "((1)(2)(3))",
        ),
        ("a question after its answer", mail(&[(1, &[], 7, true), (2, &[], 7, false)]), "(2 1)"),
        (
            "two threads without their first",
            mail(&[(2, &[1], 7, true), (3, &[1], 0, true), (5, &[4], 7, true), (6, &[4], 0, true)]),
            "((1)(2)(3)(4))",
        ),
        ("no subject", mail(&[(1, &[], 0, false), (2, &[], 0, false)]), "(1)(2)"),
    ] {
        assert_eq!(threads(&messages, Algorithm::References), expected, "{what}");
    }
}

#[test]
fn refs_follow_no_subject_and_put_the_newest_thread_last() {
    let mut messages = mail(&[(1, &[], 7, false), (2, &[], 7, true), (3, &[1], 7, true)]);
    assert_eq!(threads(&messages, Algorithm::Refs), "(2)(1 3)");
    messages[1].arrived = 9;
    assert_eq!(threads(&messages, Algorithm::Refs), "(1 3)(2)");
}

#[test]
fn an_ordered_subject_is_one_flat_thread() {
    let mut messages =
        mail(&[(1, &[], 7, false), (2, &[], 8, false), (3, &[1], 7, true), (4, &[3], 7, true)]);
    assert_eq!(threads(&messages, Algorithm::OrderedSubject), "(1 (3)(4))(2)");
    messages[2].sent = -1;
    assert_eq!(threads(&messages, Algorithm::OrderedSubject), "(3 (1)(4))(2)");
}

#[test]
fn a_thread_may_be_as_long_as_a_mailbox() {
    const LONG: u32 = 100_000;
    let chain = |of: &dyn Fn(u32) -> u32| -> Vec<Message> {
        let message = |at: u32| {
            let n = of(at);
            Message {
                id: Some(n),
                references: n.checked_sub(1).into_iter().collect(),
                sent: i64::from(n),
                ..Message::default()
            }
        };
        (0..LONG).map(message).collect()
    };
    let forwards = chain(&|at| at);
    assert_eq!(thread(&forwards, Algorithm::References).len(), LONG as usize + 2);
    for messages in [chain(&|at| LONG - 1 - at), chain(&|at| (at * 7919) % LONG), forwards] {
        let steps = thread(&messages, Algorithm::Refs);
        assert_eq!((steps.len(), steps[0], steps[1]), (LONG as usize + 2, Step::Open, steps[1]));
    }
    // All refer to all before them.
    let wide: Vec<Message> = (0..2000)
        .map(|n| Message {
            id: Some(n),
            references: (n.saturating_sub(100)..n).collect(),
            ..Message::default()
        })
        .collect();
    assert_eq!(thread(&wide, Algorithm::References).len(), 2002);
}

/// RFC 5256 section 3, step by step, with trees that are trees.
mod model {
    use super::{Mail, Message};
    use std::collections::BTreeMap;

    #[derive(Debug, Clone, Default)]
    struct Container {
        message: Option<u32>,
        parent: Option<usize>,
        children: Vec<usize>,
    }

    #[derive(Default)]
    struct Model {
        all: Vec<Container>,
        root: Vec<usize>,
    }

    impl Model {
        fn make(&mut self) -> usize {
            self.all.push(Container::default());
            self.all.len() - 1
        }

        fn link(&mut self, parent: usize, child: usize) {
            let mut above = Some(parent);
            while let Some(at) = above {
                if at == child {
                    return;
                }
                above = self.all[at].parent;
            }
            self.all[child].parent = Some(parent);
            self.all[parent].children.push(child);
        }

        fn unlink(&mut self, child: usize) {
            if let Some(parent) = self.all[child].parent.take() {
                self.all[parent].children.retain(|c| *c != child);
            }
        }

        /// Step 3, of the children of one; `top`: they are the root's.
        fn prune(&mut self, nodes: Vec<usize>, top: bool) -> Vec<usize> {
            let mut kept = Vec::new();
            for node in nodes {
                let children = std::mem::take(&mut self.all[node].children);
                let children = self.prune(children, false);
                self.all[node].children = children.clone();
                match self.all[node].message {
                    Some(_) => kept.push(node),
                    None if children.is_empty() => {}
                    None if top && children.len() > 1 => kept.push(node),
                    None => kept.extend(children),
                }
            }
            kept
        }

        fn leader(&self, node: usize) -> u32 {
            self.all[node].message.unwrap_or_else(|| self.all[self.all[node].children[0]].message.unwrap())
        }

        fn sort(&mut self, mut nodes: Vec<usize>, mail: &Vec<Message>) -> Vec<usize> {
            for node in &nodes {
                let children = std::mem::take(&mut self.all[*node].children);
                self.all[*node].children = self.sort(children, mail);
            }
            nodes.sort_by_key(|node| (mail.sent(self.leader(*node)), self.leader(*node)));
            nodes
        }

        fn print(&self, node: usize, out: &mut String) {
            if let Some(message) = self.all[node].message {
                out.push_str(&(message + 1).to_string());
            }
            match self.all[node].children.as_slice() {
                [] => {}
                [only] => {
                    out.push(' ');
                    self.print(*only, out);
                }
                several => {
                    if self.all[node].message.is_some() {
                        out.push(' ');
                    }
                    for child in several {
                        out.push('(');
                        self.print(*child, out);
                        out.push(')');
                    }
                }
            }
        }
    }

    pub fn references(mail: &Vec<Message>, subjects: bool) -> String {
        let mut model = Model::default();
        let mut table: BTreeMap<u32, usize> = BTreeMap::new();
        for at in 0..mail.len() as u32 {
            let mut last = None;
            for id in mail.references(at) {
                let node = *table.entry(*id).or_insert_with(|| model.make());
                if let Some(last) = last
                    && model.all[node].parent.is_none()
                {
                    model.link(last, node);
                }
                last = Some(node);
            }
            let mut own = mail.id(at).map(|id| *table.entry(id).or_insert_with(|| model.make()));
            if own.is_none_or(|own| model.all[own].message.is_some()) {
                own = Some(model.make());
            }
            let own = own.unwrap();
            model.all[own].message = Some(at);
            model.unlink(own);
            if let Some(last) = last {
                model.link(last, own);
            }
        }
        let root = (0..model.all.len()).filter(|node| model.all[*node].parent.is_none()).collect();
        let root = model.prune(root, true);
        model.root = model.sort(root, mail);
        if subjects {
            join(&mut model, mail);
        }
        let mut out = String::new();
        for root in &model.root {
            out.push('(');
            model.print(*root, &mut out);
            out.push(')');
        }
        out
    }

    /// Steps 5 and 6.
    fn join(model: &mut Model, mail: &Vec<Message>) {
        let mut table: BTreeMap<u64, usize> = BTreeMap::new();
        let reply = |model: &Model, node: usize| {
            model.all[node].message.is_some_and(|message| mail.is_reply(message))
        };
        for root in model.root.clone() {
            let Some(subject) = mail.subject(model.leader(root)) else { continue };
            let Some(there) = table.get(&subject).copied() else {
                table.insert(subject, root);
                continue;
            };
            let dummy = model.all[root].message.is_none();
            if model.all[there].message.is_some() && (dummy || (reply(model, there) && !reply(model, root))) {
                table.insert(subject, root);
            }
        }
        for root in model.root.clone() {
            let Some(subject) = mail.subject(model.leader(root)) else { continue };
            let there = table[&subject];
            if there == root {
                continue;
            }
            model.root.retain(|node| *node != root);
            match (model.all[there].message, model.all[root].message) {
                (None, None) => {
                    let children = std::mem::take(&mut model.all[root].children);
                    model.all[there].children.extend(children);
                }
                (None, Some(_)) => model.all[there].children.push(root),
                (Some(_), Some(_)) if reply(model, root) && !reply(model, there) => {
                    model.all[there].children.push(root)
                }
                _ => {
                    let both = model.make();
                    model.all[both].children = vec![there, root];
                    let place = model.root.iter().position(|node| *node == there).unwrap();
                    model.root[place] = both;
                    table.insert(subject, both);
                }
            }
        }
        let root = std::mem::take(&mut model.root);
        model.root = model.sort(root, mail);
    }
}

fn message() -> impl Strategy<Value = Message> {
    let ids = proptest::collection::vec(0u32..12, 0..5);
    (proptest::option::of(0u32..12), ids, 0i64..6, 0i64..6, proptest::option::of(0u64..4), any::<bool>())
        .prop_map(|(id, references, sent, arrived, subject, reply)| Message {
            id,
            references,
            sent,
            arrived,
            subject,
            reply,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn references_are_threaded_as_the_rfc_says(messages in proptest::collection::vec(message(), 0..14)) {
        prop_assert_eq!(threads(&messages, Algorithm::References), model::references(&messages, true));
    }

    #[test]
    fn each_message_stands_in_one_place(messages in proptest::collection::vec(message(), 0..14)) {
        for algorithm in [Algorithm::OrderedSubject, Algorithm::References, Algorithm::Refs] {
            let steps = thread(&messages, algorithm);
            let mut shown: Vec<u32> =
                steps.iter().filter_map(|step| if let Step::Message(at) = step { Some(*at) } else { None }).collect();
            shown.sort_unstable();
            prop_assert_eq!(shown, (0..messages.len() as u32).collect::<Vec<_>>());
            let opened = steps.iter().filter(|step| **step == Step::Open).count();
            prop_assert_eq!(opened, steps.iter().filter(|step| **step == Step::Close).count());
        }
    }

    #[test]
    fn without_subjects_the_trees_are_those_of_refs(messages in proptest::collection::vec(message(), 0..14)) {
        let mut refs: Vec<String> = Vec::new();
        let mut depth = 0;
        for c in threads(&messages, Algorithm::Refs).chars() {
            if c == '(' && depth == 0 {
                refs.push(String::new());
            }
            depth += i32::from(c == '(') - i32::from(c == ')');
            refs.last_mut().unwrap().push(c);
        }
        let all = model::references(&messages, false);
        prop_assert_eq!(refs.concat().len(), all.len());
        for thread in refs {
            prop_assert!(all.contains(&thread), "{} in {}", thread, all);
        }
    }
}
