//! Files that are replaced together: each is whole, old or new, and all are on disk at the end. Few are synced one by one, many by
//! their file systems.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{
    disk::sync_filesystem,
    error::{Doing, StoreError},
    header::sync_dir,
    limits::SYNCED_SINGLY,
};

/// Files to be replaced, and others that must be on disk before they are.
#[derive(Default)]
pub(super) struct Batch {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// More than are synced singly: how many does not matter then.
    before: Vec<PathBuf>,
}

impl Batch {
    pub fn replace(&mut self, path: PathBuf, bytes: Vec<u8>) {
        self.files.push((path, bytes));
    }

    /// This file must be on disk before.
    pub fn after(&mut self, path: &Path) {
        if self.before.len() <= SYNCED_SINGLY {
            self.before.push(path.to_owned());
        }
    }

    /// Does it. Blocks. `partition`: the directory of a partition that a file lies on.
    pub fn write(self, partition: impl Fn(&Path) -> PathBuf) -> Result<(), StoreError> {
        let new = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(".new");
            PathBuf::from(name)
        };
        for (path, bytes) in &self.files {
            let path = new(path);
            fs::write(&path, bytes).doing("write", &path)?;
        }
        let singly = self.files.len() + self.before.len() <= SYNCED_SINGLY;
        let places: BTreeSet<PathBuf> = match singly {
            true => self.files.iter().filter_map(|(path, _)| path.parent()).map(Path::to_owned).collect(),
            false => self.files.iter().map(|(path, _)| partition(path)).collect(),
        };
        if singly {
            for path in self.files.iter().map(|(path, _)| new(path)).chain(self.before) {
                File::open(&path).and_then(|file| file.sync_all()).doing("sync", &path)?;
            }
        } else {
            places.iter().try_for_each(|place| sync_filesystem(place))?;
        }
        for (path, _) in &self.files {
            let from = new(path);
            fs::rename(&from, path).doing("rename", &from)?;
        }
        match singly {
            true => places.iter().try_for_each(|place| sync_dir(place)),
            false => places.iter().try_for_each(|place| sync_filesystem(place)),
        }
    }
}
