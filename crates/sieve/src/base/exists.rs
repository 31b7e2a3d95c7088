//! `exists` (RFC 5228 section 5.5): whether all of these fields are there.
//!
//! ```text
//! exists <header-names: string-list>
//! ```

use super::names;
use crate::check::Arguments;
use crate::matching::Select;
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug)]
struct Exists {
    select: Select,
    names: Vec<Text>,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let select = Select::take_mime(arguments);
    let names = names::fields(arguments)?;
    Some(Box::new(Exists { select, names }))
}

impl Test for Exists {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        for name in &self.names {
            let name = name.value(context)?;
            if self.select.fields(context, &name).next().is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
