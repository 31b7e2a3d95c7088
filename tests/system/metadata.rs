//! Annotations through a real frontend and two real backends, and Cyrus's own tool asking for them.

use std::process::Command;

use system_tests::{Murder, Plan};

use crate::answers::{ask, first};

fn murder() -> Murder {
    let plan = Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2");
    let murder = plan.option("*", "allowplaintext", "yes").start();
    let mut admin = murder.admin("frontend1");
    for command in ["SETACL user/bob alice lr", "SETACL user/alice anyone p"] {
        admin.must(command).expect(command);
    }
    murder
}

#[test]
fn annotations_are_the_same_directly_and_through_a_frontend() {
    let murder = murder();
    let mut direct = murder.login("backend1", "alice");
    let mut through = murder.login("frontend1", "alice");
    for command in [
        "CREATE Work",
        "SETMETADATA Work (/private/comment \"mine\" /shared/comment \"all\" /private/vendor/x/y \"deep\")",
    ] {
        through.must(command).expect(command);
    }
    for command in [
        "GETMETADATA Work (/private/comment /shared/comment /shared/nothing)",
        "GETMETADATA (DEPTH infinity) Work (/private)",
        "GETMETADATA (MAXSIZE 3 DEPTH 1) Work (/private /shared)",
        "GETMETADATA Work \"/shared/vendor/cmu/cyrus-imapd/*\"",
        "GETMETADATA (INBOX Work) (/shared/vendor/cmu/cyrus-imapd/server /private/comment)",
        "GETMETADATA nowhere /shared/comment",
        "GETMETADATA Work comment",
        "GETMETADATA \"\" (/private/vendor/x /shared/comment)",
        "LIST \"\" (INBOX Work) RETURN (METADATA (/private/comment) STATUS (DELETED DELETED-STORAGE APPENDLIMIT))",
        "LIST (METADATA (MAXSIZE 1)) \"\" Work RETURN (METADATA (/private/comment))",
        "SETMETADATA Work (/shared/vendor/cmu/cyrus-imapd/server \"x\")",
        "SETMETADATA Work (/private/specialuse \"\\\\Nonsense\")",
        "GETANNOTATION Work \"/comment\" \"value.shared\"",
        "SETANNOTATION Work \"/comment\" (\"value.shared\" \"x\")",
        "XWARMUP Work (index)",
        "XWARMUP nowhere (index)",
        "GENURLAUTH x INTERNAL",
        "STATUS Work (DELETED-STORAGE APPENDLIMIT)",
        "GETQUOTAROOT Work",
    ] {
        assert_eq!(ask(&mut direct, command), ask(&mut through, command), "{command}");
    }
    through.must("SETMETADATA Work (/private/specialuse \"\\\\Junk\")").expect("a special use");
    for imap in [&mut direct, &mut through] {
        assert_eq!(first(imap, "LIST \"\" Work"), "* LIST (\\HasNoChildren \\Junk) \"/\" Work");
    }
    // Where mailboxes are on two backends, they are told in one order.
    assert_eq!(
        ask(&mut through, "GETMETADATA (INBOX \"Other Users/bob\") (/shared/vendor/cmu/cyrus-imapd/server)"),
        [
            "* METADATA INBOX (\"/shared/vendor/cmu/cyrus-imapd/server\" \"backend1.demo.test\")",
            "* METADATA \"Other Users/bob\" (\"/shared/vendor/cmu/cyrus-imapd/server\" \"backend2.demo.test\")",
            "OK Completed"
        ]
    );
}

#[test]
fn annotations_of_the_server_are_on_every_backend() {
    let murder = murder();
    let mut admin = murder.admin("frontend1");
    admin.must("SETMETADATA \"\" (/shared/comment \"ours\" /shared/motd \"Hello\")").expect("set");
    for (node, user) in
        [("backend1", "alice"), ("backend2", "bob"), ("frontend1", "alice"), ("frontend1", "bob")]
    {
        let mut imap = murder.login(node, user);
        assert_eq!(
            first(&mut imap, "GETMETADATA \"\" (/shared/comment /shared/motd)"),
            "* METADATA \"\" (\"/shared/comment\" \"ours\" \"/shared/motd\" \"Hello\")",
            "{node} {user}"
        );
    }
    let mut alice = murder.login("frontend1", "alice");
    alice.must("SETMETADATA \"\" (/private/token \"t\")").expect("set");
    assert_eq!(
        first(&mut murder.login("backend1", "alice"), "GETMETADATA \"\" /private/token"),
        "* METADATA \"\" (\"/private/token\" \"t\")"
    );
    admin.must("SETMETADATA \"\" (/shared/motd NIL /shared/comment NIL)").expect("unset");
}

