//! The arguments of one command or test, as its own check takes them: first the tags it knows, then what stands behind them.

use super::Checker;
use crate::extension::Extension;
use crate::program::text::Text;
use crate::tree::{Argument, Value};

/// What of the arguments is not taken yet.
#[derive(Debug)]
pub struct Arguments<'c, 'r> {
    pub checker: &'c mut Checker<'r>,
    /// The name of the command or test.
    pub name: &'static str,
    pub line: u32,
    left: Vec<Option<&'c Argument>>,
    /// Behind the last tag, with its value, that was taken.
    tagged: usize,
    /// A mistake was found.
    failed: bool,
}

impl<'c, 'r> Arguments<'c, 'r> {
    pub(super) fn new(
        checker: &'c mut Checker<'r>,
        name: &'static str,
        line: u32,
        arguments: &'c [Argument],
    ) -> Arguments<'c, 'r> {
        Arguments {
            checker,
            name,
            line,
            left: arguments.iter().map(Some).collect(),
            tagged: 0,
            failed: false,
        }
    }

    /// A tag without a value, as `:copy`. It needs the extension to be required, if one is named.
    pub fn flag(&mut self, tag: &str, needs: Option<Extension>) -> bool {
        self.take_tag(tag, needs).is_some()
    }

    /// The one of several tags that exclude each other, as `(":over", None, …)`.
    pub fn one_of<T: Copy>(&mut self, tags: &[(&str, Option<Extension>, T)]) -> Option<T> {
        let mut found: Option<(&str, T)> = None;
        for &(tag, needs, value) in tags {
            if self.take_tag(tag, needs).is_some() {
                if let Some((other, _)) = found {
                    self.fail(self.line, format!("{other} and {tag} exclude each other"));
                }
                found = Some((tag, value));
            }
        }
        found.map(|(_, value)| value)
    }

    /// A tag and the string behind it, as `:from "x"`.
    pub fn tagged_string(&mut self, tag: &str, needs: Option<Extension>) -> Option<Text> {
        let at = self.take_tag(tag, needs)?;
        self.string_at(at + 1, tag)
    }

    /// The same where the string must be the same in each run.
    pub fn tagged_constant(&mut self, tag: &str, needs: Option<Extension>) -> Option<String> {
        let at = self.take_tag(tag, needs)?;
        let text = self.string_at(at + 1, tag)?;
        self.constant_of(text, tag)
    }

    pub fn tagged_strings(&mut self, tag: &str, needs: Option<Extension>) -> Option<Vec<Text>> {
        let at = self.take_tag(tag, needs)?;
        self.strings_at(at + 1, tag)
    }

    pub fn tagged_number(&mut self, tag: &str, needs: Option<Extension>) -> Option<u64> {
        let at = self.take_tag(tag, needs)?;
        self.number_at(at + 1, tag)
    }

    /// Whether the next positional argument is the last one: for arguments that may be left out in front.
    pub fn positionals(&self) -> usize {
        self.left.iter().flatten().count()
    }

    /// The next positional argument, a string. `what` it is, for the message.
    pub fn string(&mut self, what: &str) -> Option<Text> {
        let at = self.next(what)?;
        self.string_at(at, what)
    }

    /// The same where the string must be the same in each run.
    pub fn constant(&mut self, what: &str) -> Option<String> {
        let text = self.string(what)?;
        self.constant_of(text, what)
    }

    /// A string, or a list of them.
    pub fn strings(&mut self, what: &str) -> Option<Vec<Text>> {
        let at = self.next(what)?;
        self.strings_at(at, what)
    }

    pub fn constants(&mut self, what: &str) -> Option<Vec<String>> {
        let texts = self.strings(what)?;
        texts.into_iter().map(|text| self.constant_of(text, what)).collect()
    }

    pub fn number(&mut self, what: &str) -> Option<u64> {
        let at = self.next(what)?;
        self.number_at(at, what)
    }

    /// Reports a mistake.
    pub fn fail(&mut self, line: u32, text: impl Into<String>) {
        self.failed = true;
        self.checker.problem(line, text);
    }

