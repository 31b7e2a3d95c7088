//! A user's Sieve scripts, as the user's log says them: pure, in memory.

use std::sync::Arc;

use protocol::script::ScriptName;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::codec::{Reader, Truncated, put_bytes, put_number};

/// A script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub name: ScriptName,
    /// As it was uploaded, byte for byte.
    pub content: Arc<[u8]>,
    /// SHA-256 of the content: what a compiled program is cached by.
    pub digest: [u8; 32],
    /// When this content was stored, epoch seconds.
    pub changed: i64,
}

/// All scripts of a user, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserScripts {
    scripts: Vec<Arc<Script>>,
    active: Option<ScriptName>,
}

/// One change of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScriptOp {
    /// A new script, or another content of one.
    Put(Script),
    /// Also of the active one, which is none then.
    Delete(ScriptName),
    Rename(ScriptName, ScriptName),
    /// None: no script runs.
    Activate(Option<ScriptName>),
    /// All at once.
    Replace(UserScripts),
}

impl Script {
    pub fn new(name: ScriptName, content: impl Into<Arc<[u8]>>, changed: i64) -> Script {
        let content = content.into();
        let digest = Sha256::digest(&content).into();
        Script { name, content, digest, changed }
    }

    /// SHA-1 of the content: by what Cyrus compares scripts.
    pub fn guid(&self) -> [u8; 20] {
        Sha1::digest(&self.content).into()
    }
}

impl UserScripts {
    /// These, in their order; none is active. Of two of one name the later one counts.
    pub fn of(scripts: impl IntoIterator<Item = Script>) -> UserScripts {
        let mut all = UserScripts::default();
        for script in scripts {
            all.apply(ScriptOp::Put(script));
        }
        all
    }

    /// The same with the script of this name active, if it is there; the others are not.
    pub fn with_active(mut self, name: Option<ScriptName>) -> UserScripts {
        self.apply(ScriptOp::Activate(name));
        self
    }

    /// The same with another script, in the place of one of the same name.
    pub fn with(mut self, script: Script) -> UserScripts {
        self.apply(ScriptOp::Put(script));
        self
    }

    /// The same without the script of this name, active or not.
    pub fn without(mut self, name: ScriptName) -> UserScripts {
        self.apply(ScriptOp::Delete(name));
        self
    }

    /// In the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Script>> {
        self.scripts.iter()
    }

    pub fn get(&self, name: &ScriptName) -> Option<&Arc<Script>> {
        self.scripts.iter().find(|script| script.name == *name)
    }

    /// The one that runs when mail comes.
    pub fn active(&self) -> Option<&Arc<Script>> {
        self.active.as_ref().and_then(|name| self.get(name))
    }

    pub fn is_active(&self, name: &ScriptName) -> bool {
        self.active.as_ref() == Some(name)
    }

    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Bytes of all of them, names included.
    pub fn bytes(&self) -> u64 {
        self.scripts.iter().map(|script| (script.name.as_str().len() + script.content.len()) as u64).sum()
    }

    /// Whether that changed anything.
    pub(crate) fn apply(&mut self, op: ScriptOp) -> bool {
        match op {
            ScriptOp::Put(script) => {
                let script = Arc::new(script);
                match self.scripts.iter_mut().find(|old| old.name == script.name) {
                    Some(old) if *old == script => return false,
                    Some(old) => *old = script,
                    None => self.scripts.push(script),
                }
                true
            }
            ScriptOp::Delete(name) => {
                let before = self.scripts.len();
                self.scripts.retain(|script| script.name != name);
                if self.is_active(&name) {
                    self.active = None;
                }
                self.scripts.len() < before
            }
            ScriptOp::Rename(old, new) => self.rename(&old, new),
            ScriptOp::Activate(name) => {
                let active = name.filter(|name| self.get(name).is_some());
                std::mem::replace(&mut self.active, active.clone()) != active
            }
            ScriptOp::Replace(all) => std::mem::replace(self, all.clone()) != all,
        }
    }

    fn rename(&mut self, old: &ScriptName, new: ScriptName) -> bool {
        if *old == new || self.get(&new).is_some() {
            return false;
        }
        let was_active = self.is_active(old);
        let Some(script) = self.scripts.iter_mut().find(|script| script.name == *old) else { return false };
        *script = Arc::new(Script { name: new.clone(), ..(**script).clone() });
        if was_active {
            self.active = Some(new);
        }
        true
    }
}

