//! Which crate may stand on which, by the manifests.

use std::fs;

use toml::Table;

use super::root;

/// The crates from the ground up. Each depends on crates of lower rows only, not on those of its own.
const LAYERS: &[&[&str]] = &[
    &["bounds"],
    &["protocol", "config", "files", "krb5", "mime", "retry", "work"],
    &["mailboxes", "logs", "placement", "sieve", "transport", "supervision"],
    &["authority-etcd", "identity", "store", "listing"],
    &["service"],
    &["directory", "upstream", "submission"],
    &["arrivals", "lmtp", "managesieve", "moves"],
    // Daemons. What two of them need moves down.
    &["backend", "imapproxy", "pop3proxy", "lmtpproxy", "nntpproxy", "sieveproxy", "mupdate", "master"],
    // What an operator calls: a node's tools read the store while its daemon is stopped.
    &["ctl-mboxlist", "murder"],
    // Shows the command lines of all.
    &["manual"],
];

/// What the rows would allow: the mail store is the backend's and its tools', and no tool needs the MUPDATE server.
const NEVER: &[(&str, &[&str])] = &[
    (
        "store",
        &[
            "service",
            "directory",
            "upstream",
            "lmtp",
            "imapproxy",
            "pop3proxy",
            "lmtpproxy",
            "nntpproxy",
            "sieveproxy",
            "mupdate",
            "master",
        ],
    ),
    ("mupdate", &["ctl-mboxlist", "murder"]),
];

#[test]
fn crates_depend_on_lower_layers_only_and_no_daemon_on_a_daemon() {
    let manifests = manifests();
    assert!(manifests.len() > 12, "{} manifests were looked at", manifests.len());
    let (_, mupdate) = manifests.iter().find(|(name, _)| name == "mupdate").unwrap();
    assert!(dependencies(&workspace(), mupdate).contains(&"directory".to_owned()), "a dependency is seen");
    let breaches = breaches(&workspace(), &manifests);
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn the_rule_of_layers_tells_every_way_to_break_it() {
    let workspace: Table = "[workspace.dependencies]\nbackend = { path = \"crates/backend\" }\n\
         front = { path = \"crates/imapproxy\", package = \"imapproxy\" }\n"
        .parse()
        .unwrap();
    for (name, manifest, expected) in [
        ("imapproxy", "[dependencies]\nbackend.workspace = true", "imapproxy depends on backend"),
        ("imapproxy", "[dependencies]\nbackend = { workspace = true }", "imapproxy depends on backend"),
        (
            "lmtpproxy",
            "[dependencies]\nx = { path = \"../master\", package = \"master\" }",
            "lmtpproxy depends on master",
        ),
        ("backend", "[dependencies.front]\nworkspace = true", "backend depends on imapproxy"),
        ("backend", "[build-dependencies]\npop3proxy = \"1\"", "backend depends on pop3proxy"),
        ("backend", "[target.'cfg(unix)'.dependencies]\nmaster = \"1\"", "backend depends on master"),
        ("transport", "[dependencies]\nidentity = \"1\"", "transport depends on identity"),
        ("upstream", "[dependencies]\nstore = \"1\"", "upstream depends on store"),
        ("murder", "[dependencies]\nmupdate.workspace = true", "murder depends on mupdate"),
        ("store", "[dependencies]\nservice.workspace = true", "store depends on service"),
        ("common", "[dependencies]\nserde = \"1\"", "common stands in no layer"),
    ] {
        let manifests = [(name.to_owned(), manifest.parse().unwrap())];
        assert_eq!(breaches(&workspace, &manifests), [expected], "{manifest}");
    }
    let good = "[dependencies]\nservice = \"1\"\nserde = \"1\"\n[dev-dependencies]\nbackend.workspace = true";
    assert_eq!(breaches(&workspace, &[("imapproxy".to_owned(), good.parse().unwrap())]), [""; 0]);
}

fn workspace() -> Table {
    fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap()
}

/// All crates' manifests, by the name of their package.
fn manifests() -> Vec<(String, Table)> {
    let read = |directory: fs::DirEntry| {
        let manifest: Table =
            fs::read_to_string(directory.path().join("Cargo.toml")).unwrap().parse().unwrap();
        (manifest["package"]["name"].as_str().unwrap().to_owned(), manifest)
    };
    fs::read_dir(root().join("crates")).unwrap().map(|directory| read(directory.unwrap())).collect()
}

fn breaches(workspace: &Table, manifests: &[(String, Table)]) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|row| row.contains(&name));
    let mut found = Vec::new();
    for (name, manifest) in manifests {
        let Some(own) = layer(name) else {
            found.push(format!("{name} stands in no layer"));
            continue;
        };
        let needed = dependencies(workspace, manifest).into_iter();
        let wrong = needed.filter(|other| {
            let never = NEVER.iter().any(|(of, by)| of == other && by.contains(&name.as_str()));
            never || layer(other).is_some_and(|row| row >= own)
        });
        found.extend(wrong.map(|other| format!("{name} depends on {other}")));
    }
    found
}

/// The packages that a crate is built from, but not what its tests use beside them.
fn dependencies(workspace: &Table, manifest: &Table) -> Vec<String> {
    let shared = workspace.get("workspace").and_then(|table| table.get("dependencies"));
    let package = |key: &str, value: &toml::Value| {
        let value = match value.get("workspace") {
            Some(_) => shared.and_then(|shared| shared.get(key)),
            None => Some(value),
        };
        let renamed = value.and_then(|value| value.get("package")).and_then(toml::Value::as_str);
        renamed.unwrap_or(key).to_owned()
    };
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter();
    let targets = targets.flat_map(|targets| targets.values()).filter_map(toml::Value::as_table);
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(|listed| listed.iter().map(|(key, value)| package(key, value)))
        .collect()
}
