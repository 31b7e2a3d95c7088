//! All words of all scripts. Whoever adds one adds its file, and its row to the table beside that.

use crate::check::Words;
use crate::{base, further};

pub const WORDS: Words =
    Words { commands: &[base::COMMANDS, further::COMMANDS], tests: &[base::TESTS, further::TESTS] };
