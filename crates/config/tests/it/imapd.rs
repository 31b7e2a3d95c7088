//! imapd.conf: values, overrides, includes, and what is said about doubtful lines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::imapd::{DeleteMode, Effect, GroupSource, Imapd, OPTIONS, Role, VirtDomains, convert};

fn parse(text: &str, identity: &str) -> Imapd {
    let text = format!("configdirectory: /var/imap\n{text}");
    Imapd::parse(Path::new("imapd.conf"), &text, identity).expect("a valid file")
}

#[test]
fn defaults_are_those_of_the_manual() {
    let imapd = parse("", "imap");
    assert_eq!(imapd.timeout, Duration::from_secs(32 * 60));
    assert_eq!(imapd.client_timeout, Duration::from_secs(10));
    assert_eq!(imapd.lmtpsocket, "/var/imap/socket/lmtp");
    assert_eq!(imapd.password_db(), Path::new("/var/imap/murder/passwords"));
    assert_eq!(imapd.proxy_authname, "proxy");
    assert_eq!(imapd.autocreate_quota, None);
    assert_eq!(imapd.popexpiretime, None);
    assert_eq!(imapd.maxliteral, 128 * 1024);
    assert_eq!(imapd.umask, 0o77);
    assert_eq!(imapd.delete_mode, DeleteMode::Delayed);
    assert_eq!(imapd.virtdomains, VirtDomains::Off);
    assert_eq!(imapd.sasl_pwcheck_method, ["auxprop"]);
    assert_eq!(imapd.allowstarttls, None);
    assert!(imapd.unixhierarchysep && imapd.altnamespace && !imapd.allowplaintext);
    assert!(!imapd.servername.is_empty());
    assert_eq!(imapd.role(), Role::Alone);
}

#[test]
fn every_default_reads_as_its_own_kind() {
    for option in OPTIONS {
        if !option.default.is_empty() {
            let read = option.kind.read(option.default);
            assert!(matches!(read, Ok((_, None))), "{}: {read:?}", option.name);
        }
        assert!(option.doc.ends_with('.'), "{}", option.name);
        assert_eq!(OPTIONS.iter().filter(|other| other.name == option.name).count(), 1, "{}", option.name);
    }
}

#[test]
fn backends_stand_with_blanks_or_commas_between_them_as_in_cyrus() {
    for text in ["be1 be2:1143", "be1,be2:1143", "be1, be2:1143,", "be1 ,\tbe2:1143"] {
        let imapd = parse(&format!("serverlist: {text}\npartition_select_exclude: {text}"), "imap");
        assert_eq!(
            (&imapd.serverlist, imapd.serverlist.len()),
            (&imapd.partition_select_exclude, 2),
            "{text}"
        );
        assert_eq!(imapd.serverlist, ["be1", "be2:1143"], "{text}");
        assert!(imapd.warnings().is_empty(), "{:?}", imapd.warnings());
    }
}

#[test]
fn an_entrys_own_value_goes_before_the_general_one() {
    let imapd = parse(
        "lmtp_admins: fe1 fe2\nadmins: cyrus\nlmtp_sasl_mech_list: PLAIN\nallowplaintext: yes\nmupdate_timeout: 40",
        "imap",
    );
    assert_eq!(imapd.admins, ["cyrus"]);
    assert_eq!(imapd.for_service("lmtp").admins, ["fe1", "fe2"]);
    assert_eq!(imapd.for_service("lmtp").sasl_mech_list, ["PLAIN"]);
    assert_eq!(imapd.for_service("lmtpunix").admins, ["cyrus"]);
    assert_eq!(imapd.for_service("mupdate").timeout, Duration::from_secs(2400));
    assert!(imapd.warnings().is_empty(), "{:?}", imapd.warnings());
}

#[test]
fn lines_continue_and_comments_do_not_follow_values() {
    let imapd =
        parse("admins: a \\\n  b\n # a comment \\\nservername: ignored.example\nuserprefix: A # B\n", "imap");
    assert_eq!(imapd.admins, ["a", "b"]);
    assert_eq!(imapd.userprefix, "A # B");
    assert_ne!(imapd.servername, "ignored.example");
}

#[test]
fn roles_follow_from_the_file() {
    assert_eq!(parse("mupdate_server: m", "x").role(), Role::Frontend);
    assert_eq!(parse("mupdate_server: m\nproxyservers: p", "x").role(), Role::Backend);
}

