//! Each case of the tables ends as it says.

use crate::case;

#[test]
fn every_case_of_the_tables_ends_as_it_says() {
    let (mut looked, mut failed) = (0, Vec::new());
    for (table, case) in case::all() {
        looked += 1;
        let found = case.run();
        if found != case.expected {
            failed.push(format!(
                "{table}: {}\n  expected:\n    {}\n  found:\n    {}",
                case.title,
                case.expected.join("\n    "),
                found.join("\n    ")
            ));
        }
    }
    assert!(failed.is_empty(), "{} of {looked} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(looked > 70, "{looked} cases were looked at");
}
