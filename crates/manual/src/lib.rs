//! The manual pages and shell completions of all programs, made from the definitions that `--help` prints and, for
//! imapd.conf(5), from the registry of options. master(8) and cyrus.conf(5) are written by hand in docs/man; tests hold them to
//! the same definitions.
//!
//! | to | begin at |
//! | --- | --- |
//! | know which programs there are | [`programs`] |
//! | make their pages and completions | [`write()`] |
//! | make docs/LIMITS.md from the tables of the code | [`limits`] |

pub mod limits;

use std::fs;
use std::io;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory};
use clap_complete::Shell;

/// A program and the section of its page.
pub struct Program {
    pub command: Command,
    pub section: &'static str,
}

/// Every program that is installed but `master`, whose page is written by hand.
pub fn programs() -> Vec<Program> {
    let user = |command| Program { command, section: "1" };
    let system = |command| Program { command, section: "8" };
    vec![
        user(murder::cli::Cli::command()),
        user(mupdate::tester::Cli::command()),
        system(mupdate::daemon::Cli::command()),
        system(imapproxy::Cli::command()),
        system(pop3proxy::Cli::command()),
        system(sieveproxy::Cli::command()),
        system(nntpproxy::Cli::command()),
        system(lmtpproxy::Cli::command()),
        system(backend::Cli::command()),
        system(ctl_mboxlist::options::Flags::command()),
        system(ctl_mboxlist::cyrusdb::Flags::command()),
        system(ctl_mboxlist::expire::Options::command()),
        system(ctl_mboxlist::squatter::Options::command()),
        system(ctl_mboxlist::reconstruct::Options::command()),
        system(ctl_mboxlist::sievec::Options::command()),
        system(ctl_mboxlist::sievec::PrintOptions::command()),
    ]
}

/// Writes `man1`, `man5`, `man8`, `bash`, `zsh` and `fish` below a directory.
pub fn write(directory: &Path) -> io::Result<()> {
    for section in ["man1", "man5", "man8", "bash", "zsh", "fish"] {
        fs::create_dir_all(directory.join(section))?;
    }
    for mut program in programs() {
        // Gives subcommands the names that their pages have.
        program.command.build();
        pages(directory, &program.command, program.section)?;
        completions(directory, program.command)?;
    }
    completions(directory, master::options::Options::command())?;
    fs::write(directory.join("man5/imapd.conf.5"), murder::config::manual_page())?;
    fs::write(directory.join("man5/cyrus.conf.5"), include_str!("../../../docs/man/cyrus.conf.5"))?;
    fs::write(directory.join("man8/master.8"), include_str!("../../../docs/man/master.8"))
}

/// The command's own page, and those of its subcommands: `murder doctor` has murder-doctor(1).
fn pages(directory: &Path, command: &Command, section: &str) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut text = Vec::new();
    // What stands behind the options are sections of their own.
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let bare = command.clone().after_help(None::<&str>).override_usage(usage(command));
    let man = clap_mangen::Man::new(bare).title(name).section(section);
    man.manual("murder").source("murder").render(&mut text)?;
    text.extend_from_slice(sections(&after).as_bytes());
    text.extend_from_slice(SEE_ALSO.as_bytes());
    fs::write(directory.join(format!("man{section}/{name}.{section}")), text)?;
    let own = |command: &&Command| command.get_name() != "help" && !command.is_hide_set();
    command.get_subcommands().filter(own).try_for_each(|command| pages(directory, command, section))
}

/// A command's synopsis with the names of its values: `murder status [-C FILE] [--here] …`.
fn usage(command: &Command) -> String {
    let mut words = vec![command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()];
    let shown = || command.get_arguments().filter(|argument| !argument.is_hide_set());
    for option in shown().filter(|argument| !argument.is_positional()) {
        let mut word = match (option.get_short(), option.get_long()) {
            (Some(short), _) => format!("-{short}"),
            (None, Some(long)) => format!("--{long}"),
            (None, None) => continue,
        };
        if option.get_action().takes_values() {
            word.push(' ');
            word.push_str(&values(option));
        }
        words.push(if option.is_required_set() { word } else { format!("[{word}]") });
    }
    for positional in shown().filter(|argument| argument.is_positional()) {
        let many = matches!(positional.get_action(), ArgAction::Append);
        let word = format!("{}{}", values(positional), if many { "..." } else { "" });
        words.push(if positional.is_required_set() { word } else { format!("[{word}]") });
    }
    if command.has_subcommands() {
        words.push("COMMAND".to_owned());
    }
    words.join(" ")
}

