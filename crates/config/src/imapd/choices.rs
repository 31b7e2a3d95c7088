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
    /// Which index of the text of messages SEARCH has.
    SearchEngine { None = "none", Squat = "squat", Xapian = "xapian" }
    /// How packets are marked.
    QosMarking {
        Cs0 = "cs0",
        Cs1 = "cs1",
        Cs2 = "cs2",
        Cs3 = "cs3",
        Cs4 = "cs4",
        Cs5 = "cs5",
        Cs6 = "cs6",
        Cs7 = "cs7",
        Af11 = "af11",
        Af12 = "af12",
        Af13 = "af13",
        Af21 = "af21",
        Af22 = "af22",
        Af23 = "af23",
        Af31 = "af31",
        Af32 = "af32",
        Af33 = "af33",
        Af41 = "af41",
        Af42 = "af42",
        Af43 = "af43",
        Ef = "ef",
    }
    /// Where group membership comes from.
    AuthMech { Unix = "unix", Pts = "pts", Krb = "krb", Krb5 = "krb5", Mboxgroups = "mboxgroups" }
    /// Whether a client must show a certificate.
    ClientCerts { Off = "off", Optional = "optional", Require = "require" }
    /// Where log lines go.
    LogTarget { Auto = "auto", Stderr = "stderr", Syslog = "syslog", Journald = "journald" }
}

impl QosMarking {
    /// The byte of the IP header: six bits of class (RFC 2474, 2597, 3246) and two of congestion.
    pub fn octet(self) -> u8 {
        let word = self.word();
        let digit = |place: usize| word.as_bytes().get(place).map_or(0, |byte| byte.wrapping_sub(b'0'));
        let class = match word.get(..2) {
            Some("cs") => digit(2) << 3,
            Some("af") => digit(2) << 3 | digit(3) << 1,
            _ => 0b101110,
        };
        class << 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_service_have_the_numbers_of_their_rfcs() {
        let octet = |word: &str| QosMarking::from_word(word).unwrap().octet();
        assert_eq!(["cs0", "cs1", "af11", "af43", "ef"].map(octet), [0, 0x20, 0x28, 0x98, 0xb8]);
    }
}
