//! Trees by what messages say they answer: RFC 5256 section 3, THREAD=REFERENCES, steps 1 to 4.

use super::forest::{Forest, NONE};
use super::{Links, Mail, Trees};

/// The trees, all siblings and the roots in the order of `by_date`, which is that of the messages sent.
pub fn trees(mail: &impl Mail, by_date: &[u32]) -> Trees {
    let places = Places::of(mail);
    let forest = link(mail, &places);
    prune(mail, &places, &forest, by_date)
}

/// The nodes of the forest: first the messages, then the ids that are no message's.
struct Places {
    /// The node of each id.
    of_ids: Vec<u32>,
    nodes: usize,
}

impl Places {
    /// The first message that has an id is meant by it; others with the same, or with none, are referred to by nobody.
    fn of(mail: &impl Mail) -> Places {
        let mut of_ids = vec![NONE; mail.ids()];
        for at in 0..mail.count() as u32 {
            if let Some(slot) = mail.id(at).and_then(|id| of_ids.get_mut(id as usize))
                && *slot == NONE
            {
                *slot = at;
            }
        }
        let mut nodes = mail.count();
        for slot in of_ids.iter_mut().filter(|slot| **slot == NONE) {
            *slot = nodes as u32;
            nodes += 1;
        }
        Places { of_ids, nodes }
    }

    fn of_id(&self, id: u32) -> u32 {
        self.of_ids.get(id as usize).copied().unwrap_or(NONE)
    }
}

/// Step 1.
fn link(mail: &impl Mail, places: &Places) -> Forest {
    let mut forest = Forest::new(places.nodes);
    for at in 0..mail.count() as u32 {
        let mut last = NONE;
        for id in mail.references(at) {
            let node = places.of_id(*id);
            forest.link(node, last);
            last = node;
        }
        // What others say of this message is worth less than what it says itself.
        forest.cut(at);
        forest.link(at, last);
    }
    forest
}

/// Steps 2 to 4: nodes without a message go, their children come in their place; as roots they stay where they hold several
/// together.
fn prune(mail: &impl Mail, places: &Places, forest: &Forest, by_date: &[u32]) -> Trees {
    let mut trees = Trees::new(mail.count(), places.nodes);
    // The nearest message above each, or the root that holds it, by following each way up once.
    let mut above = vec![UNKNOWN; places.nodes];
    let mut way = Vec::new();
    for start in 0..mail.count() as u32 {
        let mut at = forest.parent(start);
        while at != NONE && !trees.is_message(at) && above.get(at as usize) == Some(&UNKNOWN) {
            way.push(at);
            at = forest.parent(at);
        }
        // What those on the way stand below.
        let found = match at {
            NONE => way.last().copied().unwrap_or(NONE),
            at if trees.is_message(at) => at,
            at => above.get(at as usize).copied().unwrap_or(NONE),
        };
        for node in way.drain(..) {
            if let Some(slot) = above.get_mut(node as usize) {
                *slot = found;
            }
        }
        if let Some(slot) = above.get_mut(start as usize) {
            *slot = found;
        }
    }
    // Siblings come in their order, since all come in it.
    for at in by_date {
        match above.get(*at as usize).copied().unwrap_or(NONE) {
            NONE => trees.roots.push(*at),
            parent => {
                if !trees.is_message(parent) && trees.links(parent).first == NONE {
                    // Its first child is what it is sorted by.
                    trees.roots.push(parent);
                }
                trees.add(*at, parent);
            }
        }
    }
    for at in 0..trees.roots.len() {
        let Some(root) = trees.roots.get(at).copied() else { continue };
        let Links { first, last, .. } = trees.links(root);
        if !trees.is_message(root)
            && first == last
            && let Some(slot) = trees.roots.get_mut(at)
        {
            *slot = first;
        }
    }
    trees
}

/// Not looked for yet: no place is so high.
const UNKNOWN: u32 = u32::MAX - 1;
