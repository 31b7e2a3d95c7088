//! Whatever the input: no panic, and nothing lost between the two forms.

use std::path::Path;

use config::cyrus::CyrusConf;
use config::imapd::{Imapd, OPTIONS, convert};
use proptest::prelude::*;

/// A key and a value that imapd.conf takes.
fn setting() -> impl Strategy<Value = (String, String)> {
    let value = "[!-~äß][ -~äß]{0,20}".prop_map(|v| v.trim_end_matches(['\\', ' ']).to_owned());
    let value = value.prop_filter("not empty", |v| !v.is_empty());
    let key = prop_oneof![
        (0..OPTIONS.len()).prop_map(|i| OPTIONS[i].name.to_owned()),
        (0..OPTIONS.len()).prop_map(|i| format!("imaps_{}", OPTIONS[i].name)),
        "[a-z][a-z0-9_-]{0,12}",
    ];
    let default = |key: &str| OPTIONS.iter().find(|o| key.ends_with(o.name)).map(|o| o.default.to_owned());
    (key, value, any::<bool>()).prop_map(move |(key, value, plain)| match default(&key) {
        Some(default) if plain && !default.is_empty() => (key, default),
        _ => (key, value),
    })
}

/// Where problems are: `imapd.conf:3: key`.
fn places(problems: &config::Problems) -> Vec<String> {
    let place = |line: &str| line.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": ");
    problems.to_string().lines().map(place).collect()
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}(\n\\PC{0,40}){0,6}") {
        let _ = Imapd::parse(Path::new("imapd.conf"), &text, "imap");
        let _ = Imapd::parse(Path::new("imapd.toml"), &text, "imap");
        let _ = CyrusConf::parse(Path::new("cyrus.conf"), &text);
        let _ = CyrusConf::parse(Path::new("cyrus.toml"), &text);
    }

    #[test]
    fn any_entry_is_read_or_refused(text in "[a-z \"=#{}0-9-]{0,60}") {
        let _ = CyrusConf::parse(Path::new("cyrus.conf"), &format!("SERVICES {{\n{text}\n}}\n"));
    }

    #[test]
    fn settings_survive_toml(settings in prop::collection::btree_map("[a-z]{1,8}", setting(), 0..12)) {
        let mut text = String::from("configdirectory: /v\n# about \\ this\n");
        let mut keys = vec!["configdirectory".to_owned(), "include".to_owned()];
        for (key, value) in settings.into_values() {
            if !keys.contains(&key) {
                text.push_str(&format!("{key}: {value}\n"));
                keys.push(key);
            }
        }
        let conf = Path::new("imapd.conf");
        let toml = convert::to_toml(conf, &text).unwrap();
        let back = convert::to_conf(Path::new("imapd.toml"), &toml).unwrap();
        prop_assert!(back.contains("# about \\ this\n"));
        let (before, after) = (Imapd::parse(conf, &text, "imaps"), Imapd::parse(conf, &back, "imaps"));
        let direct = Imapd::parse(Path::new("imapd.toml"), &toml, "imaps");
        match (before, after, direct) {
            (Ok(a), Ok(b), Ok(c)) => {
                let show = |i: &Imapd| format!("{:?} {:?}", **i, i.overflows().filter(|(k, _)| config::imapd::registry::find(k).is_none() && !OPTIONS.iter().any(|o| k.ends_with(o.name))).collect::<Vec<_>>());
                prop_assert_eq!(show(&a), show(&b));
                prop_assert_eq!(show(&a), show(&c));
            }
            // The words of a switch are not kept, the places are.
            (Err(a), Err(b), Err(_)) => prop_assert_eq!(places(&a), places(&b)),
            (a, b, c) => prop_assert!(false, "{:?}\n{:?}\n{:?}\n{}", a.map(|_| ()), b.map(|_| ()), c.map(|_| ()), toml),
        }
    }
}

