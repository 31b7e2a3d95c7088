//! What a tool prints. A reader who went away in the middle (`| head`) ends no work and is no defect: what cannot be printed any
//! more is left out, and the command ends with the status that it would have had.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Prints a line on standard output: `println!` that cannot panic.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => { $crate::say::line(&mut ::std::io::stdout().lock(), format_args!($($words)*)) };
}

/// Prints on standard output without ending the line: `print!` that cannot panic.
#[macro_export]
macro_rules! say_part {
    ($($words:tt)*) => { $crate::say::part(&mut ::std::io::stdout().lock(), format_args!($($words)*)) };
}

/// Prints a line on standard error: `eprintln!` that cannot panic.
#[macro_export]
macro_rules! complain {
    ($($words:tt)*) => { $crate::say::line(&mut ::std::io::stderr().lock(), format_args!($($words)*)) };
}

/// Prints on standard error without ending the line: `eprint!` that cannot panic.
#[macro_export]
macro_rules! complain_part {
    ($($words:tt)*) => { $crate::say::part(&mut ::std::io::stderr().lock(), format_args!($($words)*)) };
}

#[doc(hidden)]
pub fn line(out: &mut impl Write, words: Arguments<'_>) {
    finish(writeln!(out, "{words}"));
}

#[doc(hidden)]
pub fn part(out: &mut impl Write, words: Arguments<'_>) {
    finish(write!(out, "{words}").and_then(|()| out.flush()));
}

/// A full disk is worth a word, where somebody reads it; nothing here is worth more.
fn finish(written: io::Result<()>) {
    if let Err(why) = written
        && why.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = writeln!(io::stderr().lock(), "cannot be printed: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_went_away_is_no_panic() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        line(&mut writer, format_args!("nobody reads {}", "this"));
        part(&mut writer, format_args!("or this"));
    }
}
