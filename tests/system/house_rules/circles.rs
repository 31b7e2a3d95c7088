//! No two modules of a crate import each other, nor do several in a circle: who reads one file need not have read all.
//!
//! A module, and those below it, use each other as they like: `mod.rs` names its parts, and a part its whole. A name that a module
//! imports or hands on (`use`, `pub use`) counts as of the module where it is defined.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{code, root, sources};

/// Circles that stay, as crate and modules, with the reason.
const ALLOWED: &[(&str, &[&str], &str)] = &[];

#[test]
fn no_module_imports_another_that_imports_it() {
    let (mut looked, mut found) = (0, Vec::new());
    for entry in fs::read_dir(root().join("crates")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let dir = format!("crates/{name}/src/");
        let files = sources(&dir);
        let files = files.into_iter().map(|(path, text)| (path.trim_start_matches(&dir).to_owned(), text));
        let krate = Crate::read(files);
        looked += krate.modules.len();
        found.extend(krate.circles().into_iter().map(|circle| (name.clone(), circle)));
    }
    assert!(looked > 400, "{looked} modules were looked at");
    for (name, circle) in &found {
        let allowed = ALLOWED.iter().any(|(of, modules, _)| of == name && modules[..] == circle[..]);
        assert!(allowed, "{name}: a circle of imports: {circle:#?}");
    }
    for (name, modules, why) in ALLOWED {
        let stands = found.iter().any(|(of, circle)| of == name && circle[..] == modules[..]);
        assert!(stands, "{name} has no circle of {modules:?} ({why})");
    }
}

#[test]
fn a_circle_is_seen_however_its_imports_are_written() {
    let circles = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Crate::read(files).circles()
    };
    let none = Vec::<Vec<String>>::new();
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use super::b::{self, B};", "use super::{\n    a::A,\n    c::C,\n};"),
        ("fn f(b: crate::b::B) {}", "pub(crate) use super::a::A as Other;"),
        ("use crate::B;", "use super::a;"),
    ] {
        let files =
            [("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::B;"), ("a.rs", a), ("b.rs", b), ("c.rs", "")];
        assert_eq!(circles(&files), [["a", "b"]], "{a} {b}");
        assert_eq!(circles(&[files[0], files[1], ("b.rs", "use std::a::A;\n// use super::a;")]), none);
        assert_eq!(
            circles(&[files[0], files[1], ("b.rs", &format!("#[cfg(test)]\nmod tests {{\n{b}"))]),
            none
        );
    }
    let three = [
        ("a.rs", "use crate::b::B;"),
        ("b/mod.rs", "use crate::c::d::D;"),
        ("c.rs", "mod d;"),
        ("c/d.rs", "use crate::a;"),
    ];
    assert_eq!(circles(&three), [["a", "b", "c::d"]]);
    let whole_and_part = [("a.rs", "mod b;\nuse b::B;"), ("a/b.rs", "use super::A;")];
    assert_eq!(circles(&whole_and_part), none);
}

/// A module, by the names on the way to it.
type Module = Vec<String>;

/// The modules of a crate, and what each imports.
#[derive(Default)]
struct Crate {
    /// Each with the paths that it names, and whether a `use` has them.
    modules: BTreeMap<Module, Vec<(Vec<String>, bool)>>,
}

impl Crate {
    /// Of its files, as they are called below `src`.
    fn read(files: impl Iterator<Item = (String, String)>) -> Crate {
        let mut krate = Crate::default();
        for (path, text) in files {
            let mut module: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if module.iter().any(|part| ["tests", "kill", "bin", "main"].contains(&part.as_str())) {
                continue;
            }
            if ["mod", "lib"].contains(&module.last().map_or("", String::as_str)) {
                module.pop();
            }
            krate.modules.insert(module, paths(code(&text)));
        }
        krate
    }

