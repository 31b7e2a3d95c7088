//! What was found.

use std::fmt::Write;

use config::imapd::Imapd;
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something works, but most likely not as meant, or not for long.
    Warning,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// Which check found it.
    pub check: &'static str,
    /// What it is about: a file, a server, a port.
    pub about: String,
    pub message: String,
    /// The line to change, and where; empty where the message says it all.
    pub change: String,
}

/// All findings, in the order of the checks.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    /// What was well.
    passed: Vec<String>,
}

impl Report {
    pub fn error(
        &mut self,
        check: &'static str,
        about: impl Into<String>,
        message: impl Into<String>,
        change: impl Into<String>,
    ) {
        self.add(Severity::Error, check, about.into(), message.into(), change.into());
    }

    pub fn warn(
        &mut self,
        check: &'static str,
        about: impl Into<String>,
        message: impl Into<String>,
        change: impl Into<String>,
    ) {
        self.add(Severity::Warning, check, about.into(), message.into(), change.into());
    }

    /// One line about what is as it should be.
    pub fn pass(&mut self, what: impl Into<String>) {
        self.passed.push(what.into());
    }

    fn add(
        &mut self,
        severity: Severity,
        check: &'static str,
        about: String,
        message: String,
        change: String,
    ) {
        self.findings.push(Finding { severity, check, about, message, change });
    }

    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.findings).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        for passed in &self.passed {
            let _ = writeln!(out, "ok       {passed}");
        }
        for finding in &self.findings {
            let word = match finding.severity {
                Severity::Error => "ERROR  ",
                Severity::Warning => "warning",
            };
            let _ = writeln!(out, "{word}  {}: {}: {}", finding.check, finding.about, finding.message);
            for line in finding.change.lines() {
                let _ = writeln!(out, "           {line}");
            }
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let _ = writeln!(out, "{errors} errors, {warnings} warnings");
        out
    }
}

/// `file:line: option`, where the file sets it, else where it may be set.
pub(crate) fn place(imapd: &Imapd, option: &str) -> String {
    match imapd.written(option) {
        Some(at) => format!("{}:{}: {}", at.file.display(), at.line, at.key),
        None => format!("{}: {option} (not set)", imapd.path().display()),
    }
}
