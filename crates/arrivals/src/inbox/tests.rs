use std::path::Path;
use std::sync::Arc;

use mailboxes::store::Memory;
use mailboxes::{Action, Change, Follow, List, Options};
use protocol::location::{Location, ServerName};
use upstream::Upstream;

use super::*;

fn imapd(more: &str) -> Imapd {
    let text = format!("configdirectory: /nowhere\nserverlist_select_mode: random\n{more}");
    Imapd::parse(Path::new("/nowhere/imapd.conf"), &text, "imap").unwrap()
}

const FOUR: &str = "serverlist: be1 be2 be3 be4\n";

fn inbox() -> MailboxName {
    MailboxName::parse("user.fred").unwrap()
}

fn at(server: &str) -> Location {
    Location::parse(&format!("{server}!default")).unwrap()
}

async fn put(list: &List, entry: Entry) {
    let change = Change { name: inbox(), expect: None, action: Action::Put(Box::new(entry)) };
    list.commit(vec![change]).await.unwrap();
}

fn servers(imapd: &Imapd, list: &List) -> Servers {
    Servers::new(Upstream::new(imapd), list.clone())
}

fn asked(next: Next) -> String {
    match next {
        Next::Ask(server) => server,
        other => panic!("nobody is asked: {other:?}"),
    }
}

#[tokio::test]
async fn a_newcomer_is_sent_to_one_server_and_found_where_the_list_says() {
    let (imapd, list, inbox) = (imapd(FOUR), List::memory(), inbox());
    let servers = servers(&imapd, &list);
    let mut arrival = Arrival::new(&servers, &list, &imapd, &inbox, Proto::Imap);
    let server = asked(arrival.next().await);
    assert!(imapd.serverlist.contains(&server));
    // Another frontend was quicker, and has chosen another backend.
    put(&list, Entry::active(at("be9"), "fred\tlrs\t")).await;
    let Next::Home(entry) = arrival.next().await else { panic!("no INBOX") };
    assert_eq!(entry.server(), "be9");
}

#[tokio::test]
async fn no_inbox_is_made_by_a_list_that_may_be_behind() {
    let (imapd, inbox) = (imapd(FOUR), inbox());
    let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
    list.follow(Follow { changes: Vec::new(), position: None, complete: false, whole: true }).await.unwrap();
    let servers = servers(&imapd, &list);
    let mut arrival = Arrival::new(&servers, &list, &imapd, &inbox, Proto::Imap);
    assert!(matches!(arrival.next().await, Next::Unsure(_)));
}

#[tokio::test]
async fn of_servers_that_make_no_inbox_three_are_asked_each_once() {
    let (imapd, list, inbox) = (imapd(FOUR), List::memory(), inbox());
    let servers = servers(&imapd, &list);
    let mut arrival = Arrival::new(&servers, &list, &imapd, &inbox, Proto::Imap);
    let mut all = Vec::new();
    for _ in 0..ASKED {
        all.push(asked(arrival.next().await));
    }
    assert_eq!(arrival.next().await, Next::Nobody);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), ASKED);
}

