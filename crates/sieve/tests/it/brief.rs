//! Many small cases, a line each: a script, and what comes of the usual message.
//!
//! ```text
//! @require "a", "b"       what all scripts of the table require
//! @| Subject: x           a line of the message, where it is not the usual one
//! script → effects        as world.rs writes them, with ` ; ` between; ↵ is a line end; `mistakes`: it is refused
//! script ↛ effects        Pigeonhole does otherwise, or cannot run it
//! ```

use std::path::Path;

use crate::case::Case;

/// All lines, as cases.
pub fn all() -> Vec<(String, Case)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/brief");
    let mut cases = Vec::new();
    for file in std::fs::read_dir(directory).expect("a table of cases") {
        let path = file.expect("a table of cases").path();
        let name = path.file_name().expect("a table of cases").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a table of cases");
        let told = |start: &'static str| text.lines().filter_map(move |line| line.strip_prefix(start));
        let require: String = told("@require ").map(|names| format!("require [{names}];\n")).collect();
        let message: String =
            told("@|").map(|line| format!("{}\r\n", line.strip_prefix(' ').unwrap_or(line))).collect();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '@'])) {
            let (script, effects) =
                line.split_once(" → ").or(line.split_once(" ↛ ")).expect("a script and effects");
            let script = format!("{require}{}", script.replace('↵', "\n"));
            let expected = effects.split(" ; ").map(str::to_owned).collect();
            let mut case = Case {
                title: line.to_owned(),
                script,
                message: message.clone(),
                expected,
                ..Case::default()
            };
            case.pigeonhole = line.contains(" ↛ ").then(|| "see the line".to_owned());
            cases.push((name.clone(), case));
        }
    }
    cases
}

#[test]
fn every_line_ends_as_it_says() {
    let (mut looked, mut failed) = (0, Vec::new());
    for (table, case) in all() {
        looked += 1;
        let found = case.run();
        let refused = found.iter().any(|line| line.starts_with("line "));
        let found = if refused { vec!["mistakes".to_owned()] } else { found };
        if found.join(" ; ") != case.expected.join(" ; ") {
            failed.push(format!("{table}: {}\n  found: {}", case.title, found.join(" ; ")));
        }
    }
    assert!(failed.is_empty(), "{} of {looked} lines:\n{}", failed.len(), failed.join("\n"));
    assert!(looked > 500, "{looked} lines were looked at");
}
