//! imapd.conf: the settings of one program on one node.
//!
//! ```text
//! file(s) ──lines / toml──▶ settings with places ──names──▶ which option each one is (aliases, overrides, overflow)
//!                                                  └─registry─▶ Settings: one typed field per option
//! ```
//!
//! A program reads the file as some *identity*: the name of its cyrus.conf entry, or a tool's own name. A key
//! `<identity>_<option>` goes before `<option>`; a process that serves several entries asks for each one's view by
//! [`Imapd::for_service`]. Keys that are no option (partitions, passwords per host) are read by [`Imapd::overflow`].

mod aliases;
pub mod choices;
pub mod convert;
mod doubts;
mod hosts;
pub mod kind;
mod known;
pub mod lines;
mod names;
pub mod networks;
mod partitions;
pub mod registry;
pub mod reload;
mod shared;
pub mod toml;

use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use choices::*;
pub use hosts::{Upstream, shorthost};
pub use partitions::{Partition, is_among_messages};
pub use registry::{Effect, OPTIONS, OptionSpec, Settings};
pub use shared::SHARED;

use crate::ports::Ports;
use crate::{Problem, Problems};
pub use kind::duration;
use kind::{Kind, Value};
use lines::Setting;
use names::Names;

/// The settings of one program: every option is a field (through Deref to [`Settings`]). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Imapd {
    file: Arc<File>,
    view: Arc<View>,
}

/// What the file says, to all programs alike.
#[derive(Debug)]
struct File {
    path: PathBuf,
    names: Names,
    partitions: Vec<Partition>,
    warnings: Vec<Problem>,
    notes: Vec<Problem>,
    ports: Ports,
}

/// What it says to one program.
#[derive(Debug)]
struct View {
    identity: String,
    settings: Settings,
}

/// Where it is known from in which groups a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSource {
    /// The system's group database.
    System,
    /// Nobody is in a group.
    Nowhere,
    /// A service that cannot be asked here: a user may be in any group.
    Unknown,
}

/// What a node is in its murder, by Cyrus's own rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `mupdate_server` is set and `proxyservers` is not: mailboxes live elsewhere.
    Frontend,
    /// Both are set.
    Backend,
    /// `mupdate_server` is unset: a MUPDATE master, or a server by itself.
    Alone,
}

impl Imapd {
    /// Reads imapd.conf, or imapd.toml if that is the file's extension, as the program `identity` sees it. A file
    /// under the directory of the environment's CYRUS_PREFIX goes before the one given.
    ///
    /// # Errors
    /// Everything that is wrong in the file and in those it includes.
    pub fn load(path: &Path, identity: &str) -> Result<Imapd, Problems> {
        let (imapd, problems) = Imapd::examine(path, identity);
        problems.or(imapd)
    }

    /// As [`Imapd::load`], but gives what is right in the file, and what is doubtful, beside everything that is wrong. Nothing may
    /// be run from it unless nothing is wrong.
    pub fn examine(path: &Path, identity: &str) -> (Imapd, Problems) {
        let path = prefixed(path);
        let mut problems = Problems::default();
        let settings = match toml::is_toml(&path) {
            true => toml::read(&path, &mut problems),
            false => lines::read(&path, &mut problems),
        };
        Imapd::build(path, identity, settings, Ports::read(), problems)
    }

    /// As [`Imapd::load`], from text that would stand in the file `path`. Ports by name are the built-in ones.
    pub fn parse(path: &Path, text: &str, identity: &str) -> Result<Imapd, Problems> {
        let mut problems = Problems::default();
        let settings = match toml::is_toml(path) {
            true => toml::read_text(path, text, &mut problems),
            false => lines::read_text(path, text, &mut problems),
        };
        let (imapd, problems) = Imapd::build(path.to_owned(), identity, settings, Ports::default(), problems);
        problems.or(imapd)
    }

    fn build(
        path: PathBuf,
        identity: &str,
        written: Vec<Setting>,
        ports: Ports,
        mut problems: Problems,
    ) -> (Imapd, Problems) {
        let place: Arc<Path> = Arc::from(path.as_path());
        let mut warnings = Vec::new();
        let mut notes = Vec::new();
        let names = Names::new(written, &mut problems, &mut warnings);
        names.check(&mut problems, &mut warnings, &mut notes);
        let settings = settings(&names, identity);
        let partitions = partitions::read(&names, &settings, &mut problems, &mut warnings);
        hosts::check(&names, &settings, &mut problems);
        networks::check(&names, &mut problems);
        warnings.extend(check_facility(&names, &settings));
        doubts::logins(&names, &mut warnings);
        check_directory(&place, &names, &settings, &problems).into_iter().for_each(|p| problems.0.push(p));
        problems.0.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let file = File { path, names, partitions, warnings, notes, ports };
        let view = View { identity: identity.to_owned(), settings };
        (Imapd { file: Arc::new(file), view: Arc::new(view) }, problems)
    }

