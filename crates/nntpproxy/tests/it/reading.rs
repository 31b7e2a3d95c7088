//! Reading: groups of two backends in one session.

use mailboxes::Entry;
use protocol::location::Location;

use crate::world::World;

#[tokio::test]
async fn groups_of_two_backends_are_read_in_one_session() {
    let world = World::new().await;
    let mut reader = world.reader("fred").await;
    assert_eq!(reader.ask("GROUP comp.test").await, "211 3 1 3 comp.test");
    let (status, lines) = reader.fetch("ARTICLE 2").await;
    assert_eq!(status, "220 2 <2.comp.test@x>");
    assert_eq!(lines.last().unwrap(), "..body 2");
    assert_eq!(reader.ask("NEXT").await, "223 3 <3.comp.test@x>");
    assert_eq!(reader.ask("GROUP alt.test").await, "211 2 1 2 alt.test");
    assert_eq!(reader.ask("STAT").await, "223 1 <1.alt.test@x>");
    assert_eq!(reader.code("NEXT").await, 223);
    assert_eq!(reader.code("NEXT").await, 421);
    assert_eq!(reader.ask("GROUP comp.empty").await, "211 0 1 0 comp.empty");
    assert_eq!(reader.fetch("LISTGROUP comp.test").await.1, ["1", "2", "3"]);
    let logins =
        world.be1.state().log.iter().filter(|line| line.starts_with("AUTHINFO")).cloned().collect::<Vec<_>>();
    assert_eq!(logins, ["AUTHINFO SASL PLAIN ZnJlZABwcm94eQBwcjB4eQ=="], "once, for fred by proxy");
}

#[tokio::test]
async fn what_was_asked_in_one_go_is_answered_in_its_order() {
    let world = World::new().await;
    let mut reader = world.reader("fred").await;
    reader.send("GROUP comp.test\r\nSTAT 2\r\nDATE\r\nGROUP alt.test\r\nARTICLE 1\r\nNONSENSE\r\nSTAT 2\r\nQUIT\r\n").await;
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(reader.line().await[..3].to_owned());
    }
    assert_eq!(codes, ["211", "223", "111", "211", "220"]);
    assert_eq!(reader.block().await.last().unwrap(), "..body 1");
    for code in ["500", "223", "205"] {
        assert_eq!(reader.line().await[..3], *code);
    }
}

#[tokio::test]
async fn an_article_is_found_by_its_message_id_wherever_it_is() {
    let world = World::new().await;
    let mut reader = world.reader("fred").await;
    let (status, lines) = reader.fetch("ARTICLE <2.alt.test@x>").await;
    assert_eq!((&status[..], &lines[0][..]), ("220 0 <2.alt.test@x>", "Newsgroups: alt.test"));
    reader.ask("GROUP comp.test").await;
    assert_eq!(reader.ask("STAT <1.comp.test@x>").await, "223 1 <1.comp.test@x>");
    assert_eq!(reader.ask("STAT <2.alt.test@x>").await, "223 0 <2.alt.test@x>");
    assert_eq!(reader.fetch("OVER <2.alt.test@x>").await.1, ["0\tsubject"]);
    assert_eq!(reader.code("STAT <nowhere@x>").await, 430);
    // The number that the other backend had selected does not leak, and the current article stays.
    reader.ask("GROUP alt.test").await;
    reader.ask("GROUP comp.test").await;
    assert_eq!(reader.ask("STAT <2.alt.test@x>").await, "223 0 <2.alt.test@x>");
    assert_eq!(reader.ask("STAT").await, "223 1 <1.comp.test@x>");
}

#[tokio::test]
async fn an_article_is_said_not_to_be_there_only_when_all_backends_have_said_so() {
    for answer in ["HANG", "BREAK", "403 ill", "480 log in", "400 tired", "gibberish"] {
        let world = World::new().await;
        world.be2.tell("STAT", answer);
        let mut reader = world.reader("fred").await;
        assert_eq!(reader.code("ARTICLE <nowhere@x>").await, 403, "{answer}");
        assert_eq!(reader.code("STAT <1.comp.test@x>").await, 223, "{answer}");
    }
    let world = World::of("", false).await;
    let mut reader = world.reader("fred").await;
    assert_eq!(reader.code("GROUP comp.none").await, 403, "the list is not complete");
    assert_eq!(reader.code("STAT <nowhere@x>").await, 403);
    assert_eq!(reader.code("LIST").await, 403);
}

#[tokio::test]
async fn a_backend_that_hangs_costs_one_wait_and_the_session_goes_on() {
    let world = World::new().await;
    world.be1.tell("ARTICLE", "HANG");
    let mut reader = world.reader("fred").await;
    reader.ask("GROUP comp.test").await;
    assert_eq!(reader.code("NEXT").await, 223);
    assert_eq!(reader.code("ARTICLE").await, 403);
    assert_eq!(reader.ask("STAT").await, "223 2 <2.comp.test@x>", "on a new connection, the same article");
    assert_eq!(reader.code("GROUP alt.test").await, 211);
}

