//! `murder passwd`: users and their passwords, in the file that `password_db` names.
//!
//! A password is asked for twice on a terminal; else it is one line of standard input. What is stored are its SCRAM
//! keys. Users of Cyrus SASL's sasldb come over by `db_dump -p /etc/sasldb2 | murder passwd --import`.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::config::imapd::Imapd;
use identity::passwords::PasswordDb;

use crate::node;
use crate::runner::Runner;

/// Sets, deletes and lists users' passwords
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The configuration whose password_db is meant
    #[arg(short = 'C', long = "config", value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Delete the user
    #[arg(short, long, requires = "user", conflicts_with_all = ["list", "import"])]
    delete: bool,
    /// List all users
    #[arg(short, long, conflicts_with_all = ["user", "import"])]
    list: bool,
    /// Take over the users of a sasldb: `db_dump -p /etc/sasldb2` on standard input
    #[arg(long, conflicts_with = "user")]
    import: bool,
    #[arg(value_name = "USER", required_unless_present_any = ["list", "import"])]
    user: Option<String>,
}

pub fn run(args: &Args) -> ExitCode {
    let imapd = match Imapd::load(&args.config, "murder") {
        Ok(imapd) => imapd,
        Err(problems) => {
            service::complain!("{problems}");
            return ExitCode::from(::config::EX_CONFIG);
        }
    };
    match act(args, &imapd) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            service::complain!("murder passwd: {message}");
            ExitCode::FAILURE
        }
    }
}

fn act(args: &Args, imapd: &Imapd) -> Result<(), String> {
    let db = PasswordDb::new(imapd.password_db());
    db.set_iterations(imapd.password_iterations);
    let fold = |user: &str| if imapd.username_tolower { user.to_lowercase() } else { user.to_owned() };
    match (&args.user, args.delete) {
        (Some(user), true) => {
            prepare(db.path(), imapd)?;
            match db.delete(&fold(user)) {
                Ok(true) => {
                    node::release(imapd, &fold(user));
                    keep_owner(imapd)
                }
                Ok(false) => Err(format!("there is no user {user}")),
                Err(error) => Err(error.to_string()),
            }
        }
        (Some(user), false) => {
            let password = ask(user)?;
            prepare(db.path(), imapd)?;
            db.set(&fold(user), &password).map_err(|error| error.to_string())?;
            node::release(imapd, &fold(user));
            keep_owner(imapd)
        }
        (None, _) if args.import => {
            let text = io::read_to_string(io::stdin()).map_err(|error| format!("standard input: {error}"))?;
            prepare(db.path(), imapd)?;
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            let users = sasldb(&text, &[&imapd.servername, &host]);
            for (user, password) in &users {
                db.set(&fold(user), password).map_err(|error| format!("{user}: {error}"))?;
                service::say!("{}", fold(user));
            }
            if users.is_empty() { Err("no user found on standard input".into()) } else { keep_owner(imapd) }
        }
        (None, _) => {
            let users = db.list().map_err(|error| error.to_string())?;
            users.iter().for_each(|user| service::say!("{user}"));
            Ok(())
        }
    }
}

/// The new password, from the terminal or from standard input.
fn ask(user: &str) -> Result<String, String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
        let password = line.strip_suffix('\n').unwrap_or(&line);
        return Ok(password.strip_suffix('\r').unwrap_or(password).to_owned());
    }
    let prompt = |text: String| {
        // The prompt goes where the question comes from, so that standard output stays empty.
        let _ = io::stderr().flush();
        rpassword::prompt_password(text).map_err(|error| format!("terminal: {error}"))
    };
    let password = prompt(format!("New password for {user}: "))?;
    let again = prompt("Again: ".into())?;
    if password == again { Ok(password) } else { Err("the two are not the same; nothing is changed".into()) }
}

