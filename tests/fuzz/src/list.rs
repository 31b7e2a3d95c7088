//! A list under any vector of operations, beside a model that is a plain map: they agree after each, and whoever follows
//! the list from any point comes to the same.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use mailboxes::{Change, Expect, List};
use protocol::{location::Location, name::MailboxName};

#[derive(Arbitrary, Debug)]
enum Operation {
    Reserve(u8, u8),
    Activate(u8, u8, Option<u8>),
    Deactivate(u8, u8),
    Delete(u8),
    /// A follower comes up to date.
    Follow,
}

type Model = BTreeMap<String, (bool, String)>;

fn name(n: u8) -> MailboxName {
    MailboxName::parse(&format!("user.u{}", n % 8)).expect("a name")
}

fn at(n: u8) -> Location {
    Location::parse(&format!("be{}!p{}", n % 3, n / 3 % 2)).expect("a location")
}

fn state(list: &List) -> Model {
    let page = list.scan(None, 1000).expect("a list in memory is readable");
    let entries = page.entries.into_iter();
    entries.map(|(n, e)| (n.to_string(), (e.is_active(), e.location.as_str().to_owned()))).collect()
}

fn change(operation: &Operation, model: &mut Model) -> Option<(Change, bool)> {
    let place = |n: &u8| at(*n).as_str().to_owned();
    Some(match operation {
        Operation::Reserve(n, l) => {
            let key = name(*n).to_string();
            let done = model.get(&key).is_none_or(|(_, at)| *at == place(l));
            if done {
                model.insert(key, (false, place(l)));
            }
            (Change::reserve(name(*n), at(*l)), done)
        }
        Operation::Activate(n, l, expected) => {
            let key = name(*n).to_string();
            let change = Change::activate(name(*n), at(*l), "");
            let server = expected.map(|s| format!("be{}", s % 3));
            let done = server.as_ref().is_none_or(|server| {
                model.get(&key).is_some_and(|(active, at)| *active && at.split('!').next() == Some(server))
            });
            if done {
                model.insert(key, (true, place(l)));
            }
            (server.map_or(change.clone(), |server| change.expecting(Expect::Active(server.into()))), done)
        }
        Operation::Deactivate(n, l) => {
            let key = name(*n).to_string();
            let done = model.get(&key).is_some_and(|(active, _)| *active);
            if done {
                model.insert(key, (false, place(l)));
            }
            let write = protocol::mupdate::state::Write::Deactivate(at(*l));
            (Change::mupdate(name(*n), write), done)
        }
        Operation::Delete(n) => {
            let done = model.remove(&name(*n).to_string()).is_some();
            (Change::mupdate(name(*n), protocol::mupdate::state::Write::Delete), done)
        }
        Operation::Follow => return None,
    })
}

/// The target.
pub fn run(input: &[u8]) {
    let Ok(operations) = Vec::<Operation>::arbitrary_take_rest(Unstructured::new(input)) else { return };
    if operations.len() > 200 {
        return;
    }
    let (list, mut model) = (List::memory(), Model::new());
    let (mut follower, mut cursor) = (Model::new(), list.position().seq);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for operation in operations.iter().chain([&Operation::Follow]) {
        let Some((change, done)) = change(operation, &mut model) else {
            let changes = runtime.block_on(list.changes_after(cursor, 3)).expect("nothing was pruned");
            for name in changes.names {
                match list.get(&name).expect("a list in memory is readable") {
                    Some(e) => {
                        follower.insert(name.to_string(), (e.is_active(), e.location.as_str().to_owned()));
                    }
                    None => drop(follower.remove(&name.to_string())),
                }
            }
            cursor = changes.upto;
            continue;
        };
        assert_eq!(list.commit_blocking(vec![change]).is_ok(), done, "{operation:?}");
    }
    assert_eq!(state(&list), model);
    if cursor == list.position().seq {
        assert_eq!(follower, model);
    }
}