#[tokio::test]
async fn a_connection_that_has_ended_is_made_anew_with_what_was_selected() {
    let world = World::new().await;
    let mut reader = world.reader("fred").await;
    reader.ask("GROUP comp.test").await;
    assert_eq!(reader.code("STAT 2").await, 223);
    world.be1.tell("BODY", "BREAK");
    assert_eq!(reader.code("BODY").await, 403);
    world.be1.state().told.clear();
    assert_eq!(reader.ask("NEXT").await, "223 3 <3.comp.test@x>");
    assert_eq!(world.be1.asked("GROUP"), 3, "once asked for, and on each connection but the first");
}

#[tokio::test]
async fn what_is_beside_an_article_that_is_gone_is_found_by_its_number() {
    let world = World::new().await;
    let mut reader = world.reader("fred").await;
    reader.ask("GROUP comp.test").await;
    assert_eq!(reader.code("STAT 2").await, 223);
    world.be1.tell("BODY", "BREAK");
    reader.ask("BODY").await;
    world.be1.state().told.clear();
    world.be1.state().groups.get_mut("comp.test").unwrap().remove(&2);
    assert_eq!(reader.code("ARTICLE").await, 420);
    assert_eq!(reader.ask("LAST").await, "223 1 <1.comp.test@x>");
    assert_eq!(reader.ask("NEXT").await, "223 3 <3.comp.test@x>");
    assert_eq!(reader.code("NEXT").await, 421);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    let world = World::new().await;
    world.be1.tell("ARTICLE", "220 1 <a@b>\r\nhalf an art");
    let mut reader = world.reader("fred").await;
    reader.ask("GROUP comp.test").await;
    let (_, lines) = reader.fetch("ARTICLE").await;
    assert_eq!(lines, ["half an art", "<end>"], "no dot, and the end of the connection");
}

#[tokio::test]
async fn a_group_that_moves_goes_on_under_the_same_numbers() {
    let world = World::new().await;
    let mut reader = world.reader("fred").await;
    reader.ask("GROUP comp.test").await;
    assert_eq!(reader.code("NEXT").await, 223);
    // The move is over, and the list of this frontend is not told yet.
    let articles = world.be1.state().groups.remove("comp.test").unwrap();
    world.be2.state().groups.insert("comp.test".to_owned(), articles);
    assert_eq!(reader.code("STAT").await, 411, "as its backend says");
    world.moved("comp.test", "be2").await;
    assert_eq!(reader.ask("STAT").await, "223 2 <2.comp.test@x>");
    assert_eq!(reader.ask("NEXT").await, "223 3 <3.comp.test@x>");
    assert_eq!(reader.fetch("LISTGROUP").await.1, ["1", "2", "3"]);
    assert_eq!(reader.ask("STAT").await, "223 1 <1.comp.test@x>");
    // While it is moved nobody is told that it does not exist.
    world.change("comp.test", Some(Entry::reserved(Location::parse("be1!x").unwrap()))).await;
    assert_eq!(reader.code("STAT 1").await, 403);
    assert_eq!(reader.code("GROUP comp.test").await, 403);
    world.change("comp.test", None).await;
    assert_eq!(reader.code("GROUP comp.test").await, 411);
}

