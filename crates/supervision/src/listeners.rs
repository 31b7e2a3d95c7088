//! `MURDER_LISTENERS`: which listener each of the inherited sockets is.
//!
//! A JSON array with one object for each socket, in their order:
//!
//! ```text
//! [{"name":"imaps","program":"imapd","args":["-s"],"maxchild":200,"address":"127.0.0.1:993"}]
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The environment variable.
pub const VARIABLE: &str = "MURDER_LISTENERS";

/// All listeners of a process, in the order of their sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Listeners(pub Vec<Entry>);

/// What is known of one listener beside its socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    /// The entry's name in cyrus.conf, which is also the identity under which imapd.conf is read.
    pub name: String,
    /// The last path component of its `cmd=`; empty when not known.
    #[serde(default)]
    pub program: String,
    /// The words after it.
    #[serde(default)]
    pub args: Vec<String>,
    /// Clients served at a time; -1: no limit.
    #[serde(default = "unlimited")]
    pub maxchild: i64,
    /// As cyrus.conf has it, for logs.
    #[serde(default)]
    pub address: String,
}

impl Default for Entry {
    fn default() -> Entry {
        Entry {
            name: String::new(),
            program: String::new(),
            args: Vec::new(),
            maxchild: unlimited(),
            address: String::new(),
        }
    }
}

fn unlimited() -> i64 {
    -1
}

impl FromStr for Listeners {
    type Err = serde_json::Error;

    /// An error says where in the text it is.
    fn from_str(text: &str) -> Result<Listeners, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl fmt::Display for Listeners {
    /// One line of JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_are_read_as_master_writes_them() {
        let json =
            r#"[{"name":"imaps","program":"imapd","args":["-s"],"maxchild":200,"address":"127.0.0.1:993"}]"#;
        let listeners: Listeners = json.parse().unwrap();
        assert_eq!(listeners.0[0].args, ["-s"]);
        assert_eq!(listeners.0[0].maxchild, 200);
        assert_eq!(listeners.to_string(), json);
    }

    #[test]
    fn a_name_is_enough_and_what_is_no_list_of_names_is_refused() {
        let listeners: Listeners = r#"[{"name":"imap"}]"#.parse().unwrap();
        assert_eq!(listeners.0, [Entry { name: "imap".into(), ..Entry::default() }]);
        for bad in ["", "{}", "[1]", r#"[{"args":[]}]"#, r#"[{"name":"imap"}"#] {
            assert!(bad.parse::<Listeners>().is_err(), "{bad}");
        }
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let words = prop::collection::vec(any::<String>(), 0..4);
        (any::<String>(), any::<String>(), words, any::<i64>(), any::<String>()).prop_map(
            |(name, program, args, maxchild, address)| Entry { name, program, args, maxchild, address },
        )
    }

    proptest! {
        #[test]
        fn what_master_writes_a_daemon_reads(entries in prop::collection::vec(entry(), 0..5)) {
            let listeners = Listeners(entries);
            let written = listeners.to_string();
            prop_assert!(!written.contains('\n'));
            prop_assert_eq!(written.parse::<Listeners>().unwrap(), listeners);
        }
    }
}