impl ScriptOp {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ScriptOp::Put(script) => {
                out.push(1);
                put_script(out, script);
            }
            ScriptOp::Delete(name) => {
                out.push(2);
                put_name(out, Some(name));
            }
            ScriptOp::Rename(old, new) => {
                out.push(3);
                put_name(out, Some(old));
                put_name(out, Some(new));
            }
            ScriptOp::Activate(name) => {
                out.push(4);
                put_name(out, name.as_ref());
            }
            ScriptOp::Replace(all) => {
                out.push(5);
                put_number(out, all.len() as u64);
                all.iter().for_each(|script| put_script(out, script));
                put_name(out, all.active.as_ref());
            }
        }
    }

    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<ScriptOp, Truncated> {
        Ok(match r.byte()? {
            1 => ScriptOp::Put(script(r)?),
            2 => ScriptOp::Delete(name(r)?.ok_or(Truncated)?),
            3 => ScriptOp::Rename(name(r)?.ok_or(Truncated)?, name(r)?.ok_or(Truncated)?),
            4 => ScriptOp::Activate(name(r)?),
            5 => {
                let mut scripts = Vec::new();
                for _ in 0..r.number()? {
                    scripts.push(script(r)?);
                }
                ScriptOp::Replace(UserScripts::of(scripts).with_active(name(r)?))
            }
            _ => return Err(Truncated),
        })
    }
}

fn put_script(out: &mut Vec<u8>, script: &Script) {
    put_name(out, Some(&script.name));
    out.extend_from_slice(&script.changed.to_le_bytes());
    put_bytes(out, &script.content);
}

/// No name is empty.
fn put_name(out: &mut Vec<u8>, name: Option<&ScriptName>) {
    put_bytes(out, name.map_or("", ScriptName::as_str).as_bytes());
}

fn script(r: &mut Reader<'_>) -> Result<Script, Truncated> {
    let (name, changed) = (name(r)?.ok_or(Truncated)?, r.time()?);
    Ok(Script::new(name, r.bytes()?, changed))
}

fn name(r: &mut Reader<'_>) -> Result<Option<ScriptName>, Truncated> {
    let text = r.text()?;
    if text.is_empty() { Ok(None) } else { ScriptName::parse(text).map(Some).map_err(|_| Truncated) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_name() -> impl Strategy<Value = ScriptName> {
        "[a-cé]{1,2}".prop_map(|name| ScriptName::parse(&name).unwrap())
    }

    fn any_script() -> impl Strategy<Value = Script> {
        (any_name(), any::<Vec<u8>>(), any::<i64>())
            .prop_map(|(name, content, changed)| Script::new(name, content, changed))
    }

    fn any_scripts() -> impl Strategy<Value = UserScripts> {
        (proptest::collection::vec(any_script(), 0..4), proptest::option::of(any_name()))
            .prop_map(|(scripts, active)| UserScripts::of(scripts).with_active(active))
    }

    fn any_op() -> impl Strategy<Value = ScriptOp> {
        prop_oneof![
            any_script().prop_map(ScriptOp::Put),
            any_name().prop_map(ScriptOp::Delete),
            (any_name(), any_name()).prop_map(|(old, new)| ScriptOp::Rename(old, new)),
            proptest::option::of(any_name()).prop_map(ScriptOp::Activate),
            any_scripts().prop_map(ScriptOp::Replace),
        ]
    }

    proptest! {
        #[test]
        fn a_change_of_scripts_is_read_back(op in any_op()) {
            let mut out = Vec::new();
            op.encode(&mut out);
            prop_assert_eq!(ScriptOp::decode(&mut Reader(&out)), Ok(op));
        }

        #[test]
        fn names_stay_unique_and_the_active_script_is_one_of_them(ops in proptest::collection::vec(any_op(), 0..20)) {
            let mut scripts = UserScripts::default();
            for op in ops {
                let before = scripts.clone();
                let changed = scripts.apply(op);
                prop_assert_eq!(changed, before != scripts);
                let mut names: Vec<_> = scripts.iter().map(|script| script.name.clone()).collect();
                names.sort();
                names.dedup();
                prop_assert_eq!(names.len(), scripts.len());
                prop_assert_eq!(scripts.active.is_some(), scripts.active().is_some());
            }
        }
    }
}