/// A file as `convert` writes it: settings, comments and empty lines, each key once.
fn tidy_file() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        (0..OPTIONS.len()).prop_map(|i| OPTIONS[i].name.to_owned()),
        (0..OPTIONS.len()).prop_map(|i| format!("lmtp_{}", OPTIONS[i].name)),
        "(meta|archive|)partition-[a-z0-9]{1,6}",
        "[a-z][a-z0-9-]{0,8}_(password|mechs|client_cert|client_key|address|ports|tls)",
        "(tls|sasl|hosts|partition)_?[a-z_]{0,6}",
        "[a-z][a-z0-9_-]{0,12}",
    ];
    let value = prop_oneof![
        "yes|no|on|1|0|true",
        "0?[0-7]{1,5}|0x[0-9a-f]{1,4}|-?[0-9]{1,12}|[0-9]{1,3}[dhmsKMG]",
        "[a-z]{1,5}( {1,2}[a-z]{1,5}){0,3}",
        "[!-~äß\u{4e00}][ -~äß\t]{0,20}",
    ];
    let line = (key, value)
        .prop_map(|(key, value)| (key, value.trim().trim_end_matches(['\\', ' ', '\t']).to_owned()));
    let line = prop_oneof![
        4 => line.prop_map(|(key, value)| if value.is_empty() { String::new() } else { format!("{key}: {value}") }),
        1 => "(# [ -~ü]{0,20}[a-z]|)",
    ];
    let extra =
        prop_oneof![Just(""), Just("@include: a.conf\n@include: /etc/b\n"), Just("@include: a.conf\n")];
    (prop::collection::vec(line, 0..14), extra).prop_map(|(lines, extra)| {
        let mut seen = std::collections::BTreeSet::from(["include".to_owned()]);
        let fresh = |line: &String| match line.split_once(':') {
            Some((key, _)) if !line.starts_with('#') => seen.insert(key.to_owned()),
            _ => true,
        };
        let lines: Vec<String> = lines.into_iter().filter(fresh).map(|line| line + "\n").collect();
        lines.concat() + extra
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn a_tidy_imapd_conf_comes_back_letter_by_letter(text in tidy_file()) {
        let toml = convert::to_toml(Path::new("imapd.conf"), &text).unwrap();
        let back = convert::to_conf(Path::new("imapd.toml"), &toml);
        prop_assert_eq!(back.as_deref(), Ok(text.as_str()), "{}", toml);
        // And the TOML, which is tidy by now, does too.
        let again = convert::to_toml(Path::new("imapd.conf"), &back.unwrap()).unwrap();
        prop_assert_eq!(again, toml);
    }
}

proptest! {
    #[test]
    fn entries_survive_toml(
        entries in prop::collection::btree_map(
            (0usize..4, "[a-z][a-z0-9]{0,6}"),
            (prop::collection::vec("[!-!$-~]{1,8}", 1..4), prop::option::of(0u32..300), prop::option::of("[a-z]{1,9}")),
            0..8,
        )
    ) {
        let mut text = String::from("# all of it\n");
        for ((section, name), (cmd, number, word)) in &entries {
            let section = ["START", "SERVICES", "EVENTS", "DAEMON"][*section];
            text.push_str(&format!("{section} {{\n  {name} cmd=\"{}\" listen=1", cmd.join(" ")));
            number.iter().for_each(|n| text.push_str(&format!(" prefork={n} period={n}")));
            word.iter().for_each(|w| text.push_str(&format!(" other={w}")));
            text.push_str(" # why\n}\n");
        }
        let conf = Path::new("cyrus.conf");
        let toml = config::cyrus::convert::to_toml(conf, &text).unwrap();
        let back = config::cyrus::convert::to_conf(Path::new("cyrus.toml"), &toml).unwrap();
        let show = |parsed: Result<CyrusConf, config::Problems>| parsed.map(|c| {
            let cmds = |name: &str, cmd: &[String]| format!("{name} {cmd:?}");
            let mut all: Vec<String> = c.start.iter().map(|e| cmds(&e.name, &e.cmd)).collect();
            all.extend(c.services.iter().map(|e| cmds(&e.name, &e.cmd) + &format!("{:?} {}", e.listen, e.prefork)));
            all.extend(c.events.iter().map(|e| cmds(&e.name, &e.cmd) + &format!("{:?}", e.when)));
            all.extend(c.daemons.iter().map(|e| cmds(&e.name, &e.cmd)));
            all
        }).map_err(|problems| problems.0.len());
        let before = show(CyrusConf::parse(conf, &text));
        prop_assert_eq!(&before, &show(CyrusConf::parse(Path::new("cyrus.toml"), &toml)), "{}", toml);
        prop_assert_eq!(&before, &show(CyrusConf::parse(conf, &back)), "{}", back);
        prop_assert_eq!(back.matches("# why").count(), entries.len());
        // What has been through it once does not change any more.
        let again = config::cyrus::convert::to_toml(conf, &back).unwrap();
        prop_assert_eq!(config::cyrus::convert::to_conf(Path::new("cyrus.toml"), &again).unwrap(), back);
    }
}
