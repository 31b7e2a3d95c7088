//! The options that must say the same on all nodes of a murder, and how one node tells another what it says.

use std::collections::BTreeMap;

use super::Imapd;
use super::kind::Value;
use super::registry;

/// What names mean, and what users may do with them. A node that differs shows other names than its peers have.
pub const SHARED: &[&str] = &[
    "unixhierarchysep",
    "altnamespace",
    "userprefix",
    "sharedprefix",
    "altprefix",
    "virtdomains",
    "defaultdomain",
    "crossdomains",
    "crossdomains_onlyother",
    "username_tolower",
    "deletedprefix",
    "allowusermoves",
];

impl Imapd {
    /// The options of [`SHARED`] with their values in one spelling.
    pub fn shared_options(&self) -> BTreeMap<&'static str, String> {
        let value = |name: &&'static str| {
            let option = registry::find(name)?;
            let text = self.written(name).map_or(option.default, |written| written.value.as_str());
            let text = match option.kind.read(text).ok()?.0 {
                Value::Switch(on) => if on { "yes" } else { "no" }.to_owned(),
                Value::Text(text) => text,
                _ => text.to_owned(),
            };
            Some((*name, text))
        };
        SHARED.iter().filter_map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn values_are_told_in_one_spelling_and_defaults_too() {
        let text = "configdirectory: /v\naltnamespace: off\nvirtdomains: 1\n";
        let options = Imapd::parse(Path::new("imapd.conf"), text, "x").unwrap().shared_options();
        let told = |name: &str| options.get(name).map(String::as_str);
        assert_eq!((told("altnamespace"), told("unixhierarchysep")), (Some("no"), Some("yes")));
        assert_eq!((told("virtdomains"), told("defaultdomain")), (Some("on"), Some("internal")));
        assert_eq!(options.len(), SHARED.len());
    }
}
