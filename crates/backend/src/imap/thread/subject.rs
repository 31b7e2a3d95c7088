//! Threads that a subject holds together: RFC 5256 section 3, THREAD=ORDEREDSUBJECT, and steps 5 and 6 of THREAD=REFERENCES.

use std::collections::HashMap;

use super::{Mail, Trees};

/// The first message of each subject, and all others of it as its children.
pub fn ordered(mail: &impl Mail, by_date: &[u32]) -> Trees {
    let mut trees = Trees::new(mail.count(), mail.count());
    let mut first = HashMap::new();
    for at in by_date {
        match first.get(&mail.subject(*at)) {
            Some(parent) => trees.add(*at, *parent),
            None => {
                first.insert(mail.subject(*at), *at);
                trees.roots.push(*at);
            }
        }
    }
    trees
}

/// Joins the threads with the same subject.
pub fn join(mut trees: Trees, mail: &impl Mail) -> Trees {
    let roots = std::mem::take(&mut trees.roots);
    let mut table = table(&trees, &roots, mail);
    let (mut joined, mut touched) = (Vec::with_capacity(roots.len()), Vec::new());
    // What has come in the place of a root that others were joined to.
    let mut instead = HashMap::new();
    for root in roots {
        let leader = trees.leader(root);
        let found = mail.subject(leader).and_then(|subject| table.get_mut(&subject));
        let Some(to) = found.filter(|to| **to != root) else {
            joined.push(root);
            continue;
        };
        match (trees.is_message(*to), trees.is_message(root)) {
            (false, false) => trees.hand_over(root, *to),
            (false, true) => trees.add(root, *to),
            (true, true) if mail.is_reply(root) && !mail.is_reply(*to) => trees.add(root, *to),
            (true, _) => {
                let both = trees.hold();
                instead.insert(*to, both);
                trees.add(*to, both);
                trees.add(root, both);
                *to = both;
            }
        }
        touched.push(*to);
    }
    for root in &mut joined {
        if let Some(both) = instead.get(root) {
            *root = *both;
        }
    }
    touched.sort_unstable();
    touched.dedup();
    let key = |at: u32| (mail.sent(at), at);
    for node in touched {
        trees.sort_children(node, key);
    }
    joined.sort_by_cached_key(|root| key(trees.leader(*root)));
    trees.roots = joined;
    trees
}

/// The thread that others of its subject are joined to: one without a message before one with it, one that is no reply before
/// a reply, the earlier before the later.
fn table(trees: &Trees, roots: &[u32], mail: &impl Mail) -> HashMap<u64, u32> {
    let mut table = HashMap::new();
    for root in roots {
        let Some(subject) = mail.subject(trees.leader(*root)) else { continue };
        table
            .entry(subject)
            .and_modify(|there| {
                let better = || !trees.is_message(*root) || (mail.is_reply(*there) && !mail.is_reply(*root));
                if trees.is_message(*there) && better() {
                    *there = *root;
                }
            })
            .or_insert(*root);
    }
    table
}