#[tokio::test]
async fn whoever_loses_a_name_to_another_backend_waits_until_the_list_has_it() {
    let (imapd, list, inbox) = (imapd("defaultserver: be1\n"), List::memory(), inbox());
    let servers = servers(&imapd, &list);
    let mut arrival = Arrival::new(&servers, &list, &imapd, &inbox, Proto::Imap);
    asked(arrival.next().await);
    // be1 was refused the name: be2 had asked for it before, and the master has not told anybody yet.
    arrival.answered();
    let (next, ()) = tokio::join!(arrival.next(), async {
        tokio::task::yield_now().await;
        put(&list, Entry::reserved(at("be2"))).await;
        put(&list, Entry::active(at("be2"), "fred\tlrs\t")).await;
    });
    assert!(matches!(next, Next::Home(entry) if entry.server() == "be2"));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_makes_is_waited_for_once_and_not_at_all_where_nobody_answered() {
    let (imapd, list, inbox) = (imapd("defaultserver: be1\n"), List::memory(), inbox());
    let servers = servers(&imapd, &list);
    for (answers, wait) in [(false, std::time::Duration::ZERO), (true, SETTLES)] {
        let mut arrival = Arrival::new(&servers, &list, &imapd, &inbox, Proto::Imap);
        asked(arrival.next().await);
        if answers {
            arrival.answered();
        }
        let before = Instant::now();
        assert_eq!(arrival.next().await, Next::Nobody);
        assert!(before.elapsed() >= wait && before.elapsed() < wait + SETTLES / 2);
        assert_eq!(arrival.next().await, Next::Nobody);
        assert!(before.elapsed() < wait + SETTLES / 2, "once");
    }
}

#[tokio::test]
async fn the_default_server_takes_newcomers_alone_and_without_any_nobody_does() {
    for (options, expected) in [
        ("serverlist: be1 be2\ndefaultserver: be3\n", &["be3"][..]),
        ("serverlist: be1\n", &["be1"]),
        ("", &[]),
    ] {
        let (imapd, list, inbox) = (imapd(options), List::memory(), inbox());
        let servers = servers(&imapd, &list);
        let mut arrival = Arrival::new(&servers, &list, &imapd, &inbox, Proto::Imap);
        for server in expected {
            assert_eq!(arrival.next().await, Next::Ask((*server).to_owned()));
        }
        assert_eq!(arrival.next().await, Next::Nobody, "{options}");
    }
}

#[tokio::test]
async fn an_inbox_that_is_being_made_is_waited_for_and_one_that_was_left_is_not() {
    let (imapd, list, inbox) = (imapd(FOUR), List::memory(), inbox());
    let servers = servers(&imapd, &list);
    put(&list, Entry::reserved(at("be2"))).await;
    let (own, task) = (list.clone(), inbox.clone());
    let waiting = tokio::spawn(async move {
        let imapd = self::imapd(FOUR);
        let servers = self::servers(&imapd, &own);
        Arrival::new(&servers, &own, &imapd, &task, Proto::Imap).next().await
    });
    tokio::task::yield_now().await;
    put(&list, Entry::active(at("be2"), "fred\tlrs\t")).await;
    let Next::Home(entry) = waiting.await.unwrap() else { panic!("no INBOX") };
    assert_eq!(entry.server(), "be2");
    // Nobody ends it.
    put(&list, Entry::reserved(at("be2"))).await;
    let mut arrival = Arrival::new(&servers, &list, &imapd, &inbox, Proto::Imap);
    tokio::time::pause();
    let before = Instant::now();
    assert_eq!(arrival.next().await, Next::Reserved);
    assert!(before.elapsed() >= RESERVED, "it was waited for");
    tokio::time::resume();
    // An old one.
    put(&list, Entry { mtime: 1, ..Entry::reserved(at("be2")) }).await;
    tokio::time::pause();
    let before = Instant::now();
    assert_eq!(arrival.next().await, Next::Reserved);
    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
    tokio::time::resume();
    // One that is taken back leaves the name free.
    put(&list, Entry::reserved(at("be2"))).await;
    let (next, ()) = tokio::join!(arrival.next(), async {
        tokio::task::yield_now().await;
        list.commit(vec![Change::delete(inbox.clone())]).await.unwrap();
    });
    asked(next);
}

async fn cordon(list: &List, server: &str, cordoned: bool) {
    list.cordon(ServerName::parse(server).unwrap(), cordoned).await.unwrap();
}

#[tokio::test]
async fn a_cordoned_server_gets_no_newcomer_until_it_is_open_again() {
    let (imapd, list, inbox) = (imapd("serverlist: be1 be2\n"), List::memory(), inbox());
    let servers = servers(&imapd, &list);
    cordon(&list, "be1", true).await;
    for _ in 0..20 {
        let mut arrival = Arrival::new(&servers, &list, &imapd, &inbox, Proto::Imap);
        assert_eq!(asked(arrival.next().await), "be2");
        assert_eq!(arrival.next().await, Next::Nobody);
    }
    cordon(&list, "be2", true).await;
    assert_eq!(servers.choose(&imapd, Proto::Imap, &[]).await, None);
    cordon(&list, "be1", false).await;
    assert_eq!(servers.choose(&imapd, Proto::Imap, &[]).await.as_deref(), Some("be1"));
}

#[tokio::test]
async fn a_cordoned_default_server_leaves_the_choice_to_the_others() {
    let (imapd, list) = (imapd("defaultserver: be1\nserverlist: be1 be2\n"), List::memory());
    let servers = servers(&imapd, &list);
    assert_eq!(servers.choose(&imapd, Proto::Imap, &[]).await.as_deref(), Some("be1"));
    cordon(&list, "be1", true).await;
    assert_eq!(servers.choose(&imapd, Proto::Imap, &[]).await.as_deref(), Some("be2"));
}
