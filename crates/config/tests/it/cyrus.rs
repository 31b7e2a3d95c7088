//! cyrus.conf: the entries of each section.

use std::path::{Path, PathBuf};

use config::cyrus::{CyrusConf, Listen, Proto, When, convert};

fn parse(text: &str) -> CyrusConf {
    CyrusConf::parse(Path::new("cyrus.conf"), text).expect("a valid file")
}

const BACKEND: &str = "# a backend\nSTART {\n\trecover\tcmd=\"ctl_cyrusdb -r\"\n  mupdatepush cmd=\"ctl_mboxlist -m\"\n}\n\
    SERVICES {\n  imap cmd=\"imapd -U 30\" listen=\"imap\" prefork=5 maxchild=100 # many\n\
    lmtp cmd=lmtpd listen=[::1]:lmtp proto=tcp6 maxchild=-1\n  lmtpunix cmd=\"lmtpd\" listen=\"/run/lmtp\"\n\
    fud cmd=fud listen=localhost:4201 proto=udp prefork=3 babysit=yes\n}\n\
    Extra {\n x {\n }\n}\n\
    EVENTS {\n checkpoint cmd=\"ctl_cyrusdb -c\" period=30\n del cmd=\"cyr_expire -E 3\" at=0401\n\
    c cmd=x cron=\"*/5 * * * *\"\n once cmd=x\n}\n\
    DAEMON {\n idled cmd=idled wait=y\n}\nSTART {\n third cmd=three\n}\n";

#[test]
fn a_whole_file_is_understood() {
    let conf = parse(BACKEND);
    let names: Vec<_> = conf.start.iter().map(|start| (start.name.as_str(), start.place.line)).collect();
    assert_eq!(names, [("recover", 3), ("mupdatepush", 4), ("third", 26)]);
    assert_eq!(conf.start[0].cmd, ["ctl_cyrusdb", "-r"]);
    let [imap, lmtp, unix, fud] = conf.services.as_slice() else { panic!("{:?}", conf.services) };
    assert_eq!(imap.cmd, ["imapd", "-U", "30"]);
    assert_eq!(imap.listen, Listen::Inet { host: None, port: "imap".into() });
    assert_eq!((imap.prefork, imap.maxchild), (5, Some(100)));
    assert_eq!(lmtp.listen, Listen::Inet { host: Some("::1".into()), port: "lmtp".into() });
    assert_eq!((lmtp.proto, lmtp.maxchild), (Proto::Tcp6, None));
    assert_eq!(unix.listen, Listen::Unix(PathBuf::from("/run/lmtp")));
    assert_eq!((fud.prefork, fud.maxchild, fud.maxforkrate), (1, Some(1), 10));
    let whens: Vec<_> = conf.events.iter().map(|event| event.when.clone()).collect();
    assert_eq!(whens[0], When::Period { minutes: 30 });
    assert_eq!(whens[1], When::At { hour: 4, minute: 1 });
    assert!(matches!(whens[2], When::Cron(_)));
    assert_eq!(whens[3], When::Once);
    assert!(conf.daemons[0].wait && conf.daemons[0].maxforkrate == 10);
    assert!(conf.warnings.is_empty(), "{:?}", conf.warnings);
}

#[test]
fn what_cyrus_lets_pass_is_a_warning() {
    let conf = parse(
        "SERVICES {\n a cmd=a listen=1 prefork=x\n b cmd=b listen=2 proto=sctp\n c cmd=c listen=3 maxchild=7z\n\
         d cmd=d listen=host:\n e cmd=e listen=5 babysit=Q\n}\nEVENTS {\n f cmd=f at=2460 period=5\n}\n",
    );
    let said: Vec<String> = conf.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "cyrus.conf:2: a: prefork: 'x' is not a number: 0 is used",
            "cyrus.conf:3: b: proto: 'sctp' is not one of tcp, tcp4, tcp6, udp, udp4, udp6: the service is disabled",
            "cyrus.conf:4: c: maxchild: 'z' after the number 7 is ignored",
            "cyrus.conf:5: d: listen: 'host:' has no port: the service is disabled",
            "cyrus.conf:6: e: babysit: 'Q' is neither yes nor no (1, yes, on, true or 0, no, off, false, in lower case): no is used",
            "cyrus.conf:9: f: at: '2460' is not a time of day (hhmm, such as 0400): ignored",
        ]
    );
    let names: Vec<_> = conf.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["a", "c", "e"]);
}

