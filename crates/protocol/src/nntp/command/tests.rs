use proptest::prelude::*;

use super::*;

fn parse(line: &str) -> Result<Command, CommandError> {
    Command::parse(line.as_bytes())
}

#[test]
fn commands_are_read() {
    assert_eq!(parse("article"), Ok(Command::Article(Part::Article, Article::Current)));
    assert_eq!(parse("STAT 7 "), Ok(Command::Article(Part::Stat, Article::Number(7))));
    assert_eq!(parse("authinfo pass a  b "), Ok(Command::AuthPass(b"a  b ".to_vec())));
    assert_eq!(parse("LIST"), Ok(Command::List(List::Active(None))));
    assert_eq!(parse("list headers msgid"), Ok(Command::List(List::Headers)));
    assert_eq!(parse("LIST MOTD"), Ok(Command::List(List::Unsupported("MOTD".to_owned()))));
    assert_eq!(parse("LISTGROUP"), Ok(Command::ListGroup { group: None, range: Range::ALL }));
    assert_eq!(parse("XOVER 1-"), Ok(Command::Over { form: Form::Old, which: Articles::Range(Range::ALL) }));
    assert_eq!(parse("CAPABILITIES AUTOUPDATE"), Ok(Command::Capabilities));
    assert_eq!(parse("takethis  <a b> "), Ok(Command::TakeThis("<a b>".to_owned())));
    assert_eq!(parse("TAKETHIS"), Ok(Command::TakeThis(String::new())));
    assert_eq!(parse("CHECK nonsense"), Ok(Command::Check("nonsense".to_owned())));
    let origin = Origin { session: "x".into(), ..Origin::default() };
    assert_eq!(parse("XCLIENT SESSION=x"), Ok(Command::XClient(origin)));
}

#[test]
fn other_lines_are_refused() {
    use CommandError::{Bad, Extra, Missing, Unknown, UnknownList};
    for (line, why) in [
        ("", Unknown),
        ("XGTITLE a", Unknown),
        ("GROUP", Missing),
        ("GROUP a b", Extra),
        ("GROUP a*", Bad),
        ("ARTICLE -1", Bad),
        ("ARTICLE 99999999999", Bad),
        ("ARTICLE <a b>", Bad),
        ("ARTICLE <a", Bad),
        ("OVER 1 2", Extra),
        ("XOVER <a@b>", Bad),
        ("HDR", Missing),
        ("HDR a:b 1", Bad),
        ("XPAT Subject 1-", Missing),
        ("LIST X", UnknownList),
        ("LIST ACTIVE a,,b", Bad),
        ("MODE X", Bad),
        ("COMPRESS GZIP", Bad),
        ("AUTHINFO", Missing),
        ("AUTHINFO PASS", Missing),
        ("AUTHINFO GENERIC x", Bad),
        ("NEWNEWS * 20260101", Missing),
        ("NEWNEWS * 20260101 000000 CET", Bad),
        ("DATE 1", Extra),
        ("DA\0TE", Bad),
        ("IHAVE x", Bad),
        ("XCLIENT ADDR=192.0.2.1", Bad),
    ] {
        assert_eq!(parse(line), Err(why), "{line}");
    }
}

fn one_of(words: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

/// Lines that are commands.
fn line() -> impl Strategy<Value = String> {
    let article = || prop_oneof!["", " [1-9][0-9]{0,8}", " <[a-z0-9.$!]{1,20}@[a-z.]{1,20}>"];
    let range = || prop_oneof![Just(String::new()), " [0-9]{1,9}", " [0-9]{1,9}-", " [0-9]{1,9}-[0-9]{1,9}"];
    let group = "[a-z][a-z0-9.+_-]{0,30}";
    let wildmat = "!?[a-z.*?]{1,8}(,!?[a-z.*?]{1,8}){0,3}";
    prop_oneof![
        (one_of(&["ARTICLE", "HEAD", "BODY", "STAT"]), article()).prop_map(|(word, which)| word + &which),
        (one_of(&["OVER", "XOVER"]), range()).prop_map(|(word, which)| word + &which),
        (one_of(&["HDR Subject", "XHDR :bytes", "HDR X-No"]), range())
            .prop_map(|(word, which)| word + &which),
        (one_of(&["GROUP", "LISTGROUP"]), group).prop_map(|(word, group)| format!("{word} {group}")),
        (one_of(&["LIST ACTIVE", "LIST NEWSGROUPS"]), wildmat)
            .prop_map(|(word, list)| format!("{word} {list}")),
        wildmat.prop_map(|list| format!("NEWNEWS {list} 20261130 221500 GMT")),
        (wildmat).prop_map(|list| format!("XPAT From 1-9 {list} *x")),
        (one_of(&["CHECK", "TAKETHIS", "IHAVE"]), "<[a-z]{1,9}@[a-z]{1,9}>")
            .prop_map(|(word, id)| format!("{word} {id}")),
        one_of(&[
            "CAPABILITIES",
            "COMPRESS DEFLATE",
            "DATE",
            "HELP",
            "LAST",
            "NEXT",
            "POST",
            "QUIT",
            "SLAVE",
            "STARTTLS",
            "MODE READER",
            "MODE STREAM",
            "LIST OVERVIEW.FMT",
            "LIST HEADERS",
            "LIST COUNTS",
            "NEWGROUPS 701130 221500 GMT",
            "AUTHINFO USER fred",
            "AUTHINFO PASS x y",
            "AUTHINFO SASL PLAIN =",
            "AUTHINFO SASL LOGIN",
            "LISTGROUP",
        ]),
    ]
}

proptest! {
    #[test]
    fn any_line_is_read_without_a_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Command::parse(&line);
    }

    #[test]
    fn a_command_is_printed_as_it_is_read(line in line()) {
        let command = parse(&line).unwrap();
        prop_assert_eq!(parse(&command.to_string()), Ok(command));
    }

    #[test]
    fn whatever_is_changed_in_a_command_it_is_read_without_a_panic(line in line(), at in any::<prop::sample::Index>(), by in any::<u8>()) {
        let mut line = line.into_bytes();
        let at = at.index(line.len());
        line[at] = by;
        let _ = Command::parse(&line);
    }
}
