//! What the fuzz targets of `fuzz/` run, each as a function of bytes that panics where something is wrong; and a small driver
//! that runs them on a stable compiler, for a number of rounds, with inputs made from samples and a seed.

pub mod configuration;
pub mod connections;
pub mod driver;
pub mod frame;
pub mod imap;
pub mod list;
pub mod lmtp_pop3;
pub mod mime;
pub mod mupdate;
pub mod names;
pub mod nntp;
pub mod sieve;
pub mod sync;
pub mod tickets;

use driver::Target;

/// All of them, with samples of what they are made for.
pub const TARGETS: [Target; 13] = [
    Target {
        name: "configuration",
        run: configuration::run,
        samples: &[
            include_bytes!("../../../etc/backend/imapd.conf"),
            include_bytes!("../../../etc/frontend/cyrus.conf"),
            b"SERVICES {\n imap cmd=\"imapd -C /c\" listen=\"[::1]:143\" proto=tcp6 prefork=5 maxchild=10\n}\n",
            b"EVENTS {\n tick cmd=\"ctl_cyrusdb -c\" period=30 at=0400 cron=\"*/5 1-3 * * 7\"\n}\n",
            b"servername: a.b\nimap_admins: x y\npartition-default: /s\nclient_timeout: 5m\nmaxmessagesize: 10M\n",
        ],
    },
    Target { name: "connections", run: connections::run, samples: &[b"\x01", b"\0\x05\x09\x02\x07\x01\x03\x08\x04\x06"] },
    Target {
        name: "frame",
        run: frame::run,
        samples: &[
            b"a NOOP\r\nb APPEND x {5+}\r\nhello\r\n",
            b"c LOGIN {3}\r\nabc {2}\r\nde\r\n",
            b"d X ~{3+}\r\n\0\0\0 (\"a\\\"b\")\n",
        ],
    },
    Target {
        name: "imap",
        run: imap::run,
        samples: &[
            b"a1 FETCH 1:*,4:2 (UID FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From To)]<0.100> ENVELOPE) (CHANGEDSINCE 5)",
            b"a2 UID SEARCH RETURN (MIN MAX ALL) OR (SUBJECT {3+}\r\nabc SINCE 1-Jan-2026) NOT 1:$ LARGER 5",
            b"a3 APPEND \"a b\" (\\Seen $x) \" 1-Jan-2026 10:00:00 +0000\" {3+}\r\nabc",
            b"a4 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"a%\" *) RETURN (CHILDREN STATUS (MESSAGES UIDNEXT))",
            b"a5 STORE 1 (UNCHANGEDSINCE 9) +FLAGS.SILENT (\\Deleted)",
            b"b1 UID SORT RETURN (PARTIAL -1:-10 SAVE) (REVERSE DISPLAYFROM SUBJECT) UTF-8 FUZZY TEXT x $",
            b"b2 UID THREAD REFERENCES US-ASCII OR NOT (SEEN $) UID 5:*",
            b"b4 NOTIFY SET STATUS (selected (MessageNew (uid body.peek[header.fields (from {7+}\r\nsubject)]) MessageExpunge)) (subtree (a \"b c\") (MailboxName))",
            b"b3 ESEARCH IN (mailboxes (a \"b c\" {1+}\r\nd) subtree-one e selected) RETURN (COUNT RELEVANCY) CHARSET utf-8 TEXT x",
            b"b4 UIDBATCHES 500 1:4",
            b"b5 UID FETCH $ (UID FLAGS) (PARTIAL -5:-1 CHANGEDSINCE 7)",
            b"a6 SETACL user.fred anyone lrs",
            b"a7 SETQUOTA \"\" (STORAGE 10 MESSAGE 5)",
            b"a8 SELECT INBOX (CONDSTORE QRESYNC (1 2 3:4 (5 6)))",
            b"a9 ID (\"name\" \"x\" \"version\" NIL)",
            b"b1 UID FETCH 1:*,7 (FLAGS UID) (CHANGEDSINCE 5 VANISHED)",
            b"b2 ENABLE IMAP4rev2 QRESYNC UIDONLY UTF8=ACCEPT X",
            b"b3 EXAMINE x (QRESYNC (67890007 9223372036854775807 1,43:211 (1,3,5 41,50,60)))",
            b"b4 XTAKE 1,3:9",
            b"b4 XADOPT 757365722e66726564 u-1 7 90 90 2 EA 1:5,9 7 9 9 1:3",
            b"b4 XADOPT + 757365722e66726564 u-1 7 90",
            b"b5 APPEND x () UTF8 (~{3+}\r\nabc)",
            b"b6 APPEND x (\\Seen) CATENATE (URL \"/a;UIDVALIDITY=1/;UID=2/;SECTION=1.MIME\" TEXT ~{3+}\r\nabc)",
            b"b7 UID REPLACE 7 x CATENATE (URL {4+}\r\n;UID TEXT {3}",
            b" URL ;UID=1/;PARTIAL=0.5 TEXT {3}\r\n",
            b"imap://a;AUTH=*@h:143/b%20c/;UID=1/;SECTION=HEADER.FIELDS%20(TO)",
        ],
    },
    Target {
        name: "list",
        run: list::run,
        samples: &[b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17"],
    },
    Target {
        name: "lmtp_pop3",
        run: lmtp_pop3::run,
        samples: &[
            b"MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME AUTH=<> SMTPUTF8",
            b"RCPT TO:<@c,@d:\"a b\"+x@[127.0.0.1]> IGNOREQUOTA",
            b"LHLO [IPv6:::1]",
            b"BDAT 100 LAST",
            b"TOP 1 10",
            b"APOP user 0123456789abcdef0123456789abcdef",
            b"AUTH PLAIN AGEAYg==",
            b"PUTSCRIPT \"a \\\"b\" {5+}\r\nkeep;\r\n",
            b"AUTHENTICATE \"PLAIN\" {8+}\r\nAGEAYg==\r\n",
            b"HAVESPACE \"x\" 4294967295",
            b"BYE (REFERRAL \"sieve://be\") {3}\r\na\r\n",
        ],
    },
    Target {
        name: "mime",
        run: mime::run,
        samples: &[
            b"From: =?utf-8?q?=C3=A9?= <a@b>, g: c@d, e@f;\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000 (x)\r\nMIME-Version: 1.0\r\n\
              Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; charset*=utf-8''x\r\n\r\nx\r\n\
              --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--b--\r\n",
            b"Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\n--a\r\nContent-Type: multipart/x; boundary=a-\r\n\r\n--a--",
            b"Content-Disposition: attachment; filename*0=a; filename*1*=%20b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA",
        ],
    },
    Target {
        name: "mupdate",
        run: mupdate::run,
        samples: &[
            b"a1 AUTHENTICATE \"PLAIN\" {4+}\r\nAAAA\r\na2 UPDATE\r\n\x07",
            b"b1 ACTIVATE \"user.x\" \"be!p\" \"x\tlrs\t\"\r\nb2 RESERVE {6+}\r\nuser.y \"be!p\"\r\nb3 NOOP\r\n\x04",
            b"c1 DEACTIVATE \"user.x\" \"be!p\"\r\nc2 DELETE \"user.x\"\r\nc3 FIND \"user.x\"\r\nc4 LIST \"be!\"\r\nc5 LOGOUT\r\n\x14",
            b"e1 ACTIVATE \"user.x\" \"be!p\" \"\" \"active@be!p#0123456789abcdef0123456789abcdef:7\"\r\ne2 CORDON \"be\"\r\ne3 SERVERS\r\n\x04",
            b"U SERVER \"be\" \"cordoned\" \"17\"\r\nU SERVER \"be\" \"open\"\r\n\x04",
            b"* MAILBOX {6}\r\nuser.x \"be!p\" \"\"\r\nU RESERVE \"a\" \"b\"\r\nd1 OK [x] \"y\"\r\nd2 STARTTLS\r\n\x01",
        ],
    },
    Target {
        name: "names",
        run: names::run,
        samples: &[
            b"user/fred^x/sub@example.orgfred\x05",
            b"INBOX.a.&AOk-.b*%user.fred@d\x0b",
            b"anyone\tlrs\t-fred\tx\tgroup:y\tkxte\tfred\x10",
        ],
    },
    Target {
        name: "nntp",
        run: nntp::run,
        samples: &[
            b"LISTGROUP comp.test 3-7",
            b"NEWNEWS comp.*,!comp.os.*,a?[^b-c]\\* 20261130 221500 GMT",
            b"XPAT Subject 1- *a*,b *[x-z]",
            b"HDR :bytes <a@b>",
            b"AUTHINFO SASL PLAIN AGEAYg==",
            b"TAKETHIS <a$1@b.c>",
            b"211 3 1 3 comp.test",
            b"Path: a!b\r\nFrom: f@x\r\nNewsgroups: a.b,c.d,\r\n e\r\nSubject: s\r\nMessage-ID: <a@b>\r\nControl: cancel <x@y>\r\n\r\nbody",
            b"*a*a*a*a,!b*,[a-c]?\naaaaaaaaaaaaaaaaaaab",
        ],
    },
    Target {
        name: "sieve",
        run: sieve::run,
        samples: &[
            b"require [\"fileinto\", \"variables\", \"imap4flags\"];\nif allof (header :matches \"subject\" \"*a?b*\", not size :over 10K) \
              { addflag \"\\\\Seen x\"; fileinto \"${1}\"; stop; } elsif exists [\"to\"] { keep; } else { discard; }\0Subject: xaab\r\nTo: a@b\r\n\r\nx\r\n",
            b"require [\"include\", \"variables\", \"envelope\", \"subaddress\", \"relational\", \"regex\"];global \"x\"; set :upper :length \"x\" \"${0}a\"; \
              if anyof (envelope :detail \"to\" \"d\", address :count \"ge\" [\"to\", \"cc\"] \"1\", header :regex \"a\" \"(b+|c)\") { include :once \"abc\"; \
              include :optional :global \"abcd\"; return; }\0A: bbc\nCc: g: a@b, \"x\" <c+d@e>;\n\n",
            b"require [\"encoded-character\", \"reject\", \"ihave\", \"environment\", \"copy\"]; if not ihave \"x\" { redirect :copy \"a@b.c\"; error \"${hex:41}\"; } \
              if string \"a\" \"b\" {} reject text:\nno\n..\n.\n;",
        ],
    },
    Target {
        name: "sync",
        run: sync::run,
        samples: &[
            b"S1 SYNCGET USER alice\r\nS2 SYNCGET MAILBOXES (user.a {5+}\r\nuser. )\r\nS3 SYNCGET ANNOTATION \"\"\r\n",
            b"S2 SYNCAPPLY MESSAGE (%{default 0123456789abcdef0123456789abcdef01234567 5}\r\nhello %{\"a b\" 0123456789abcdef0123456789abcdef01234567 2}\r\nxy)\r\nS3 SYNCRESTART\r\n",
            b"S3 SYNCAPPLY LOCAL_MAILBOX %(UNIQUEID 2bakz8-x MBOXNAME user.alice SYNC_CRC 5 SYNC_CRC_ANNOT 7 LAST_UID 3 HIGHESTMODSEQ 12 \
              RECENTUID 1 RECENTTIME 2 LAST_APPENDDATE 3 POP3_LAST_LOGIN 4 UIDVALIDITY 5 PARTITION default ACL \"a\tlrs\t\" OPTIONS PS \
              QUOTAROOT user.alice ANNOTATIONS (%(ENTRY /x USERID NIL VALUE {2+}\r\na\" MODSEQ 3)) SINCE_MODSEQ 4 RECORD (%(UID 1 MODSEQ 2 \
              LAST_UPDATED 3 FLAGS (\\Seen \\Expunged $x) INTERNALDATE 4 SIZE 5 GUID 0123456789abcdef0123456789abcdef01234567 SAVEDATE 6 ANNOTATIONS ())))",
            b"S4 SYNCAPPLY SEEN %(USERID a UNIQUEID b LASTREAD 1 LASTUID 2 LASTCHANGE 3 SEENUIDS 1:3,5)",
            b"S5 SYNCAPPLY QUOTA %(ROOT user.a LIMIT 5 STORAGE 5 MODSEQ 1)",
            b"S6 SYNCAPPLY RESERVE %(PARTITION p MBOXNAME (user.a) GUID (0123456789abcdef0123456789abcdef01234567))",
            b"S7 SYNCAPPLY SIEVE %(USERID a FILENAME f LAST_UPDATE 1 CONTENT {3+}\r\na\0b)",
            b"M1 SYNCAPPLY XBEGIN %(ID a-1 FROM be1 ROOT user.a PARTITION p BYTES 9 ITEMS (%(UNIQUEID u MBOXNAME user.a)))",
            b"M2 SYNCAPPLY XPREPARE %(ID a-1 USER abababababababababababababababababababababababababababababababab DIGESTS (%(UNIQUEID u DIGEST abababababababababababababababababababababababababababababababab)))",
            b"* XHAVE (%(UNIQUEID u LAST_UID 1 HIGHESTMODSEQ 2 DIGEST abababababababababababababababababababababababababababababababab))",
            b"* MISSING (0123456789abcdef0123456789abcdef01234567)",
            b"* MAILBOX %(UNIQUEID a MBOXNAME b LAST_UID 1 HIGHESTMODSEQ 2 RECENTUID 1 RECENTTIME 2 LAST_APPENDDATE 3 POP3_LAST_LOGIN 4 \
              UIDVALIDITY 5 PARTITION default ACL {3}\r\na\tl OPTIONS \"\" X-OPTIONS 5 X-GONE ((1 2 3 4)) X-FORGOTTEN ((1 2)) X-HISTORY \
              (%(MBOXNAME b MTIME 1)))",
        ],
    },
    Target {
        name: "tickets",
        run: tickets::run,
        samples: &[
            b"\x07\x00\x10\x00",
            b"\x01\0\0\0bob@MURDER.TEST",
            b"\0\0\0\x13KRB5_SENDAUTH_V1.0\0\0\0\0\x09KPOPV1.0\0\0\0\0\x06n\x82ab\0\xffUSER alice\r\n",
        ],
    },
];
