//! What a command or test may look at and change.

use super::effect::{Effect, Redirect, Reject, Store, Vacation};
use super::env::{Env, Envelope};
use super::error::RunError;
use super::state::{Limits, State};
use crate::limits;
use crate::message::{Field, Message};

/// A run, as one command or test sees it.
pub struct Context<'r> {
    pub state: &'r mut State,
    pub message: &'r dyn Message,
    pub envelope: &'r Envelope,
    pub env: &'r mut dyn Env,
    pub limits: &'r Limits,
}

impl Context<'_> {
    /// The fields of the header in their order, as `addheader` and `deleteheader` have left them. To look at them is work.
    pub fn fields(&self) -> &[Field] {
        let fields = match &self.state.edits {
            Some(edits) => edits.fields(),
            None => self.message.fields(),
        };
        let spent = &self.state.spent;
        spent.set(spent.get().saturating_add(fields.len() as u64 / FIELDS_A_STEP));
        fields
    }

    /// Counts steps of work. A comparison counts one for each 32 bytes, say.
    pub fn charge(&self, steps: u64) -> Result<(), RunError> {
        let spent = self.state.spent.get().saturating_add(steps);
        self.state.spent.set(spent);
        if spent > self.limits.instructions {
            return Err(RunError::limit(&limits::rows::INSTRUCTIONS));
        }
        Ok(())
    }

    /// Counts the work on a text of so many bytes.
    pub fn charge_bytes(&self, bytes: usize) -> Result<(), RunError> {
        self.charge(bytes as u64 / BYTES_A_STEP)
    }

    /// Remembers the variables of a match, and says that it was one.
    pub fn matched(&mut self, found: Option<Vec<String>>) -> bool {
        let matched = found.is_some();
        if let Some(variables) = found.filter(|variables| !variables.is_empty()) {
            self.state.set_matched(variables);
        }
        matched
    }

    /// `keep` and `fileinto`. What is put into one mailbox twice is put there once, with the later flags and header.
    pub fn store(&mut self, store: Store, copy: bool) -> Result<(), RunError> {
        self.no_reject("store a message")?;
        self.state.keep_cancelled |= !copy;
        for effect in &mut self.state.effects {
            if let Effect::Store(known) = effect
                && known.target == store.target
            {
                known.create |= store.create;
                known.flags = store.flags;
                known.edits = store.edits;
                return Ok(());
            }
        }
        self.add(Effect::Store(store))
    }

    /// The same address twice is one.
    pub fn redirect(&mut self, redirect: Redirect, copy: bool) -> Result<(), RunError> {
        self.no_reject("redirect")?;
        self.state.keep_cancelled |= !copy;
        let mut redirects = 0;
        for effect in &mut self.state.effects {
            if let Effect::Redirect(known) = effect {
                if known.address.eq_ignore_ascii_case(&redirect.address) {
                    *known = redirect;
                    return Ok(());
                }
                redirects += 1;
            }
        }
        if redirects >= self.limits.redirects {
            return Err(RunError::limit(&limits::rows::REDIRECTS));
        }
        self.add(Effect::Redirect(redirect))
    }

    pub fn discard(&mut self) -> Result<(), RunError> {
        self.state.keep_cancelled = true;
        if self.state.effects.contains(&Effect::Discard) {
            return Ok(());
        }
        self.add(Effect::Discard)
    }

    /// `reject` and `ereject`, which nothing that delivers or answers may stand beside (RFC 5429 section 2.3).
    pub fn reject(&mut self, reject: Reject) -> Result<(), RunError> {
        let conflict = self.state.effects.iter().find_map(|effect| match effect {
            Effect::Store(_) => Some("keep or fileinto"),
            Effect::Redirect(_) => Some("redirect"),
            Effect::Reject(_) => Some("another reject"),
            Effect::Vacation(_) => Some("vacation"),
            Effect::Discard | Effect::Notify(_) | Effect::MarkDuplicate(_) => None,
        });
        if let Some(other) = conflict {
            return Err(RunError::new(format!("reject cannot be used with {other}")));
        }
        self.state.keep_cancelled = true;
        self.add(Effect::Reject(reject))
    }

    pub fn vacation(&mut self, vacation: Vacation) -> Result<(), RunError> {
        self.no_reject("vacation")?;
        if self.state.effects.iter().any(|effect| matches!(effect, Effect::Vacation(_))) {
            return Err(RunError::new("vacation was used already"));
        }
        self.add(Effect::Vacation(vacation))
    }

    /// Any other action.
    pub fn add(&mut self, effect: Effect) -> Result<(), RunError> {
        if self.state.effects.len() >= self.limits.actions {
            return Err(RunError::limit(&limits::rows::ACTIONS));
        }
        self.state.effects.push(effect);
        Ok(())
    }

    fn no_reject(&self, what: &str) -> Result<(), RunError> {
        if self.state.effects.iter().any(|effect| matches!(effect, Effect::Reject(_))) {
            return Err(RunError::new(format!("{what}: the message was rejected")));
        }
        Ok(())
    }

    /// Adds a line to the log.
    pub fn log(&mut self, text: String) -> Result<(), RunError> {
        if self.state.log.len() >= limits::LOG {
            return Err(RunError::limit(&limits::rows::LOG));
        }
        self.state.log.push(text);
        Ok(())
    }
}

/// To look for a name in so many fields is as much work as one command.
const FIELDS_A_STEP: u64 = 32;
/// A comparison of so many bytes is as much work as one command.
const BYTES_A_STEP: u64 = 32;
