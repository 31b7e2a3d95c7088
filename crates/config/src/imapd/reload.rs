//! What SIGHUP cannot change: the options that a program reads once, when it starts. All others are taken over live.

use std::sync::Arc;

use super::Imapd;
use super::registry;
use crate::Problem;

/// Who is who, where files are, and what names look like: a change needs a restart of the node.
pub const AT_START: &[&str] = &[
    "configdirectory",
    "servername",
    "cyrus_user",
    "cyrus_group",
    "umask",
    "unixhierarchysep",
    "altnamespace",
    "userprefix",
    "sharedprefix",
    "altprefix",
    "virtdomains",
    "defaultdomain",
    "crossdomains",
    "crossdomains_onlyother",
    "deletedprefix",
    "expunge_mode",
    "defaultpartition",
    "partition_select_mode",
    "partition_select_exclude",
    "partition_select_usage_reinit",
    "partition_select_soft_usage_limit",
    "proc_path",
    "syslog_prefix",
    "syslog_facility",
    "log_target",
    "master_pid_file",
    "master_ready_file",
];

impl Imapd {
    /// What `newer`, the same file read again, changes without effect until the node is restarted.
    pub fn needs_restart(&self, newer: &Imapd) -> Vec<Problem> {
        let told = |option: &str| {
            let (before, after) = (self.text_of(option), newer.text_of(option));
            (before != after).then(|| {
                let message =
                    format!("'{after}' takes effect when the node is restarted; until then {before}");
                match newer.written(option) {
                    Some(at) => Problem::new(&at.file, at.line, option, message),
                    None => Problem::new(&Arc::from(newer.path()), 0, option, message),
                }
            })
        };
        let mut found: Vec<Problem> = AT_START.iter().filter_map(|option| told(option)).collect();
        if self.partitions() != newer.partitions() {
            let message = "the partitions changed: that takes effect when the node is restarted";
            found.push(Problem::new(&Arc::from(newer.path()), 0, "", message));
        }
        found
    }

    fn text_of(&self, option: &str) -> &str {
        let default = || registry::find(option).map_or("", |option| option.default);
        match self.written(option).map_or_else(default, |written| &written.value) {
            "" => "its default",
            text => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_option_read_at_start_is_an_option() {
        for name in AT_START {
            assert!(registry::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn only_what_cannot_change_live_is_told() {
        let parse = |text: &str| {
            let text = format!("configdirectory: /v\n{text}");
            Imapd::parse(Path::new("imapd.conf"), &text, "master").unwrap()
        };
        let before = parse("admins: a\npartition-default: /s\n");
        let after = parse("admins: b\naltnamespace: no\npartition-default: /t\n");
        let said: Vec<String> = before.needs_restart(&after).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "imapd.conf:3: altnamespace: 'no' takes effect when the node is restarted; until then yes",
                "imapd.conf: the partitions changed: that takes effect when the node is restarted",
            ]
        );
        assert!(before.needs_restart(&before).is_empty());
    }
}
