//! The five fields of a crontab line: minute, hour, day of month, month, day of week.

/// A parsed line. Each field is a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Days of month or of week were restricted: as in cron, a day that satisfies either restriction counts.
    any_day: bool,
    any_weekday: bool,
}

/// A point of local time, as far as cron looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub minute: u32,
    pub hour: u32,
    /// From 1.
    pub day: u32,
    /// From 1.
    pub month: u32,
    /// 0 is Sunday.
    pub weekday: u32,
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    /// Reads fields such as `*/15 4-6,20 * jan-mar mon`.
    pub fn parse(text: &str) -> Result<Cron, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!("'{text}' has {} fields, not 5", fields.len()));
        };
        let mut weekdays = field(weekday, 0, 7, WEEKDAYS, 0)?;
        // 7 is Sunday too.
        weekdays |= weekdays >> 7 & 1;
        Ok(Cron {
            minutes: field(minute, 0, 59, &[], 0)?,
            hours: field(hour, 0, 23, &[], 0)?,
            days: field(day, 1, 31, &[], 0)?,
            months: field(month, 1, 12, MONTHS, 1)?,
            weekdays,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        })
    }

    /// Whether the minute that this moment lies in is named.
    pub fn matches(&self, at: Moment) -> bool {
        let has = |set: u64, bit: u32| bit < 64 && set >> bit & 1 == 1;
        let (day, weekday) = (has(self.days, at.day), has(self.weekdays, at.weekday));
        let on_day = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        has(self.minutes, at.minute) && has(self.hours, at.hour) && has(self.months, at.month) && on_day
    }
}

fn field(text: &str, least: u32, most: u32, names: &[&str], first: u32) -> Result<u64, String> {
    let mut set = 0;
    for part in text.split(',') {
        let wrong = || format!("'{part}' in '{text}' is not within {least} to {most}");
        let number = |word: &str| {
            let named = names.iter().zip(first..).find(|(name, _)| name.eq_ignore_ascii_case(word));
            named.map(|(_, n)| n).or_else(|| word.parse().ok()).filter(|n| (least..=most).contains(n))
        };
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                step.parse()
                    .ok()
                    .filter(|step| *step > 0)
                    .ok_or_else(|| format!("'{part}' has no valid step"))?,
            ),
            None => (part, 1usize),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (number(from).ok_or_else(wrong)?, number(to).ok_or_else(wrong)?),
            None => {
                let one = number(range).ok_or_else(wrong)?;
                (one, if part.contains('/') { most } else { one })
            }
        };
        if from > to {
            return Err(format!("'{part}' runs backwards"));
        }
        (from..=to).step_by(step).for_each(|bit| set |= 1u64 << bit);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u32, hour: u32, day: u32, month: u32, weekday: u32) -> Moment {
        Moment { minute, hour, day, month, weekday }
    }

    #[test]
    fn lists_ranges_steps_and_names_are_understood() {
        let cron = Cron::parse("*/20 4-6,20 * jan-mar *").unwrap();
        assert!(cron.matches(at(40, 5, 31, 3, 0)));
        assert!(cron.matches(at(0, 20, 1, 1, 6)));
        assert!(!cron.matches(at(10, 5, 1, 1, 6)));
        assert!(!cron.matches(at(0, 5, 1, 4, 6)));
        assert!(Cron::parse("0 0 * * sun").unwrap().matches(at(0, 0, 9, 9, 0)));
        assert!(Cron::parse("0 0 * * 7").unwrap().matches(at(0, 0, 9, 9, 0)));
    }

    #[test]
    fn a_day_may_satisfy_either_restriction() {
        let cron = Cron::parse("0 0 13 * fri").unwrap();
        assert!(cron.matches(at(0, 0, 13, 1, 2)));
        assert!(cron.matches(at(0, 0, 5, 1, 5)));
        assert!(!cron.matches(at(0, 0, 6, 1, 6)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "x * * * *",
        ] {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
    }
}
