//! Which fields of a header a test looks at: `:index` and `:last` (RFC 5260 section 6), `:mime` and `:anychild` (RFC 5703 section 4).

use crate::check::Arguments;
use crate::extension::Extension;
use crate::message::{Field, PartView};
use crate::program::context::Context;

/// The tags by which a test chooses among the fields of a name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Select {
    index: Option<Index>,
    mime: bool,
    any_child: bool,
}

/// One of the fields of a name, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    number: u64,
    /// From the end.
    last: bool,
}

impl Select {
    pub fn take(arguments: &mut Arguments<'_, '_>) -> Select {
        let index = Index::take(arguments);
        let (mime, any_child) = mime_tags(arguments);
        Select { index, mime, any_child }
    }

    /// For tests that have no `:mime`.
    pub fn take_index(arguments: &mut Arguments<'_, '_>) -> Select {
        Select { index: Index::take(arguments), ..Select::default() }
    }

    /// For tests that have no `:index`.
    pub fn take_mime(arguments: &mut Arguments<'_, '_>) -> Select {
        let (mime, any_child) = mime_tags(arguments);
        Select { index: None, mime, any_child }
    }

    /// Whether `:mime` is there.
    pub fn is_mime(&self) -> bool {
        self.mime
    }

    /// The fields of this name, in their order; `:index` counts those of each name, and of each part, by themselves.
    pub fn fields<'c>(
        &self,
        context: &'c Context<'_>,
        name: &str,
    ) -> impl Iterator<Item = &'c Field> + use<'c> {
        let mut found = Vec::new();
        // Where the work becomes too much, nothing more is looked at: the next step ends the run.
        let may = |fields: &[Field]| context.charge(1 + fields.len() as u64 / FIELDS_A_STEP).is_ok();
        if !self.mime {
            if may(context.fields()) {
                self.pick(context.fields(), name, &mut found);
            }
        } else {
            for (at, part) in self.parts(context) {
                // The message's own header may have been edited.
                let fields = if at == 0 { context.fields() } else { part.fields(context.message.raw()) };
                if !may(fields) {
                    break;
                }
                self.pick(fields, name, &mut found);
            }
        }
        found.into_iter()
    }

    /// The parts that `:mime` means: the one that `foreverypart` is at, or the message; with `:anychild` those in it too. Each with its
    /// number.
    pub fn parts<'c>(
        &self,
        context: &'c Context<'_>,
    ) -> impl Iterator<Item = (usize, &'c PartView)> + use<'c> {
        let parts = context.message.parts();
        let at = context.state.part();
        let any_child = self.any_child;
        let depth = parts.get(at).map_or(0, |part| part.depth);
        let mut numbered = parts.iter().enumerate().skip(at);
        let first = numbered.next();
        let below = numbered.take_while(move |(_, part)| any_child && part.depth > depth);
        first.into_iter().chain(below)
    }

    fn pick<'f>(&self, fields: &'f [Field], name: &str, found: &mut Vec<&'f Field>) {
        let mut named = fields.iter().filter(|field| field.is(name));
        match self.index {
            None => found.extend(named),
            Some(index) if index.last => found.extend(named.rev().nth(index.place())),
            Some(index) => found.extend(named.nth(index.place())),
        }
    }
}

impl Index {
    /// `:index 2 :last`.
    pub fn take(arguments: &mut Arguments<'_, '_>) -> Option<Index> {
        Index::needing(Some(Extension::Index), arguments)
    }

    /// The same as `deleteheader` has it, without the extension.
    pub fn needing(needs: Option<Extension>, arguments: &mut Arguments<'_, '_>) -> Option<Index> {
        let number = arguments.tagged_number(":index", needs);
        let last = arguments.flag(":last", needs);
        match number {
            None if last => arguments.fail(arguments.line, ":last needs :index"),
            Some(0) if needs.is_some() => arguments.fail(arguments.line, ":index counts from 1"),
            Some(0) => {
                let (line, command) = (arguments.line, arguments.name);
                arguments.checker.warning(line, format!("{command}: :index counts from 1: 0 means none"));
            }
            Some(_) | None => {}
        }
        number.map(|number| Index { number, last })
    }

    /// Whether it means the one at this place, counted from 0, of so many.
    pub fn is(self, at: usize, of: usize) -> bool {
        let at = if self.last { of.checked_sub(at + 1) } else { Some(at) };
        self.number > 0 && at == Some(self.place())
    }

    fn place(self) -> usize {
        usize::try_from(self.number.saturating_sub(1)).unwrap_or(usize::MAX)
    }
}

/// To compare a name with those of so many fields is as much work as one command.
const FIELDS_A_STEP: u64 = 16;

fn mime_tags(arguments: &mut Arguments<'_, '_>) -> (bool, bool) {
    let mime = arguments.flag(":mime", Some(Extension::Mime));
    let any_child = arguments.flag(":anychild", Some(Extension::Mime));
    if any_child && !mime {
        arguments.fail(arguments.line, ":anychild needs :mime");
    }
    (mime, any_child)
}
