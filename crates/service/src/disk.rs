//! A disk that failed, and works again. What a daemon was writing when it failed is in an unknown state until it is opened
//! anew: the daemon serves what it can, and ends when there is room again, so that its supervisor starts it afresh.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use tracing::debug;

use crate::limits::{DISK_EVERY, DISK_ROOM};

/// Returns when some mebibytes could be written and synced in this directory.
pub async fn writable(directory: &Path) {
    loop {
        tokio::time::sleep(DISK_EVERY).await;
        let path = directory.join("room");
        match tokio::task::spawn_blocking(move || probe(&path)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => debug!(%error, "{}: not writable yet", directory.display()),
            // The runtime ends.
            Err(_) => return,
        }
    }
}

fn probe(path: &Path) -> io::Result<()> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(&vec![0; DISK_ROOM])?;
        file.sync_all()
    });
    // It must not take the room that others wait for.
    let removed = fs::remove_file(path);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        probe(&dir.path().join("room")).unwrap();
        probe(&dir.path().join("missing/room")).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
