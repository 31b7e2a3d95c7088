//! What a node holds for the list of mailboxes, told by its own `ctl_mboxlist -d`, so that two can be compared.

use std::collections::BTreeMap;

/// A list, by internal name.
pub type List = BTreeMap<String, Row>;

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub server: String,
    pub partition: String,
    pub reserved: bool,
    /// As the dump has it: identities in their order.
    pub acl: String,
}

/// Reads a dump of ours or of Cyrus's. What has no server is the node's own; what is deleted is left out.
pub fn read(dump: &str, servername: &str) -> List {
    let mut list = List::new();
    for line in dump.lines().filter(|line| line.starts_with('"')) {
        let line = line.trim_end_matches(',');
        let parsed: serde_json::Value =
            serde_json::from_str(&format!("{{{line}}}")).unwrap_or_else(|e| panic!("{e}: {line}"));
        let (name, entry) =
            parsed.as_object().and_then(|one| one.iter().next()).expect("an entry on its line");
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let mbtype = text("mbtype");
        if mbtype.contains('d') {
            continue;
        }
        let acl = line
            .split_once("\"acl\": ")
            .and_then(|(_, rest)| rest.split_once('}'))
            .map_or("", |(acl, _)| acl);
        let server =
            Some(text("server")).filter(|server| !server.is_empty()).unwrap_or(servername.to_owned());
        let row =
            Row { server, partition: text("partition"), reserved: mbtype.contains('z'), acl: acl.to_owned() };
        list.insert(name.clone(), row);
    }
    list
}

/// What the two do not have in common, for a reader.
pub fn difference(left: &List, right: &List) -> String {
    let names: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let differing = names.into_iter().filter(|name| left.get(*name) != right.get(*name));
    differing.map(|name| format!("{name}: {:?} and {:?}\n", left.get(name), right.get(name))).collect()
}
