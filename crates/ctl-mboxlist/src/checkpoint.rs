//! `ctl_cyrusdb -c`: a dump of the node's list, in `{configdirectory}/db.backup1`; the one before is kept in
//! `db.backup2`. A dump is what `ctl_mboxlist -u` reads, so that any node's list can be put back. Of the lists of a
//! frontend's programs, which are all the same, one is dumped.

use std::fs::{self, File};
use std::path::Path;

use config::imapd::Imapd;
use tracing::info;

use crate::dump::{self, Wanted};
use crate::lists::{Failure, Lists};
use crate::nodes;

/// Writes the dumps beside the old ones first, so that a crash leaves a whole set.
///
/// # Errors
/// A list that cannot be read, or a disk that cannot be written: the old sets are left alone.
pub async fn run(imapd: &Imapd) -> Result<(), Failure> {
    let root = Path::new(&imapd.configdirectory);
    let [new, first, second] = ["db.backup.new", "db.backup1", "db.backup2"].map(|name| root.join(name));
    let lists = nodes::to_keep(imapd);
    if lists.is_empty() {
        return Ok(());
    }
    remove(&new)?;
    fs::create_dir(&new).map_err(Failure::io(new.display().to_string()))?;
    let wanted = Wanted { intermediaries: true, partition: None };
    for (program, _) in lists {
        let path = new.join(format!("{program}.json"));
        let failed = || path.display().to_string();
        let mut file = std::io::BufWriter::new(File::create(&path).map_err(Failure::io(failed()))?);
        let mut list = Lists::reach_patiently(imapd, &program).await?;
        let names = dump::write(&mut list, &wanted, &mut file).await?;
        list.close().await?;
        file.get_ref().sync_all().map_err(Failure::io(failed()))?;
        info!("{program}: {} mailboxes in {}", names.len(), first.display());
    }
    if first.exists() {
        remove(&second)?;
        rename(&first, &second)?;
    }
    rename(&new, &first)?;
    File::open(root).and_then(|root| root.sync_all()).map_err(Failure::io(root.display().to_string()))
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(Failure::io(format!("{} to {}", from.display(), to.display())))
}

fn remove(directory: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::io(directory.display().to_string())(error))
        }
        _ => Ok(()),
    }
}
