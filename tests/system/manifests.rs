//! What the project takes from others, as a test: each dependency is used, its licence is known, and it comes from the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use toml::Table;

use crate::house_rules::{code, root, sources};

/// The directories of all packages, and of the fuzz targets, which are a workspace of their own.
fn packages() -> Vec<String> {
    let manifest: Table = table(&root().join("Cargo.toml"));
    let members =
        manifest["workspace"]["members"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let mut all = vec!["fuzz".to_owned()];
    for member in members {
        match member.strip_suffix("/*") {
            None => all.push(member.to_owned()),
            Some(parent) => {
                let inside = fs::read_dir(root().join(parent)).unwrap().flatten();
                let with_manifest = inside.filter(|entry| entry.path().join("Cargo.toml").exists());
                let name = |entry: fs::DirEntry| format!("{parent}/{}", entry.file_name().display());
                all.extend(with_manifest.map(name));
            }
        }
    }
    assert!(all.len() > 15, "{all:?}");
    all
}

fn table(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether a text of code names a crate: `name::` or `use name`.
fn names(text: &str, package: &str) -> bool {
    let name = package.replace('-', "_");
    let within = |c: char| c.is_alphanumeric() || c == '_';
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(&name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let is_used =
                after.starts_with("::") || (before.trim_end().ends_with("use") && !after.starts_with(within));
            is_used && !before.ends_with(within)
        })
    })
}

/// The sources of a package, those of its tests apart.
fn used_in(package: &str) -> (Vec<String>, Vec<String>) {
    let inner = packages();
    let inner = inner.iter().filter(|other| other.starts_with(&format!("{package}/"))).collect::<Vec<_>>();
    let of_tests = |path: &str| {
        let path = &path[package.len()..];
        ["/tests/", "/benches/", "/examples/"].iter().any(|dir| path.contains(dir))
            || path.ends_with("/tests.rs")
    };
    let (mut product, mut tests) = (Vec::new(), Vec::new());
    for (path, text) in sources(package) {
        if inner.iter().any(|inner| path.starts_with(&format!("{inner}/"))) {
            continue;
        }
        // A file of another package that is a module of this one, too.
        for (_, rest) in text.match_indices("#[path = \"").map(|(at, found)| text[at..].split_at(found.len()))
        {
            let file = root().join(&path).with_file_name(rest.split('"').next().unwrap());
            let text =
                fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            product.push(text.clone());
            tests.push(text);
        }
        // These packages are tests, wholly.
        if of_tests(&path) && !package.starts_with("tests") && package != "fuzz" {
            tests.push(text);
        } else {
            product.push(code(&text).to_owned());
            tests.push(text);
        }
    }
    (product, tests)
}

#[test]
fn a_manifest_lists_only_what_its_package_uses() {
    let mut dead = Vec::new();
    for package in packages() {
        let manifest = table(&root().join(&package).join("Cargo.toml"));
        let (product, tests) = used_in(&package);
        for (section, texts) in [("dependencies", &product), ("dev-dependencies", &tests)] {
            for name in
                manifest.get(section).and_then(|value| value.as_table()).into_iter().flat_map(Table::keys)
            {
                let used = texts.iter().any(|text| names(text, name));
                if !used {
                    dead.push(format!("{package}/Cargo.toml: [{section}] {name}"));
                }
            }
        }
    }
    assert!(dead.is_empty(), "no code uses these dependencies (or only tests do):\n{}", dead.join("\n"));
}

#[test]
fn the_workspace_lists_only_what_a_package_takes() {
    let workspace = table(&root().join("Cargo.toml"));
    let mut taken = BTreeSet::new();
    for package in packages() {
        let manifest = table(&root().join(&package).join("Cargo.toml"));
        for section in ["dependencies", "dev-dependencies"] {
            let listed = manifest.get(section).and_then(|value| value.as_table());
            taken.extend(listed.into_iter().flat_map(|table| table.keys().cloned()));
        }
    }
    let listed = workspace["workspace"]["dependencies"].as_table().unwrap();
    let dead: Vec<_> = listed.keys().filter(|name| !taken.contains(*name)).collect();
    assert!(dead.is_empty(), "no package takes these of the workspace's dependencies: {dead:?}");
}

/// Licences that what we ship may have: each lets it be used, changed and sold with a notice alone.
const LICENCES: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an expression of SPDX is true where the licences above are.
fn is_allowed(expression: &str) -> bool {
    // Old manifests write "MIT/Apache-2.0" for a choice.
    let spaced =
        expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "_WITH_");
    let words: Vec<String> = spaced.split_whitespace().map(|word| word.replace("_WITH_", " WITH ")).collect();
    let mut rest = words.iter().map(String::as_str).peekable();
    let allowed = any_of(&mut rest);
    allowed && rest.peek().is_none()
}

fn any_of<'a, I: Iterator<Item = &'a str>>(words: &mut std::iter::Peekable<I>) -> bool {
    let mut allowed = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words);
    }
    allowed
}

