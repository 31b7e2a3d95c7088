//! Cyrus's `sievedir`: a directory for each user, with the scripts as `NAME.script`, and a link `defaultbc` to the bytecode of the
//! active one.
//!
//! ```text
//! sievedir/[H/]USER/                        H: one letter, where directories are hashed
//! sievedir/domain/[H/]DOMAIN/[H/]USER/
//! sievedir/global/                          scripts that others include
//! sievedir/uuid/…                           bytecode alone: the scripts are in the users' mailboxes #sieve
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The scripts of one user, as they were found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// None: the scripts that all users may include.
    pub user: Option<String>,
    pub scripts: Vec<Script>,
    pub active: Option<String>,
}

/// One script and where it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    pub name: String,
    pub content: Vec<u8>,
    pub origin: String,
}

/// All users of a sievedir, and what of it cannot be taken.
#[derive(Debug, Default)]
pub struct Sievedir {
    pub users: Vec<Found>,
    pub problems: Vec<String>,
}

impl Sievedir {
    /// # Errors
    /// The directory itself cannot be read. What is wrong below it is among the problems.
    pub fn read(root: &Path) -> io::Result<Sievedir> {
        let mut all = Sievedir::default();
        for (name, path) in directories(root)? {
            match name.as_str() {
                "uuid" => all.problems.push(format!(
                    "{}: bytecode of users whose scripts are in their mailboxes #sieve: take these from the running server (--from)",
                    path.display()
                )),
                "global" => all.take(None, &path),
                "domain" => all.domains(&path),
                _ => all.user_or_hash(&name, &path, None),
            }
        }
        all.users.sort_by(|a, b| a.user.cmp(&b.user));
        Ok(all)
    }

    fn domains(&mut self, path: &Path) {
        for (name, path) in self.below(path) {
            match is_hash(&name) {
                true => self.below(&path).iter().for_each(|(name, path)| self.domain(name, path)),
                false => self.domain(&name, &path),
            }
        }
    }

    fn domain(&mut self, domain: &str, path: &Path) {
        for (name, path) in self.below(path) {
            match name.as_str() {
                "global" => self.problems.push(format!(
                    "{}: scripts for one domain are not kept apart here: not taken",
                    path.display()
                )),
                _ => self.user_or_hash(&name, &path, Some(domain)),
            }
        }
    }

    /// A directory with one letter is a user's where it has scripts, and else one of many.
    fn user_or_hash(&mut self, name: &str, path: &Path, domain: Option<&str>) {
        if !is_hash(name) || holds_scripts(path) {
            return self.take(Some(userid(name, domain)), path);
        }
        for (name, path) in self.below(path) {
            self.take(Some(userid(&name, domain)), &path);
        }
    }

    fn take(&mut self, user: Option<String>, path: &Path) {
        let mut found = Found { user, ..Found::default() };
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(why) => return self.problems.push(format!("{}: {why}", path.display())),
        };
        let mut compiled = Vec::new();
        for file in entries.flatten().map(|entry| entry.path()) {
            let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
                self.problems.push(format!("{}: its name is no UTF-8: not taken", file.display()));
                continue;
            };
            if name == "defaultbc" || name == "default" {
                // The older `default` does not count beside the newer one.
                if name == "defaultbc" || found.active.is_none() {
                    found.active = active(&file).or(found.active);
                }
            } else if let Some(name) = name.strip_suffix(".script") {
                let origin = file.display().to_string();
                match fs::read(&file) {
                    Ok(content) => found.scripts.push(Script { name: name.to_owned(), content, origin }),
                    Err(why) => self.problems.push(format!("{origin}: {why}")),
                }
            } else if let Some(name) = name.strip_suffix(".bc") {
                compiled.push(name.to_owned());
            }
        }
        found.scripts.sort_by(|a, b| a.name.cmp(&b.name));
        compiled.retain(|name| !found.scripts.iter().any(|script| script.name == *name));
        compiled.sort();
        for name in compiled {
            self.problems
                .push(format!("{}/{name}.bc: bytecode without its script: not taken", path.display()));
        }
        if !found.scripts.is_empty() {
            self.users.push(found);
        }
    }

    fn below(&mut self, path: &Path) -> Vec<(String, PathBuf)> {
        directories(path).unwrap_or_else(|why| {
            self.problems.push(format!("{}: {why}", path.display()));
            Vec::new()
        })
    }
}

/// The directories of a directory, by name.
fn directories(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && path.is_dir()
        {
            found.push((name.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

fn holds_scripts(path: &Path) -> bool {
    let is_script = |path: PathBuf| path.extension().is_some_and(|end| end == "script" || end == "bc");
    fs::read_dir(path).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|e| is_script(e.path()))))
}

fn is_hash(name: &str) -> bool {
    name.len() == 1
}

/// The name of the script that a link leads to.
fn active(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    let name = target.file_name()?.to_str()?;
    name.strip_suffix(".bc").or_else(|| name.strip_suffix(".script")).map(str::to_owned)
}

/// A user's name as a directory's: `^` stands for a dot.
fn userid(name: &str, domain: Option<&str>) -> String {
    let user = name.replace('^', ".");
    match domain {
        Some(domain) => format!("{user}@{domain}"),
        None => user,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn users_are_found_in_hashed_and_flat_directories_and_in_domains() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "f/fred/main.script", "keep;");
        write(root, "f/fred/main.bc", "");
        write(root, "f/fred/other.script", "discard;");
        symlink("main.bc", root.join("f/fred/defaultbc")).unwrap();
        write(root, "j^doe/x.script", "keep;");
        write(root, "q/x.script", "keep;");
        write(root, "domain/o/org.example/a/ann/y.script", "keep;");
        symlink(
            "/usr/sieve/domain/o/org.example/a/ann/y.bc",
            root.join("domain/o/org.example/a/ann/defaultbc"),
        )
        .unwrap();
        write(root, "global/all.script", "keep;");
        write(root, "uuid/1/2/abc/main.bc", "");
        write(root, "g/gone/lost.bc", "");
        let read = Sievedir::read(root).unwrap();
        let users: Vec<(Option<&str>, usize, Option<&str>)> = read
            .users
            .iter()
            .map(|one| (one.user.as_deref(), one.scripts.len(), one.active.as_deref()))
            .collect();
        assert_eq!(
            users,
            [
                (None, 1, None),
                (Some("ann@org.example"), 1, Some("y")),
                (Some("fred"), 2, Some("main")),
                (Some("j.doe"), 1, None),
                (Some("q"), 1, None),
            ]
        );
        assert_eq!(read.problems.len(), 2, "{:?}", read.problems);
        assert!(
            read.problems.iter().any(|one| one.ends_with("lost.bc: bytecode without its script: not taken"))
        );
        assert!(read.problems.iter().any(|one| one.contains("#sieve")));
        assert!(Sievedir::read(&root.join("nowhere")).is_err());
    }
}
