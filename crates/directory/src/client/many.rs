//! Many changes at once, pipelined, so that they share the master's disk syncs.

use mailboxes::{Entry, Expect, ListId};
use protocol::{location::Location, name::MailboxName};

use super::{Client, Error, PIPELINED, unasked};

/// One ACTIVATE of many.
#[derive(Debug, Clone)]
pub struct Activate<'a> {
    pub name: &'a MailboxName,
    pub location: &'a Location,
    pub acl: &'a str,
    /// The state that the entry must be in; none asks nothing.
    pub expect: Option<Expect>,
}

/// One DEACTIVATE of many.
#[derive(Debug, Clone)]
pub struct Deactivate<'a> {
    pub name: &'a MailboxName,
    pub location: &'a Location,
    pub expect: Expect,
}

/// One DELETE of many.
#[derive(Debug, Clone)]
pub struct Delete<'a> {
    pub name: &'a MailboxName,
    pub expect: Expect,
}

/// One change of many.
struct Wanted<'a> {
    verb: &'static str,
    name: &'a MailboxName,
    /// What follows the name.
    strings: Vec<&'a str>,
    expect: Option<&'a Expect>,
}

impl Client {
    /// Many of [`Client::activate_if`]. What became of each is in their order; an error that is not final ends them all.
    pub async fn activate_all(&mut self, all: &[Activate<'_>]) -> Result<Vec<Result<(), Error>>, Error> {
        let mut wanted = Vec::with_capacity(all.len());
        for Activate { name, location, acl, expect } in all {
            let strings = vec![location.as_str(), *acl];
            wanted.push(Wanted { verb: "ACTIVATE", name, strings, expect: expect.as_ref() });
        }
        self.change_all(&wanted).await
    }

    /// Many of DEACTIVATE, likewise.
    pub async fn deactivate_all(&mut self, all: &[Deactivate<'_>]) -> Result<Vec<Result<(), Error>>, Error> {
        let mut wanted = Vec::with_capacity(all.len());
        for Deactivate { name, location, expect } in all {
            let strings = vec![location.as_str()];
            wanted.push(Wanted { verb: "DEACTIVATE", name, strings, expect: Some(expect) });
        }
        self.change_all(&wanted).await
    }

    /// Many of [`Client::delete_if`], likewise.
    pub async fn delete_all(&mut self, all: &[Delete<'_>]) -> Result<Vec<Result<(), Error>>, Error> {
        let mut wanted = Vec::with_capacity(all.len());
        for Delete { name, expect } in all {
            wanted.push(Wanted { verb: "DELETE", name, strings: Vec::new(), expect: Some(expect) });
        }
        self.change_all(&wanted).await
    }

    async fn change_all(&mut self, all: &[Wanted<'_>]) -> Result<Vec<Result<(), Error>>, Error> {
        all.iter().try_for_each(|what| self.can_judge(what.expect))?;
        let mut outcomes = Vec::with_capacity(all.len());
        for some in all.chunks(PIPELINED) {
            let held = self.hold_expected(some).await?;
            for (what, _) in some.iter().zip(&held).filter(|(_, held)| **held) {
                let expect = what.expect.map(Expect::to_string);
                let expect = expect.filter(|_| self.greeting.has("EXPECT"));
                let mut strings = vec![what.name.as_str()];
                strings.extend(&what.strings);
                strings.extend(expect.as_deref());
                self.link.say(what.verb, &strings);
            }
            self.link.flush().await?;
            for held in held {
                let outcome = if held { self.answer(unasked).await } else { Err(Error::Changed) };
                match outcome {
                    Err(error) if !error.is_final() => return Err(error),
                    outcome => outcomes.push(outcome),
                }
            }
        }
        Ok(outcomes)
    }

    /// Which of them are in the state expected, where the master cannot check that itself.
    async fn hold_expected(&mut self, some: &[Wanted<'_>]) -> Result<Vec<bool>, Error> {
        if self.greeting.has("EXPECT") || some.iter().all(|what| what.expect.is_none()) {
            return Ok(vec![true; some.len()]);
        }
        let names: Vec<MailboxName> = some.iter().map(|what| what.name.clone()).collect();
        let found = self.find_all(&names).await?;
        let holds = |(what, found): (&Wanted<'_>, Option<Entry>)| {
            what.expect.is_none_or(|expect| expect.holds(found.as_ref(), ListId::default()))
        };
        Ok(some.iter().zip(found).map(holds).collect())
    }
}