#[test]
fn hosts_are_found_by_their_short_names() {
    let imapd = parse(
        "be1_address: 127.0.0.1\nbe1_ports: imap=10143 lmtp=10024\nbe1_password: s\nmupdate_server: m.example:3906/tls",
        "x",
    );
    assert_eq!(imapd.host_address("BE1.example.org"), "127.0.0.1");
    assert_eq!(imapd.host_address("be2.example.org:1143"), "be2.example.org");
    assert_eq!(imapd.host_port("be1.example.org", "lmtp"), Some(10024));
    assert_eq!(imapd.host_port("be1.example.org", "pop3"), None);
    assert_eq!(imapd.of_host("be1.example.org", "password"), Some("s"));
    let upstreams = imapd.mupdate_upstreams();
    let upstream = &upstreams[0];
    assert_eq!((upstream.host.as_str(), upstream.port, upstream.tls), ("m.example", Some(3906), true));
    assert_eq!(upstreams.len(), 1);
}

#[test]
fn several_masters_stand_in_one_line() {
    let imapd = parse("mupdate_server: m1.example m2.example:3906\tm3/tls", "x");
    let upstreams = imapd.mupdate_upstreams();
    let all: Vec<_> = upstreams.iter().map(|m| (m.host.as_str(), m.port, m.tls, m.name.as_str())).collect();
    assert_eq!(
        all,
        [
            ("m1.example", None, false, "m1.example"),
            ("m2.example", Some(3906), false, "m2.example:3906"),
            ("m3", None, true, "m3/tls"),
        ]
    );
    assert_eq!(imapd.mupdate_name(), Some("m1.example"));
    assert!(parse("servername: x", "x").mupdate_upstreams().is_empty());
}

#[test]
fn partitions_are_listed() {
    let imapd = parse("partition-default: /a\npartition-Fast: /b\ndefaultpartition: Fast", "x");
    let names: Vec<_> = imapd.partitions().iter().map(|p| (p.name.as_str(), p.path.clone())).collect();
    assert_eq!(names, [("default", PathBuf::from("/a")), ("fast", PathBuf::from("/b"))]);
    assert_eq!(imapd.defaultpartition.as_deref(), Some("fast"));
}

#[test]
fn doubts_are_warnings_and_options_without_effect_are_noted() {
    let imapd = parse(
        "tls_cert_file: /c\ntimeout: 5\nallowplaintxt: yes\nhttpmodules: caldav\nmboxlist_db: skiplist\nwibble: x\nsyslog_facility: LOCAL9",
        "x",
    );
    let said: Vec<String> = imapd.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "imapd.conf:2: tls_cert_file: old name of tls_server_cert",
            "imapd.conf:3: timeout: '5' is too short, 30m is used",
            "imapd.conf:4: allowplaintxt: there is no such option: is allowplaintext meant?",
            "imapd.conf:7: wibble: there is no such option: ignored",
            "imapd.conf:8: syslog_facility: 'LOCAL9' is no facility: mail is used",
        ]
    );
    assert_eq!(imapd.tls_server_cert.as_deref(), Some("/c"));
    assert_eq!(imapd.notes().len(), 2);
    assert_eq!(imapd.facility(), 2);
    assert_eq!(parse("syslog_facility: LOCAL6", "x").facility(), 22);
    assert!(OPTIONS.iter().any(|option| matches!(option.effect, Effect::None(_))));
}

#[test]
fn included_files_are_read_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("imapd.conf");
    std::fs::write(&main, "configdirectory: /v\n@include: more.conf\n").unwrap();
    std::fs::write(dir.path().join("more.conf"), "servername: s.example\n@include: imapd.conf\nadmins x\n")
        .unwrap();
    let problems =
        Imapd::load(&main, "x").unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "DIR");
    assert_eq!(
        problems,
        "DIR/more.conf:2: @include: DIR/imapd.conf was read already\n\
         DIR/more.conf:3: 'admins x' is not of the form 'key: value'"
    );
    std::fs::write(dir.path().join("more.conf"), "servername: s.example\n").unwrap();
    assert_eq!(Imapd::load(&main, "x").unwrap().servername, "s.example");
}

