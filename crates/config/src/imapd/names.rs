//! Which option a key means: itself, an old name, one entry's override, or none.

use std::collections::HashMap;

use super::lines::Setting;
use super::registry::{self, Effect, OptionSpec};
use super::{aliases, known};
use crate::{Problem, Problems};

/// All settings of a file, found by key.
#[derive(Debug, Default)]
pub(super) struct Names {
    settings: Vec<Setting>,
    by_key: HashMap<String, usize>,
}

impl Names {
    pub fn new(written: Vec<Setting>, problems: &mut Problems, warnings: &mut Vec<Problem>) -> Names {
        let mut names = Names::default();
        let written =
            written.into_iter().flat_map(|setting| of_services(setting, warnings)).collect::<Vec<_>>();
        let (old, current): (Vec<_>, Vec<_>) =
            written.into_iter().partition(|setting| aliases::current(&setting.key).is_some());
        for setting in current {
            names.add(setting, problems);
        }
        for mut setting in old {
            let Some(current) = aliases::current(&setting.key) else { continue };
            let mut warn = |message| {
                warnings.push(Problem::new(&setting.file, setting.line, &setting.key, message));
            };
            if names.by_key.contains_key(&current) {
                warn(format!("old name of {current}, which is set too: ignored"));
                continue;
            }
            warn(format!("old name of {current}"));
            setting.key = current;
            names.add(setting, problems);
        }
        names
    }

    fn add(&mut self, setting: Setting, problems: &mut Problems) {
        if let Some(first) = self.by_key.get(&setting.key).and_then(|i| self.settings.get_mut(*i)) {
            if setting.key == "autocreate_acl" {
                first.value = format!("{}\n{}", first.value, setting.value);
                return;
            }
            let place = match first.file == setting.file {
                true => format!("line {}", first.line),
                false => format!("{}:{}", first.file.display(), first.line),
            };
            let message = format!("specified twice: first in {place}");
            return problems.0.push(Problem::new(&setting.file, setting.line, &setting.key, message));
        }
        self.by_key.insert(setting.key.clone(), self.settings.len());
        self.settings.push(setting);
    }

    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    fn get(&self, key: &str) -> Option<&Setting> {
        self.by_key.get(key).and_then(|i| self.settings.get(*i))
    }

    /// The setting that holds for the option in a program of that identity; an empty one has no overrides.
    pub fn option(&self, identity: &str, option: &str) -> Option<&Setting> {
        let own = match identity.is_empty() {
            true => None,
            false => self.get(&format!("{}_{option}", identity.to_ascii_lowercase())),
        };
        own.or_else(|| self.get(option))
    }

    pub fn overflow(&self, identity: &str, key: &str) -> Option<&str> {
        self.option(identity, &key.to_ascii_lowercase()).map(|setting| setting.value.as_str())
    }

    pub fn overflows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.overflow_settings().map(|setting| (setting.key.as_str(), setting.value.as_str()))
    }

    pub fn overflow_settings(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| registry::find(&setting.key).is_none())
    }

    /// The settings that hold for one entry only, with its name and the option.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, &'static OptionSpec, &Setting)> {
        self.overflow_settings().filter_map(|setting| match meaning(&setting.key) {
            Meaning::Option(option) => {
                let entry = setting.key.strip_suffix(option.name)?.strip_suffix('_')?;
                Some((entry, option, setting))
            }
            _ => None,
        })
    }

    /// Reads every value once, whoever it is for, and looks at every key.
    pub fn check(&self, problems: &mut Problems, warnings: &mut Vec<Problem>, notes: &mut Vec<Problem>) {
        for setting in &self.settings {
            let problem = |message: String| Problem::new(&setting.file, setting.line, &setting.key, message);
            match meaning(&setting.key) {
                Meaning::Option(option) => match option.kind.read(&setting.value) {
                    Err(message) => problems.0.push(problem(message)),
                    Ok((_, Some(warning))) => warnings.push(problem(warning)),
                    Ok((value, None)) => match option.effect {
                        Effect::Refused(why)
                            if Ok(value) != option.kind.read(option.default).map(|d| d.0) =>
                        {
                            problems.0.push(problem(format!("'{}' is refused: {why}", setting.value)));
                        }
                        Effect::None(why) => notes.push(problem(format!("no effect: {why}"))),
                        _ => {}
                    },
                },
                Meaning::OtherOption => {
                    let since = known::since(&setting.key).map(|release| format!(" since {release},"));
                    let since = since.unwrap_or_default();
                    notes.push(problem(format!("no effect: an option of Cyrus{since} not used here")));
                }
                Meaning::Overflow => {}
                Meaning::Unknown => warnings.push(problem(match aliases::suggestion(&setting.key) {
                    Some(name) => format!("there is no such option: is {name} meant?"),
                    None => "there is no such option: ignored".into(),
                })),
            }
        }
    }
}

/// A setting by an old name that meant the entries of one protocol becomes one of each; any other stays.
fn of_services(setting: Setting, warnings: &mut Vec<Problem>) -> Vec<Setting> {
    let keys = aliases::of_services(&setting.key);
    if keys.is_empty() {
        return vec![setting];
    }
    let message = format!("old name of {}", keys.join(" and "));
    warnings.push(Problem::new(&setting.file, setting.line, &setting.key, message));
    keys.into_iter().map(|key| Setting { key, ..setting.clone() }).collect()
}

/// What a key can mean to anybody.
pub(super) enum Meaning {
    /// An option, or one entry's override of it.
    Option(&'static OptionSpec),
    /// An option of Cyrus that is not in our registry.
    OtherOption,
    /// A key of a known family that is no option: partitions, things per host.
    Overflow,
    Unknown,
}

pub(super) fn meaning(key: &str) -> Meaning {
    if let Some(option) = registry::find(key) {
        return Meaning::Option(option);
    }
    if known::is_cyrus_option(key)
        || key.contains("searchpartition-")
        || ["news", "nntp", "backup_"].iter().any(|family| key.starts_with(family))
    {
        return Meaning::OtherOption;
    }
    let prefixes =
        ["partition-", "metapartition-", "archivepartition-", "backuppartition-", "xlist-", "sasl_"];
    let of_host = |what: &&str| key.strip_suffix(what).is_some_and(|host| host.ends_with('_'));
    if prefixes.iter().any(|prefix| key.starts_with(prefix)) || HOST_KEYS.iter().any(of_host) {
        return Meaning::Overflow;
    }
    let overridden = key.match_indices('_').filter(|(i, _)| *i > 0).filter_map(|(i, _)| key.get(i + 1..));
    for rest in overridden {
        if let Some(option) = registry::find(rest) {
            return Meaning::Option(option);
        }
        if known::is_cyrus_option(rest) {
            return Meaning::OtherOption;
        }
        if rest.starts_with("sasl_") {
            return Meaning::Overflow;
        }
    }
    Meaning::Unknown
}

/// What stands behind `<shorthost>_`.
pub(super) const HOST_KEYS: &[&str] =
    &["password", "mechs", "client_cert", "client_key", "address", "ports", "tls"];
