//! What goes with a user, and what is neither a mailbox nor a message: quota roots, subscriptions, seen states, annotations, scripts.

use crate::grammar::{Cursor, ParseError, Parsed, number, number64};
use crate::managesieve::ScriptName;
use crate::name::MailboxName;

use super::dlist::{self, Writer};
use super::{Annotation, Guid, UniqueId, set, take};

/// A QUOTA: a quota root and its limits; none is unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    pub root: MailboxName,
    /// KiB.
    pub storage: Option<u64>,
    pub message: Option<u64>,
    /// Mailboxes.
    pub mailbox: Option<u64>,
    /// KiB.
    pub annotation_storage: Option<u64>,
    pub modseq: u64,
}

/// A SUB or UNSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub user: String,
    pub name: MailboxName,
}

/// A SEEN: what a user has seen of a mailbox of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Empty in an answer, which is about one user.
    pub user: String,
    pub uniqueid: UniqueId,
    /// When the user last opened the mailbox, epoch seconds.
    pub lastread: i64,
    /// Messages above it are \Recent to the user's next session.
    pub lastuid: u32,
    /// Epoch seconds.
    pub lastchange: i64,
    /// UIDs as a set, `1:7,9`; may be empty.
    pub uids: String,
}

/// An ANNOTATION or UNANNOTATION of a mailbox, or of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxAnnotation {
    /// None: the server's.
    pub name: Option<MailboxName>,
    pub annotation: Annotation,
}

/// A Sieve script of a user: SIEVE, and of it the name alone in UNSIEVE, ACTIVATE_SIEVE and UNACTIVATE_SIEVE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    pub user: String,
    /// Empty in UNACTIVATE_SIEVE.
    pub file: String,
    /// Epoch seconds.
    pub last_update: i64,
    pub content: Vec<u8>,
}

/// What a server has of a script: SIEVE in the answer to META.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldScript {
    pub file: String,
    /// Epoch seconds.
    pub last_update: i64,
    /// SHA-1 of the script.
    pub guid: Guid,
    pub active: bool,
}

impl Quota {
    /// Reads `%(ROOT … STORAGE …)`. `LIMIT` is what versions before 2.5 call STORAGE.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Quota> {
        let (mut root, mut modseq, mut limit) = (None, 0, None);
        let [mut storage, mut message, mut mailbox, mut annotation_storage] = [None; 4];
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"ROOT" => set(at, name, &mut root),
            b"LIMIT" => set(at, number64, &mut limit),
            b"STORAGE" => set(at, number64, &mut storage),
            b"MESSAGE" => set(at, number64, &mut message),
            b"X-NUM-FOLDERS" | b"MAILBOX" => set(at, number64, &mut mailbox),
            b"X-ANNOTATION-STORAGE" | b"ANNOTATION-STORAGE" => set(at, number64, &mut annotation_storage),
            b"MODSEQ" => take(at, number64, &mut modseq).map(|at| (at, ())),
            _ => dlist::skip(at),
        })?;
        let root = root.ok_or(ParseError::Missing)?;
        // -1, in two's complement, was no limit.
        let limited = |limit: Option<u64>| limit.filter(|limit| limit.cast_signed() >= 0);
        let (storage, message) = (limited(storage.or(limit)), limited(message));
        let (mailbox, annotation_storage) = (limited(mailbox), limited(annotation_storage));
        Ok((at, Quota { root, storage, message, mailbox, annotation_storage, modseq }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("ROOT").text(self.root.as_str());
            let limits = [
                ("LIMIT", self.storage),
                ("STORAGE", self.storage),
                ("MESSAGE", self.message),
                ("X-ANNOTATION-STORAGE", self.annotation_storage),
                ("X-NUM-FOLDERS", self.mailbox),
            ];
            for (key, limit) in limits {
                limit.into_iter().for_each(|limit| out.key(key).number(limit));
            }
            out.key("MODSEQ").number(self.modseq);
        });
    }
}

impl Subscription {
    /// Reads `%(USERID … MBOXNAME …)`.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Subscription> {
        let (mut user, mut mailbox) = (None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"USERID" => set(at, dlist::string, &mut user),
            b"MBOXNAME" => set(at, name, &mut mailbox),
            _ => dlist::skip(at),
        })?;
        let (Some(user), Some(name)) = (user, mailbox) else { return Err(ParseError::Missing.into()) };
        Ok((at, Subscription { user, name }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("USERID").text(&self.user);
            out.key("MBOXNAME").text(self.name.as_str());
        });
    }
}

