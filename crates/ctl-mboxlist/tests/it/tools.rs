//! Dump, undump, check and checkpoint.

use config::imapd::Imapd;
use ctl_mboxlist::lists::Lists;
use mailboxes::{List, Options};

use crate::node::{Node, dump, local, text};

const BACKEND: &str = "mupdate_server: 127.0.0.1\nproxyservers: proxy\n";

#[test]
fn what_is_dumped_is_loaded_again() {
    let node = Node::new(BACKEND);
    assert_eq!(node.must("ctl_mboxlist", "-d", ""), "{\n\n}\n");
    let lines =
        dump(&[local("user.ann", "default"), local("user.ann.a", "fast"), local("user.bob", "default")]);
    assert_eq!(node.must("ctl_mboxlist", "-u", &lines), "");
    assert_eq!(node.must("ctl_mboxlist", "-d", ""), lines);
    assert_eq!(node.must("ctl_mboxlist", "-d -p fast", ""), dump(&[local("user.ann.a", "fast")]));
    let kept = dump(&[local("user.ann", "default"), local("user.bob", "default")]);
    assert_eq!(node.must("ctl_mboxlist", "-d -x -p fast", ""), dump(&[local("user.ann.a", "fast")]));
    assert_eq!(node.must("ctl_mboxlist", "--dump", ""), kept);
    let file = node.path("conf/murder/backend/list.sled");
    assert_eq!(node.must("ctl_mboxlist", &format!("-d -f {}", file.display()), ""), kept);
}

#[test]
fn an_undump_that_is_broken_loads_nothing_and_fails() {
    let node = Node::new(BACKEND);
    let broken = format!("{{\n{},\n\"user.x\": 5}}\n", local("user.ann", "default"));
    let output = node.run("ctl_mboxlist", "-u", &broken);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "parse error at line 3: invalid type: integer `5`, expected the fields of an entry\n"
    );
    assert_eq!(node.must("ctl_mboxlist", "-d", ""), "{\n\n}\n");
    let output =
        node.run("ctl_mboxlist", "-u", "{\"user.y\": {\"partition\": \"default\", \"mbtype\": \"e\"}}");
    assert!(text(&output.stderr).ends_with("missing uniqueid for user.y\n"), "{}", text(&output.stderr));
}

#[test]
fn old_dumps_are_loaded_too() {
    let node = Node::new(BACKEND);
    node.must("ctl_mboxlist", "-uL", "user.ann\t0 default ann\tlrs\t>abc 5 6 8 7\n");
    let said = node.must("ctl_mboxlist", "-d", "");
    assert!(said.contains("\"mbtype\": \"el\"") && said.contains("\"uniqueid\": \"abc\""), "{said}");
}

#[test]
fn wrong_use_and_wrong_files_have_cyruss_exit_codes() {
    let node = Node::new("allowplaintext: Maybe\ntimeout: soon\n");
    for (program, words, code) in [
        ("ctl_mboxlist", "", 1),
        ("ctl_mboxlist", "-d -a", 1),
        ("ctl_cyrusdb", "", 255),
        ("ctl_cyrusdb", "-r -c", 255),
    ] {
        assert_eq!(node.run(program, words, "").status.code(), Some(code), "{program} {words}");
    }
    let output = node.run("ctl_mboxlist", "-d", "");
    assert_eq!(output.status.code(), Some(78));
    let said = text(&output.stderr);
    assert!(
        said.contains("imapd.conf:3: allowplaintext:") && said.contains("imapd.conf:4: timeout:"),
        "{said}"
    );
}

#[test]
fn checkpoints_rotate_and_bring_a_list_back() {
    let node = Node::new(BACKEND);
    assert_eq!(node.must("ctl_cyrusdb", "-c", ""), "");
    assert!(!node.path("conf/db.backup1").exists());
    node.must("ctl_mboxlist", "-u", &dump(&[local("user.ann", "default")]));
    node.must("ctl_cyrusdb", "-c", "");
    node.must("ctl_mboxlist", "-u", &dump(&[local("user.bob", "default")]));
    node.must("ctl_cyrusdb", "-c", "");
    let read = |name: &str| std::fs::read_to_string(node.path(name)).unwrap();
    assert_eq!(read("conf/db.backup2/backend.json"), dump(&[local("user.ann", "default")]));
    let whole = read("conf/db.backup1/backend.json");
    assert_eq!(whole, dump(&[local("user.ann", "default"), local("user.bob", "default")]));
    std::fs::remove_dir_all(node.path("conf/murder")).unwrap();
    node.must("ctl_mboxlist", "-u", &whole);
    assert_eq!(node.must("ctl_mboxlist", "-d", ""), whole);
}

