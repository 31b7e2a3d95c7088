//! Options of imapd.conf: what is honoured is read, what is not is not.

use std::{collections::BTreeSet, fs};

use super::{code, root, sources};

#[test]
fn an_option_that_is_honoured_is_read_somewhere_and_one_that_is_not_nowhere() {
    let registry = fs::read_to_string(root().join("crates/config/src/imapd/registry.rs")).unwrap();
    let files: Vec<(String, String)> = sources("crates")
        .into_iter()
        .filter(|(path, _)| !path.ends_with("imapd/registry.rs") && !path.contains("/tests/"))
        .map(|(path, text)| (path, code(&text).to_owned()))
        .collect();
    let readers = Readers::new(&files);
    let rows = registry.lines().filter(|line| line.contains(", Kind::"));
    let mut options = 0;
    for (name, row) in rows.filter_map(|line| line.trim().split_once(": ")) {
        if row.contains(", ON, ") {
            assert!(readers.of(name).next().is_some(), "nobody reads the option {name}");
        } else {
            let reader = readers.of(name).find(|path| !path.starts_with("crates/config/"));
            assert!(reader.is_none(), "{name} is not honoured, but {} reads it", reader.unwrap());
        }
        options += 1;
    }
    assert!(options > 200, "{options} options were looked at");
}

#[test]
fn a_word_of_the_same_spelling_is_no_reader_of_an_option() {
    let reads = |text: &str| {
        let files = [
            ("crates/x/src/lib.rs".to_owned(), text.to_owned()),
            (
                "crates/y/src/lib.rs".to_owned(),
                "fn policy(&self) -> Arc<Imapd> {}\nfn imapd(&self) -> Imapd {}\n".to_owned(),
            ),
        ];
        Readers::new(&files).of("chatty").next().is_some()
    };
    for reader in [
        "fn f(imapd: &Imapd) { imapd.chatty }",
        "fn f(conf: &'a Imapd) { g(conf.chatty); }",
        "struct S { settings: Arc<Imapd> }\nfn f(&self) { self.settings\n    .chatty }",
        "let now = context.imapd();\nif now.chatty {}",
        "let read = Imapd::load(path, \"imap\")?;\nread.chatty",
        "self.policy().chatty",
        "self.imapd.load().chatty",
    ] {
        assert!(reads(reader), "{reader}");
    }
    for other in [
        "fn f(imapd: &Imapd) { imapd.chatty_too }",
        "fn f(imapd: &Imapd) { imapd.chatty() }",
        "fn f(client: &Client) { client.chatty }",
        "self.settings.chatty",
        "let now = context.session();\nif now.chatty {}",
        "self.policies().chatty",
        "// imapd.chatty",
        "Settings { chatty: true }",
    ] {
        assert!(!reads(other), "{other}");
    }
}

/// Where the fields of an `Imapd` are read.
struct Readers<'a> {
    files: &'a [(String, String)],
    /// Functions that give one.
    functions: BTreeSet<&'a str>,
}

impl<'a> Readers<'a> {
    fn new(files: &'a [(String, String)]) -> Readers<'a> {
        let headers = files.iter().flat_map(|(_, text)| text.split("fn ").skip(1));
        let functions = headers.filter_map(|rest| {
            let header = rest.split(['{', ';']).next()?;
            let (head, result) = header.rsplit_once("-> ")?;
            (result.contains("Imapd") && head.contains("&self")).then(|| head.split(['(', '<']).next())?
        });
        Readers { files, functions: functions.collect() }
    }

    /// The files that read this option.
    fn of(&self, option: &str) -> impl Iterator<Item = &'a str> {
        let field = format!(".{option}");
        self.files
            .iter()
            .filter(move |(path, text)| self.file_reads(path, text, &field))
            .map(|(path, _)| path.as_str())
    }

    fn file_reads(&self, path: &str, text: &str, field: &str) -> bool {
        let places: Vec<usize> = text
            .match_indices(field)
            .map(|(at, _)| at)
            .filter(|at| {
                let rest = &text[at + field.len()..];
                let comment = text[..*at].rsplit('\n').next().unwrap_or_default().contains("//");
                !comment && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '(')
            })
            .collect();
        if places.is_empty() {
            return false;
        }
        let variables = self.variables(path, text);
        places.into_iter().any(|at| self.is_imapd(text[..at].trim_end(), &variables))
    }

    /// Whether an expression ends in an `Imapd`.
    fn is_imapd(&self, expression: &str, variables: &BTreeSet<&str>) -> bool {
        match expression.strip_suffix("()") {
            Some(call) if call.ends_with(".load") => {
                self.is_imapd(call.trim_end_matches(".load").trim_end(), variables)
            }
            Some(call) => self.functions.contains(last_word(call)),
            None => variables.contains(last_word(expression)),
        }
    }

    /// Names of arguments, fields and variables that are an `Imapd`.
    fn variables(&self, path: &str, text: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::from(["imapd"]);
        if path.starts_with("crates/config/src/imapd/") {
            found.extend(["self", "settings"]);
        }
        for (at, _) in text.match_indices("Imapd") {
            let mut before = &text[..at];
            while let Some(shorter) =
                ["&", "mut ", "Arc<", "ArcSwap<", "'a "].iter().find_map(|word| before.strip_suffix(word))
            {
                before = shorter;
            }
            found.extend(before.strip_suffix(": ").map(last_word).filter(|word| !word.is_empty()));
        }
        for statement in text.split("let ").skip(1) {
            let Some((name, value)) = statement.split(';').next().and_then(|text| text.split_once(" = "))
            else {
                continue;
            };
            let value = value.trim_end();
            let given = value.strip_suffix("()").is_some_and(|call| self.functions.contains(last_word(call)));
            if given || value.starts_with("Imapd::") {
                found.insert(name.trim_start_matches("mut ").split(':').next().unwrap_or_default());
            }
        }
        found
    }
}

fn last_word(text: &str) -> &str {
    let before = text.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
    &text[before.len()..]
}
