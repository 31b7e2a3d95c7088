//! The table: what was measured, of both, and whether it meets its bar. Printed as Markdown, a line as soon as it is known.

use std::time::Duration;

/// What a row must come to.
#[derive(Debug, Clone, Copy)]
pub enum Bar {
    /// So many times Cyrus's figure.
    Times(f64),
    AtLeast(f64),
    AtMost(f64),
    /// Shown for what it is.
    None,
}

/// What the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    PerSecond,
    /// Shown in ms or s.
    Seconds,
    Megabytes,
    Kilobytes,
    Bytes,
    Percent,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub what: String,
    pub unit: Unit,
    pub ours: f64,
    pub cyrus: Option<f64>,
    pub bar: Bar,
}

impl Row {
    pub fn new(what: impl Into<String>, unit: Unit, bar: Bar, ours: f64, cyrus: Option<f64>) -> Row {
        Row { what: what.into(), unit, ours, cyrus, bar }
    }

    pub fn seconds(what: impl Into<String>, bar: Bar, ours: Duration, cyrus: Option<Duration>) -> Row {
        Self::new(what, Unit::Seconds, bar, ours.as_secs_f64(), cyrus.map(|time| time.as_secs_f64()))
    }

    /// How many times better than Cyrus.
    pub fn ratio(&self) -> Option<f64> {
        let cyrus = self.cyrus?;
        match self.unit {
            Unit::PerSecond | Unit::Count => Some(cyrus_division(self.ours, cyrus)),
            _ => Some(cyrus_division(cyrus, self.ours)),
        }
    }

    /// None where there is no bar, or nothing to compare with.
    pub fn is_met(&self) -> Option<bool> {
        match self.bar {
            Bar::Times(times) => self.ratio().map(|ratio| ratio >= times),
            Bar::AtLeast(least) => Some(self.ours >= least),
            Bar::AtMost(most) => Some(self.ours <= most),
            Bar::None => None,
        }
    }

    pub fn line(&self) -> String {
        let cyrus = self.cyrus.map_or("–".into(), |figure| shown(self.unit, figure));
        let ratio = self.ratio().map_or("–".into(), |ratio| format!("{ratio:.1}"));
        let bar = match self.bar {
            Bar::Times(times) => format!("≥ {times} ×"),
            Bar::AtLeast(least) => format!("≥ {}", shown(self.unit, least)),
            Bar::AtMost(most) => format!("≤ {}", shown(self.unit, most)),
            Bar::None => "–".into(),
        };
        let verdict = self.is_met().map_or("–", |met| if met { "ok" } else { "**miss**" });
        let ours = shown(self.unit, self.ours);
        format!("| {} | {ours} | {cyrus} | {ratio} | {bar} | {verdict} |", self.what)
    }
}

/// The head of the table.
pub fn head() -> &'static str {
    "| what | ours | Cyrus | ratio | bar | |\n| --- | --- | --- | --- | --- | --- |"
}

fn cyrus_division(better: f64, worse: f64) -> f64 {
    if worse > 0.0 { better / worse } else { f64::INFINITY }
}

fn shown(unit: Unit, figure: f64) -> String {
    match unit {
        Unit::Count => thousands(figure),
        Unit::PerSecond => format!("{}/s", thousands(figure)),
        Unit::Seconds if figure < 0.01 => format!("{:.2} ms", figure * 1000.0),
        Unit::Seconds if figure < 1.0 => format!("{:.0} ms", figure * 1000.0),
        Unit::Seconds => format!("{figure:.2} s"),
        Unit::Megabytes => format!("{figure:.0} MB"),
        Unit::Kilobytes => format!("{figure:.0} kB"),
        Unit::Bytes => format!("{figure:.0} bytes"),
        Unit::Percent => format!("{figure:.1} %"),
    }
}

fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_better_when_larger_and_a_time_when_smaller() {
        let rate = Row::new("pairs", Unit::PerSecond, Bar::Times(8.0), 16_000.0, Some(1000.0));
        assert_eq!(rate.line(), "| pairs | 16,000/s | 1,000/s | 16.0 | ≥ 8 × | ok |");
        let time = Duration::from_millis(500);
        let slow = Row::seconds("start", Bar::Times(8.0), time, Some(Duration::from_secs(2)));
        assert_eq!(slow.line(), "| start | 500 ms | 2.00 s | 4.0 | ≥ 8 × | **miss** |");
        let alone = Row::seconds("start", Bar::Times(8.0), time, None);
        assert_eq!(alone.is_met(), None);
        assert_eq!(Row::new("m", Unit::Megabytes, Bar::AtMost(300.0), 299.0, None).is_met(), Some(true));
    }
}
