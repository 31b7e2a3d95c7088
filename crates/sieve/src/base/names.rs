//! Names of fields, as tests have them (RFC 5228 section 2.4.2.2).

use crate::check::Arguments;
use crate::program::text::Text;

/// The names of fields that stand next. One that is no name fits no field, and is no mistake, whatever Cyrus says of it.
pub(super) fn fields(arguments: &mut Arguments<'_, '_>) -> Option<Vec<Text>> {
    let names = arguments.strings("the names of fields")?;
    for name in names.iter().filter_map(Text::constant) {
        if !is_field_name(name) {
            let (line, test) = (arguments.line, arguments.name);
            arguments.checker.warning(line, format!("{test}: {name:?} is no name of a field, and fits none"));
        }
    }
    Some(names)
}

/// `field-name = 1*%d33-126`, without `:` (RFC 5322 section 3.6.8).
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}
