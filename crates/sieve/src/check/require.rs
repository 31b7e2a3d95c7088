//! `require` (RFC 5228 section 3.2).

use super::{Arguments, Checker};
use crate::extension::{Extension, Extensions};
use crate::tree::{Command, Tests};

impl Checker<'_> {
    /// Takes the `require`s at the beginning. What follows them.
    pub(super) fn requires<'c>(&mut self, commands: &'c [Command]) -> &'c [Command] {
        let is_require = |command: &&Command| command.name.eq_ignore_ascii_case("require");
        let (requires, rest) = commands.split_at(commands.iter().take_while(is_require).count());
        for command in requires {
            if command.tests != Tests::None || command.block.is_some() {
                self.problem(command.line, "require takes names of extensions alone");
            }
            let mut arguments = Arguments::new(self, "require", command.line, &command.arguments);
            let names = arguments.constants("names of extensions");
            arguments.end();
            let unknown: Vec<String> =
                names.into_iter().flatten().filter(|name| !self.require(name)).collect();
            if !unknown.is_empty() {
                self.problem(command.line, format!("unknown extension {}", unknown.join(", ")));
            }
        }
        rest
    }

    /// Makes an extension usable from here on. Whether there is such a one.
    pub fn require(&mut self, name: &str) -> bool {
        let found = Extension::named(name).filter(|&extension| self.accepts(extension));
        if let Some(extension) = found {
            self.required.insert(extension);
            if extension == Extension::VacationSeconds {
                self.required.insert(Extension::Vacation);
                self.used.insert(Extension::Vacation);
            }
        }
        found.is_some()
    }

    /// Whether there is an extension of this name, and the site takes scripts with it.
    pub fn knows(&self, name: &str) -> bool {
        Extension::named(name).is_some_and(|extension| self.accepts(extension))
    }

    /// Whether the site takes scripts with it.
    pub fn accepts(&self, extension: Extension) -> bool {
        self.accepted.contains(extension) || matches!(extension, Extension::Octet | Extension::AsciiCasemap)
    }

    pub(super) fn report_unused(&mut self) {
        // A comparator and what changes all strings is used without a word of its own.
        let quiet: Extensions =
            [Extension::Octet, Extension::AsciiCasemap, Extension::EncodedCharacter, Extension::Variables]
                .into_iter()
                .collect();
        let unused: Vec<&str> = self
            .required
            .iter()
            .filter(|&extension| !self.used.contains(extension) && !quiet.contains(extension))
            .map(Extension::name)
            .collect();
        if !unused.is_empty() {
            self.warning(1, format!("required and not used: {}", unused.join(", ")));
        }
    }
}
