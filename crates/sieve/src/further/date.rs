//! `date` and `currentdate`: RFC 5260 sections 4 and 5.
//!
//! ```text
//! date [":index" <number> [":last"]] [":zone" <time-zone: string> / ":originalzone"] [COMPARATOR] [MATCH-TYPE]
//!      <header-name: string> <date-part: string> <key-list: string-list>
//! currentdate [":zone" <time-zone: string>] [COMPARATOR] [MATCH-TYPE] <date-part: string> <key-list: string-list>
//! ```
//!
//! The zone may have a name of the IANA database too, as in Cyrus. Without one it is the server's.

use mime::SentDate;

use super::moment::{DatePart, Moment};
use super::zone::Zone;
use crate::check::Arguments;
use crate::matching::{MatchTags, Matcher, Select};
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug)]
struct Date {
    /// None: now.
    field: Option<(Select, Text)>,
    zone: ZoneTag,
    part: Part,
    matcher: Matcher,
}

#[derive(Debug)]
enum ZoneTag {
    Server,
    /// The one that the field has.
    Original,
    Known(Zone),
    Later(Text),
    /// One that there is not: no date is in it.
    None,
}

#[derive(Debug)]
enum Part {
    Known(DatePart),
    Later(Text),
}

pub(super) fn date(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let select = Select::take_index(arguments);
    let zone = zone(arguments, true);
    let name = arguments.string("the name of a field");
    let part = part(arguments);
    let keys = arguments.strings("keys");
    let (name, part, keys) = (name?, part?, keys?);
    let matcher = Matcher::new(tags, keys, arguments)?;
    Some(Box::new(Date { field: Some((select, name)), zone: zone?, part, matcher }))
}

pub(super) fn current(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let zone = zone(arguments, false);
    let part = part(arguments);
    let keys = arguments.strings("keys");
    let (part, keys) = (part?, keys?);
    let matcher = Matcher::new(tags, keys, arguments)?;
    Some(Box::new(Date { field: None, zone: zone?, part, matcher }))
}

fn zone(arguments: &mut Arguments<'_, '_>, original: bool) -> Option<ZoneTag> {
    let is_original = original && arguments.flag(":originalzone", None);
    let text = arguments.tagged_string(":zone", None);
    if is_original && text.is_some() {
        arguments.fail(arguments.line, ":zone and :originalzone exclude each other");
    }
    let Some(text) = text else {
        return Some(if is_original { ZoneTag::Original } else { ZoneTag::Server });
    };
    let Some(name) = text.constant() else { return Some(ZoneTag::Later(text)) };
    match Zone::parse(name) {
        Some(zone) => Some(ZoneTag::Known(zone)),
        // Other servers take such a script too.
        None => {
            let (line, text) = (arguments.line, format!("{}: there is no time zone {name}", arguments.name));
            arguments.checker.warning(line, text);
            Some(ZoneTag::None)
        }
    }
}

fn part(arguments: &mut Arguments<'_, '_>) -> Option<Part> {
    let text = arguments.string("the part of the date")?;
    let Some(name) = text.constant() else { return Some(Part::Later(text)) };
    let part = DatePart::parse(name);
    if part.is_none() {
        arguments.fail(arguments.line, format!("{}: a date has no part {name}", arguments.name));
    }
    part.map(Part::Known)
}

impl Test for Date {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let found = {
            let context = &*context;
            let part = match &self.part {
                Part::Known(part) => Some(*part),
                Part::Later(text) => DatePart::parse(&text.value(context)?),
            };
            let Some(part) = part else { return Ok(false) };
            let values = self.moments(context)?.into_iter().map(|moment| moment.part(part));
            self.matcher.search(context, values)?
        };
        Ok(context.matched(found))
    }
}

impl Date {
    /// The dates of the fields that are meant; what is no date is none.
    fn moments(&self, context: &Context<'_>) -> Result<Vec<Moment>, RunError> {
        let Some((select, name)) = &self.field else {
            let now = context.env.now();
            let offset = self.offset(now, 0, context)?;
            return Ok(offset.and_then(|offset| Moment::new(now, offset)).into_iter().collect());
        };
        let name = name.value(context)?;
        let mut moments = Vec::new();
        for field in select.fields(context, &name) {
            // Received has its date behind what it tells of the way.
            let date = field.value().rsplit(';').next().unwrap_or_default();
            if let Some(sent) = SentDate::parse_exact(date.as_bytes()) {
                let original = i32::from(sent.zone_minutes) * 60;
                let offset = self.offset(sent.epoch, original, context)?;
                moments.extend(offset.and_then(|offset| Moment::new(sent.epoch, offset)));
            }
        }
        Ok(moments)
    }

    /// Seconds east of UTC. None: there is no such zone.
    fn offset(&self, at: i64, original: i32, context: &Context<'_>) -> Result<Option<i32>, RunError> {
        Ok(match &self.zone {
            ZoneTag::Server => Some(context.env.offset(at)),
            ZoneTag::Original => Some(original),
            ZoneTag::Known(zone) => Some(zone.offset(at)),
            ZoneTag::Later(text) => {
                let name = text.value(context)?;
                context.charge(ZONE)?;
                Zone::parse(&name).map(|zone| zone.offset(at))
            }
            ZoneTag::None => None,
        })
    }
}

/// Steps of a look into the database of zones.
const ZONE: u64 = 50;