    /// The same file as the cyrus.conf entry `name` sees it.
    pub fn for_service(&self, name: &str) -> Imapd {
        let view = View { identity: name.to_owned(), settings: settings(&self.file.names, name) };
        Imapd { file: self.file.clone(), view: Arc::new(view) }
    }

    /// Ports by name, as /etc/services had them when this file was read.
    pub fn ports(&self) -> &Ports {
        &self.file.ports
    }

    /// The same with `allowplaintext: no`: shows to which servers a password would be sent in the clear.
    pub fn without_plaintext(&self) -> Imapd {
        let settings = Settings { allowplaintext: false, ..self.view.settings.clone() };
        let view = View { identity: self.view.identity.clone(), settings };
        Imapd { file: self.file.clone(), view: Arc::new(view) }
    }

    /// The same as moves log in to other backends: as `move_authname`, where that is set.
    pub fn for_moves(&self) -> Imapd {
        let Some(name) = self.view.settings.move_authname.clone() else { return self.clone() };
        let settings = Settings { proxy_authname: name, ..self.view.settings.clone() };
        let view = View { identity: self.view.identity.clone(), settings };
        Imapd { file: self.file.clone(), view: Arc::new(view) }
    }

    /// The same where every connection comes through an outer layer of so many bits (`-p` of a service): that counts as TLS
    /// does for what asks for a strength.
    pub fn behind_layer(&self, bits: u32) -> Imapd {
        let settings = Settings {
            allowplaintext: self.view.settings.allowplaintext || bits >= 2,
            tls_required: self.view.settings.tls_required && bits == 0,
            sasl_minimum_layer: Some(self.view.settings.sasl_minimum_layer)
                .filter(|least| *least > bits)
                .unwrap_or(0),
            ..self.view.settings.clone()
        };
        let view = View { identity: self.view.identity.clone(), settings };
        Imapd { file: self.file.clone(), view: Arc::new(view) }
    }

    /// The file that was read.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Who these settings are for.
    pub fn identity(&self) -> &str {
        &self.view.identity
    }

    /// What looks like a mistake but does no harm: misspelt keys, old names, values that were adjusted.
    pub fn warnings(&self) -> &[Problem] {
        &self.file.warnings
    }

    /// The options in the file that have no effect here, with the reasons.
    pub fn notes(&self) -> &[Problem] {
        &self.file.notes
    }

    /// All of [`Imapd::notes`] in one line, by their reasons.
    pub fn without_effect(&self) -> Option<Problem> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for note in self.notes() {
            match reasons.iter_mut().find(|(why, _)| *why == note.message) {
                Some((_, keys)) => keys.push(&note.key),
                None => reasons.push((&note.message, vec![&note.key])),
            }
        }
        let told = |(why, keys): &(&str, Vec<&str>)| {
            format!("{} ({})", keys.join(", "), why.strip_prefix("no effect: ").unwrap_or(why))
        };
        let told: Vec<String> = reasons.iter().map(told).collect();
        let place: Arc<Path> = Arc::from(self.path());
        (!told.is_empty()).then(|| {
            Problem::new(&place, 0, "", format!("set, and without effect here: {}", told.join("; ")))
        })
    }

    /// The mupdate_workers options against each other, as Cyrus's `mupdate` checks them; what is wrong, else.
    pub fn check_mupdate_workers(&self) -> Result<(), String> {
        let (start, least, most_spare, most) = (
            self.mupdate_workers_start,
            self.mupdate_workers_minspare,
            self.mupdate_workers_maxspare,
            self.mupdate_workers_max,
        );
        if least <= start && start <= most_spare && start <= most {
            return Ok(());
        }
        Err(format!(
            "mupdate_workers_start ({start}) lies between mupdate_workers_minspare ({least}) and mupdate_workers_maxspare \
             ({most_spare}), and is no more than mupdate_workers_max ({most})"
        ))
    }

    /// The value of a key that is no option, such as `be1_password`; `<identity>_<key>` goes before it.
    pub fn overflow(&self, key: &str) -> Option<&str> {
        self.file.names.overflow(&self.view.identity, key)
    }

    /// Every key that is no option, with its value, in the file's order.
    pub fn overflows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.file.names.overflows()
    }

    /// The settings that hold for one cyrus.conf entry only: the entry's name, the option, and what was written.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, &'static OptionSpec, &Setting)> {
        self.file.names.overrides()
    }

    /// The text of an option's value as this program sees it, where the file sets it, and its place.
    pub fn written(&self, option: &str) -> Option<&Setting> {
        self.file.names.option(&self.view.identity, option)
    }

    pub fn partitions(&self) -> &[Partition] {
        &self.file.partitions
    }

    /// The partition of that name.
    pub fn partition(&self, name: &str) -> Option<&Partition> {
        self.file.partitions.iter().find(|partition| partition.name == name)
    }

    pub fn role(&self) -> Role {
        match (&self.mupdate_server, self.proxyservers.is_empty()) {
            (Some(_), true) => Role::Frontend,
            (Some(_), false) => Role::Backend,
            (None, _) => Role::Alone,
        }
    }

    /// Where groups come from, by `auth_mech` and `unix_group_enable`.
    pub fn groups(&self) -> GroupSource {
        match self.auth_mech {
            AuthMech::Unix if self.unix_group_enable => GroupSource::System,
            AuthMech::Unix | AuthMech::Krb | AuthMech::Krb5 => GroupSource::Nowhere,
            AuthMech::Pts | AuthMech::Mboxgroups => GroupSource::Unknown,
        }
    }

    /// `<configdirectory>/murder/<program>`: where a daemon's own files are.
    pub fn program_directory(&self, program: &str) -> PathBuf {
        Path::new(&self.configdirectory).join("murder").join(program)
    }

    /// The file of passwords.
    pub fn password_db(&self) -> &Path {
        Path::new(&self.view.settings.password_db)
    }

    /// Whether certificate and key are set.
    pub fn has_certificate(&self) -> bool {
        let set = |file: &Option<String>| file.as_deref().is_some_and(|file| file != "disabled");
        set(&self.tls_server_cert) && set(&self.tls_server_key)
    }

    /// `syslog_facility`, as syslog(3) numbers it.
    pub fn facility(&self) -> u8 {
        self.syslog_facility.as_deref().and_then(facility).unwrap_or(MAIL)
    }

    /// Whether STARTTLS is offered: with a certificate, unless `allowstarttls: no`.
    pub fn offers_starttls(&self) -> bool {
        self.has_certificate() && self.allowstarttls.unwrap_or(true)
    }
}