#[test]
fn toml_says_the_same() {
    let toml = "configdirectory = '/var/imap'\nallowplaintext = true\nadmins = ['a', 'b']\ntimeout = 45\numask = 0o27\n\
                [lmtp]\nadmins = ['fe']\n[partition]\ndefault = '/spool'\n[be1]\npassword = 'x y'\n";
    let imapd = Imapd::parse(Path::new("imapd.toml"), toml, "imap").unwrap();
    assert!(imapd.allowplaintext);
    assert_eq!(imapd.admins, ["a", "b"]);
    assert_eq!(imapd.timeout, Duration::from_secs(2700));
    assert_eq!(imapd.umask, 0o27);
    assert_eq!(imapd.for_service("lmtp").admins, ["fe"]);
    assert_eq!(imapd.partitions().len(), 1);
    assert_eq!(imapd.overflow("be1_password"), Some("x y"));
}

#[test]
fn both_forms_convert_into_each_other_with_their_comments() {
    let conf = "# The node\nconfigdirectory: /var/imap\n\nallowplaintext: yes\nadmins: a b\ntimeout: 45\numask: 027\n\
                tls_ciphers: HIGH:!\"x\\y\"\nbe1_password: 007\n@include: more.conf\nlmtp_admins: fe\n";
    let toml = "# The node\nconfigdirectory = \"/var/imap\"\n\nallowplaintext = true\nadmins = [\"a\", \"b\"]\n\
                timeout = 45\numask = 0o27\ntls.ciphers = \"HIGH:!\\\"x\\\\y\\\"\"\nhosts.be1.password = \"007\"\n\
                include = \"more.toml\"\nlmtp_admins = [\"fe\"]\n";
    assert_eq!(convert::to_toml(Path::new("imapd.conf"), conf).unwrap(), toml);
    assert_eq!(convert::to_conf(Path::new("imapd.toml"), toml).unwrap(), conf);
}

#[test]
fn tables_of_toml_are_named_as_a_reader_expects() {
    let conf = "partition-default: /spool\nmetapartition-fast: /meta\ntls_server_cert: /c\nsasl_mech_list: PLAIN LOGIN\n\
                be1_client_cert: /b\nimaps_tls_server_cert: /i\nallowplaintext: 1\nautocreate_acl: a b lr\nautocreate_acl: c d w\n";
    let toml = "partition.default = \"/spool\"\nmetapartition.fast = \"/meta\"\ntls.server_cert = \"/c\"\n\
                sasl.mech_list = [\"PLAIN\", \"LOGIN\"]\nhosts.be1.client_cert = \"/b\"\nimaps_tls_server_cert = \"/i\"\n\
                allowplaintext = \"1\"\nautocreate_acl = [\"a b lr\", \"c d w\"]\n";
    assert_eq!(convert::to_toml(Path::new("imapd.conf"), conf).unwrap(), toml);
    assert_eq!(convert::to_conf(Path::new("imapd.toml"), toml).unwrap(), conf);
    let written = "configdirectory = '/v'\n[hosts.be1]\npassword = 'x'\nports = 'imap=10143'\n[tls]\nserver_cert = '/c'\n\
                   [sasl]\nmech_list = ['PLAIN', 'SCRAM-SHA-256']\n[lmtp]\nallowplaintext = true\n[lmtp.sasl]\nmech_list = 'LOGIN'\n[partition]\ndefault = '/s'\n";
    let imapd = Imapd::parse(Path::new("imapd.toml"), written, "imap").unwrap();
    assert_eq!(imapd.of_host("be1.example.org", "password"), Some("x"));
    assert_eq!(imapd.host_port("be1", "imap"), Some(10143));
    assert_eq!(imapd.tls_server_cert.as_deref(), Some("/c"));
    assert_eq!(imapd.for_service("lmtp").sasl_mech_list, ["LOGIN"]);
    assert!(imapd.warnings().is_empty(), "{:?}", imapd.warnings());
}

#[test]
fn what_has_no_effect_is_named_in_one_line_by_reason() {
    let imapd = parse(
        "mboxlist_db: twoskip\nsasl_sasldb_path: /etc/sasldb2\nhttpmodules: caldav\nduplicate_db: skiplist",
        "x",
    );
    assert_eq!(
        imapd.without_effect().unwrap().to_string(),
        "imapd.conf: set, and without effect here: mboxlist_db, duplicate_db (this project has its own databases); \
         sasl_sasldb_path (import it with murder passwd --import); httpmodules (an option of Cyrus not used here)"
    );
    assert_eq!(parse("admins: a", "x").without_effect(), None);
}

