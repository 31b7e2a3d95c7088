//! Who gets an INBOX at a login or a delivery: the same rule for the backend that makes it and the frontend that sends a user there.

use config::imapd::{GroupSource, Imapd};
use protocol::userid::ANONYMOUS;

/// Whether a user's INBOX is made where it is missing: `autocreate_quota`, `autocreate_users`, and at a delivery
/// `autocreate_post`. `groups`: the user's, without the `group:` before them.
pub fn has_inbox_made(imapd: &Imapd, userid: &str, groups: &[String], at_delivery: bool) -> bool {
    // Where a service maps login names, the name that came may not be the one that the mailbox is to have.
    let mapped = imapd.groups() == GroupSource::Unknown;
    let wanted = !mapped && imapd.autocreate_quota.is_some() && (!at_delivery || imapd.autocreate_post);
    let chosen = |who: &String| {
        who == "anyone"
            || who == userid
            || who.strip_prefix("group:").is_some_and(|group| groups.iter().any(|g| g == group))
    };
    wanted && userid != ANONYMOUS && imapd.autocreate_users.iter().any(chosen)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_inbox_is_made_for_whom_the_options_name_and_for_nobody_in_particular_never() {
        let makes = |options: &str, userid: &str, groups: &[&str], at_delivery: bool| {
            let text = format!("configdirectory: /nowhere\n{options}");
            let imapd = Imapd::parse(Path::new("/nowhere/imapd.conf"), &text, "imap").unwrap();
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            has_inbox_made(&imapd, userid, &groups, at_delivery)
        };
        for (options, userid, groups, login, delivery) in [
            ("", "fred", &[][..], false, false),
            ("autocreate_post: yes\n", "fred", &[], false, false),
            ("autocreate_quota: 0\n", "fred", &[], true, false),
            ("autocreate_quota: 0\nautocreate_post: yes\n", "fred", &[], true, true),
            ("autocreate_quota: 0\nautocreate_post: yes\n", "anonymous", &[], false, false),
            ("autocreate_quota: 0\nautocreate_users: jane group:staff\n", "fred", &[], false, false),
            ("autocreate_quota: 0\nautocreate_users: jane group:staff\n", "jane", &[], true, false),
            ("autocreate_quota: 0\nautocreate_users: jane group:staff\n", "fred", &["staff"], true, false),
            ("autocreate_quota: 0\nautocreate_post: yes\nauth_mech: pts\n", "fred", &[], false, false),
        ] {
            assert_eq!(makes(options, userid, groups, false), login, "{options:?} {userid} at login");
            assert_eq!(makes(options, userid, groups, true), delivery, "{options:?} {userid} at delivery");
        }
    }
}