impl Seen {
    /// Reads `%([USERID …] UNIQUEID … LASTREAD … LASTUID … LASTCHANGE … SEENUIDS …)`.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Seen> {
        let (mut user, mut uniqueid, mut uids) = (String::new(), None, None);
        let (mut lastread, mut lastuid, mut lastchange) = (None, None, None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"USERID" => take(at, dlist::string, &mut user).map(|at| (at, ())),
            b"UNIQUEID" => set(at, UniqueId::parse, &mut uniqueid),
            b"LASTREAD" => set(at, dlist::time, &mut lastread),
            b"LASTUID" => set(at, number, &mut lastuid),
            b"LASTCHANGE" => set(at, dlist::time, &mut lastchange),
            b"SEENUIDS" => set(at, dlist::string, &mut uids),
            _ => dlist::skip(at),
        })?;
        let read = || {
            let (uniqueid, uids) = (uniqueid?, uids?);
            Some(Seen {
                user,
                uniqueid,
                lastread: lastread?,
                lastuid: lastuid?,
                lastchange: lastchange?,
                uids,
            })
        };
        Ok((at, read().ok_or(ParseError::Missing)?))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            if !self.user.is_empty() {
                out.key("USERID").text(&self.user);
            }
            out.key("UNIQUEID").text(self.uniqueid.as_str());
            out.key("LASTREAD").time(self.lastread);
            out.key("LASTUID").number(self.lastuid);
            out.key("LASTCHANGE").time(self.lastchange);
            out.key("SEENUIDS").text(&self.uids);
        });
    }
}

impl MailboxAnnotation {
    /// Reads `%(MBOXNAME … ENTRY … USERID … [VALUE …])`. The name is empty for the server's.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, MailboxAnnotation> {
        let mut mailbox = None;
        // The same list twice: what an annotation is stands once.
        let (rest, ()) = dlist::fields(at, |key, at| match key {
            b"MBOXNAME" => set(at, dlist::string, &mut mailbox),
            _ => dlist::skip(at),
        })?;
        let (_, annotation) = Annotation::parse(at)?;
        let mailbox = mailbox.ok_or(ParseError::Missing)?;
        let name = (!mailbox.is_empty()).then(|| MailboxName::parse(&mailbox)).transpose();
        Ok((rest, MailboxAnnotation { name: name.map_err(|_| NO_NAME)?, annotation }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        let Annotation { entry, user, value, .. } = &self.annotation;
        out.fields(|out| {
            out.key("MBOXNAME").text(self.name.as_ref().map_or("", MailboxName::as_str));
            out.key("ENTRY").text(entry);
            out.key("USERID").text(user);
            out.key("VALUE").optional(value.as_deref());
        });
    }
}

impl Script {
    /// Reads `%(USERID … [FILENAME …] [LAST_UPDATE …] [CONTENT …])`.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Script> {
        let (mut script, mut user) = (Script::default(), None);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"USERID" => set(at, dlist::string, &mut user),
            b"FILENAME" => take(at, dlist::string, &mut script.file).map(|at| (at, ())),
            b"LAST_UPDATE" => take(at, dlist::time, &mut script.last_update).map(|at| (at, ())),
            b"CONTENT" => {
                let (at, content) = dlist::text(at)?;
                script.content = content.into_owned();
                Ok((at, ()))
            }
            _ => dlist::skip(at),
        })?;
        Ok((at, Script { user: user.ok_or(ParseError::Missing)?, ..script }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("USERID").text(&self.user);
            out.key("FILENAME").text(&self.file);
            out.key("LAST_UPDATE").time(self.last_update);
            out.key("CONTENT").text(&self.content);
        });
    }
}

impl Script {
    /// What a script is called whose file this is; none: it is no script, but what Cyrus made of one.
    pub fn name(&self) -> Option<ScriptName> {
        name_of(&self.file)
    }

    /// The file of a script.
    pub fn file_of(name: &ScriptName) -> String {
        format!("{name}.script")
    }

    /// What Cyrus makes of it, whose name says which script is active.
    pub fn compiled_of(name: &ScriptName) -> String {
        format!("{name}.bc")
    }

    /// The script that such a name makes active.
    pub fn activated(&self) -> Option<ScriptName> {
        let name = self.file.strip_suffix(".bc").or_else(|| self.file.strip_suffix(".script"));
        ScriptName::parse(name?).ok()
    }
}

fn name_of(file: &str) -> Option<ScriptName> {
    ScriptName::parse(file.strip_suffix(".script")?).ok()
}