#[test]
fn the_workers_of_mupdate_are_checked_as_cyrus_does() {
    assert!(parse("", "mupdate").check_mupdate_workers().is_ok());
    let said = parse("mupdate_workers_start: 20", "mupdate").check_mupdate_workers().unwrap_err();
    assert!(
        said.starts_with("mupdate_workers_start (20) lies between mupdate_workers_minspare (2) and"),
        "{said}"
    );
}

#[test]
fn comments_may_be_latin_1_and_settings_may_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("imapd.conf");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Imapd::load(&path, "x").map(|imapd| imapd.servername.clone())
    };
    let name = read(b"# f\xfcr alle\r\nconfigdirectory: /v\r\nservername: s.example\r\n").unwrap();
    assert_eq!(name, "s.example");
    let said = read(b"configdirectory: /v\nuserprefix: F\xfcr\n").unwrap_err().to_string();
    assert!(said.ends_with("imapd.conf:2: the line is not UTF-8 text"), "{said}");
}

#[test]
fn a_directory_or_what_may_not_be_read_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("imapd.conf");
    std::fs::create_dir(dir.path().join("more.conf")).unwrap();
    std::fs::write(&path, "configdirectory: /v\n@include: more.conf\n").unwrap();
    let said = |path: &Path| {
        let said = Imapd::load(path, "x").unwrap_err().to_string();
        said.replace(dir.path().to_str().unwrap(), "DIR")
    };
    assert_eq!(
        said(&path),
        "DIR/imapd.conf:2: @include: cannot read DIR/more.conf: Is a directory (os error 21)"
    );
    assert_eq!(said(dir.path()), "DIR: cannot read: Is a directory (os error 21)");
    std::fs::write(&path, "configdirectory: /v\n@include: a.conf\n").unwrap();
    std::fs::write(dir.path().join("a.conf"), "admins: x\n@include: b.conf\n").unwrap();
    std::fs::write(dir.path().join("b.conf"), "@include: a.conf\n").unwrap();
    assert_eq!(said(&path), "DIR/b.conf:1: @include: DIR/a.conf was read already");
}

/// What is doubted about lines of an otherwise empty file.
fn doubts(text: &str) -> String {
    let found: Vec<String> = parse(text, "imap").warnings().iter().map(ToString::to_string).collect();
    found.join("\n")
}

