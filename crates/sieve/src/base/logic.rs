//! `allof`, `anyof`, `not`, `true` and `false` (RFC 5228 sections 5.2, 5.3, 5.8, 5.10, 5.6): tests are made from left to right, and no
//! further than the answer is open.

use crate::check::Checker;
use crate::program::Op;
use crate::tree::{Test, Tests};

pub(super) fn all_of(checker: &mut Checker<'_>, test: &Test) -> Option<bool> {
    several(checker, test, false)
}

pub(super) fn any_of(checker: &mut Checker<'_>, test: &Test) -> Option<bool> {
    several(checker, test, true)
}

/// Tests of which one with the answer `deciding` decides.
fn several(checker: &mut Checker<'_>, test: &Test, deciding: bool) -> Option<bool> {
    checker.test_arguments(test).end();
    let Tests::List(tests) = &test.tests else {
        checker.problem(test.line, format!("{} takes a list of tests", test.name));
        return None;
    };
    let (mut jumps, mut known) = (Vec::new(), Some(!deciding));
    for (at, test) in tests.iter().enumerate() {
        if known == Some(deciding) {
            checker.loosely(|checker| {
                checker.condition(test);
            });
            continue;
        }
        if at > 0 {
            jumps.push(checker.emit(Op::Not));
        }
        let answer = checker.condition(test);
        if answer == Some(deciding) || known.is_some() && answer.is_none() {
            known = answer;
        }
    }
    let end = checker.here();
    for jump in jumps {
        checker.patch(jump, Op::JumpIf(deciding, end));
    }
    known
}

pub(super) fn not(checker: &mut Checker<'_>, test: &Test) -> Option<bool> {
    checker.test_arguments(test).end();
    let Tests::One(inner) = &test.tests else {
        checker.problem(test.line, "not takes one test");
        return None;
    };
    let known = checker.condition(inner);
    checker.emit(Op::Not);
    known.map(|known| !known)
}

pub(super) fn yes(checker: &mut Checker<'_>, test: &Test) -> Option<bool> {
    constant(checker, test, true)
}

pub(super) fn no(checker: &mut Checker<'_>, test: &Test) -> Option<bool> {
    constant(checker, test, false)
}

/// Not known in the sense of `ihave`: what stands behind it is checked.
fn constant(checker: &mut Checker<'_>, test: &Test, answer: bool) -> Option<bool> {
    checker.test_arguments(test).end();
    if test.tests != Tests::None {
        checker.problem(test.line, format!("{} takes no test", test.name));
    }
    checker.emit(Op::Answer(answer));
    None
}
