//! How `redirect` asks for reports, and for delivery in time: RFC 6009.
//!
//! ```text
//! redirect [":notify" "value"] [":ret" "FULL"/"HDRS"]                                             redirect-dsn
//!          [":bytimerelative" <rlimit: number> / ":bytimeabsolute" <alimit: string>
//!           [":bymode" "NOTIFY"/"RETURN"] [":bytrace"]]                                           redirect-deliverby
//! ```

use mime::SentDate;

use crate::check::Arguments;
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::effect::DeliverBy;
use crate::program::error::RunError;
use crate::program::text::Text;

/// What the tags say. What has variables in it is read at the run.
#[derive(Debug, Default)]
pub(crate) struct SmtpTags {
    notify: Option<Text>,
    ret: Option<Text>,
    by: Option<By>,
}

#[derive(Debug)]
struct By {
    time: ByTime,
    mode: Option<Text>,
    trace: bool,
}

#[derive(Debug)]
enum ByTime {
    Relative(u64),
    Absolute(Text),
}

/// `:notify`, `:ret`, and the time of delivery, for one message.
type SmtpValues = (Option<String>, Option<String>, Option<DeliverBy>);

impl SmtpTags {
    pub(crate) fn take(arguments: &mut Arguments<'_, '_>) -> SmtpTags {
        let (dsn, deliver_by) = (Some(Extension::RedirectDsn), Some(Extension::RedirectDeliverby));
        let notify = arguments.tagged_string(":notify", dsn);
        let ret = arguments.tagged_string(":ret", dsn);
        let relative = arguments.tagged_number(":bytimerelative", deliver_by).map(ByTime::Relative);
        let absolute = arguments.tagged_string(":bytimeabsolute", deliver_by).map(ByTime::Absolute);
        let mode = arguments.tagged_string(":bymode", deliver_by);
        let trace = arguments.flag(":bytrace", deliver_by);
        if relative.is_some() && absolute.is_some() {
            arguments.fail(arguments.line, ":bytimerelative and :bytimeabsolute exclude each other");
        }
        let time = relative.or(absolute);
        if time.is_none() && (mode.is_some() || trace) {
            arguments.fail(arguments.line, ":bymode and :bytrace need :bytimerelative or :bytimeabsolute");
        }
        let tags = SmtpTags { notify, ret, by: time.map(|time| By { time, mode, trace }) };
        tags.report(arguments);
        tags
    }

    /// Constant values are looked at when the script is checked.
    fn report(&self, arguments: &mut Arguments<'_, '_>) {
        let constant = |text: &Option<Text>| text.as_ref().and_then(Text::constant).map(str::to_owned);
        let mode = self.by.as_ref().and_then(|by| constant(&by.mode));
        let time = match &self.by {
            Some(By { time: ByTime::Absolute(text), .. }) => text.constant(),
            _ => None,
        };
        let problems = [
            constant(&self.notify).and_then(|text| notify(&text).err()),
            constant(&self.ret).and_then(|text| ret(&text).err()),
            mode.and_then(|text| returns(&text).err()),
            time.and_then(|text| epoch(text).err()),
        ];
        for problem in problems.into_iter().flatten() {
            arguments.fail(arguments.line, problem);
        }
    }

    pub(crate) fn values(&self, context: &Context<'_>) -> Result<SmtpValues, RunError> {
        let notify = self.notify.as_ref().map(|text| notify(&text.value(context)?).map_err(RunError::new));
        let ret = self.ret.as_ref().map(|text| ret(&text.value(context)?).map_err(RunError::new));
        let deliver_by = self.by.as_ref().map(|by| by.value(context));
        Ok((notify.transpose()?, ret.transpose()?, deliver_by.transpose()?))
    }
}

impl By {
    fn value(&self, context: &Context<'_>) -> Result<DeliverBy, RunError> {
        let seconds = match &self.time {
            ByTime::Relative(seconds) => i64::try_from(*seconds).unwrap_or(i64::MAX),
            ByTime::Absolute(text) => {
                let until = epoch(&text.value(context)?).map_err(RunError::new)?;
                until.saturating_sub(context.env.now())
            }
        };
        let return_it = match &self.mode {
            Some(mode) => returns(&mode.value(context)?).map_err(RunError::new)?,
            None => false,
        };
        // RFC 2852 section 4: nine digits, and a message cannot be returned for a time that is past.
        let least = if return_it { 1 } else { -LONGEST };
        Ok(DeliverBy { seconds: seconds.clamp(least, LONGEST), return_it, trace: self.trace })
    }
}

/// `NEVER`, or what of SUCCESS, FAILURE and DELAY: RFC 3461 section 4.1.
fn notify(value: &str) -> Result<String, String> {
    let words: Vec<String> = value.split(',').map(|word| word.trim_ascii().to_ascii_uppercase()).collect();
    let known = words.iter().all(|word| ["SUCCESS", "FAILURE", "DELAY"].contains(&word.as_str()));
    match known || words == ["NEVER"] {
        true => Ok(words.join(",")),
        false => Err(format!(":notify takes NEVER, or some of SUCCESS, FAILURE and DELAY, not {value:?}")),
    }
}

fn ret(value: &str) -> Result<String, String> {
    let upper = value.to_ascii_uppercase();
    match upper.as_str() {
        "FULL" | "HDRS" => Ok(upper),
        _ => Err(format!(":ret takes FULL or HDRS, not {value:?}")),
    }
}

/// Whether a message that is late comes back; NOTIFY is the default.
fn returns(value: &str) -> Result<bool, String> {
    match value.to_ascii_uppercase().as_str() {
        "NOTIFY" => Ok(false),
        "RETURN" => Ok(true),
        _ => Err(format!(":bymode takes NOTIFY or RETURN, not {value:?}")),
    }
}

/// A time as RFC 3339 writes it, or as a Date field does.
fn epoch(value: &str) -> Result<i64, String> {
    let iso = value.parse::<jiff::Timestamp>().ok().map(|time| time.as_second());
    let time = iso.or_else(|| SentDate::parse(value.as_bytes()).map(|date| date.epoch));
    time.ok_or_else(|| format!(":bytimeabsolute takes a time as 2026-11-23T23:07:29+01:00, not {value:?}"))
}

const LONGEST: i64 = 999_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mail_server_is_asked_is_what_its_standards_know() {
        assert_eq!(notify("never").as_deref(), Ok("NEVER"));
        assert_eq!(notify("failure, delay").as_deref(), Ok("FAILURE,DELAY"));
        assert!(notify("NEVER,DELAY").is_err() && notify("").is_err());
        assert_eq!((ret("hdrs").as_deref(), ret("x").is_ok()), (Ok("HDRS"), false));
        assert_eq!((returns("Return"), returns("notify"), returns("").is_ok()), (Ok(true), Ok(false), false));
        assert_eq!(epoch("2026-11-23T23:07:29+01:00"), Ok(1_795_471_649));
        assert_eq!(epoch("Mon, 23 Nov 2026 23:07:29 +0100"), Ok(1_795_471_649));
        assert!(epoch("soon").is_err());
    }
}