#[test]
fn recovery_succeeds_everywhere_and_keeps_reservations() {
    let fresh = Node::new(BACKEND);
    assert_eq!(fresh.must("ctl_cyrusdb", "-r", ""), "");
    let master = Node::new("");
    let reserved = "\"user.ann\": {\"name\": \"user.ann\", \"mtime\": \"5\", \"uidvalidity\": \"0\", \"createdmodseq\": \
                    \"0\", \"foldermodseq\": \"0\", \"mbtype\": \"erz\", \"partition\": \"default\", \"server\": \"be2\", \
                    \"acl\": {}, \"name_history\": []}";
    master.must("ctl_mboxlist", "-u", &dump(&[reserved.to_owned()]));
    master.must("ctl_cyrusdb", "-r -x", "");
    assert_eq!(master.must("ctl_mboxlist", "-d", ""), dump(&[reserved.to_owned()]));
    let said = master.must("ctl_cyrusdb", "-r --reservations be2", "");
    assert_eq!(said, "removed reserved mailbox 'user.ann'\n");
    assert_eq!(master.must("ctl_mboxlist", "-d", ""), "{\n\n}\n");
}

#[tokio::test]
async fn a_list_that_somebody_has_open_and_does_not_answer_for_is_waited_for() {
    let node = Node::new(BACKEND);
    node.must("ctl_mboxlist", "-u", &dump(&[local("user.ann", "default")]));
    let imapd = Imapd::load(&node.path("imapd.conf"), "ctl_mboxlist").unwrap();
    // As a daemon has it that is starting.
    let held = List::open(&imapd.program_directory("backend"), Options::owner()).unwrap();
    let mut reached = std::pin::pin!(Lists::reach(&imapd, "backend", None));
    for _ in 0..100 {
        tokio::select! {
            biased;
            given_up = &mut reached => panic!("not waited for: {:?}", given_up.err()),
            () = tokio::task::yield_now() => {}
        }
    }
    held.close().await.unwrap();
    drop(held);
    assert_eq!(reached.await.unwrap().all().await.unwrap().len(), 1);
}

#[test]
fn where_no_mail_is_kept_the_stores_tools_make_no_store() {
    let node = Node::new("");
    node.must("cyr_expire", "-E 3 -D 7 -X 7", "");
    node.must("squatter", "-s -r user", "");
    let refused = node.run("reconstruct", "-f", "");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stderr), "no partition-NAME is set: this node keeps no mail\n");
    assert!(!node.path("conf/murder/backend").exists());
}

#[test]
fn sievec_shows_all_mistakes_of_a_script_and_sieved_prints_it() {
    let node = Node::new(BACKEND);
    let path = node.path("main.sieve");
    std::fs::write(&path, "# mine\nrequire \"copy\";\nif true { keep; } else { discard ; }\n").unwrap();
    let (script, copy) = (path.display(), node.path("copy"));
    let output = node.run("sievec", &format!("{script} {}", copy.display()), "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output.stderr),
        format!("{script}:1: warning: required and not used: copy\n"),
        "a warning stops nothing"
    );
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&path).unwrap());
    let plain = "require \"copy\";\nif true {\nkeep;\n}\nelse {\ndiscard;\n}\n";
    assert_eq!(node.must("sieved", &script.to_string(), ""), plain);
    std::fs::write(&path, "keep;\nfileinto \"x\";\nnonsense;\n").unwrap();
    let output = node.run("sievec", &script.to_string(), "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        format!("{script}:2: fileinto needs require \"fileinto\"\n{script}:3: unknown command nonsense\n")
    );
}
