//! A user who owns a directory puts things where root is about to write: nothing of root's is changed, and nobody waits.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// A user without rights.
const NOBODY: u32 = 65534;

/// A directory of nobody's, and one of root's with a file that is nobody's business.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// None, and told aloud, where the test is not root.
    fn new() -> Option<Place> {
        if !rustix::process::geteuid().is_root() {
            test_host::skip("only root can work for another user");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["theirs", "roots"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        chown(dir.path().join("theirs"), Some(NOBODY), Some(NOBODY)).unwrap();
        fs::write(dir.path().join("roots/secret"), "precious").unwrap();
        Some(Place { dir })
    }

    fn theirs(&self, name: &str) -> PathBuf {
        self.dir.path().join("theirs").join(name)
    }

    fn roots(&self, name: &str) -> PathBuf {
        self.dir.path().join("roots").join(name)
    }

    /// Root's directory is as it was.
    #[track_caller]
    fn is_untouched(&self, what: &str) {
        let meta = fs::metadata(self.roots("secret")).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (0, 0, 0o644), "{what}");
        assert_eq!(fs::read_to_string(self.roots("secret")).unwrap(), "precious", "{what}");
        let names: Vec<_> =
            fs::read_dir(self.roots("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"], "{what}");
        assert_eq!(fs::metadata(self.roots("")).unwrap().uid(), 0, "{what}");
    }
}

type Plant = (&'static str, fn(&Place, &Path));

const PLANTS: &[Plant] = &[
    ("a link to a file of root's", |place, at| symlink(place.roots("secret"), at).unwrap()),
    ("a link to where root could make a file", |place, at| symlink(place.roots("new"), at).unwrap()),
    ("a link to a directory of root's", |place, at| symlink(place.roots(""), at).unwrap()),
    ("a FIFO", |_, at| {
        rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, 0o666.into(), 0).unwrap();
        chown(at, Some(NOBODY), Some(NOBODY)).unwrap();
    }),
    // As a kernel with fs.protected_hardlinks=0 lets anybody make it.
    ("another name of a file of root's", |place, at| fs::hard_link(place.roots("secret"), at).unwrap()),
];

type Step = (&'static str, fn(&Path) -> std::io::Result<()>);

const STEPS: &[Step] = &[
    ("replace", |path| files::replace(path, 0o600, b"new")),
    ("lock", |path| files::lock_file(path, 0o600).and_then(|file| file.set_len(0))),
    ("append", |path| files::append(path, 0o600).and_then(|mut file| file.write_all(b"more"))),
    ("directory", |path| files::directory(path, 0o700, Some((NOBODY, NOBODY)))),
    ("directory below", |path| files::directory(&path.join("deep/er"), 0o700, Some((NOBODY, NOBODY)))),
    ("give", |path| files::give(path, (NOBODY, NOBODY))),
    ("read", |path| files::read(path).map(drop)),
    ("remove", |path| files::remove(path).map(drop)),
    ("remove below", |path| files::remove(&path.join("secret")).map(drop)),
    ("remove socket", |path| files::remove_socket(path).map(drop)),
];

#[test]
fn root_changes_nothing_of_its_own_through_what_the_owner_of_a_directory_plants() {
    let Some(place) = Place::new() else { return };
    for (plant, make) in PLANTS {
        for (step, act) in STEPS {
            for path in [place.theirs("file"), place.theirs("file.new")] {
                // Where the text of a replacement goes is known, too.
                make(&place, &path);
                let done = act(&place.theirs("file"));
                if path == place.theirs("file")
                    && ["lock", "append"].contains(step)
                    && !plant.starts_with("a link")
                {
                    assert!(done.is_err(), "{step}, {plant}");
                }
                let _ = fs::remove_file(&path);
                let _ = fs::remove_dir_all(place.theirs("file"));
                let _ = fs::remove_file(place.theirs("file"));
                place.is_untouched(&format!("{step}, {plant}"));
            }
        }
    }
    assert!(rustix::process::geteuid().is_root(), "root is root again");
    assert!(rustix::thread::set_thread_groups(&[]).is_ok());
}

#[test]
fn what_root_makes_in_the_directory_of_another_is_the_others() {
    let Some(place) = Place::new() else { return };
    files::replace(&place.theirs("a"), 0o640, b"text").unwrap();
    files::directory(&place.theirs("b/c"), 0o700, None).unwrap();
    files::lock_file(&place.theirs("b/lock"), 0o600).unwrap();
    files::append(&place.theirs("log"), 0o600).unwrap().write_all(b"line").unwrap();
    for name in ["a", "b", "b/c", "b/lock", "log"] {
        let meta = fs::metadata(place.theirs(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (NOBODY, NOBODY), "{name}");
    }
    assert_eq!(fs::metadata(place.theirs("a")).unwrap().mode() & 0o7777, 0o640);
    assert!(!place.theirs("a.new").exists());
    assert_eq!(files::read(&place.theirs("log")).unwrap(), b"line");
}

#[test]
fn in_a_place_of_its_own_root_writes_as_root_and_gives_away_what_it_is_told_to() {
    let Some(place) = Place::new() else { return };
    files::replace(&place.roots("a"), 0o600, b"1").unwrap();
    files::give(&place.roots("a"), (NOBODY, NOBODY)).unwrap();
    files::directory(&place.roots("d/e"), 0o750, Some((NOBODY, NOBODY))).unwrap();
    // The next text belongs to whom the first belonged to.
    files::replace(&place.roots("a"), 0o600, b"2").unwrap();
    for (name, uid) in [("a", NOBODY), ("d", 0), ("d/e", NOBODY)] {
        assert_eq!(fs::metadata(place.roots(name)).unwrap().uid(), uid, "{name}");
    }
}

#[test]
fn who_may_not_write_there_is_named() {
    let Some(place) = Place::new() else { return };
    fs::set_permissions(place.theirs(""), fs::Permissions::from_mode(0o500)).unwrap();
    let error = files::replace(&place.theirs("a"), 0o600, b"").unwrap_err().to_string();
    assert!(error.contains("Permission denied") && error.contains("root works as"), "{error}");
    assert!(error.contains(place.theirs("").to_str().unwrap().trim_end_matches('/')), "{error}");
}
