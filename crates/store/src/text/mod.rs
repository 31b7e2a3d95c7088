//! The index of the text of messages: by trigrams, so that SEARCH need not read a message of which the index proves that it does not
//! contain what is looked for. All others are read and looked through, so that what is found is the same with and without it.
//!
//! ```text
//! <mailbox>/text/<number>     a segment: some thousands of messages, written once, synced, then named
//!                new          one that is being written
//! ```
//!
//! The text is that which SEARCH compares ([`mime::searched`]), header and all. Each file says for itself which messages it knows: two that
//! know the same one do no harm, and none is needed. So there is no order in which they must be made or removed, and a crash
//! leaves nothing to be put right. What is damaged, or of an earlier form, is removed and made again from the messages; what a later
//! version wrote is left alone.
//!
//! A delivery does no more than count. When some hundred messages have come or gone, or a search had to read as many that the index does
//! not know, the mailbox is put into a queue ([`desk`]), and a thread of low priority goes on with it ([`build`]): it adds a segment,
//! and puts small ones, or those with many messages that are gone, together into one.
//!
//! No library fits. tantivy could keep trigrams as words, but has for each mailbox a dozen files and a lock, maps them into memory, and writes with
//! threads and heaps of its own; what it needs at least is more than most mailboxes have. A roaring bitmap takes 16 bits where the gap to the next message
//! takes some 7, and neither knows what is to be done with a file that is half there.
//!
//! - [`grams`] text → trigrams; [`list`] the messages that have one; [`segment`] the file;
//! - [`build`] what is missing; [`desk`] when; [`lacking`] what is asked.

pub(crate) mod build;
pub(crate) mod desk;
mod grams;
mod lacking;
mod list;
mod segment;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bounds::Seldom;
use tracing::{debug, warn};

pub use build::Indexed;
pub(crate) use desk::Texts;
pub use grams::Sought;
pub use lacking::Lacking;

use segment::{Segment, Unfit};

/// The files of an index.
#[derive(Default)]
struct Files {
    /// The newest first.
    segments: Vec<Segment>,
    /// Those that are damaged, or of an earlier form of the text.
    useless: Vec<PathBuf>,
    /// Some are of a later version, or cannot be read now: nothing is changed here.
    leave: bool,
}

impl Files {
    /// Opens them. Blocks.
    fn open(dir: &Path) -> Files {
        let mut files = Files::default();
        let Ok(items) = fs::read_dir(dir) else { return files };
        for path in items.flatten().map(|item| item.path()) {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(number) = name.and_then(|name| u64::from_str_radix(name, 16).ok()) else { continue };
            match Segment::open(&path, number) {
                Ok(segment) => files.segments.push(segment),
                Err(Unfit::Useless) => files.useless.push(path),
                Err(Unfit::Newer(version)) => {
                    files.leave = true;
                    if let Some(count) = NEWER.met() {
                        warn!(file = %path.display(), version, count, "a text index of a later version is left alone: messages are read instead");
                    }
                }
                Err(Unfit::Io(error)) => {
                    files.leave = true;
                    debug!(%error, "a text index cannot be read");
                }
            }
        }
        files.segments.sort_by_key(|segment| std::cmp::Reverse(segment.number));
        files
    }
}

/// Removes a file that says nothing; its messages are indexed anew. False where it stays.
fn discard(path: &Path) -> bool {
    if let Some(count) = DAMAGED.met() {
        warn!(file = %path.display(), count, "a text index is damaged, or of an earlier version: it is made anew");
    }
    remove(path)
}

fn remove(path: &Path) -> bool {
    let removed = fs::remove_file(path);
    if let Err(error) = &removed {
        debug!(%error, file = %path.display(), "a file of a text index stays");
    }
    removed.is_ok()
}

/// Name of the directory in a mailbox's.
pub const DIR: &str = "text";
static NEWER: Seldom = Seldom::each_hour();
static DAMAGED: Seldom = Seldom::each_hour();