    /// Reports what is left over. Whether all was right.
    pub fn end(mut self) -> bool {
        let left = self.left.iter().flatten().copied().next();
        if let (Some(argument), false) = (left, self.failed) {
            let text = match &argument.value {
                Value::Tag(tag) => format!("{} does not take :{tag} here", self.name),
                _ => format!("{} has an argument too many", self.name),
            };
            self.fail(argument.line, text);
        }
        !self.failed
    }

    /// Takes a tag. Where it stands.
    fn take_tag(&mut self, tag: &str, needs: Option<Extension>) -> Option<usize> {
        let wanted = tag.trim_start_matches(':');
        let is = |argument: &Option<&Argument>| {
            argument.is_some_and(
                |argument| matches!(&argument.value, Value::Tag(name) if name.eq_ignore_ascii_case(wanted)),
            )
        };
        let at = self.left.iter().position(is)?;
        let line = self.left.get_mut(at)?.take()?.line;
        if let Some(extension) = needs
            && !self.checker.has(extension)
        {
            self.fail(line, format!(":{wanted} needs require \"{}\"", extension.name()));
        }
        if self.left.iter().any(is) {
            self.fail(line, format!(":{wanted} is there twice"));
        }
        self.tagged = self.tagged.max(at + 1);
        Some(at)
    }

    /// Where the next positional argument stands. One mistake of a command is reported, not what follows from it.
    fn next(&mut self, what: &str) -> Option<usize> {
        let at = self.left.iter().position(Option::is_some);
        let found = at.and_then(|at| self.left.get(at).copied().flatten().map(|argument| (at, argument)));
        let (line, text) = match found {
            Some((_, Argument { value: Value::Tag(tag), line })) => {
                (*line, format!("{} does not take :{tag} here", self.name))
            }
            Some((at, argument)) if at < self.tagged => {
                (argument.line, format!("{}: tags stand before the other arguments", self.name))
            }
            Some((at, _)) => return Some(at),
            None => (self.line, format!("{}: {what} missing", self.name)),
        };
        if !self.failed {
            self.fail(line, text);
        }
        None
    }

    fn take(&mut self, at: usize, what: &str) -> Option<&'c Argument> {
        let taken = self.left.get_mut(at).and_then(Option::take);
        if taken.is_none() {
            self.fail(self.line, format!("{}: the value of {what} is missing", self.name));
        }
        self.tagged = self.tagged.max(if what.starts_with(':') { at + 1 } else { 0 });
        taken
    }

    fn string_at(&mut self, at: usize, what: &str) -> Option<Text> {
        let argument = self.take(at, what)?;
        match &argument.value {
            Value::String(text) => self.text(argument.line, text),
            _ => self.wrong(argument, what, "a string"),
        }
    }

    fn strings_at(&mut self, at: usize, what: &str) -> Option<Vec<Text>> {
        let argument = self.take(at, what)?;
        match &argument.value {
            Value::String(text) => self.text(argument.line, text).map(|text| vec![text]),
            Value::List(texts) => {
                let read: Vec<_> = texts.iter().map(|(line, text)| self.text(*line, text)).collect();
                read.into_iter().collect()
            }
            _ => self.wrong(argument, what, "a string or a list of strings"),
        }
    }

    fn number_at(&mut self, at: usize, what: &str) -> Option<u64> {
        let argument = self.take(at, what)?;
        match argument.value {
            Value::Number(number) => Some(number),
            _ => self.wrong(argument, what, "a number"),
        }
    }

    fn wrong<T>(&mut self, argument: &Argument, what: &str, wanted: &str) -> Option<T> {
        self.fail(argument.line, format!("{}: {what} must be {wanted}", self.name));
        None
    }

    fn text(&mut self, line: u32, raw: &str) -> Option<Text> {
        let text = self.checker.text(line, raw);
        self.failed |= text.is_none();
        text
    }

    fn constant_of(&mut self, text: Text, what: &str) -> Option<String> {
        match text {
            Text::Fixed(text) => Some(text.into()),
            Text::Parts(_) => {
                self.fail(self.line, format!("{}: {what} must not have variables in it", self.name));
                None
            }
        }
    }
}
