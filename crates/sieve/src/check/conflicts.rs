//! Actions that cannot both be done to one message (RFC 5429 section 2.4, RFC 5230 section 4.7): a warning where a script can come from
//! the one to the other.
//!
//! What tests say is not known here, so that two tests that exclude each other are warned of too: a `stop` or an `else` between them
//! shows what is meant.

use super::Checker;
use crate::program::{Op, Place};

/// What a script has done on some way to an op, and the first place where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Before {
    /// `keep`, `fileinto`, `redirect`.
    delivered: Option<Place>,
    refused: Option<Place>,
    answered: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Delivers,
    Refuses,
    Answers,
    Ends,
    Other,
}

impl Checker<'_> {
    /// Warns of each action that cannot follow one before it.
    pub(super) fn report_conflicts(&mut self) {
        let ways = self.ways();
        let mut warnings = Vec::new();
        for ((op, place), before) in self.ops.iter().zip(&self.places).zip(&ways) {
            let (Op::Do(_), Some(before)) = (op, before) else { continue };
            let other = match kind(place.name) {
                Kind::Delivers => before.refused,
                Kind::Refuses => before.delivered.or(before.answered).or(before.refused),
                Kind::Answers => before.refused.or(before.answered),
                Kind::Ends | Kind::Other => None,
            };
            if let Some(other) = other {
                let text = format!(
                    "{} cannot be done to a message after the {} of line {}: where both are reached, the script fails and the \
                     message is kept",
                    place.name, other.name, other.line
                );
                warnings.push((place.line, text));
            }
        }
        for (line, text) in warnings {
            self.warning(line, text);
        }
    }

    /// For each op what may have been done before it; none where nothing leads to it.
    fn ways(&self) -> Vec<Option<Before>> {
        let mut ways = vec![None; self.ops.len()];
        let mut open = vec![(0, Before::default())];
        while let Some((at, before)) = open.pop() {
            let (Some(known), Some(op), Some(place)) =
                (ways.get_mut(at), self.ops.get(at), self.places.get(at))
            else {
                continue;
            };
            let joined = known.map_or(before, |known: Before| known.or(before));
            if *known == Some(joined) {
                continue;
            }
            *known = Some(joined);
            match op {
                Op::Jump(to) => {
                    open.push((*to, joined));
                    // Whoever jumps back does so until the loop ends.
                    if *to <= at {
                        open.push((at + 1, joined));
                    }
                }
                Op::JumpIf(_, to) => open.extend([(*to, joined), (at + 1, joined)]),
                Op::Test(_) | Op::Answer(_) | Op::Not => open.push((at + 1, joined)),
                Op::Do(_) if kind(place.name) == Kind::Ends => {}
                Op::Do(_) => open.push((at + 1, joined.and(*place))),
            }
        }
        ways
    }
}

impl Before {
    /// What was done on either way.
    fn or(self, other: Before) -> Before {
        Before {
            delivered: self.delivered.or(other.delivered),
            refused: self.refused.or(other.refused),
            answered: self.answered.or(other.answered),
        }
    }

    /// What was done after one more action.
    fn and(mut self, place: Place) -> Before {
        let one = match kind(place.name) {
            Kind::Delivers => &mut self.delivered,
            Kind::Refuses => &mut self.refused,
            Kind::Answers => &mut self.answered,
            Kind::Ends | Kind::Other => return self,
        };
        *one = one.or(Some(place));
        self
    }
}

fn kind(name: &str) -> Kind {
    match name {
        "keep" | "fileinto" | "redirect" => Kind::Delivers,
        "reject" | "ereject" => Kind::Refuses,
        "vacation" => Kind::Answers,
        "stop" | "return" | "error" => Kind::Ends,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Extensions, compile};

    fn warnings(script: &str) -> Vec<String> {
        let script = format!("require [\"fileinto\", \"reject\", \"vacation\"];\n{script}");
        let compiled = compile(script.as_bytes(), Extensions::all()).unwrap();
        let conflicts = compiled.warnings.into_iter().filter(|one| one.text.contains("cannot be done"));
        conflicts.map(|one| format!("{} {}", one.line, one.text.split(':').next().unwrap())).collect()
    }

    #[test]
    fn a_refusal_beside_a_delivery_is_warned_of_where_one_leads_to_the_other() {
        for (script, expected) in [
            ("reject \"no\";\nkeep;", "3 keep cannot be done to a message after the reject of line 2"),
            ("keep;\nreject \"no\";", "3 reject cannot be done to a message after the keep of line 2"),
            (
                "if header \"a\" \"b\" { reject \"no\"; }\nif header \"a\" \"c\" { fileinto \"x\"; }",
                "3 fileinto cannot be done to a message after the reject of line 2",
            ),
            (
                "vacation \"a\";\nvacation \"b\";",
                "3 vacation cannot be done to a message after the vacation of line 2",
            ),
            (
                "reject \"a\";\nreject \"b\";",
                "3 reject cannot be done to a message after the reject of line 2",
            ),
            (
                "vacation \"a\";\nreject \"b\";",
                "3 reject cannot be done to a message after the vacation of line 2",
            ),
        ] {
            assert_eq!(warnings(script), [expected], "{script}");
        }
    }

    #[test]
    fn ways_that_do_not_meet_are_not_warned_of() {
        for script in [
            "if header \"a\" \"b\" { reject \"no\"; stop; }\nfileinto \"x\";",
            "if header \"a\" \"b\" { reject \"no\"; } else { fileinto \"x\"; }",
            "if header \"a\" \"b\" { reject \"no\"; } elsif header \"a\" \"c\" { keep; }",
            "reject \"no\"; discard;",
            "fileinto \"x\"; keep; redirect \"a@b.org\"; vacation \"a\";",
        ] {
            assert!(warnings(script).is_empty(), "{script}");
        }
    }
}
