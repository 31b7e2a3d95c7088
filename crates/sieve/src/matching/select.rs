//! Which fields of a header a test looks at: `:index` and `:last` (RFC 5260 section 6), `:mime` and `:anychild` (RFC 5703).

use std::borrow::Cow;

use crate::check::Arguments;
use crate::message::Field;
use crate::program::context::Context;

/// The tags by which a test chooses among the fields of a name.
#[derive(Debug, Clone, Default)]
pub struct Select {}

impl Select {
    pub fn take(_arguments: &mut Arguments<'_, '_>) -> Select {
        Select {}
    }

    /// The fields of this name, in their order.
    pub fn fields<'c>(
        &'c self,
        context: &'c Context<'_>,
        name: Cow<'c, str>,
    ) -> impl Iterator<Item = &'c Field> {
        context.fields().iter().filter(move |field| field.is(&name))
    }
}