/// What an argument's value is called.
fn values(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    match names.is_empty() {
        true => argument.get_id().as_str().to_uppercase(),
        false => names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" "),
    }
}

/// The text behind the options of `--help`: `Exit status:` and `Examples:`, each with indented lines; as sections of a page, line by
/// line.
fn sections(after: &str) -> String {
    let mut out = String::new();
    let mut open = false;
    for line in after.lines() {
        let heading = line.strip_suffix(':').filter(|line| !line.starts_with(' '));
        if let Some(heading) = heading {
            out.push_str(if open { ".fi\n" } else { "" });
            out.push_str(&format!(".SH \"{}\"\n.nf\n", heading.to_uppercase()));
            open = true;
        } else {
            // A period or an apostrophe at the beginning of a line would be a request.
            out.push_str("\\&");
            out.push_str(&line.replace('\\', "\\e").replace('-', "\\-"));
            out.push('\n');
        }
    }
    out.push_str(if open { ".fi\n" } else { "" });
    out
}

fn completions(directory: &Path, mut command: Command) -> io::Result<()> {
    let name = command.get_name().to_owned();
    for (shell, folder) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        clap_complete::generate_to(shell, &mut command, &name, directory.join(folder))?;
    }
    // The completion package loads bash's files by the command's bare name.
    let bash = directory.join("bash");
    fs::rename(bash.join(format!("{name}.bash")), bash.join(name))
}

const SEE_ALSO: &str =
    ".SH \"SEE ALSO\"\n.BR master (8),\n.BR cyrus.conf (5),\n.BR imapd.conf (5),\n.BR murder (1)\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_page_and_completions_and_every_argument_is_explained() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        for Program { command, section } in programs() {
            let name = command.get_name();
            let page =
                fs::read_to_string(directory.path().join(format!("man{section}/{name}.{section}"))).unwrap();
            for heading in [".SH SYNOPSIS", ".SH \"EXIT STATUS\"", ".SH \"EXAMPLES\"", ".SH \"SEE ALSO\""] {
                assert!(page.contains(heading), "{name} has {heading}");
            }
            let synopsis = page.split(".SH").find(|part| part.starts_with(" SYNOPSIS")).unwrap();
            let synopsis = synopsis.replace('\\', "");
            let file = command.get_arguments().any(|argument| argument.get_short() == Some('C'));
            assert!(!file || synopsis.contains("[-C FILE]"), "{name}: {synopsis}");
            for shell in [format!("bash/{name}"), format!("zsh/_{name}"), format!("fish/{name}.fish")] {
                assert!(directory.path().join(&shell).is_file(), "{shell}");
            }
            explained(&command);
        }
        explained(&master::options::Options::command());
        for page in ["man8/master.8", "man5/cyrus.conf.5", "man5/imapd.conf.5"] {
            let text = fs::read_to_string(directory.path().join(page)).unwrap();
            assert!(text.contains(".Sh EXAMPLES") || text.contains(".SH EXAMPLES"), "{page} has examples");
        }
        for page in ["man5/imapd.conf.5", "man5/cyrus.conf.5", "man8/master.8", "man1/murder-doctor.1"] {
            assert!(fs::metadata(directory.path().join(page)).unwrap().len() > 500, "{page}");
        }
    }

    /// What the parser of cyrus.conf asks an entry for.
    #[test]
    fn cyrus_conf_5_has_every_key_that_is_read() {
        let parser = include_str!("../../config/src/cyrus/entries.rs");
        let page = include_str!("../../../docs/man/cyrus.conf.5");
        let quoted = |start: &str| -> Vec<String> {
            parser.split(start).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
        };
        let keys = [quoted("raw.get(\""), quoted("(raw, \"")].concat();
        let keys: Vec<String> = keys.into_iter().filter(|key| !key.contains(' ')).collect();
        assert!(keys.len() > 8, "{keys:?}");
        let told: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".It Cm ")).collect();
        for key in keys {
            assert!(told.iter().any(|line| line.split([' ', ',']).any(|word| word == key)), "{key}");
        }
    }

    fn explained(command: &Command) {
        assert!(command.get_about().is_some(), "{} says what it does", command.get_name());
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for heading in ["Exit status:\n  0 ", "\nExamples:\n  "] {
            assert!(after.contains(heading), "{} has {heading}: {after}", command.get_name());
        }
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let named = argument.is_positional() || argument.get_help().is_some();
            assert!(named, "{} {} has a meaning", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(explained);
    }
}
