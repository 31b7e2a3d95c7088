//! Old names of options, and guesses at misspelt ones.

use super::registry::OPTIONS;

/// Names of Cyrus 2.5 and later that have changed since: old, current.
const ALIASES: &[(&str, &str)] = &[
    ("tls_cert_file", "tls_server_cert"),
    ("tls_key_file", "tls_server_key"),
    ("tls_ca_file", "tls_client_ca_file"),
    ("tls_ca_path", "tls_client_ca_dir"),
    ("tls_cipher_list", "tls_ciphers"),
    ("autocreatequota", "autocreate_quota"),
    ("createonpost", "autocreate_post"),
    ("autocreateinboxfolders", "autocreate_inbox_folders"),
    ("autosubscribeinboxfolders", "autocreate_subscribe_folders"),
    ("autosubscribesharedfolders", "autocreate_subscribe_sharedfolders"),
    ("autosubscribe_all_sharedfolders", "autocreate_subscribe_sharedfolders_all"),
    ("autosievefolders", "autocreate_sieve_folders"),
    ("archive_days", "archive_after"),
    ("quotawarn", "quotawarnpercent"),
    ("quotawarnkb", "quotawarnsize"),
];

/// Names of Cyrus 2.3 for one protocol: what they begin with, and the entries whose option they mean.
const OF_SERVICES: &[(&str, &[&str])] = &[
    ("tls_imap_", &["imap", "imaps"]),
    ("tls_pop3_", &["pop3", "pop3s"]),
    ("tls_lmtp_", &["lmtp"]),
    ("tls_sieve_", &["sieve"]),
    ("tls_mupdate_", &["mupdate"]),
];

/// The keys that an old key for one protocol stands for, such as `tls_imap_cert_file`.
pub(super) fn of_services(key: &str) -> Vec<String> {
    let Some((rest, entries)) =
        OF_SERVICES.iter().find_map(|(start, entries)| Some((key.strip_prefix(start)?, entries)))
    else {
        return Vec::new();
    };
    let current = match rest {
        "cert_file" => "tls_server_cert",
        "key_file" => "tls_server_key",
        _ => return Vec::new(),
    };
    entries.iter().map(|entry| format!("{entry}_{current}")).collect()
}

/// The current name of a key that is an old option name, or an entry's override of one.
pub(super) fn current(key: &str) -> Option<String> {
    ALIASES.iter().find_map(|(old, new)| {
        let prefix = key.strip_suffix(old)?;
        (prefix.is_empty() || (prefix.len() > 1 && prefix.ends_with('_'))).then(|| format!("{prefix}{new}"))
    })
}

/// The option whose name differs least from a key that is none, if the difference is small enough for a slip.
pub(super) fn suggestion(key: &str) -> Option<&'static str> {
    if key.len() > 64 {
        return None;
    }
    let allowed = match key.len() {
        0..=3 => 0,
        4..=6 => 1,
        _ => 2,
    };
    OPTIONS
        .iter()
        .map(|option| (distance(key, option.name), option.name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Letters to insert, delete, replace or swap with their neighbour to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut best = at(&last, j) + usize::from(x != y);
            best = best.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_option_meant() {
        assert_eq!(suggestion("allowplaintxt"), Some("allowplaintext"));
        assert_eq!(suggestion("severname"), Some("servername"));
        assert_eq!(suggestion("amdins"), Some("admins"));
        assert_eq!(suggestion("tls_server_cret"), Some("tls_server_cert"));
        assert_eq!(suggestion("httpmodules"), None);
        assert_eq!(suggestion("x"), None);
    }

    #[test]
    fn old_names_are_found_also_in_overrides() {
        assert_eq!(current("tls_cert_file").as_deref(), Some("tls_server_cert"));
        assert_eq!(current("imaps_tls_cert_file").as_deref(), Some("imaps_tls_server_cert"));
        assert_eq!(current("xquotawarn"), None);
        assert_eq!(current("servername"), None);
    }
}
