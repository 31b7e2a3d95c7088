//! Where new mailboxes go that nothing places, and new users.

use crate::world::{Backend, Script, World};

fn says(free: &str) -> String {
    format!(
        "* METADATA \"\" (\"/shared/vendor/cmu/cyrus-imapd/freespace/percent/most\" \"{free};10000\")\r\n$ OK done\r\n"
    )
}

/// A backend with so much free of 10,000 KiB, and what it says to CREATE.
macro_rules! backend {
    ($free:literal, $create:literal) => {{
        let script: Script = |command| match command.split(' ').next().unwrap_or_default() {
            "GETMETADATA" => says($free),
            "CREATE" => $create.into(),
            _ => "$ OK Completed\r\n".into(),
        };
        Backend::with(script, "METADATA").await
    }};
    ($free:literal) => {
        backend!($free, "$ OK Completed\r\n")
    };
}

const PERCENT: &str = "serverlist: be0 be1\nserverlist_select_mode: freespace-percent-most\n";
const FULL: &str = "t NO [UNAVAILABLE] No space left on device";

#[tokio::test]
async fn a_tenth_of_a_percent_decides_and_servers_with_less_than_one_are_chosen_among_too() {
    for (less, more) in [
        (backend!("9950"), backend!("9990")),
        (backend!("30"), backend!("40")),
        (backend!("0"), backend!("1")),
    ] {
        let world = World::new(&[&less, &more], &[], PERCENT).await;
        let mut admin = world.login("cyrus").await;
        admin.ok("CREATE user/new").await;
        assert!(more.has_heard("CREATE user/new"));
        assert!(!less.has_heard("CREATE"), "{:?}", less.heard());
    }
}

#[tokio::test]
async fn a_server_that_cannot_take_a_new_mailbox_now_leaves_it_to_the_next() {
    for full in [
        backend!("9000", "$ NO [UNAVAILABLE] No space left on device\r\n"),
        backend!("9000", "$ NO System I/O error\r\n"),
        backend!("9000", "$ NO no connection to server\r\n"),
        backend!("9000", "$ NO Unknown/invalid partition\r\n"),
        backend!("9000", "<dies>"),
    ] {
        let other = backend!("10");
        let world = World::new(&[&full, &other], &[], PERCENT).await;
        let mut admin = world.login("cyrus").await;
        assert_eq!(admin.ask("CREATE user/new fast").await, ["t OK Completed"]);
        assert!(full.has_heard("CREATE user/new fast") && other.has_heard("CREATE user/new fast"));
        admin.ok("NOOP").await;
    }
}

#[tokio::test]
async fn what_a_server_refuses_for_good_no_other_is_asked_for() {
    let refusing = backend!("9000", "$ NO [ALREADYEXISTS] Mailbox already exists\r\n");
    let other = backend!("10");
    let world = World::new(&[&refusing, &other], &[], PERCENT).await;
    let mut admin = world.login("cyrus").await;
    assert_eq!(admin.ask("CREATE user/new").await, ["t NO [ALREADYEXISTS] Mailbox already exists"]);
    assert!(!other.has_heard("CREATE"));
}

#[tokio::test]
async fn where_all_servers_are_full_the_last_word_is_theirs_and_where_all_are_down_ours() {
    let full = || async { backend!("9000", "$ NO [UNAVAILABLE] No space left on device\r\n") };
    let (a, b) = (full().await, full().await);
    let world = World::new(&[&a, &b], &[], PERCENT).await;
    let mut admin = world.login("cyrus").await;
    assert_eq!(admin.ask("CREATE user/new").await, [FULL]);
    assert!(a.has_heard("CREATE") && b.has_heard("CREATE"));
    let world = World::new(&[&a, &b], &[], PERCENT).await;
    a.die();
    b.die();
    let mut admin = world.login("cyrus").await;
    let down = "t NO [UNAVAILABLE] Server(s) unavailable to complete operation";
    assert_eq!(admin.ask("CREATE user/new").await, [down]);
}

#[tokio::test]
async fn a_server_that_is_down_takes_part_in_no_choice_whatever_the_mode() {
    for mode in [
        "random",
        "freespace-most",
        "freespace-percent-most",
        "freespace-percent-weighted",
        "freespace-percent-weighted-delta",
    ] {
        let (dead, living) = (backend!("9000"), backend!("10"));
        let options = format!("serverlist: be0 be1\nserverlist_select_mode: {mode}\n");
        let world = World::new(&[&dead, &living], &[], &options).await;
        dead.die();
        let mut admin = world.login("cyrus").await;
        for n in 0..4 {
            admin.ok(&format!("CREATE user/new{n}")).await;
            assert!(living.has_heard(&format!("CREATE user/new{n}")), "{mode}");
        }
    }
}