    /// The modules of each circle, in their order.
    fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            self.modules.keys().map(|module| (module, self.reached(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, theirs) in &reached {
            let back = |other: &&Module| theirs.contains(*other) && reached[*other].contains(*module);
            let circle: Vec<String> =
                reached.keys().copied().filter(back).map(|module| module.join("::")).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// All that a module imports, and what that imports.
    fn reached(&self, module: &Module) -> BTreeSet<Module> {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![module.clone()]);
        while let Some(next) = waiting.pop() {
            let imports = self.modules[&next].iter().filter_map(|(path, _)| self.definer(&next, path, 0));
            let others = imports.filter(|other| !other.starts_with(&next) && !next.starts_with(other));
            for other in others.collect::<Vec<_>>() {
                if seen.insert(other.clone()) {
                    waiting.push(other);
                }
            }
        }
        seen
    }

    /// The module that defines what a path names, as seen from `from`; none: another crate's.
    fn definer(&self, from: &Module, path: &[String], steps: usize) -> Option<Module> {
        let (mut module, mut rest) = match path.first()?.as_str() {
            "crate" => (Module::new(), &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => (from.clone(), path),
            first => {
                let below = [&from[..], &[first.to_owned()]].concat();
                self.modules.contains_key(&below).then_some((from.clone(), path))?
            }
        };
        while rest.first().is_some_and(|part| part == "super") {
            module.pop();
            rest = &rest[1..];
        }
        while let Some(part) = rest.first() {
            let below = [&module[..], std::slice::from_ref(part)].concat();
            if !self.modules.contains_key(&below) {
                break;
            }
            (module, rest) = (below, &rest[1..]);
        }
        // It hands on what another one defines.
        if let (Some(name), true) = (rest.first(), steps < 10) {
            let uses = self.modules.get(&module)?.iter();
            let mut same = uses.filter(|(path, is_use)| *is_use && path.last() == Some(name));
            if let Some((path, _)) = same.next()
                && let Some(other) = self.definer(&module, path, steps + 1)
                && other != module
            {
                return Some(other);
            }
        }
        self.modules.contains_key(&module).then_some(module)
    }
}

/// The paths that a file names: those of its `use` lines, and those that stand in its code and begin at the crate's root or above it.
pub fn paths(text: &str) -> Vec<(Vec<String>, bool)> {
    let lines: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let text = lines.join("\n");
    let (mut found, mut rest) = (Vec::new(), String::new());
    let mut using: Option<String> = None;
    for line in text.lines() {
        let word = line.trim_start();
        let public = word.strip_prefix("pub").map(|rest| rest.split_once(' ').map_or("", |(_, rest)| rest));
        let start = public.unwrap_or(word).strip_prefix("use ");
        match (using.as_mut(), start) {
            (Some(tree), _) => tree.push_str(word),
            (None, Some(tree)) => using = Some(tree.to_owned()),
            (None, None) => rest.extend([line, "\n"]),
        }
        if let Some(tree) = using.take_if(|tree| tree.contains(';')) {
            expand("", tree.trim_end().trim_end_matches(';'), &mut found);
        }
    }
    let mut found: Vec<(Vec<String>, bool)> = found.into_iter().map(|path| (path, true)).collect();
    for (at, _) in rest.match_indices("crate::").chain(rest.match_indices("super::")) {
        let before = rest[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            let end = rest[at..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            let path = &rest[at..end.map_or(rest.len(), |end| at + end)];
            found
                .push((path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect(), false));
        }
    }
    found
}

/// The paths of a tree of imports: `a::{b, c::{self, D as E}}`.
fn expand(before: &str, tree: &str, found: &mut Vec<Vec<String>>) {
    let (mut depth, mut start) = (0, 0);
    let ends = tree.char_indices().chain([(tree.len(), ',')]);
    for (at, c) in ends {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let one = tree[start..at].trim();
                start = at + 1;
                if let Some((head, below)) = one.split_once('{') {
                    let below = below.trim_end();
                    let below = below.strip_suffix('}').unwrap_or(below);
                    expand(&format!("{before}{}", head.trim()), below, found);
                } else if !one.is_empty() {
                    let path = format!("{before}{}", one.split(" as ").next().unwrap_or(one).trim());
                    let parts = path.split("::").enumerate().filter(|(at, part)| *at == 0 || *part != "self");
                    found.push(parts.map(|(_, part)| part.to_owned()).collect());
                }
            }
            _ => {}
        }
    }
}