impl HeldScript {
    /// Reads `%(FILENAME … LAST_UPDATE … GUID … ISACTIVE …)`.
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, HeldScript> {
        let (mut file, mut guid, mut last_update, mut active) = (None, None, 0, 0);
        let (at, ()) = dlist::fields(at, |key, at| match key {
            b"FILENAME" => set(at, dlist::string, &mut file),
            b"LAST_UPDATE" => take(at, dlist::time, &mut last_update).map(|at| (at, ())),
            b"GUID" => set(at, Guid::parse, &mut guid),
            b"ISACTIVE" => take(at, number, &mut active).map(|at| (at, ())),
            _ => dlist::skip(at),
        })?;
        let (Some(file), Some(guid)) = (file, guid) else { return Err(ParseError::Missing.into()) };
        Ok((at, HeldScript { file, last_update, guid, active: active != 0 }))
    }

    pub fn write(&self, out: &mut Writer<'_>) {
        out.fields(|out| {
            out.key("FILENAME").text(&self.file);
            out.key("LAST_UPDATE").time(self.last_update);
            out.key("GUID").text(self.guid.to_string());
            out.key("ISACTIVE").number(u64::from(self.active));
        });
    }

    /// What the script is called.
    pub fn name(&self) -> Option<ScriptName> {
        name_of(&self.file)
    }
}

/// A mailbox's name, in its internal form.
pub(super) fn name(at: Cursor<'_>) -> Parsed<'_, MailboxName> {
    let (rest, text) = dlist::string(at)?;
    Ok((rest, MailboxName::parse(&text).map_err(|_| NO_NAME)?))
}

const NO_NAME: ParseError = ParseError::Invalid("mailbox name");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grammar::Limits;
    use crate::sync::record::tests::annotation;

    fn cursor(text: &[u8]) -> Cursor<'_> {
        Cursor::new(text.trim_ascii_start(), Limits::NONE)
    }

    fn limit() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(0..=i64::MAX.cast_unsigned())
    }

    fn any_name() -> impl Strategy<Value = MailboxName> {
        "user\\.[a-z^ ]{1,5}(\\.[ -~]{1,5})?".prop_map(|name| MailboxName::parse(&name).unwrap())
    }

    #[test]
    fn a_quota_root_of_cyrus_is_read() {
        let seen = b"%(ROOT user.alice LIMIT 100000 STORAGE 100000 MODSEQ 11)";
        let quota = cursor(seen).read(Quota::parse).unwrap();
        assert_eq!(
            (quota.root.as_str(), quota.storage, quota.message, quota.modseq),
            ("user.alice", Some(100_000), None, 11)
        );
        let old = b"%(ROOT user.alice LIMIT 5 MESSAGE 18446744073709551615)";
        let quota = cursor(old).read(Quota::parse).unwrap();
        assert_eq!((quota.storage, quota.message), (Some(5), None));
    }

    proptest! {
        #[test]
        fn what_goes_with_a_user_is_read_back(
            (root, limits, modseq) in (any_name(), [limit(), limit(), limit(), limit()], any::<u64>()),
            (user, uniqueid, uids) in ("[a-z@. ]{1,8}", "[a-zA-Z0-9-]{1,64}", "([1-9]{1,3}(:[1-9]{1,3})?,?){0,4}"),
            (lastread, lastuid, lastchange) in any::<(i64, u32, i64)>(),
            (annotation, of_server) in (annotation(), any::<bool>()),
        ) {
            let [storage, message, mailbox, annotation_storage] = limits;
            let quota = Quota { root: root.clone(), storage, message, mailbox, annotation_storage, modseq };
            let mut out = Vec::new();
            quota.write(&mut Writer::command(&mut out));
            prop_assert_eq!(cursor(&out).read(Quota::parse), Ok(quota));
            let subscription = Subscription { user: user.clone(), name: root.clone() };
            out.clear();
            subscription.write(&mut Writer::command(&mut out));
            prop_assert_eq!(cursor(&out).read(Subscription::parse), Ok(subscription));
            let uniqueid = UniqueId::new(&uniqueid).unwrap();
            let seen = Seen { user, uniqueid, lastread, lastuid, lastchange, uids };
            out.clear();
            seen.write(&mut Writer::command(&mut out));
            prop_assert_eq!(cursor(&out).read(Seen::parse), Ok(seen));
            let annotation = Annotation { modseq: 0, ..annotation };
            let note = MailboxAnnotation { name: (!of_server).then_some(root), annotation };
            out.clear();
            note.write(&mut Writer::command(&mut out));
            prop_assert_eq!(cursor(&out).read(MailboxAnnotation::parse), Ok(note));
        }
    }
}
