//! Every command that a backend knows, asked directly and through a frontend: the answers are the same.

use murder::clients::{Imap, Reply};
use system_tests::Plan;

/// Two users with the same mail on one backend: one talks to it, the other to the frontend.
#[test]
fn every_command_is_answered_alike_directly_and_through_a_frontend() {
    let murder = Plan::nodes(1, 1).user("anna", "backend1").user("berta", "backend1").start();
    let (mut direct, mut proxied) = (murder.login("backend1", "anna"), murder.login("frontend1", "berta"));
    let mut differing = Vec::new();
    for command in commands() {
        let straight = answer(&mut direct, &command, "anna");
        let through = answer(&mut proxied, &command, "berta");
        if straight != through {
            differing.push(format!("{command:.60}\n  direct:  {straight:?}\n  proxied: {through:?}"));
        }
        // Ten mistakes in a row end a session.
        let _ = (direct.command("NOOP"), proxied.command("NOOP"));
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The same for an admin, whose commands about mailboxes and quotas take another way.
#[test]
fn an_admins_commands_are_answered_alike() {
    let murder = Plan::nodes(1, 1).user("anna", "backend1").user("berta", "backend1").start();
    let (mut direct, mut proxied) = (murder.admin("backend1"), murder.admin("frontend1"));
    for command in ADMINS {
        let of = |user: &str| command.replace("USER", user);
        let straight = answer(&mut direct, &of("anna"), "anna");
        let through = answer(&mut proxied, &of("berta"), "berta");
        assert_eq!(straight, through, "{command}");
    }
}

fn answer(imap: &mut Imap, command: &str, user: &str) -> (Vec<String>, Vec<Vec<u8>>) {
    match imap.command(&command.replace("USER", user)) {
        Ok(Reply { result, lines, literals }) => {
            let all = lines.into_iter().chain([result]).map(|line| alike(&line, user));
            (all.collect(), literals)
        }
        Err(error) => (vec![error.to_string()], Vec::new()),
    }
}

/// Names, ids and dates differ between two users; their shape does not.
fn alike(line: &str, user: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| "()[]\"".contains(c));
        let id = bare.len() == 36 && bare.matches('-').count() == 4;
        let number = bare.len() > 8 && bare.bytes().all(|b| b.is_ascii_digit());
        if id || number { word.replace(bare, "#") } else { word.to_owned() }
    };
    line.replace(user, "USER").split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn commands() -> Vec<String> {
    let append = |mailbox: &str, before: &str, id: u32| {
        let message = format!("Subject: {id}\r\nFrom: a@b\r\nMessage-ID: <{id}@x>\r\n\r\nbody {id}\r\n");
        let date = "\"02-Nov-2026 10:00:00 +0000\"";
        format!("APPEND {mailbox} {before}{date} {{{}+}}\r\n{message}", message.len())
    };
    let mut all: Vec<String> = BEFORE_MAIL.iter().map(|c| c.to_string()).collect();
    all.extend([
        append("INBOX", "(\\Seen $x) ", 1),
        append("INBOX", "", 2),
        append("INBOX", "(\\Flagged) ", 3),
        append("a", "", 4),
        append("nowhere", "", 5),
        append("\"\"", "", 6),
        append("{5+}\r\nINBOX", "", 7),
    ]);
    all.extend(WITH_MAIL.iter().map(|c| c.to_string()));
    all
}

const BEFORE_MAIL: &[&str] = &[
    "NOOP",
    "CHECK",
    "SELECT",
    "SELECT nowhere",
    "SELECT \"\"",
    "SELECT a//b",
    "FETCH 1 FLAGS",
    "CLOSE",
    "UNSELECT",
    "EXPUNGE",
    "COPY 1 INBOX",
    "REPLACE 1 INBOX {8+}\r\nA: 1\r\n\r\n",
    "UID FOO 1",
    "BLAH",
    "X \"open",
    "LIST",
    "LIST \"\"",
    "LIST \"\" \"\"",
    "LIST \"\" *",
    "LIST \"\" %",
    "LIST \"\" INBOX",
    "LIST \"\" inbox",
    "LIST (SUBSCRIBED) \"\" *",
    "LSUB \"\" *",
    "LSUB \"\" \"\"",
    "NAMESPACE",
    "CREATE a",
    "CREATE a",
    "CREATE a/b/c",
    "CREATE INBOX",
    "CREATE \"bad%name\"",
    "CREATE \"\"",
    "CREATE x (USE (\\Sent))",
    "CREATE y (USE (\\Sent))",
    "CREATE z (USE (\\Nonsense))",
    "CREATE q default",
    "CREATE \"Other Users/nobody/x\"",
    "CREATE \"Shared Folders/x\"",
    "LIST \"\" *",
    "LIST \"\" % RETURN (CHILDREN)",
    "LIST \"\" * RETURN (SPECIAL-USE)",
    "LIST \"\" * RETURN (SUBSCRIBED)",
    "LIST (SPECIAL-USE) \"\" *",
    "LIST (RECURSIVEMATCH) \"\" *",
    "LIST (NONSENSE) \"\" *",
    "LIST \"\" * RETURN (MYRIGHTS)",
    "LIST a/ *",
    "LIST a/ %",
    "LIST a/ /%",
    "LIST a /%",
    "LIST \"\" (a x)",
    "LIST \"\" a/%/c",
    "SUBSCRIBE a",
    "SUBSCRIBE a/b/c",
    "SUBSCRIBE \"\"",
    "LSUB \"\" *",
    "LSUB \"\" %",
    "LIST (SUBSCRIBED) \"\" *",
    "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %",
    "LIST \"\" (a x) RETURN (STATUS (MESSAGES UIDNEXT))",
    "XLIST \"\" *",
    "UNSUBSCRIBE a",
    "UNSUBSCRIBE nowhere",
    "APPEND INBOX",
    "APPEND",
    "APPEND INBOX (\\Seen) foo",
    "STATUS INBOX (MESSAGES)",
    "SELECT INBOX",
];

const WITH_MAIL: &[&str] = &[
    "NOOP",
    "SELECT INBOX (CONDSTORE)",
    "EXAMINE INBOX",
    "STORE 1 +FLAGS (\\Seen)",
    "COPY 1 a",
    "MOVE 1 a",
    "SELECT INBOX",
    "FETCH 1:* (FLAGS UID)",
    "FETCH 1 BODY[]",
    "FETCH 1:2 PREVIEW",
    "FETCH 1 (PREVIEW (LAZY) BINARY.SIZE[1] BINARY.PEEK[1]<2.3>)",
    "FETCH 1 (PREVIEW (EAGER))",
    "FETCH 1 (ENVELOPE BODYSTRUCTURE RFC822.SIZE)",
    "FETCH 1:2 BODY[HEADER]",
    "UID FETCH 1:* FLAGS",
    "FETCH",
    "FETCH 9 FLAGS",
    "FETCH x FLAGS",
    "STORE 1 +FLAGS (\\Deleted)",
    "STORE 2 FLAGS.SILENT (\\Seen)",
    "STORE 2 FLAGS",
    "UID STORE 3 -FLAGS (\\Flagged)",
    "SEARCH ALL",
    "UID SEARCH SEEN",
    "SEARCH RETURN (COUNT MIN MAX) ALL",
    "SEARCH RETURN (SAVE) FROM a",
    "FETCH $ (UID)",
    "UID SEARCH $",
    "STORE $ (UNCHANGEDSINCE 1) +FLAGS (\\Seen)",
    "SEARCH RETURN (SAVE) TEXT nothing",
    "FETCH $ (UID)",
    "COPY $ a",
    "UID SEARCH RETURN (PARTIAL -1:-2 COUNT) ALL",
    "SEARCH RETURN (PARTIAL 1:2 ALL) ALL",
    "UID FETCH 1:* (UID) (PARTIAL -1:-1)",
    "SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT BODY",
    "SORT (REVERSE DATE) UTF-8 ALL",
    "UID SORT RETURN (ALL MIN MAX COUNT PARTIAL 1:2) (SUBJECT) UTF-8 ALL",
    "UID SORT RETURN (ALL MIN MAX COUNT) (REVERSE SUBJECT) UTF-8 ALL",
    "SORT (DISPLAYFROM UID MODSEQ) UTF-8 SEEN",
    "SORT (FOO) UTF-8 ALL",
    "SORT (DATE) FOO ALL",
    "THREAD ORDEREDSUBJECT UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "UID THREAD REFS UTF-8 ALL",
    "THREAD FOO UTF-8 ALL",
    "UIDBATCHES 100",
    "UIDBATCHES 1",
    "ESEARCH IN (personal) RETURN (COUNT ALL) TEXT body",
    "ESEARCH IN (mailboxes (a nowhere) selected) RETURN (MIN) ALL",
    "ESEARCH RETURN (COUNT) ALL",
    "ESEARCH IN (subtree a) CHARSET FOO TEXT x",
    "ESEARCH IN (nonsense) ALL",
    "SEARCH CHARSET FOO ALL",
    "SEARCH",
    "COPY 1:2 a",
    "COPY 1 nowhere",
    "COPY 9 a",
    "UID COPY 99 a",
    "UID COPY 1:2 a",
    "COPY 1 \"\"",
    "APPEND a CATENATE (URL \"/INBOX/;UID=2/;SECTION=TEXT\" TEXT {8+}\r\nA: 1\r\n\r\n)",
    "APPEND a CATENATE (TEXT {8+}\r\nA: 1\r\n\r\n URL {5+}\r\n;UID=)",
    "APPEND a CATENATE (URL \"/INBOX/;UID=99\" TEXT {3+}\r\nabc) {3+}\r\nabc",
    "APPEND a CATENATE (URL \"/nowhere/;UID=1\")",
    "APPEND a CATENATE (URL nonsense)",
    "APPEND a CATENATE (URL ;UID=2) CATENATE (URL ;UID=2/;PARTIAL=0.9)",
    "APPEND a CATENATE ()",
    "APPEND a CATENATE (FOO {3+}\r\nabc)",
    "APPEND a {3+}\r\nabc {3+}\r\nabc)",
    "APPEND a ~{8+}\r\nA: 1\r\n\r\n",
    "APPEND a ~{9+}\r\nA: 1\r\n\r\n\0",
    "REPLACE",
    "REPLACE 1",
    "REPLACE 1 a",
    "REPLACE 9 INBOX {8+}\r\nA: 1\r\n\r\n",
    "REPLACE 1:2 INBOX {8+}\r\nA: 1\r\n\r\n",
    "REPLACE 1 nowhere {8+}\r\nA: 1\r\n\r\n",
    "REPLACE 1 a {8+}\r\nA: 1\r\n\r\n {8+}\r\nA: 1\r\n\r\n",
    "UID REPLACE 99 a {8+}\r\nA: 1\r\n\r\n",
    "UID REPLACE 2 a (\\Draft) {8+}\r\nA: 1\r\n\r\n",
    "REPLACE * INBOX CATENATE (URL ;UID=3/;SECTION=HEADER TEXT {3+}\r\nabc)",
    "GENURLAUTH {3+}\r\nabc INTERNAL",
    "RESETKEY",
    "URLFETCH {3+}\r\nabc",
    "MOVE 3 a",
    "MOVE 1 nowhere",
    "UID MOVE 99 a",
    "EXPUNGE",
    "UID EXPUNGE 1:*",
    "STATUS a (MESSAGES UIDNEXT UNSEEN)",
    "STATUS nowhere (MESSAGES)",
    "STATUS",
    "STATUS a",
    "STATUS a (FOO)",
    "STATUS a (SIZE)",
    "MYRIGHTS a",
    "MYRIGHTS nowhere",
    "GETACL a",
    "SETACL a bob lrs",
    "GETACL a",
    "LISTRIGHTS a bob",
    "LISTRIGHTS a USER",
    "DELETEACL a bob",
    "SETACL a bob q",
    "SETACL a -bob w",
    "GETACL a",
    "SETACL nowhere bob lrs",
    "SETACL a",
    "GETQUOTAROOT INBOX",
    "GETQUOTAROOT nowhere",
    "GETQUOTA user/USER",
    "SETQUOTA user/USER (STORAGE 100)",
    "GETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/partition)",
    "GETMETADATA nowhere (/shared/comment)",
    "GETMETADATA a (/shared/comment)",
    "ENABLE CONDSTORE",
    "ENABLE FOO",
    "NOTIFY SET (personal (Moon))",
    "NOTIFY SET (selected (MailboxName))",
    "NOTIFY SET (personal (MessageNew))",
    "NOTIFY SET STATUS (mailboxes (a nowhere) (MessageNew MessageExpunge))",
    "NOTIFY NONE",
    "UID SORT (DATE) UTF-8 ALL",
    "ENABLE CONDSTORE",
    "SEARCH THREADID T1",
    "STATUS a/b (MESSAGES HIGHESTMODSEQ)",
    "FETCH 1 (MODSEQ)",
    "FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
    "STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Flagged)",
    "CLOSE",
    "FETCH 1 FLAGS",
    "SELECT a",
    "UNSELECT",
    "RENAME a z",
    "RENAME nowhere y",
    "RENAME z z",
    "RENAME z INBOX",
    "RENAME z w default",
    "RENAME INBOX old",
    "LIST \"\" *",
    "DELETE nowhere",
    "DELETE z",
    "DELETE INBOX",
    "DELETE x",
    "LIST \"\" *",
    "GETMETADATA \"\" (/shared/comment)",
    "ID (\"name\" \"x\")",
    "ID NIL",
    "ID",
    "STARTTLS",
    "LOGIN a b",
    "AUTHENTICATE PLAIN",
    "COMPRESS FOO",
    "XFER a b",
    "UNAUTHENTICATE",
    "LOGOUT",
];

const ADMINS: &[&str] = &[
    "LIST \"\" user/USER",
    "CREATE user/USER/a",
    "SETQUOTA user/USER (STORAGE 1000 MESSAGE 50)",
    "GETQUOTA user/USER",
    "GETQUOTAROOT user/USER/a",
    "SETQUOTA user/USER ()",
    "GETQUOTA nowhere",
    "GETQUOTA user/USER/a",
    "MYRIGHTS user/USER",
    "GETACL user/USER",
    "SETACL user/USER/a cyrus all",
    "SETACL user/USER/a cyrus lrswipkxtea",
    "LISTRIGHTS user/USER cyrus",
    "GETMETADATA user/USER (/shared/vendor/cmu/cyrus-imapd/server)",
    "STATUS user/USER (MESSAGES)",
    "SELECT user/USER",
    "DELETE user/USER/a",
    "CREATE user/USER/b nopartition",
    "CREATE user/USER/c/d/e",
    "CREATE user/nobody/x",
    "LIST \"\" user/USER/*",
    "NAMESPACE",
    "RENAME user/USER/c user/USER/f",
    "DELETE user/USER/none",
];
