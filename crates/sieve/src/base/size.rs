//! `size` (RFC 5228 section 5.9): whether the message has more, or fewer, bytes. One of just so many is neither.
//!
//! ```text
//! size <":over" / ":under"> <limit: number>
//! ```

use std::cmp::Ordering;

use crate::check::Arguments;
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;

#[derive(Debug)]
struct Size {
    wanted: Ordering,
    limit: u64,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let wanted = arguments.one_of(&[(":over", None, Ordering::Greater), (":under", None, Ordering::Less)]);
    if wanted.is_none() {
        arguments.fail(arguments.line, "size takes :over or :under");
    }
    let limit = arguments.number("the size")?;
    Some(Box::new(Size { wanted: wanted?, limit }))
}

impl Test for Size {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        Ok(context.message.size().cmp(&self.limit) == self.wanted)
    }
}
