//! Which list a node's tools mean.

use std::path::{Path, PathBuf};

use config::imapd::{Imapd, Role};

/// The daemon whose list is this node's: a store's own on a backend, the murder's elsewhere.
///
/// A node outside a murder, or a MUPDATE master, does not say which it is; the lists that it has do.
pub fn program(imapd: &Imapd) -> &'static str {
    let has = |program: &str| imapd.program_directory(program).join("list.sled").exists();
    match imapd.role() {
        Role::Backend => "backend",
        Role::Frontend => "mupdate",
        Role::Alone if has("backend") && !has("mupdate") => "backend",
        Role::Alone => "mupdate",
    }
}

/// Every daemon of this node that has a list, with its directory.
pub fn with_lists(imapd: &Imapd) -> Vec<(String, PathBuf)> {
    let root = Path::new(&imapd.configdirectory).join("murder");
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(Result::ok)
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(_, path)| path.join("list.sled").exists())
        .collect();
    found.sort();
    found
}

/// The lists that a copy is worth: all that are an authority, and of the replicas one, the slave's where there is one.
pub fn to_keep(imapd: &Imapd) -> Vec<(String, PathBuf)> {
    let (mut kept, replicas): (Vec<_>, Vec<_>) =
        with_lists(imapd).into_iter().partition(|(program, _)| is_owner(program, imapd));
    let slave = replicas.iter().position(|(program, _)| program == "mupdate").unwrap_or(0);
    kept.extend(replicas.into_iter().nth(slave));
    kept
}

/// Whether mail is kept on this node: a MUPDATE master or a frontend has no place for it.
pub fn keeps_mail(imapd: &Imapd) -> bool {
    !imapd.partitions().is_empty()
}

/// Whether that daemon's list is the authority on what it holds, on this node.
pub fn is_owner(program: &str, imapd: &Imapd) -> bool {
    match program {
        "backend" => true,
        "mupdate" => imapd.role() == Role::Alone,
        _ => false,
    }
}
