//! `ctl_mboxlist -m` against a master, with the backend stopped.

use moves::{
    MoveId, destination,
    journal::{DIRECTORY, Item, Journals, Record, Role},
    source,
};

use crate::master::Master;
use crate::node::{Node, dump, local, text};

fn backend(master: &Master) -> Node {
    Node::new(&format!(
        "mupdate_server: 127.0.0.1:{}\nmupdate_authname: b\nmupdate_password: b\nproxyservers: p\n\
         allowplaintext: yes\n",
        master.port
    ))
}

#[test]
fn the_two_agree_after_it_and_a_dry_run_changes_nothing() {
    let master = Master::start(&[
        ("user.gone", true, "be1.example!default", "gone\tlrs\t"),
        ("user.half", false, "be1.example!default", ""),
        ("user.here", true, "be1.example!default", "here\tlrs\t"),
        ("user.part", true, "be1.example!other", "part\tlrs\t"),
        ("user.away", true, "be2.example!default", "away\tlrs\t"),
        // On its way to another server, or back from it: its copy here may be the only one.
        ("user.moving", false, "be2.example!default", ""),
    ]);
    let node = backend(&master);
    let names = ["user.away", "user.moving", "user.half", "user.here", "user.new", "user.part"];
    node.must("ctl_mboxlist", "-u", &dump(&names.map(|name| local(name, "default"))));
    let expected = "Remove from MUPDATE: user.gone\nRemove Local Mailbox: user.away\nForce Activate: user.half\n\
                    Force Activate: user.new\nForce Activate: user.part\n";
    assert_eq!(node.must("ctl_mboxlist", "-mw", ""), expected);
    assert_eq!(master.told(), Vec::<String>::new());

    let output = node.run("ctl_mboxlist", "-m -i", "n\n");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    assert_eq!(text(&output.stderr), "OK to delete 1 local mailboxes? Cancelled!\n");
    assert_eq!(
        master.told(),
        [
            "DELETE user.gone",
            "ACTIVATE user.half be1.example!default half\tlrs\t",
            "ACTIVATE user.part be1.example!default part\tlrs\t",
            "ACTIVATE user.new be1.example!default new\tlrs\t",
        ]
    );
    assert_eq!(node.must("ctl_mboxlist", "-mw", ""), "Remove Local Mailbox: user.away\n");
    assert_eq!(
        node.must("ctl_mboxlist", "-maw", ""),
        "Force Activate: user.away\nForce Activate: user.moving\n"
    );
    node.must("ctl_mboxlist", "-m -a", "");
    assert_eq!(
        master.told(),
        [
            "ACTIVATE user.away be1.example!default away\tlrs\t",
            "ACTIVATE user.moving be1.example!default moving\tlrs\t"
        ]
    );
    assert_eq!(node.must("ctl_mboxlist", "-mw", ""), "");
}

#[test]
fn what_would_empty_the_list_waits_for_a_yes() {
    let names: Vec<String> = (0..120).map(|n| format!("user.u{n:03}")).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), true, "be1.example!default", "")).collect();
    let master = Master::start(&entries);
    let node = backend(&master);
    // A list that was never made, or was set aside, says nothing of what is on disk.
    node.must("ctl_mboxlist", "-m", "");
    assert_eq!(master.told(), Vec::<String>::new());
    node.must("ctl_mboxlist", "-u", &dump(&[]));
    let output = node.run("ctl_mboxlist", "-m", "");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("at the MUPDATE master: 120 of 120 mailboxes would be removed: user.u000,"),
        "{said}"
    );
    assert_eq!(master.told(), Vec::<String>::new());
    node.must("ctl_mboxlist", "-m --accept-mass-delete", "");
    assert_eq!(master.told().len(), 120);
}

#[test]
fn a_master_that_is_not_there_is_told_in_cyruss_words() {
    let mut master = Master::start(&[]);
    master.port = 1;
    let output = backend(&master).run("ctl_mboxlist", "-m", "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).starts_with("couldn't connect to mupdate server\n"),
        "{}",
        text(&output.stderr)
    );
}

/// The unique id of a mailbox that moves: it may have no dot.
fn id(name: &str) -> String {
    format!("id-{}", name.replace('.', "-"))
}

/// A move's file of this node, of one mailbox.
fn moves(node: &Node, name: &str, started: u64, role: Role) {
    let item = Item {
        name: name.into(),
        uniqueid: id(name),
        partition: "default".into(),
        to_partition: "fast".into(),
        acl: String::new(),
        digest: None,
    };
    let record = Record {
        id: MoveId::new().unwrap(),
        root: name.into(),
        items: vec![item],
        round: 1,
        started,
        expected: None,
        why: None,
        wishes: moves::wishes::Wishes::default(),
        ended: None,
        purged: None,
        pause: None,
        role,
    };
    let (journals, _) = Journals::open(&node.path("conf/murder/backend")).unwrap();
    journals.write(&record).unwrap();
}

fn gives(phase: source::Phase) -> Role {
    Role::Source {
        phase,
        to: "be2.example".into(),
        messages: 0,
        bytes: 0,
        asked_by: "cyrus".into(),
        frozen_at: None,
        keep_until: None,
        followed: true,
    }
}

#[test]
fn what_moves_is_left_to_the_move_and_a_restored_master_is_told_to_where_a_mailbox_went() {
    let master = Master::start(&[
        // The switch is done, and the source does not know yet.
        ("user.out", true, "be2.example!fast", "out\tlrs\t"),
        // It is this server's, and not listed yet.
        ("user.in", true, "be1.example!fast", "in\tlrs\t"),
        // Of an earlier day: it was given away, or came from there, since.
        ("user.given", true, "be1.example!default", "given\tlrs\t"),
        ("user.came", true, "be2.example!default", "came\tlrs\t"),
        ("user.gone", true, "be1.example!default", "gone\tlrs\t"),
    ]);
    let node = backend(&master);
    let here = ["user.out", "user.came"];
    let lines = here.map(|name| local(name, "default").replace(&format!("id-{name}"), &id(name)));
    node.must("ctl_mboxlist", "-u", &dump(&lines));
    let takes = |phase| Role::Destination { phase, from: "be2.example".into(), prepared_at: None };
    moves(&node, "user.out", 1, gives(source::Phase::Switching));
    moves(&node, "user.in", 1, takes(destination::Phase::Committed));
    moves(&node, "user.given", 1, gives(source::Phase::Kept));
    moves(&node, "user.came", 1, takes(destination::Phase::Done));
    assert_eq!(
        node.must("ctl_mboxlist", "-mw", ""),
        "Remove from MUPDATE: user.gone\nForce Activate: user.came\nForce Activate: user.given\n"
    );
    node.must("ctl_mboxlist", "-m", "");
    assert_eq!(
        master.told(),
        [
            "DELETE user.gone",
            "ACTIVATE user.came be1.example!default came\tlrs\t",
            "ACTIVATE user.given be2.example!fast given\tlrs\t",
        ]
    );
}

#[test]
fn a_move_that_cannot_be_read_may_be_the_only_word_of_a_mailbox() {
    let master = Master::start(&[("user.gone", true, "be1.example!default", "gone\tlrs\t")]);
    let node = backend(&master);
    node.must("ctl_mboxlist", "-u", &dump(&[]));
    let directory = node.path("conf/murder/backend").join(DIRECTORY);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("x.json"), "half of").unwrap();
    let output = node.run("ctl_mboxlist", "-m", "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("x.json: a move's file is cut short: nothing is done"));
    assert_eq!(master.told(), Vec::<String>::new());
}
