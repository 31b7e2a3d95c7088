//! What is said of wrong lines, word for word.

use std::path::Path;

use config::cyrus::CyrusConf;
use config::imapd::Imapd;

/// The text after the first line (`configdirectory`), and all that is said of it but the file's name.
const IMAPD: &[(&str, &str)] = &[
    ("admins cyrus", "2: 'admins cyrus' is not of the form 'key: value'"),
    ("admins : cyrus", "2: admins: blank between the key and its colon"),
    ("ad.mins: cyrus", "2: ad.mins: '.' cannot stand in a key (letters, digits, - and _ can)"),
    ("ädmins: cyrus", "2: ädmins: 'ä' cannot stand in a key (letters, digits, - and _ can)"),
    (": cyrus", "2: no key before the colon"),
    ("admins:", "2: admins: no value (leave the line out for the default)"),
    ("admins:   \t", "2: admins: no value (leave the line out for the default)"),
    ("postuser: a\0b", "2: postuser: a NUL character in the value"),
    ("@include:", "2: @include: no file is named"),
    (
        "@include: /nonexistent/x",
        "2: @include: cannot read /nonexistent/x: No such file or directory (os error 2)",
    ),
    ("@included: /x", "2: @included: there is no such directive (only @include)"),
    ("@include /x", "2: '@include /x' is not of the form 'key: value'"),
    ("admins: a\nadmins: b", "3: admins: specified twice: first in line 2"),
    ("be1_password: a\nBE1_password: b", "3: be1_password: specified twice: first in line 2"),
    ("lmtp_admins: a\nx: y\nlmtp_admins: b", "4: lmtp_admins: specified twice: first in line 2"),
    (
        "tls_cert_file: a\nimaps_timeout: x",
        "3: imaps_timeout: 'x' is not a duration (such as 90s, 32m, 1d12h)",
    ),
    (
        "allowplaintext: Yes",
        "2: allowplaintext: 'Yes' is neither yes nor no (1, yes, on, true or 0, no, off, false, in lower case)",
    ),
    (
        "allowplaintext: o",
        "2: allowplaintext: 'o' is neither yes nor no (1, yes, on, true or 0, no, off, false, in lower case)",
    ),
    ("mupdate_port: 3905x", "2: mupdate_port: '3905x' is not a number"),
    ("mupdate_port: 0", "2: mupdate_port: 0 is too small: the least is 1"),
    ("mupdate_port: 70000", "2: mupdate_port: 70000 is too large: the most is 65535"),
    ("mupdate_port: 0x", "2: mupdate_port: '0x' is not a number"),
    ("umask: 088", "2: umask: '088' is not a number (a leading 0 means octal)"),
    ("umask: 99999999999", "2: umask: 99999999999 does not fit into 32 bits"),
    ("umask: 99999999999999999999", "2: umask: '99999999999999999999' is not a number"),
    ("umask: --1", "2: umask: '--1' is not a number"),
    (
        "partition_select_soft_usage_limit: 101",
        "2: partition_select_soft_usage_limit: 101 is too large: the most is 100",
    ),
    ("serverinfo: ON", "2: serverinfo: 'ON' is not one of: off, min, on"),
    ("virtdomains: user", "2: virtdomains: 'user' is not one of: off, userid, on"),
    ("delete_mode: yes", "2: delete_mode: 'yes' is not one of: immediate, delayed"),
    (
        "mboxlist_db: berkeley",
        "2: mboxlist_db: 'berkeley' is not one of: flat, skiplist, sql, twoskip, zeroskip, quotalegacy",
    ),
    (
        "tls_versions: tls1_2 tls2 ssl3",
        "2: tls_versions: 'tls2', 'ssl3' is not among: tls1_0, tls1_1, tls1_2, tls1_3",
    ),
    ("timeout: 32 m", "2: timeout: '32 m' is not a duration (such as 90s, 32m, 1d12h)"),
    ("timeout: m", "2: timeout: 'm' is not a duration (such as 90s, 32m, 1d12h)"),
    ("timeout: 5w", "2: timeout: '5w' is not a duration (such as 90s, 32m, 1d12h)"),
    ("timeout: 99999999999d", "2: timeout: '99999999999d' is too long"),
    ("timeout: -", "2: timeout: '-' is not a duration (such as 90s, 32m, 1d12h)"),
    ("client_timeout: -5", "2: client_timeout: '-5' is too short: the least is 0s"),
    ("maxmessagesize: 10X", "2: maxmessagesize: '10X' is not a size (such as 65536, 64K, 10M, 1G)"),
    ("maxmessagesize: K", "2: maxmessagesize: 'K' is not a size (such as 65536, 64K, 10M, 1G)"),
    ("maxmessagesize: -1", "2: maxmessagesize: -1 is too small: the least is 0"),
    ("maxmessagesize: 9999999999999999G", "2: maxmessagesize: '9999999999999999G' is too large"),
    ("autocreate_quota: -2", "2: autocreate_quota: -2 is too small: the least is -1"),
    ("partition-a_b: /x", "2: partition-a_b: a partition's name consists of letters and digits"),
    ("partition-: /x", "2: partition-: a partition's name consists of letters and digits"),
    ("partition-default: spool", "2: partition-default: 'spool' is not an absolute path"),
    ("partition-a: /x\npartition-b: /x", "3: partition-b: the same directory as partition-a in line 2"),
    (
        "partition-a: /x\npartition-b: /x/7f/y",
        "3: partition-b: one of it and partition-a in line 2 lies in the other's message directories: mail would be lost",
    ),
    (
        "partition-b: /x/stage.\npartition-a: /x/",
        "3: partition-a: one of it and partition-b in line 2 lies in the other's message directories: mail would be lost",
    ),
    ("partition-a: /x\ndefaultpartition: b", "3: defaultpartition: there is no partition-b"),
    ("mupdate_server: m/ssl", "2: mupdate_server: '/ssl' is not known (only /tls)"),
    ("mupdate_server: m:x", "2: mupdate_server: 'x' is not a port number"),
    ("mupdate_server: :3905", "2: mupdate_server: ':3905' names no host"),
    ("mupdate_server: m1 m2:x", "2: mupdate_server: 'x' is not a port number"),
    ("mupdate_server: m1 m2 m1", "2: mupdate_server: 'm1' stands there twice"),
    ("be1_ports: imap", "2: be1_ports: 'imap' is not of the form service=port"),
    (
        "be1_tls: maybe",
        "2: be1_tls: 'maybe' is neither yes nor no (1, yes, on, true or 0, no, off, false, in lower case)",
    ),
    ("be1_ports: imap=99999", "2: be1_ports: 'imap=99999' is not of the form service=port"),
    ("servername: a!b", "2: servername: 'a!b' cannot name a server"),
    ("auth_mech: ldap", "2: auth_mech: 'ldap' is not one of: unix, pts, krb, krb5, mboxgroups"),
    (
        "allowanonymouslogin: si",
        "2: allowanonymouslogin: 'si' is neither yes nor no (1, yes, on, true or 0, no, off, false, in lower case)",
    ),
    ("configdirectory: /x", "2: configdirectory: specified twice: first in line 1"),
    (
        "timeout: x\nmupdate_port: y",
        "2: timeout: 'x' is not a duration (such as 90s, 32m, 1d12h)\n3: mupdate_port: 'y' is not a number",
    ),
    (
        "allow_addresses: 10.0.0.0/8 example.org",
        "2: allow_addresses: 'example.org' is neither an address nor address/bits",
    ),
    (
        "imap_deny_addresses: 10.0.0.0/33",
        "2: imap_deny_addresses: '10.0.0.0/33': the bits are a number from 0 to 32",
    ),
    (
        "proxy_protocol_addresses: ::1/x",
        "2: proxy_protocol_addresses: '::1/x': the bits are a number from 0 to 128",
    ),
    ("log_target: tape", "2: log_target: 'tape' is not one of: auto, stderr, syslog, journald"),
];