/// Gets ready to write the file: makes its directory, and `configdirectory` itself on a node that has never run, for the daemons'
/// user; then becomes whoever owns the one and keeps the file there.
fn prepare(file: &Path, imapd: &Imapd) -> Result<(), String> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    let configdirectory = Path::new(&imapd.configdirectory);
    if rustix::process::geteuid().is_root() && !configdirectory.exists() {
        let runner = Runner::of(imapd).ok_or("there is no user for the daemons to run as: see cyrus_user")?;
        let to = runner.gid().map(|gid| (runner.uid, gid));
        files::directory(configdirectory, 0o750, to).map_err(told(configdirectory))?;
    }
    let directory = file.parent().unwrap_or(Path::new("/"));
    if files::way(directory).map_err(told(directory))?.owner.is_some() {
        files::become_owner(configdirectory).map_err(|error| error.to_string())?;
    }
    if directory.exists() {
        return Ok(());
    }
    files::directory(directory, 0o700, owner(imapd)).map_err(told(directory))
}

/// Leaves the file to the daemons' user where root has written it: whoever owns `configdirectory`.
fn keep_owner(imapd: &Imapd) -> Result<(), String> {
    let file = imapd.password_db();
    match owner(imapd) {
        Some(to) => files::give(file, to).map_err(|error| format!("{}: {error}", file.display())),
        None => Ok(()),
    }
}

/// User and group of `configdirectory`.
fn owner(imapd: &Imapd) -> Option<(u32, u32)> {
    std::fs::metadata(&imapd.configdirectory).ok().map(|meta| (meta.uid(), meta.gid()))
}

/// Users and passwords in what `db_dump -p` prints of a sasldb: a line with `user\00realm\00userPassword`, then one
/// with the password. Users of a realm that is this server's (`saslpasswd2` takes the host's name where it is given none) go by
/// their bare name.
fn sasldb(text: &str, own: &[&str]) -> Vec<(String, String)> {
    let body = text.split_once("HEADER=END\n").map_or(text, |(_, body)| body);
    let mut lines = body.lines().take_while(|line| *line != "DATA=END").map(unescape);
    let mut users = Vec::new();
    while let (Some(key), Some(password)) = (lines.next(), lines.next()) {
        let mut parts = key.split('\0');
        if let (Some(user), Some(realm), Some("userPassword")) = (parts.next(), parts.next(), parts.next()) {
            let is_own = own.iter().any(|name| {
                let short = name.split('.').next().unwrap_or(name);
                realm.eq_ignore_ascii_case(name) || realm.eq_ignore_ascii_case(short)
            });
            let user = match realm.is_empty() || is_own {
                true => user.to_owned(),
                false => format!("{user}@{realm}"),
            };
            users.push((user, password));
        }
    }
    users
}

/// db_dump's text: a leading blank, and `\hh` for bytes that do not print.
fn unescape(line: &str) -> String {
    let line = line.strip_prefix(' ').unwrap_or(line).as_bytes();
    let mut out = Vec::with_capacity(line.len());
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let hex = line.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, line.get(at + 1), escaped) {
            (b'\\', Some(b'\\'), _) => (out.push(b'\\'), at += 2).1,
            (b'\\', _, Some(value)) => (out.push(value), at += 3).1,
            _ => (out.push(byte), at += 1).1,
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   done
  1   there is no such user, or the file could not be read or written
  78  the configuration is wrong

Examples:
  murder passwd fred                                   asks twice on a terminal
  printf '%s\\n' \"$password\" | murder passwd fred
  db_dump -p /etc/sasldb2 | murder passwd --import
  murder passwd -l";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_sasldb_are_found() {
        let text = "VERSION=3\nformat=print\ntype=hash\nHEADER=END\n fred\\00mail.example\\00userPassword\n s\\\\e cret\n \
                    eve\\00other.example\\00userPassword\n x\n fred\\00mail\\00cmusaslsecretOTP\n y\nDATA=END\n";
        let text = text.replace("DATA=END", " jim\\00oldhost\\00userPassword\n z\nDATA=END");
        let users = sasldb(&text, &["mail.example", "oldhost.example"]);
        assert_eq!(
            users,
            [
                ("fred".into(), "s\\e cret".into()),
                ("eve@other.example".into(), "x".into()),
                ("jim".into(), "z".into())
            ]
        );
    }
}