impl Deref for Imapd {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.view.settings
    }
}

/// The settings as `identity` sees them. Values that cannot be read are among the problems already; they count as
/// unset here.
fn settings(names: &Names, identity: &str) -> Settings {
    let text = |option: &OptionSpec| names.option(identity, option.name).map(|s| s.value.as_str());
    let directory = registry::find("configdirectory").and_then(&text).unwrap_or("").to_owned();
    let mut settings = Settings::from_values(|option| {
        let written = text(option).and_then(|text| option.kind.read(text).ok());
        let value = match (written, option.default) {
            (Some((value, _)), _) => value,
            (None, "") if !matches!(option.kind, Kind::Text | Kind::List | Kind::Items | Kind::Words(_)) => {
                return None;
            }
            (None, default) => option.kind.read(default).ok()?.0,
        };
        Some(match value {
            Value::Text(text) => match text.strip_prefix("{configdirectory}") {
                Some(rest) => Value::Text(format!("{directory}{rest}")),
                None => Value::Text(text),
            },
            value => value,
        })
    });
    if settings.servername.is_empty() {
        settings.servername = hosts::own_name();
    }
    // Names of partitions come from keys, which are lower-case.
    settings.defaultpartition = settings.defaultpartition.map(|name| name.to_ascii_lowercase());
    settings
}

/// A facility's number, by its name in any case.
fn facility(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "user" => Some(1),
        "mail" => Some(MAIL),
        "daemon" => Some(3),
        "news" => Some(7),
        _ => name.strip_prefix("local")?.parse().ok().filter(|number: &u8| *number < 8).map(|n| 16 + n),
    }
}

/// As in Cyrus, a facility that there is not stops nobody.
fn check_facility(names: &Names, settings: &Settings) -> Option<Problem> {
    let written = settings.syslog_facility.as_deref().filter(|name| facility(name).is_none())?;
    let at = names.option("", "syslog_facility")?;
    let message = format!("'{written}' is no facility: mail is used");
    Some(Problem::new(&at.file, at.line, "syslog_facility", message))
}

/// The default facility.
const MAIL: u8 = 2;

fn check_directory(
    file: &Arc<Path>,
    names: &Names,
    settings: &Settings,
    problems: &Problems,
) -> Option<Problem> {
    let key = "configdirectory";
    match names.option("", key) {
        // A file that could not be read at all has one problem only.
        None if names.is_empty() && !problems.is_empty() => None,
        None => Some(Problem::new(file, 0, key, "not set: every program needs it")),
        Some(written) => {
            let directory = &settings.configdirectory;
            let message = match directory.as_str() {
                "/" => "cannot be /".to_owned(),
                path if !path.starts_with('/') => format!("'{path}' is not an absolute path"),
                _ => return None,
            };
            Some(Problem::new(&written.file, written.line, key, message))
        }
    }
}

/// `$CYRUS_PREFIX<path>` where that exists, else the path.
pub(crate) fn prefixed(path: &Path) -> PathBuf {
    let Some(prefix) = std::env::var_os("CYRUS_PREFIX") else { return path.to_owned() };
    let mut joined: OsString = prefix;
    joined.push(path);
    let joined = PathBuf::from(joined);
    if joined.exists() { joined } else { path.to_owned() }
}
