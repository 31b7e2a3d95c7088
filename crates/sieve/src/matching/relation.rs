//! The relations of `:count` and `:value`: RFC 5231.

use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
}

impl Relation {
    /// `gt`, `ge`, `lt`, `le`, `eq` and `ne`, in any case.
    pub fn parse(name: &str) -> Option<Relation> {
        Relation::ALL.into_iter().find(|relation| relation.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Relation::Gt => "gt",
            Relation::Ge => "ge",
            Relation::Lt => "lt",
            Relation::Le => "le",
            Relation::Eq => "eq",
            Relation::Ne => "ne",
        }
    }

    /// Whether it holds, the value being on the left and the key on the right.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Relation::Gt => order.is_gt(),
            Relation::Ge => order.is_ge(),
            Relation::Lt => order.is_lt(),
            Relation::Le => order.is_le(),
            Relation::Eq => order.is_eq(),
            Relation::Ne => order.is_ne(),
        }
    }

    const ALL: [Relation; 6] =
        [Relation::Gt, Relation::Ge, Relation::Lt, Relation::Le, Relation::Eq, Relation::Ne];
}