/// Whole files, and all that is said of them.
const CYRUS: &[(&str, &str)] = &[
    ("imap cmd=x", "1: 'imap cmd=x' stands outside any section (SECTION { … })"),
    (
        "services {\n}",
        "1: 'services {' stands outside any section (SECTION { … })\n2: '}' stands outside any section (SECTION { … })",
    ),
    (
        "SERVICES\n{\n}",
        "1: '{' is wanted after SERVICES, on the same line\n2: '{' stands outside any section (SECTION { … })\n3: '}' stands outside any section (SECTION { … })",
    ),
    ("START { a cmd=x", "1: nothing may follow 'START {' on its line"),
    ("START {\n a cmd=x", "1: START: the section is not closed by a line with }"),
    ("Other {\n x {\n }", "1: Other: the section is not closed by a line with }"),
    ("START {\n a-b cmd=x\n}", "2: a: bad character '-' in an entry's name (letters and digits only)"),
    ("START {\n _a cmd=x\n}", "2: bad character '_' in a name (letters and digits only)"),
    ("START {\n a c-md=x\n}", "2: a: bad character '-' in a key (letters and digits only)"),
    ("START {\n a cmd =x\n}", "2: a: blank between cmd and ="),
    ("START {\n a cmd\n}", "2: a: 'cmd' has no value (key=value is wanted)"),
    ("START {\n a cmd=x y\n}", "2: a: 'y' has no value (key=value is wanted)"),
    (
        "START {\n a cmd=\"x\n}",
        "2: a: cmd: the quote is not closed on its line (a # begins a comment even inside quotes)",
    ),
    (
        "START {\n a cmd=\"x # y\"\n}",
        "2: a: cmd: the quote is not closed on its line (a # begins a comment even inside quotes)",
    ),
    ("START {\n a cmd=\"x\"y\n}", "2: a: 'y' has no value (key=value is wanted)"),
    ("START {\n a cmd=x }\n}", "2: a: bad character '}' in a name (letters and digits only)"),
    ("START {\n a\n}", "2: a: cmd is missing"),
    ("START {\n a cmd=\"  \"\n}", "2: a: cmd is missing"),
    ("SERVICES {\n a cmd=x\n}", "2: a: listen is missing"),
    ("SERVICES {\n a listen=1\n}", "2: a: cmd is missing"),
    ("SERVICES {\n a cmd=x listen=1\n a cmd=y listen=2\n}", "3: a: the name is used twice: first in line 2"),
    (
        "SERVICES {\n a cmd=x listen=1\n}\nDAEMON {\n a cmd=y\n}",
        "5: a: the name is used twice: first in line 2",
    ),
    ("EVENTS {\n a cmd=x cron=\"* * *\"\n}", "2: a: cron: '* * *' has 3 fields, not 5"),
    ("EVENTS {\n a cmd=x cron=\"61 * * * *\"\n}", "2: a: cron: '61' in '61' is not within 0 to 59"),
    ("EVENTS {\n a cmd=x cron=\"*/0 * * * *\"\n}", "2: a: cron: '*/0' has no valid step"),
    ("EVENTS {\n a cmd=x cron=\"9-2 * * * *\"\n}", "2: a: cron: '9-2' runs backwards"),
    ("START {\n a\n}\nSERVICES {\n b cmd=x\n}", "2: a: cmd is missing\n5: b: listen is missing"),
    ("}", "1: '}' stands outside any section (SECTION { … })"),
    ("START {\n}\n}", "3: '}' stands outside any section (SECTION { … })"),
    (
        "START x {\n}",
        "1: 'START x {' stands outside any section (SECTION { … })\n2: '}' stands outside any section (SECTION { … })",
    ),
    ("START {\n =x\n}", "2: bad character '=' in a name (letters and digits only)"),
    ("START {\n \"a\" cmd=x\n}", "2: bad character '\"' in a name (letters and digits only)"),
    ("START {\n ä cmd=x\n}", "2: bad character 'ä' in a name (letters and digits only)"),
    ("START {\n a cmd=x =y\n}", "2: a: bad character '=' in a name (letters and digits only)"),
    ("START {\n a cmd= x\n}", "2: a: 'x' has no value (key=value is wanted)"),
    ("START {\n a cmd=\"\"\n}", "2: a: cmd is missing"),
    ("SERVICES {\n a cmd=x lis_ten=1\n}", "2: a: bad character '_' in a key (letters and digits only)"),
    (
        "SERVICES {\n a cmd=x listen=\"1\n}",
        "2: a: listen: the quote is not closed on its line (a # begins a comment even inside quotes)",
    ),
    ("DAEMON {\n a wait=y\n}", "2: a: cmd is missing"),
    ("EVENTS {\n a at=0400\n}", "2: a: cmd is missing"),
    ("EVENTS {\n a cmd=x cron=\"* * * * * *\"\n}", "2: a: cron: '* * * * * *' has 6 fields, not 5"),
    ("EVENTS {\n a cmd=x cron=\"* 24 * * *\"\n}", "2: a: cron: '24' in '24' is not within 0 to 23"),
    ("EVENTS {\n a cmd=x cron=\"* * 0 * *\"\n}", "2: a: cron: '0' in '0' is not within 1 to 31"),
    ("EVENTS {\n a cmd=x cron=\"* * * 13 *\"\n}", "2: a: cron: '13' in '13' is not within 1 to 12"),
    ("EVENTS {\n a cmd=x cron=\"* * * * fry\"\n}", "2: a: cron: 'fry' in 'fry' is not within 0 to 7"),
    ("EVENTS {\n a cmd=x cron=\"1,,2 * * * *\"\n}", "2: a: cron: '' in '1,,2' is not within 0 to 59"),
];

