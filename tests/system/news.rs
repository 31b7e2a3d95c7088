//! News through a frontend: groups on two backends, ours or Cyrus's, read and posted to as on one server. What Cyrus's own frontend
//! gets wrong is a scenario each.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use system_tests::{
    Murder, Plan,
    Who::{Cyrus, Ours},
    eventually,
    lab::{Lab, Profile},
};

/// A murder whose two backends have groups, and a frontend of ours.
struct News {
    murder: Murder,
    backends: [&'static str; 2],
    frontend: &'static str,
    /// The ports of news, by node.
    ports: HashMap<&'static str, u16>,
}

impl News {
    /// With two Cyrus backends, whose `nntpd` has these options.
    fn before_cyrus(options: &str) -> Option<News> {
        if !(Lab::is_here() && Lab::has_program("nntpd")) {
            return None;
        }
        let cast = [("mupdate", Ours), ("be1", Cyrus), ("be2", Cyrus), ("fe1", Ours)];
        let plan = Plan::mixed(Profile::Defaults, &cast)?;
        let plan = plan.option("fe1", "allownewnews", "yes").option("fe1", "client_timeout", "5s");
        let plan = plan.option("fe1", "allowplaintext", "yes");
        let ports = ["be1", "be2", "fe1"].map(|node| (node, 119)).into();
        let mut news = News { murder: plan.prepare(), backends: ["be1", "be2"], frontend: "fe1", ports };
        for node in news.backends {
            let conf = news.murder.imapd_conf(node);
            news.serve(node, &format!("nntp cmd=\"nntpd {options} -C {}\"", conf.display()));
            news.murder.set_option(node, "allownewnews", "yes");
        }
        news.serve("fe1", "nntp cmd=\"nntpd\"");
        for (node, _) in cast {
            news.murder.start(node);
        }
        news.make("be1", "comp.test");
        news.make("be2", "alt.test");
        news.murder.agree(&["mupdate", "fe1"]);
        Some(news)
    }

    /// With two backends of ours. Both have groups of one hierarchy.
    fn of_ours() -> News {
        let plan = Plan::nodes(1, 2).account("alice").account("bob").option("*", "allownewnews", "yes");
        let plan =
            plan.option("backend1", "admins", "cyrus proxy").option("backend2", "admins", "cyrus proxy");
        let plan = plan.option("frontend1", "client_timeout", "10s").option("*", "allowplaintext", "yes");
        let (backends, frontend) = (["backend1", "backend2"], "frontend1");
        let ports = ["backend1", "backend2", frontend].map(|node| (node, test_host::port())).into();
        let mut news = News { murder: plan.prepare(), backends, frontend, ports };
        for node in [backends[0], backends[1], frontend] {
            news.serve(node, "nntp cmd=\"nntpd\"");
        }
        let file = news.murder.imapd_conf(frontend);
        let mut conf = std::fs::read_to_string(&file).unwrap();
        for backend in backends {
            let key = format!("{backend}_ports: ");
            assert!(conf.contains(&key), "{conf}");
            conf = conf.replace(&key, &format!("{key}nntp={} ", news.ports[backend]));
        }
        std::fs::write(&file, conf).unwrap();
        news.murder.cluster.start().unwrap();
        news.make("backend1", "comp.test");
        news.make("backend2", "comp.other");
        news.murder.agree(&["mupdate", frontend]);
        news
    }

    /// Adds a line to a node's cyrus.conf that listens on its port of news.
    fn serve(&self, node: &str, line: &str) {
        let file = match self.murder.lab.as_ref().filter(|lab| lab.has(node)) {
            Some(lab) => lab.cyrus_conf(node),
            None => self.murder.node(node).cyrus_conf(),
        };
        let conf = std::fs::read_to_string(&file).unwrap();
        let imapd = self.murder.imapd_conf(node);
        let line = match line.contains(" -C ") {
            true => line.to_owned(),
            false => line.replace("nntpd", &format!("nntpd -C {}", imapd.display())),
        };
        let listen = format!("SERVICES {{\n  {line} listen=\"{}\" prefork=0\n", self.address(node));
        std::fs::write(&file, conf.replacen("SERVICES {\n", &listen, 1)).unwrap();
    }

    /// A group on a backend that everybody reads and posts to.
    fn make(&self, node: &str, group: &str) {
        let name = self.murder.external(group);
        eventually("a group is made", || self.murder.admin(node).must(&format!("CREATE {name}")).ok());
        self.murder.admin(node).must(&format!("SETACL {name} anyone lrsp")).unwrap();
    }

