//! The extensions of Sieve that this crate has, under the names by which scripts require them.

use std::fmt;

/// One extension, each with its `require` name and its source.
macro_rules! extensions {
    ($( $(#[doc = $doc:literal])+ $name:ident = $word:literal; )*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Extension { $( $(#[doc = $doc])+ $name, )* }

        impl Extension {
            /// All, in the order in which they are announced.
            pub const ALL: &'static [Extension] = &[ $( Extension::$name, )* ];

            /// The name in `require`.
            pub fn name(self) -> &'static str {
                match self { $( Extension::$name => $word, )* }
            }
        }
    };
}

extensions! {
    /// RFC 5228 section 2.4.2.4
    EncodedCharacter = "encoded-character";
    /// RFC 4790 section 9.3, always there.
    Octet = "comparator-i;octet";
    /// RFC 4790 section 9.2, always there.
    AsciiCasemap = "comparator-i;ascii-casemap";
    /// RFC 4790 section 9.1
    AsciiNumeric = "comparator-i;ascii-numeric";
    /// RFC 5051
    UnicodeCasemap = "comparator-i;unicode-casemap";
    /// RFC 5228 section 4.1
    Fileinto = "fileinto";
    /// RFC 5429
    Reject = "reject";
    /// RFC 5429
    Ereject = "ereject";
    /// RFC 5230
    Vacation = "vacation";
    /// RFC 6131; implies vacation.
    VacationSeconds = "vacation-seconds";
    /// RFC 5435
    Enotify = "enotify";
    /// RFC 6609
    Include = "include";
    /// RFC 5293
    Editheader = "editheader";
    /// Cyrus's own: where the implicit keep puts a message.
    ImplicitKeepTarget = "vnd.cyrus.implicit_keep_target";
    /// Cyrus's own: a line in the log.
    Log = "vnd.cyrus.log";
    /// RFC 5228 section 5.4
    Envelope = "envelope";
    /// RFC 5183
    Environment = "environment";
    /// RFC 5173
    Body = "body";
    /// RFC 5232
    Imap4flags = "imap4flags";
    /// RFC 5260
    Date = "date";
    /// RFC 5463
    Ihave = "ihave";
    /// RFC 5490
    Mailbox = "mailbox";
    /// RFC 5490
    MboxMetadata = "mboxmetadata";
    /// RFC 5490
    ServerMetadata = "servermetadata";
    /// RFC 7352
    Duplicate = "duplicate";
    /// RFC 5231
    Relational = "relational";
    /// draft-murchison-sieve-regex
    Regex = "regex";
    /// RFC 5233
    Subaddress = "subaddress";
    /// RFC 3894
    Copy = "copy";
    /// RFC 5260
    Index = "index";
    /// RFC 5229
    Variables = "variables";
    /// RFC 6009
    RedirectDeliverby = "redirect-deliverby";
    /// RFC 6009
    RedirectDsn = "redirect-dsn";
    /// RFC 8579
    SpecialUse = "special-use";
    /// RFC 8580
    Fcc = "fcc";
    /// RFC 9042
    Mailboxid = "mailboxid";
    /// RFC 5703
    Mime = "mime";
    /// RFC 5703
    Foreverypart = "foreverypart";
    /// RFC 5703
    Extracttext = "extracttext";
}

impl Extension {
    /// By its name in `require`, which has one spelling (RFC 5228 section 6).
    pub fn named(name: &str) -> Option<Extension> {
        Self::ALL.iter().copied().find(|extension| extension.name() == name)
    }

    /// What is in every script without `require`: announced to nobody, and may be required.
    fn is_base(self) -> bool {
        matches!(self, Extension::Octet | Extension::AsciiCasemap)
    }
}

/// A set of extensions. What a site accepts, or what a script has required.
///
/// Its [`Display`](fmt::Display) is the SIEVE capability of ManageSieve (RFC 5804 section 1.7).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions(u64);

impl Extensions {
    pub fn none() -> Extensions {
        Extensions(0)
    }

    /// All that this crate has.
    pub fn all() -> Extensions {
        Extension::ALL.iter().copied().collect()
    }

    /// The words of `sieve_extensions`, and those that this crate does not have. `vacation-seconds` brings `vacation`, `reject`
    /// and `ereject` each other, and `notify` is an old word for `enotify`.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> (Extensions, Vec<&'w str>) {
        let (mut set, mut unknown) = (Extensions::none(), Vec::new());
        for word in words {
            match word {
                "notify" => set.insert(Extension::Enotify),
                _ => match Extension::named(word) {
                    Some(extension) => set.insert(extension),
                    None => unknown.push(word),
                },
            }
        }
        for (one, other) in [
            (Extension::VacationSeconds, Extension::Vacation),
            (Extension::Reject, Extension::Ereject),
            (Extension::Ereject, Extension::Reject),
        ] {
            if set.contains(one) {
                set.insert(other);
            }
        }
        (set, unknown)
    }

    pub fn insert(&mut self, extension: Extension) {
        self.0 |= 1 << extension as u32;
    }

    pub fn remove(&mut self, extension: Extension) {
        self.0 &= !(1 << extension as u32);
    }

    pub fn contains(self, extension: Extension) -> bool {
        self.0 & (1 << extension as u32) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Extension> {
        Extension::ALL.iter().copied().filter(move |&extension| self.contains(extension))
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Extensions {
        let mut set = Extensions::none();
        extensions.into_iter().for_each(|extension| set.insert(extension));
        set
    }
}

impl fmt::Display for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let announced = self.iter().filter(|extension| !extension.is_base());
        for (at, extension) in announced.enumerate() {
            let blank = if at == 0 { "" } else { " " };
            write!(f, "{blank}{}", extension.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_what_the_option_names() {
        let (set, unknown) = Extensions::parse(["vacation-seconds", "notify", "ereject", "x", "fileinto"]);
        assert_eq!(set.to_string(), "fileinto reject ereject vacation vacation-seconds enotify");
        assert_eq!(unknown, ["x"]);
    }

    #[test]
    fn every_extension_has_a_place_in_the_set() {
        assert!(Extension::ALL.len() <= 64, "a set is 64 bits");
        assert!(Extension::ALL.iter().all(|&one| Extensions::all().contains(one)));
    }
}