#[test]
fn a_file_with_pts_runs_and_says_what_is_lost() {
    let imapd = parse("auth_mech: pts\npts_module: ldap\nldap_uri: ldap://x", "imap");
    assert_eq!(imapd.groups(), GroupSource::Unknown);
    let said = doubts("auth_mech: pts\npts_module: ldap");
    for words in [
        "imapd.conf:2: auth_mech: 'pts'",
        "groups",
        "mapping of login names",
        "denies a group",
        "autocreate is off",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!(parse("auth_mech: krb5", "imap").groups(), GroupSource::Nowhere);
    assert_eq!(parse("unix_group_enable: no", "imap").groups(), GroupSource::Nowhere);
    assert_eq!(parse("", "imap").groups(), GroupSource::System);
}

#[test]
fn a_domain_may_come_from_the_servers_address_or_from_what_users_type() {
    for (text, domains) in
        [("yes", VirtDomains::On), ("on", VirtDomains::On), ("userid", VirtDomains::Userid)]
    {
        let text = format!("virtdomains: {text}\ndefaultdomain: example.org");
        assert_eq!((parse(&text, "imap").virtdomains, doubts(&text).as_str()), (domains, ""));
    }
}

#[test]
fn nested_partitions_run_and_the_way_out_is_said() {
    let text = "partition-default: /spool\npartition-news: /spool/news\npartition-old: /spool/abc/7f";
    assert_eq!(parse(text, "imap").partitions().len(), 3);
    let said = doubts(text);
    assert!(said.contains("imapd.conf:3: partition-news: nested with partition-default in line 2"), "{said}");
    assert!(
        said.contains("imapd.conf:4: partition-old: nested") && said.contains("move the inner directory"),
        "{said}"
    );
    assert_eq!(doubts("partition-a: /spool\npartition-b: /spool2"), "");
}

#[test]
fn a_login_that_lets_nobody_in_or_everybody_is_said() {
    let tls = "tls_server_cert: /c\ntls_server_key: /k\n";
    for (text, words) in [
        (
            "sasl_pwcheck_method: alwaystrue",
            "imapd.conf:4: sasl_pwcheck_method: alwaystrue: every password opens",
        ),
        ("sasl_pwcheck_method: pwcheck", "imapd.conf:4: sasl_pwcheck_method: 'pwcheck' is not served here"),
        (
            "sasl_mech_list: NTLM DIGEST-MD5",
            "imapd.conf:4: sasl_mech_list: lets nobody in: of NTLM, DIGEST-MD5 none",
        ),
        ("sasl_pwcheck_method: saslauthd\nsasl_mech_list: SCRAM-SHA-256", "sasl_mech_list: lets nobody in"),
        ("mupdate_sasl_mech_list: NTLM", "imapd.conf:4: mupdate_sasl_mech_list: lets nobody in"),
    ] {
        let said = doubts(&format!("{tls}{text}"));
        assert!(said.contains(words), "{words} in {said}");
    }
    let said = doubts("sasl_pwcheck_method: saslauthd\nsasl_mech_list: PLAIN");
    assert!(said.contains("imapd.conf:2: sasl_pwcheck_method: lets nobody in over TCP"), "{said}");
    for fine in ["sasl_mech_list: GSSAPI", "sasl_mech_list: EXTERNAL", "sasl_pwcheck_method: saslauthd", ""] {
        assert_eq!(doubts(&format!("{tls}{fine}")), "", "{fine}");
    }
    assert_eq!(doubts("sasl_pwcheck_method: saslauthd\nallowplaintext: yes"), "");
    assert_eq!(doubts("sasl_mech_list: PLAIN SCRAM-SHA-256"), "");
}

#[test]
fn old_names_for_one_protocol_and_keys_of_newer_cyrus_are_known() {
    let imapd = parse(
        "tls_imap_cert_file: /imap.pem\ntls_server_cert: /all.pem\ntls_pop3_key_file: /pop.key",
        "imap",
    );
    assert_eq!(imapd.tls_server_cert.as_deref(), Some("/imap.pem"));
    assert_eq!(imapd.for_service("imaps").tls_server_cert.as_deref(), Some("/imap.pem"));
    assert_eq!(imapd.for_service("lmtp").tls_server_cert.as_deref(), Some("/all.pem"));
    assert_eq!(imapd.for_service("pop3s").tls_server_key.as_deref(), Some("/pop.key"));
    let said: Vec<String> = imapd.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        said[0],
        "imapd.conf:2: tls_imap_cert_file: old name of imap_tls_server_cert and imaps_tls_server_cert"
    );
    let text = "defaultsearchpartition-default: /search\narchivesearchpartition-x: /s\njmapnotificationfolder: n\nxlist-junk: Spam";
    assert_eq!(doubts(text), "");
    let notes: Vec<String> = parse(text, "imap").notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(
        notes[2].ends_with("no effect: an option of Cyrus since 3.8 or 3.10, not used here"),
        "{notes:?}"
    );
    // Each that is newer than 3.6 names its release.
    let text =
        "calendar_minimum_alarm_interval: 5m\nsearch_attachment_extractor_idle_timeout: 5m\nreplicaonly: no";
    let notes: Vec<String> = parse(text, "imap").notes().iter().map(ToString::to_string).collect();
    for (note, release) in notes.iter().zip(["3.8", "3.10", "3.12"]) {
        assert!(note.ends_with(&format!("an option of Cyrus since {release}, not used here")), "{note}");
    }
    assert_eq!(notes.len(), 3, "{notes:?}");
}

#[test]
fn what_is_doubtful_is_said_beside_what_is_wrong() {
    let path = std::env::temp_dir().join(format!("doubts-{}.conf", std::process::id()));
    std::fs::write(&path, "configdirectory: /v\ntimeout: soon\nsevername: x\n").unwrap();
    let (imapd, wrong) = Imapd::examine(&path, "imap");
    std::fs::remove_file(&path).unwrap();
    assert_eq!((wrong.0.len(), imapd.warnings().len()), (1, 1));
}