fn all_of<'a, I: Iterator<Item = &'a str>>(words: &mut std::iter::Peekable<I>) -> bool {
    let mut allowed = one(words);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words);
    }
    allowed
}

fn one<'a, I: Iterator<Item = &'a str>>(words: &mut std::iter::Peekable<I>) -> bool {
    match words.next() {
        Some("(") => {
            let allowed = any_of(words);
            words.next() == Some(")") && allowed
        }
        word => word.is_some_and(|word| LICENCES.contains(&word)),
    }
}

/// What is not to come back, and why.
const BANNED: [(&str, &str); 5] = [
    ("openssl-sys", "TLS is rustls: a C library would have to be found, and mended, on every host"),
    ("native-tls", "as openssl-sys"),
    ("aws-lc-sys", "rustls computes with ring; a second library doubles the build and needs cmake"),
    ("chrono", "civil dates are `time`'s"),
    ("atty", "unmaintained; the language has IsTerminal"),
];

/// What nobody maintains, who brings it, and why it is here all the same.
const UNMAINTAINED: [(&str, &str, &str); 2] = [
    ("fxhash", "sled", "RUSTSEC-2025-0057: a hash without known fault, of keys that no peer chooses"),
    (
        "instant",
        "parking_lot",
        "RUSTSEC-2024-0384: sled's old parking_lot; on Linux it is the language's Instant",
    ),
];

/// What is here in several versions, and why.
const SEVERAL: [(&str, &str); 13] = [
    ("base64", "rcgen's pem, in tests and for the demo's certificates"),
    ("bit-vec", "tests: proptest and shuttle"),
    ("bitflags", "sled's parking_lot"),
    ("cpufeatures", "tests: proptest's chacha20"),
    ("getrandom", "rand of rsasl and of the metrics"),
    ("hashbrown", "the metrics' registry"),
    ("nom", "rcgen's x509-parser, in tests"),
    ("r-efi", "other systems alone: getrandom's"),
    ("rand", "rsasl, the metrics, and proptest in tests"),
    ("rand_chacha", "as rand"),
    ("rand_core", "as rand"),
    ("syn", "at build time: macros of two generations"),
    ("windows-sys", "other systems alone"),
];

/// All packages of Cargo.lock, with what their manifests say. Those that other systems alone need may have to be had first.
fn metadata() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(packages) = all["packages"].take() else { panic!("cargo metadata lists packages") };
    assert!(packages.len() > 100, "{}", packages.len());
    packages
}

#[test]
fn what_we_take_from_others_is_free_comes_from_the_registry_and_is_there_once() {
    let mut wrong = Vec::new();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let (name, version, source) = (text("name"), text("version"), text("source"));
        if source.is_empty() {
            // Our own, or a directory that somebody has put in the place of a package.
            if !Path::new(&text("manifest_path")).starts_with(fs::canonicalize(root()).unwrap()) {
                wrong.push(format!("{name}: it lies outside this project"));
            }
            continue;
        }
        if source != "registry+https://github.com/rust-lang/crates.io-index" {
            wrong.push(format!("{name}: it comes from {source}, not from the registry"));
        }
        if !is_allowed(&text("license")) {
            wrong.push(format!("{name}: its licence '{}' is not in the list of licences", text("license")));
        }
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            wrong.push(format!("{name}: it is banned: {why}"));
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            let taken = dependency["name"].as_str().unwrap();
            let known = UNMAINTAINED.iter().find(|(unmaintained, ..)| *unmaintained == taken);
            if let Some((_, by, _)) = known
                && !name.starts_with(by)
                && (dependency["optional"] == false && dependency["kind"].is_null())
            {
                wrong.push(format!(
                    "{name}: it brings {taken}, which nobody maintains, and which only {by} may"
                ));
            }
        }
        versions.entry(name).or_default().insert(version);
    }
    let several = versions.iter().filter(|(_, versions)| versions.len() > 1);
    let several: BTreeMap<&str, _> = several.map(|(name, versions)| (name.as_str(), versions)).collect();
    for (name, versions) in &several {
        if !SEVERAL.iter().any(|(known, _)| known == name) {
            wrong.push(format!("{name}: it is here in several versions, {versions:?}, and nobody says why"));
        }
    }
    let past = SEVERAL.iter().filter(|(name, _)| !several.contains_key(name));
    wrong.extend(past.map(|(name, _)| format!("{name}: it needs no exception, being here once")));
    let gone = UNMAINTAINED.iter().filter(|(name, ..)| !versions.contains_key(*name));
    wrong.extend(gone.map(|(name, ..)| format!("{name}: it needs no exception, being gone")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_licence_is_allowed_by_what_its_expression_says() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-2.0) AND ISC",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in
        ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-2.0", "GPL-2.0 WITH LLVM-exception", "MIT )"]
    {
        assert!(!is_allowed(bad), "{bad}");
    }
}
