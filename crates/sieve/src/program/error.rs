//! Why a run ends early.

use bounds::Limit;

/// A run that cannot go on. None of its actions is carried out, and the message is kept (RFC 5228 section 2.10.6).
#[derive(Debug, Clone, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct RunError {
    /// In the script that ran, or 0.
    pub line: u32,
    pub text: String,
    /// The limit that was met. The caller counts it.
    pub limit: Option<&'static Limit>,
}

impl RunError {
    /// The run puts the line in.
    pub fn new(text: impl Into<String>) -> RunError {
        RunError { line: 0, text: text.into(), limit: None }
    }

    pub fn limit(limit: &'static Limit) -> RunError {
        RunError {
            line: 0,
            text: format!("limit reached: {} ({})", limit.value, limit.name),
            limit: Some(limit),
        }
    }
}