/// `info`, `mboxcfg`, `setinfo`, `getmetadata` and `setmetadata` are these calls.
#[test]
fn cyradm_reads_and_sets_annotations_directly_and_through_a_frontend() {
    if !test_host::has(&["perl", "cyradm"]) {
        return;
    }
    let murder = murder();
    let script = r#"
        use Cyrus::IMAP::Admin;
        my ($host, $port, $user, $password) = @ARGV;
        my $c = Cyrus::IMAP::Admin->new($host, $port) or die "connect";
        $c->authenticate(-mechanism => 'LOGIN', -user => $user, -password => $password) or die "login";
        sub must { my ($done, $what) = @_; die "$what: " . ($c->error // '?') unless $done; }
        must($c->mboxconfig('user/alice', 'expire', '30'), 'mboxcfg expire');
        must($c->mboxconfig('user/alice', 'comment', 'a box'), 'mboxcfg comment');
        must($c->mboxconfig('user/alice', 'comment', 'my box', 1), 'mboxcfg --private');
        must($c->setmetadata('user/alice', 'sharedseen', 'true'), 'setmetadata');
        must($c->setinfoserver('comment', 'a server'), 'setinfo');
        die 'no error' if $c->mboxconfig('user/alice', '/vendor/cmu/cyrus-imapd/nonsense', '1');
        my %info = $c->getinfo('user/alice');
        for my $kind ('private', 'shared') {
            for my $entry (sort keys %{$info{'user/alice'}{$kind}}) {
                print "$entry: $info{'user/alice'}{$kind}{$entry}\n" if $entry =~ /comment|expire|sharedseen|server$/;
            }
        }
        my %server = $c->getmetadata('', '/shared/comment');
        print "$_: $server{''}{shared}{$_}\n" for keys %{$server{''}{shared}};
        must($c->mboxconfig('user/alice', 'expire', 'none'), 'none');
    "#;
    let admin = murder.cluster.topology.admin.name.clone();
    for node in ["backend1", "frontend1"] {
        let address = murder.address(node, "imap");
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let run = Command::new("perl")
            .args(["-e", script, &host, &port, &admin, &murder.password(&admin)])
            .output();
        let run = run.expect("perl");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{node}: {said}{}", String::from_utf8_lossy(&run.stderr));
        let server = murder.node("backend1").name.clone();
        for line in [
            "/mailbox//private/comment: my box",
            "/mailbox//shared/comment: a box",
            "/mailbox//shared/vendor/cmu/cyrus-imapd/expire: 30",
            "/mailbox//shared/vendor/cmu/cyrus-imapd/sharedseen: true",
            &format!("/mailbox//shared/vendor/cmu/cyrus-imapd/server: {server}"),
            "/server//shared/comment: a server",
        ] {
            assert!(said.lines().any(|told| told == line), "{node}: {line}\n{said}");
        }
    }
}

#[test]
fn quotas_of_a_tree_on_two_backends_are_set_on_both() {
    let murder = murder();
    let mut admin = murder.admin("frontend1");
    for (mailbox, node) in [("team", "backend1"), ("team/far", "backend2")] {
        let place = format!("CREATE {mailbox} {}!default", murder.node(node).name);
        admin.must(&place).expect(&place);
        admin.must(&format!("SETACL {mailbox} cyrus lrswipkxtecda")).expect("SETACL");
    }
    assert_eq!(
        ask(&mut admin, "SETQUOTA team (STORAGE 1000)"),
        ["* QUOTA team (STORAGE 0 1000)", "OK Completed"]
    );
    for mailbox in ["team", "team/far"] {
        let text = format!("Subject: x\r\n\r\n{}\r\n", "y".repeat(2000));
        admin.must(&format!("APPEND {mailbox} {{{}+}}\r\n{text}", text.len())).expect("APPEND");
    }
    assert_eq!(first(&mut admin, "GETQUOTA team"), "* QUOTA team (STORAGE 2 1000)");
    for node in ["backend1", "backend2"] {
        assert_eq!(
            first(&mut murder.admin(node), "GETQUOTA team"),
            "* QUOTA team (STORAGE 1 1000)",
            "{node}"
        );
    }
}