#[test]
fn toml_says_the_same() {
    let text = "[services.imap]\ncmd = 'imapd -U 30'\nlisten = 'imap'\nprefork = 5\n\
                [services.pop3]\ncmd = 'pop3d'\nlisten = 110\nbabysit = true\n[START.recover]\ncmd = 'ctl_cyrusdb -r'\n";
    let conf = CyrusConf::parse(Path::new("cyrus.toml"), text).unwrap();
    assert_eq!(conf.services.len(), 2);
    assert_eq!(conf.services[0].prefork, 5);
    assert_eq!(conf.services[1].prefork, 1);
    assert_eq!(conf.start[0].place.line, 9);
}

#[test]
fn both_forms_convert_into_each_other() {
    let conf = "# a node\nSTART {\n  recover cmd=\"ctl_cyrusdb -r\"\n}\n\n# mail\nSERVICES {\n\
                # many\n  imap cmd=\"imapd\" listen=\"imap\" prefork=5 proto=tcp4\n}\n";
    let toml = "# a node\n[start.recover]\ncmd = \"ctl_cyrusdb -r\"\n\n# mail\n# many\n[services.imap]\n\
                cmd = \"imapd\"\nlisten = \"imap\"\nprefork = 5\nproto = \"tcp4\"\n";
    let path = Path::new("cyrus.conf");
    assert_eq!(convert::to_toml(path, conf).unwrap(), toml);
    let back = convert::to_conf(Path::new("cyrus.toml"), toml).unwrap();
    assert_eq!(convert::to_toml(path, &back).unwrap(), toml);
    let whole = convert::to_toml(path, BACKEND).unwrap();
    let (one, two) = (parse(BACKEND), CyrusConf::parse(Path::new("cyrus.toml"), &whole).unwrap());
    let cmds =
        |conf: &CyrusConf| conf.services.iter().map(|s| (s.name.clone(), s.cmd.clone())).collect::<Vec<_>>();
    assert_eq!(cmds(&one), cmds(&two));
    assert_eq!(one.events.len(), two.events.len());
}

#[test]
fn lines_of_one_name_and_odd_values_survive_the_other_form() {
    let conf = "START {\n  a cmd=\"x 1\"\n  a cmd=\"x 2\"\n}\nSERVICES {\n  s cmd=\"y\" listen=\"1\" note=q\"q other=\"\"\n}\n\
                EVENTS {\n  p cmd=\"z\" at=0401\n  q cmd=\"z\" period=5\n  p cmd=\"z 2\" at=0402\n}\n";
    let toml = convert::to_toml(Path::new("cyrus.conf"), conf).unwrap();
    assert!(
        toml.starts_with("[[start.a]]\ncmd = \"x 1\"\n[[start.a]]\ncmd = \"x 2\"\n[services.s]\n"),
        "{toml}"
    );
    assert_eq!(convert::to_conf(Path::new("cyrus.toml"), &toml).unwrap(), conf);
    let read = CyrusConf::parse(Path::new("cyrus.toml"), &toml).unwrap();
    let lines: Vec<u32> = read.events.iter().map(|event| event.place.line).collect();
    assert!(lines.is_sorted() && lines.len() == 3, "{lines:?}");
    let twice = "[[services.s]]\ncmd = 'y'\nlisten = 1\n[[services.s]]\ncmd = 'y'\nlisten = 2\n";
    let said = CyrusConf::parse(Path::new("cyrus.toml"), twice).unwrap_err().to_string();
    assert_eq!(said, "cyrus.toml:4: s: the name is used twice: first in line 1");
}

#[test]
fn a_file_from_another_age_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cyrus.conf");
    std::fs::write(
        &path,
        b"\xef\xbb\xbf# f\xfcr\r\nSERVICES {\r\n\timap\tcmd=imapd listen=imap # gr\xfc\xdfe\r\n}\r\n",
    )
    .unwrap();
    assert_eq!(CyrusConf::load(&path).unwrap().services.len(), 1);
    std::fs::write(&path, b"SERVICES {\n imap cmd=\"imapd -f \xfc\" listen=imap\n}\n").unwrap();
    let said = CyrusConf::load(&path).unwrap_err().to_string();
    assert!(said.ends_with("cyrus.conf:2: the line is not UTF-8 text"), "{said}");
}

#[test]
fn a_quote_needs_no_blank_after_it() {
    let text = "SERVICES {\n a cmd=\"x -s\"listen=\"imap\"proto=\"tcp4\"prefork=3\n}";
    let conf = CyrusConf::parse(Path::new("cyrus.conf"), text).unwrap();
    let service = &conf.services[0];
    assert_eq!((service.cmd.join(" ").as_str(), service.proto, service.prefork), ("x -s", Proto::Tcp4, 3));
}