#[tokio::test]
async fn lists_show_real_groups_of_all_backends_to_who_may_see_them() {
    let world = World::new().await;
    let mut fred = world.reader("fred").await;
    let names = |lines: Vec<String>| {
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (status, lines) = fred.fetch("LIST").await;
    assert!(status.starts_with("215 "));
    assert_eq!(names(lines), ["comp.empty", "comp.test", "alt.read", "alt.test"]);
    assert_eq!(names(fred.fetch("LIST NEWSGROUPS").await.1).len(), 4);
    assert_eq!(names(fred.fetch("LIST ACTIVE nothing.*").await.1).len(), 0);
    assert_eq!(world.be2.asked("LIST ACTIVE nothing"), 0, "nobody is asked who has no such group");
    let mut alice = world.reader("alice").await;
    assert!(names(alice.fetch("LIST ACTIVE").await.1).contains(&"comp.secret".to_owned()));
    assert_eq!(fred.code("GROUP comp.secret").await, 411);
    // A group that two servers have, one of them no longer: it is told once.
    world.be2.state().groups.insert("comp.test".to_owned(), Default::default());
    assert_eq!(names(fred.fetch("LIST").await.1).len(), 4);
    assert_eq!(fred.fetch("LIST OVERVIEW.FMT").await.1.len(), 8);
    for unsupported in ["ACTIVE.TIMES", "DISTRIBUTIONS", "SUBSCRIPTIONS", "MOTD", "COUNTS"] {
        assert_eq!(fred.code(&format!("LIST {unsupported}")).await, 503);
    }
}

#[tokio::test]
async fn a_backend_that_is_down_is_left_out_of_lists_and_never_of_news() {
    let world = World::new().await;
    world.be2.tell("LIST", "BREAK");
    world.be2.tell("NEWNEWS", "HANG");
    let mut reader = world.reader("fred").await;
    assert_eq!(reader.fetch("LIST").await.1.len(), 2);
    assert_eq!(reader.code("NEWNEWS * 20200101 000000").await, 403);
    world.be1.tell("LIST", "BREAK");
    assert_eq!(reader.code("LIST").await, 403);
}

#[tokio::test]
async fn news_of_all_backends_are_told_once_each() {
    let world = World::new().await;
    let crosspost = ("<1.comp.test@x>".to_owned(), "x: y\r\n\r\n".to_owned());
    world.be2.state().groups.get_mut("alt.test").unwrap().insert(9, crosspost);
    let mut reader = world.reader("fred").await;
    let (status, mut ids) = reader.fetch("NEWNEWS * 20200101 000000 GMT").await;
    assert!(status.starts_with("230 "));
    ids.sort();
    let count = ids.len();
    ids.dedup();
    assert_eq!((count, ids.len()), (7, 7), "{ids:?}");
    let closed = World::with("allownewnews: no\n").await;
    assert_eq!(closed.reader("fred").await.code("NEWNEWS * 20200101 000000").await, 502);
}

#[tokio::test]
async fn new_groups_are_those_of_all_backends_or_none() {
    let world = World::new().await;
    world.be2.tell("NEWGROUPS", "231 follow\r\nalt.test 2 1 y\r\ncomp.test 9 9 y\r\n.");
    let mut fred = world.reader("fred").await;
    let (status, lines) = fred.fetch("NEWGROUPS 20200101 000000 GMT").await;
    assert!(status.starts_with("231 "), "{status}");
    assert_eq!(lines, ["comp.test 3 1 y", "alt.test 2 1 y"], "each from where it is, to who may read it");
    for (told, code) in [("503 cannot", 503), ("BREAK", 403), ("HANG", 403), ("480 log in", 403)] {
        world.be2.state().told.clear();
        world.be2.tell("NEWGROUPS", told);
        assert_eq!(fred.code("NEWGROUPS 20200101 000000 GMT").await, code, "{told}");
    }
    world.be2.state().told.clear();
    world.be2.tell("NEWGROUPS", "231 follow\r\nalt.te");
    let (_, lines) = fred.fetch("NEWGROUPS 20200101 000000 GMT").await;
    assert_eq!(lines.last().unwrap(), "<end>", "a group that is missed is never told of again");
    let behind = World::of("", false).await;
    assert_eq!(behind.reader("fred").await.code("NEWGROUPS 20200101 000000 GMT").await, 403);
}

#[tokio::test]
async fn before_login_nothing_is_read_but_the_list_that_everybody_sees() {
    let world = World::new().await;
    let mut stranger = world.client().await;
    for command in ["GROUP comp.test", "POST", "STAT <a@b>", "IHAVE <a@b>", "NEWNEWS * 20200101 000000"] {
        assert_eq!(stranger.code(command).await, 480, "{command}");
    }
    assert_eq!(stranger.fetch("LIST ACTIVE").await.1.len(), 4);
    assert!(world.be1.state().log.contains(&"AUTHINFO SASL PLAIN YW5vbnltb3VzAHByb3h5AHByMHh5".to_owned()));
    // What was open for nobody is not used for somebody.
    assert!(stranger.ask("AUTHINFO USER fred").await.starts_with("381"));
    assert!(stranger.ask("AUTHINFO PASS secret").await.starts_with("281"));
    assert_eq!(stranger.code("GROUP comp.test").await, 211);
    assert_eq!(world.be1.asked("AUTHINFO"), 2);
    let open = World::with("allowanonymouslogin: yes\n").await;
    let mut anybody = open.client().await;
    assert_eq!(anybody.code("GROUP comp.test").await, 211);
    assert_eq!(anybody.code("GROUP comp.secret").await, 411);
}

#[tokio::test]
async fn an_article_that_one_backend_has_does_not_wait_for_another_that_hangs() {
    let world = World::with("client_timeout: 15s\n").await;
    world.be1.tell("STAT", "HANG");
    let mut reader = world.reader("fred").await;
    let began = std::time::Instant::now();
    assert_eq!(reader.fetch("ARTICLE <2.alt.test@x>").await.0, "220 0 <2.alt.test@x>");
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}