/// TOML files.
const TOML: &[(&str, &str)] = &[
    ("timeout =", "2: not TOML: string values must be quoted, expected literal string"),
    ("timeout = 1.5", "2: timeout: text, a number, true, false or an array of words is wanted"),
    ("admins = []", "2: admins: no value (leave the line out for the default)"),
    ("admins = ['a b']", "2: admins: 'a b' cannot stand in a list: a word without blanks is wanted"),
    ("postuser = \"\"\"a\nb\"\"\"", "2: postuser: a value is one line of text"),
    ("'a.b' = 1", "2: a.b: '.' cannot stand in a key (letters, digits, - and _ can)"),
    ("include = 1", "2: include: the name of a file, or an array of them, is wanted"),
    ("[lmtp]\ntimeout = 'x'", "3: lmtp_timeout: 'x' is not a duration (such as 90s, 32m, 1d12h)"),
];

fn without_name(problems: &config::Problems, name: &str) -> String {
    let name = format!("{name}:");
    problems
        .to_string()
        .lines()
        .map(|line| line.strip_prefix(&name).unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn each_wrong_line_of_imapd_conf_is_told_with_its_place() {
    for (text, said) in IMAPD {
        let whole = format!("configdirectory: /v\n{text}\n");
        let problems = Imapd::parse(Path::new("imapd.conf"), &whole, "imap").expect_err(text);
        assert_eq!(without_name(&problems, "imapd.conf"), *said, "{text:?}");
    }
}

#[test]
fn each_wrong_line_of_imapd_toml_is_told_with_its_place() {
    for (text, said) in TOML {
        let whole = format!("configdirectory = '/v'\n{text}\n");
        let problems = Imapd::parse(Path::new("imapd.toml"), &whole, "imap").expect_err(text);
        assert_eq!(without_name(&problems, "imapd.toml"), *said, "{text:?}");
    }
}

#[test]
fn each_wrong_line_of_cyrus_conf_is_told_with_its_place() {
    for (text, said) in CYRUS {
        let problems = CyrusConf::parse(Path::new("cyrus.conf"), text).expect_err(text);
        assert_eq!(without_name(&problems, "cyrus.conf"), *said, "{text:?}");
    }
}

#[test]
fn the_directory_is_wanted() {
    for (text, said) in [
        ("", "imapd.conf: configdirectory: not set: every program needs it"),
        ("configdirectory: /", "imapd.conf:1: configdirectory: cannot be /"),
        ("configdirectory: var", "imapd.conf:1: configdirectory: 'var' is not an absolute path"),
    ] {
        let problems = Imapd::parse(Path::new("imapd.conf"), text, "imap").expect_err(text);
        assert_eq!(problems.to_string(), said);
    }
    let problems = Imapd::load(Path::new("/nonexistent/imapd.conf"), "imap").unwrap_err();
    assert_eq!(
        problems.to_string(),
        "/nonexistent/imapd.conf: cannot read: No such file or directory (os error 2)"
    );
}
