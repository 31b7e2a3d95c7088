//! Fits a role's files from `etc/` to one node: the same lines, with this node's names, ports and directories.

use std::path::Path;

/// A role's imapd.conf, in which options are set.
#[derive(Debug, Clone)]
pub(super) struct ImapdConf(Vec<String>);

impl ImapdConf {
    pub fn new(text: &str) -> Self {
        ImapdConf(text.lines().map(str::to_owned).collect())
    }

    /// Sets an option where it stands, or at the end.
    pub fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        let line = format!("{key}: {value}");
        let held = |l: &&mut String| l.split_once(':').is_some_and(|(k, _)| k == key);
        match self.0.iter_mut().find(held) {
            Some(old) => *old = line,
            None => self.0.push(line),
        }
    }

    pub fn text(&self) -> String {
        self.0.join("\n") + "\n"
    }
}

/// A role's cyrus.conf with `-C imapd_conf` in each command, and each service's `listen` replaced by what `listen`
/// gives for the entry's name.
pub(super) fn cyrus_conf(text: &str, imapd_conf: &Path, listen: impl Fn(&str) -> Option<String>) -> String {
    let lines = text.lines().map(|line| {
        let entry = line.split_whitespace().next().unwrap_or_default();
        if entry.starts_with('#') {
            return line.to_owned();
        }
        let line = replace_value(line, "cmd=\"", |cmd| {
            let (program, args) = cmd.split_once(' ').map_or((cmd, ""), |(p, a)| (p, a));
            format!("{program} -C {} {args}", imapd_conf.display()).trim_end().to_owned()
        });
        match listen(entry) {
            Some(address) => replace_value(&line, "listen=\"", |_| address.clone()),
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn replace_value(line: &str, key: &str, new: impl Fn(&str) -> String) -> String {
    let Some((before, after)) = line.split_once(key) else { return line.to_owned() };
    let Some((value, rest)) = after.split_once('"') else { return line.to_owned() };
    format!("{before}{key}{}\"{rest}", new(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_line_gets_its_file_and_port() {
        let text = "SERVICES {\n  imaps\tcmd=\"imapd -s\" listen=\"imaps\" prefork=1\n  # x cmd=\"y\"\n}\n";
        let listen = |name: &str| (name == "imaps").then(|| "127.0.0.1:993".to_owned());
        let want = "SERVICES {\n  imaps\tcmd=\"imapd -C /c -s\" listen=\"127.0.0.1:993\" prefork=1\n  # x cmd=\"y\"\n}\n";
        assert_eq!(cyrus_conf(text, Path::new("/c"), listen), want);
    }

    #[test]
    fn an_option_is_set_where_it_stands() {
        let mut conf = ImapdConf::new("# admins: no\nadmins: a\nservername: x\n");
        conf.set("admins", "b");
        conf.set("new", 1);
        assert_eq!(conf.text(), "# admins: no\nadmins: b\nservername: x\nnew: 1\n");
    }
}
