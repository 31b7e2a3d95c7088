//! The enumerations of imapd.conf: a Rust type each, with the words that the file uses.

macro_rules! choices {
    ($($(#[doc = $doc:literal])* $name:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            /// The words of the file, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The variant that a word of [`Self::WORDS`] names.
            pub fn from_word(word: &str) -> Option<$name> {
                match word {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
    )+};
}

choices! {
    /// How much a greeting tells of name and version.
    ServerInfo { Off = "off", Min = "min", On = "on" }
    /// The shape of the murder.
    MupdateConfig { Standard = "standard", Unified = "unified", Replicated = "replicated" }
    /// How one of several servers or partitions is chosen.
    SelectMode {
        Random = "random",
        FreespaceMost = "freespace-most",
        FreespacePercentMost = "freespace-percent-most",
        FreespacePercentWeighted = "freespace-percent-weighted",
        FreespacePercentWeightedDelta = "freespace-percent-weighted-delta",
    }
    /// How user names get a domain.
    VirtDomains { Off = "off", Userid = "userid", On = "on" }
    /// Whether a deleted mailbox goes at once, or lies in the deleted tree for a while.
    DeleteMode { Immediate = "immediate", Delayed = "delayed" }
    /// When an expunged message leaves the disk.
    ExpungeMode { Immediate = "immediate", Semidelayed = "semidelayed", Delayed = "delayed", Default = "default" }
    /// Where group membership comes from.
    AuthMech { Unix = "unix", Pts = "pts", Krb = "krb", Krb5 = "krb5", Mboxgroups = "mboxgroups" }
    /// Whether a client must show a certificate.
    ClientCerts { Off = "off", Optional = "optional", Require = "require" }
    /// Where log lines go.
    LogTarget { Auto = "auto", Stderr = "stderr", Syslog = "syslog", Journald = "journald" }
}
