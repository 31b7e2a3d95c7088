//! Where a message is put: the tags that `fileinto`, `:fcc` and `implicit_keep_target` share (RFC 5490, RFC 8579, RFC 9042).

use crate::check::Arguments;
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::effect::Target;
use crate::program::error::RunError;
use crate::program::text::Text;

/// `:mailboxid` and `:specialuse`.
#[derive(Debug)]
pub struct TargetTags {
    id: Option<Text>,
    special_use: Option<Text>,
}

impl TargetTags {
    pub fn take(arguments: &mut Arguments<'_, '_>) -> TargetTags {
        let id = arguments.tagged_string(":mailboxid", Some(Extension::Mailboxid));
        let special_use = arguments.tagged_string(":specialuse", Some(Extension::SpecialUse));
        if id.is_some() && special_use.is_some() {
            arguments.fail(arguments.line, ":mailboxid and :specialuse exclude each other");
        }
        if let Some(name) = special_use.as_ref().and_then(Text::constant)
            && !is_special_use(name)
        {
            arguments.fail(arguments.line, format!("{name:?} is no special use"));
        }
        TargetTags { id, special_use }
    }

    /// With the name that stands behind the tags. A name as `\Junk` is a special use too, as Cyrus has it.
    pub fn target(&self, name: &Text, context: &Context<'_>) -> Result<Target, RunError> {
        let value = |text: &Option<Text>| text.as_ref().map(|text| text.owned(context)).transpose();
        let name = name.owned(context)?;
        let (id, mut special_use) = (value(&self.id)?, value(&self.special_use)?);
        if special_use.is_none() && is_special_use(&name) {
            special_use = Some(name.clone());
        }
        Ok(Target::Mailbox { name, id, special_use })
    }
}

/// `\` and an atom.
fn is_special_use(name: &str) -> bool {
    name.strip_prefix('\\')
        .is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
