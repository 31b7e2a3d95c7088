//! Names, patterns and rights of any bytes.

use arbitrary::{Arbitrary, Unstructured};
use protocol::{
    acl::{Acl, Who},
    mutf7,
    name::MailboxName,
    namespace::{CrossDomains, Namespace, View},
};

/// The target.
pub fn run(input: &[u8]) {
    let Ok(input) = <(&str, &str, u8)>::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let (text, other, bits) = input;
    let namespace = Namespace {
        unixhierarchysep: bits & 1 != 0,
        altnamespace: bits & 2 != 0,
        virtdomains: bits & 4 != 0,
        crossdomains: match bits >> 4 & 3 {
            0 => CrossDomains::Off,
            1 => CrossDomains::All,
            _ => CrossDomains::OnlyOther,
        },
        ..Namespace::default()
    };
    let view = View { userid: other, admin: bits & 8 != 0 };
    if let Ok(name) = namespace.internal(text, &view) {
        assert_eq!(MailboxName::from_key(&name.key()).as_ref(), Ok(&name));
        let _ = (namespace.external(&name, &view), namespace.check_create(&name), namespace.owner(&name));
        let again = namespace.named(&name, &view).map(|named| namespace.internal(&named, &view));
        assert!(!matches!(&again, Some(Ok(other)) if *other != name), "{name} becomes {again:?}");
    }
    if text.len() < 200 && other.len() < 200 {
        let pattern = namespace.pattern("", text).over(namespace.hierarchy(&view));
        let _ = (pattern.matches(other), pattern.matched_ancestors(other));
    }
    if let Some(plain) = mutf7::decode(text) {
        assert_eq!(mutf7::encode(&plain), text);
    }
    let _ = Acl::parse(text).rights(Who { userid: other, groups: &[] });
}