    fn address(&self, node: &str) -> SocketAddr {
        SocketAddr::new(self.murder.address(node, "imap").ip(), self.ports[node])
    }

    fn reader(&self, node: &str, user: &str) -> Reader {
        Reader::of(self.address(node), user, &self.murder.password(user))
    }
}

/// A client that has logged in.
struct Reader(BufReader<TcpStream>);

impl Reader {
    fn of(address: SocketAddr, user: &str, password: &str) -> Reader {
        let stream = eventually("news are served", || TcpStream::connect(address).ok());
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut reader = Reader(BufReader::new(stream));
        assert!(reader.line().starts_with("200 "));
        assert!(reader.ask(&format!("AUTHINFO USER {user}")).starts_with("381 "));
        let answer = reader.ask(&format!("AUTHINFO PASS {password}"));
        assert!(answer.starts_with("281 "), "{answer}");
        reader
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n"));
        self.line()
    }

    fn code(&mut self, line: &str) -> String {
        let answer = self.ask(line);
        answer.get(..3).unwrap_or_default().to_owned()
    }

    /// A status and its lines.
    fn fetch(&mut self, line: &str) -> (String, Vec<String>) {
        let status = self.ask(line);
        if !status.starts_with('2') {
            return (status, Vec::new());
        }
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| line != ".")).collect();
        (status, lines)
    }

    fn post(&mut self, command: &str, groups: &str, id: &str) -> String {
        let go = self.ask(command);
        assert!(go.starts_with('3'), "{command}: {go}");
        self.send(&article(groups, id));
        self.line()
    }
}

fn article(groups: &str, id: &str) -> String {
    format!(
        "From: alice@murder.test\r\nSubject: a test\r\nNewsgroups: {groups}\r\nMessage-ID: {id}\r\n\
         Date: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\n..dotted\r\nbody\r\n.\r\n"
    )
}

/// What a reader sees of two backends, of which each has one of the groups.
fn groups_of_two_backends_are_one_server(news: &News, first: &str, second: &str) {
    let mut reader = news.reader(news.frontend, "alice");
    let (both, one) = ("<both@murder.test>", "<one@murder.test>");
    let answer = reader.post("POST", &format!("{first},{second},no.such.group"), both);
    assert_eq!(answer, format!("240 {both} Article received ok"));
    for (node, group) in news.backends.into_iter().zip([first, second]) {
        let mut direct = news.reader(node, "alice");
        assert!(direct.ask(&format!("GROUP {group}")).starts_with("211 1 1 1 "), "{node} has it");
    }
    let answer = reader.post(&format!("IHAVE {one}"), second, one);
    assert!(answer.starts_with("235 "), "{answer}");
    for known in [both, one] {
        assert_eq!(reader.code(&format!("IHAVE {known}")), "435");
        assert_eq!(reader.code(&format!("CHECK {known}")), "438");
    }
    // By message-id, before any group is selected.
    let (status, lines) = reader.fetch(&format!("ARTICLE {one}"));
    assert!(status.starts_with("220 0 "), "{status}");
    assert!(lines.iter().any(|line| line == "..dotted"), "{lines:?}");
    let (back, front) = (&news.murder.node(news.backends[1]).name, &news.murder.node(news.frontend).name);
    let path = format!("Path: {back}!{front}!alice");
    assert!(lines.iter().any(|line| line.starts_with(&path)), "{path}: {lines:?}");
    assert!(reader.ask(&format!("GROUP {first}")).starts_with(&format!("211 1 1 1 {first}")));
    assert!(reader.ask(&format!("STAT {one}")).starts_with(&format!("223 0 {one}")));
    assert!(reader.fetch("ARTICLE 1").0.starts_with(&format!("220 1 {both}")));
    assert_eq!(reader.fetch("OVER 1").1.len(), 1);
    assert_eq!(reader.fetch("HDR Subject 1").1, ["1 a test"]);
    assert_eq!(reader.code("STAT <nowhere@murder.test>"), "430");
    assert!(reader.ask(&format!("GROUP {second}")).starts_with(&format!("211 2 1 2 {second}")));
    assert_eq!(reader.fetch(&format!("LISTGROUP {second}")).1, ["1", "2"]);
    let codes = ["NEXT", "NEXT", "LAST", "LAST"].map(|command| reader.code(command));
    assert_eq!(codes, ["223", "421", "223", "422"]);

    let names = |lines: Vec<String>| {
        let name = |line: &String| line.split_whitespace().next().unwrap_or_default().to_owned();
        lines.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(reader.fetch("LIST").1), [first, second], "and no names between");
    assert_eq!(names(reader.fetch("LIST NEWSGROUPS").1), [first, second]);
    let (status, mut ids) = reader.fetch("NEWNEWS * 20200101 000000 GMT");
    ids.sort();
    assert_eq!(ids, [both, one], "{status}");

    reader.send(&format!("GROUP {first}\r\nSTAT 1\r\nDATE\r\nGROUP {second}\r\nSTAT 2\r\nDATE\r\n"));
    let codes: Vec<String> = (0..6).map(|_| reader.line()[..3].to_owned()).collect();
    assert_eq!(codes, ["211", "223", "111", "211", "223", "111"], "in the order of the commands");
}

