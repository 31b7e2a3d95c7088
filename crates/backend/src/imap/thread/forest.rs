//! Who is whose parent, without loops. Pure, and iterative: a chain may be as long as a mailbox.
//!
//! Whether a link would close a loop is found by going up from the parent. That is short in mail as it is; who makes it long on
//! purpose meets a bound, from which on the same question is asked of a link-cut tree (Sleator and Tarjan 1983), in which no
//! path is longer than some logarithm.

/// Nobody.
pub const NONE: u32 = u32::MAX;

/// A forest over numbered places.
pub struct Forest {
    parent: Vec<u32>,
    children: Vec<u32>,
    /// Steps upwards that may still be gone.
    steps: usize,
    paths: Option<Paths>,
}

impl Forest {
    pub fn new(places: usize) -> Forest {
        let steps = places.saturating_mul(STEPS);
        Forest { parent: vec![NONE; places], children: vec![0; places], steps, paths: None }
    }

    pub fn parent(&self, of: u32) -> u32 {
        self.parent.get(of as usize).copied().unwrap_or(NONE)
    }

    /// Makes one the child of another, unless it has a parent, or is above it.
    pub fn link(&mut self, child: u32, parent: u32) {
        if self.parent(child) != NONE || child == parent || parent == NONE {
            return;
        }
        if self.has_children(child) && self.root(parent) == child {
            return;
        }
        self.set(child, parent);
        if let Some(count) = self.children.get_mut(parent as usize) {
            *count += 1;
        }
        if let Some(paths) = &mut self.paths {
            paths.link(child, parent);
        }
    }

    /// Takes one from its parent.
    pub fn cut(&mut self, child: u32) {
        let parent = self.parent(child);
        if parent == NONE {
            return;
        }
        self.set(child, NONE);
        if let Some(count) = self.children.get_mut(parent as usize) {
            *count -= 1;
        }
        if let Some(paths) = &mut self.paths {
            paths.cut(child);
        }
    }

    fn has_children(&self, of: u32) -> bool {
        self.children.get(of as usize).is_some_and(|count| *count > 0)
    }

    fn set(&mut self, child: u32, parent: u32) {
        if let Some(slot) = self.parent.get_mut(child as usize) {
            *slot = parent;
        }
    }

    fn root(&mut self, of: u32) -> u32 {
        let mut at = of;
        while self.steps > 0 {
            match self.parent(at) {
                NONE => return at,
                parent => at = parent,
            }
            self.steps -= 1;
        }
        let parents = &self.parent;
        self.paths.get_or_insert_with(|| Paths::of(parents)).root(of)
    }
}

/// A link-cut tree: each path of the forest is a splay tree, in the order from the root down; `up` of a splay tree's root is the
/// place above the path.
struct Paths {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy)]
struct Node {
    up: u32,
    /// Above it on its path, and below it.
    above: u32,
    below: u32,
}

impl Paths {
    /// Each place is a path of its own at first.
    fn of(parents: &[u32]) -> Paths {
        Paths { nodes: parents.iter().map(|up| Node { up: *up, above: NONE, below: NONE }).collect() }
    }

    fn node(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or(Node { up: NONE, above: NONE, below: NONE })
    }

    fn change(&mut self, at: u32, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(at as usize) {
            change(node);
        }
    }

    /// Whether it is the root of its splay tree.
    fn is_top(&self, at: u32) -> bool {
        let up = self.node(self.node(at).up);
        self.node(at).up == NONE || (up.above != at && up.below != at)
    }

    /// Lifts one over the node above it in its splay tree.
    fn rotate(&mut self, at: u32) {
        let up = self.node(at).up;
        let (top, over) = (self.is_top(up), self.node(up).up);
        let moved = if self.node(up).above == at {
            let moved = self.node(at).below;
            self.change(up, |node| node.above = moved);
            self.change(at, |node| node.below = up);
            moved
        } else {
            let moved = self.node(at).above;
            self.change(up, |node| node.below = moved);
            self.change(at, |node| node.above = up);
            moved
        };
        self.change(moved, |node| node.up = up);
        self.change(up, |node| node.up = at);
        self.change(at, |node| node.up = over);
        if !top {
            self.change(over, |node| {
                if node.above == up {
                    node.above = at;
                } else {
                    node.below = at;
                }
            });
        }
    }

    fn splay(&mut self, at: u32) {
        while !self.is_top(at) {
            let up = self.node(at).up;
            if !self.is_top(up) {
                let same = (self.node(up).above == at) == (self.node(self.node(up).up).above == up);
                self.rotate(if same { up } else { at });
            }
            self.rotate(at);
        }
    }

    /// Makes the way from the root to it one path, of which it is the end.
    fn access(&mut self, at: u32) {
        let (mut path, mut end) = (NONE, at);
        while end != NONE {
            self.splay(end);
            self.change(end, |node| node.below = path);
            path = end;
            end = self.node(end).up;
        }
        self.splay(at);
    }

    fn root(&mut self, of: u32) -> u32 {
        self.access(of);
        let mut root = of;
        while self.node(root).above != NONE {
            root = self.node(root).above;
        }
        // What was deep is lifted, so that it is not gone down again.
        self.splay(root);
        root
    }

    /// `child` is a root.
    fn link(&mut self, child: u32, parent: u32) {
        self.access(child);
        self.change(child, |node| node.up = parent);
    }

    fn cut(&mut self, child: u32) {
        self.access(child);
        let above = self.node(child).above;
        self.change(above, |node| node.up = NONE);
        self.change(child, |node| node.above = NONE);
    }
}

/// Steps upwards for each place: more than any mail needs that was not made to need them.
const STEPS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn climb(parents: &[u32], of: u32) -> u32 {
        let mut at = of;
        while parents[at as usize] != NONE {
            at = parents[at as usize];
        }
        at
    }

    proptest! {
        #[test]
        fn no_link_closes_a_loop_whichever_way_that_is_found(
            steps in proptest::collection::vec((0u32..24, 0u32..24, any::<bool>()), 0..200),
            patience in 0usize..40,
        ) {
            let mut forest = Forest::new(24);
            forest.steps = patience;
            let mut model = vec![NONE; 24];
            for (child, parent, link) in steps {
                if link {
                    forest.link(child, parent);
                    if model[child as usize] == NONE && climb(&model, parent) != child {
                        model[child as usize] = parent;
                    }
                } else {
                    forest.cut(child);
                    model[child as usize] = NONE;
                }
                prop_assert_eq!(&forest.parent, &model);
            }
        }
    }

    #[test]
    fn long_ways_up_that_were_made_on_purpose_cost_no_more_than_others() {
        // A chain, and many pairs that are hung up at its lower end, one below the other.
        let half = 50_000;
        let mut forest = Forest::new(3 * half as usize);
        for at in 1..half {
            forest.link(at, at - 1);
        }
        for pair in 0..half {
            let (child, below) = (half + 2 * pair, half + 2 * pair + 1);
            forest.link(below, child);
            forest.link(child, if pair == 0 { half - 1 } else { below - 2 });
        }
        assert_eq!(forest.root(3 * half - 1), 0);
        forest.link(0, 3 * half - 1);
        assert_eq!(forest.parent(0), NONE);
    }
}