#[tokio::test]
async fn the_figures_are_read_as_often_as_the_option_says() {
    for (reinit, expected) in [("0", 1), ("1", 6), ("2", 3), ("5", 2)] {
        let only = backend!("10");
        let options = format!(
            "serverlist: be0\nserverlist_select_mode: freespace-percent-weighted\nserverlist_select_usage_reinit: {reinit}\n"
        );
        let world = World::new(&[&only], &[], &options).await;
        let mut admin = world.login("cyrus").await;
        for n in 0..6 {
            admin.ok(&format!("CREATE user/new{n}")).await;
        }
        let read = only.heard().iter().filter(|command| command.starts_with("GETMETADATA")).count();
        assert_eq!(read, expected, "reinit {reinit}");
    }
}

#[tokio::test]
async fn a_partition_without_a_server_goes_with_the_parent_and_a_server_comes_before_it() {
    let (a, b) = (backend!("9000"), backend!("10"));
    let world = World::new(&[&a, &b], &[("user.fred", 1)], PERCENT).await;
    let mut admin = world.login("cyrus").await;
    admin.ok("CREATE user/fred/deep/er fast").await;
    assert!(b.has_heard("CREATE user/fred/deep/er fast"));
    admin.ok("CREATE user/fred/there be0!fast").await;
    assert!(a.has_heard("CREATE user/fred/there fast"));
    admin.ok("CREATE user/new be1!fast").await;
    assert!(b.has_heard("CREATE user/new fast"));
    admin.ok("CREATE user/newer fast").await;
    assert!(a.has_heard("CREATE user/newer fast"));
}

#[tokio::test]
async fn a_user_whom_no_server_gives_an_inbox_is_let_in_and_each_was_asked_once() {
    let options = "serverlist: be0 be1\nserverlist_select_mode: random\nautocreate_quota: 0\nautocreate_users: jane cyrus\n";
    let (a, b) = (backend!("10"), backend!("10"));
    let world = World::new(&[&a, &b], &[], options).await;
    for user in ["cyrus", "fred"] {
        world.login(user).await;
        assert_eq!(
            (a.logins(), b.logins()),
            (0, 0),
            "{user} is an administrator, or not among autocreate_users"
        );
    }
    let mut jane = world.login("jane").await;
    assert_eq!((a.logins(), b.logins()), (1, 1));
    assert_eq!(jane.ask("SELECT INBOX").await, ["t NO [NONEXISTENT] Mailbox does not exist"]);
    // Without the option nobody is asked.
    let (a, b) = (backend!("10"), backend!("10"));
    let world = World::new(&[&a, &b], &[], "serverlist: be0 be1\nserverlist_select_mode: random\n").await;
    world.login("jane").await;
    assert_eq!((a.logins(), b.logins()), (0, 0));
}

#[tokio::test]
async fn who_has_an_inbox_is_sent_nowhere_else() {
    let (a, b) = (backend!("10"), backend!("10"));
    let options = "serverlist: be0 be1\nserverlist_select_mode: random\nautocreate_quota: 0\n";
    let world = World::new(&[&a, &b], &[("user.fred", 1)], options).await;
    let mut fred = world.fred().await;
    fred.ok("SELECT INBOX").await;
    assert_eq!((a.logins(), b.logins()), (0, 1));
}

#[tokio::test]
async fn a_frontend_asks_as_an_admin_so_that_no_backend_makes_an_inbox_for_its_own_name() {
    let (a, b) = (backend!("10"), backend!("9000"));
    let world = World::new(&[&a, &b], &[], PERCENT).await;
    let mut admin = world.login("cyrus").await;
    admin.ok("CREATE user/new").await;
    // cyrus, proxy, and the password.
    for login in [&a, &b].into_iter().flat_map(Backend::heard).filter(|line| line.starts_with("AUTH")) {
        assert_eq!(login, "AUTHENTICATE PLAIN Y3lydXMAcHJveHkAc2VjcmV0");
    }
    assert!(a.logins() > 0 && b.logins() > 0);
}