#[test]
fn a_cyrus_backend_that_hangs_with_an_article_costs_the_client_a_time_out_and_no_more() {
    let Some(news) = News::before_cyrus("-T 1") else { return };
    let mut reader = news.reader("fe1", "alice");
    let taken: Vec<String> = (0..3)
        .map(|n| reader.post("POST", "comp.test", &format!("<{n}@murder.test>"))[..3].to_owned())
        .collect();
    assert_eq!(taken[0], "240");
    assert!(taken.iter().all(|code| code == "240" || code == "441"), "{taken:?}");
    assert!(reader.ask("GROUP alt.test").starts_with("211 "), "the session goes on");
    assert!(reader.ask("GROUP comp.test").starts_with("211 "), "on the backend that hung, too");
}

#[test]
fn groups_of_one_hierarchy_on_two_backends_are_one_news_server_and_move_under_their_readers() {
    let news = News::of_ours();
    groups_of_two_backends_are_one_server(&news, "comp.test", "comp.other");
    let mut reader = news.reader(news.frontend, "bob");
    assert!(reader.ask("GROUP comp.other").starts_with("211 2 1 2 comp.other"));
    assert_eq!(reader.code("NEXT"), "223");
    let home = news.murder.node("backend1").name.clone();
    let mut admin = news.murder.admin("frontend1");
    admin.must(&format!("RENAME comp/other comp/other {home}!default")).unwrap();
    assert!(reader.ask("STAT").starts_with("223 2 <one@murder.test>"), "the same article");
    assert_eq!(reader.code("LAST"), "223");
    assert!(reader.fetch("ARTICLE").0.starts_with("220 1 <both@murder.test>"));
    let again = reader.post("IHAVE <later@murder.test>", "comp.test,comp.other", "<later@murder.test>");
    assert!(again.starts_with("235 "), "{again}");
    assert!(reader.ask("GROUP comp.other").starts_with("211 3 1 3 comp.other"));
    // A crosspost that now lies twice on one backend is told once.
    let (_, mut ids) = reader.fetch("NEWNEWS * 20200101 000000 GMT");
    ids.sort();
    assert_eq!(ids, ["<both@murder.test>", "<later@murder.test>", "<one@murder.test>"]);
}

#[test]
fn a_backend_that_is_down_is_a_temporary_answer_and_an_article_goes_again() {
    let mut news = News::of_ours();
    news.murder.stop("backend2");
    let mut reader = news.reader(news.frontend, "alice");
    assert_eq!(reader.code("GROUP comp.test"), "211");
    assert_eq!(reader.code("GROUP comp.other"), "403");
    assert_eq!(reader.code("STAT <nowhere@murder.test>"), "403");
    assert_eq!(reader.fetch("LIST").1.len(), 1);
    let (id, groups) = ("<again@murder.test>", "comp.test,comp.other");
    assert!(reader.post("POST", groups, id).starts_with("441 "), "one of two");
    assert_eq!(reader.code(&format!("CHECK {id}")), "238");
    news.murder.start("backend2");
    eventually("the backend is back", || (reader.code("GROUP comp.other") == "211").then_some(()));
    assert!(reader.post("POST", groups, id).starts_with("240 "));
    assert!(reader.ask("GROUP comp.test").starts_with("211 1 1 1 "), "once");
    assert!(reader.ask("GROUP comp.other").starts_with("211 1 1 1 "));
    assert_eq!(reader.code(&format!("CHECK {id}")), "438");
}
