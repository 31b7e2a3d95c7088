//! What a change makes is what its log says.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::annotations::Setting;

#[derive(Debug, Clone)]
enum Act {
    Append(Vec<(u8, Option<u8>)>),
    Flags(Vec<(u32, u8, Option<u8>)>),
    Expunge(Vec<u32>, bool),
    Forget(Vec<u32>),
    Recent(u32),
    Pop3,
    Metadata(u8, Option<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    let word = || proptest::option::of(0..4u8);
    let uids = || vec(1..40u32, 0..8);
    prop_oneof![
        vec((0..32u8, word()), 0..5).prop_map(Act::Append),
        vec((1..40u32, 0..32u8, word()), 0..8).prop_map(Act::Flags),
        (uids(), any::<bool>()).prop_map(|(uids, forget)| Act::Expunge(uids, forget)),
        uids().prop_map(Act::Forget),
        (0..40u32).prop_map(Act::Recent),
        Just(Act::Pop3),
        (0..4u8, proptest::option::of(0..9u8)).prop_map(|(entry, value)| Act::Metadata(entry, value)),
    ]
}

fn run(change: &mut Change, act: Act) {
    let words = |change: &mut Change, word: Option<u8>| {
        word.map_or(0, |word| change.keyword(&format!("$Word{word}")).unwrap())
    };
    match act {
        Act::Append(messages) => {
            for (flags, word) in messages {
                let keywords = words(change, word);
                let text = format!("Subject: {flags}\r\n\r\n{}", "x".repeat(usize::from(flags)));
                let staged = Arc::new(Staged::in_memory(Bytes::from(text)));
                change.append(&[(staged, System(flags), keywords, 77)]).unwrap();
            }
        }
        Act::Flags(changes) => {
            for (uid, flags, word) in changes {
                let keywords = words(change, word);
                change.set_flags(uid, System(flags), keywords);
            }
        }
        Act::Expunge(uids, forget) => change.expunge(&uids, false, forget),
        Act::Forget(uids) => change.forget(&uids),
        Act::Recent(uid) => change.op(Op::Recent(uid)),
        Act::Pop3 => change.op(Op::Pop3(change.now)),
        Act::Metadata(entry, value) => {
            let value = value.map(|length| vec![0; usize::from(length)]);
            let (entry, user) = (format!("/{}", entry / 2), format!("{}", entry % 2));
            let settings = vec![Setting { entry, user, value }];
            change.op(Op::Metadata { modseq: change.modseq(), settings });
        }
    }
}

/// All that sessions and files can see of a view.
fn told(view: &View) -> String {
    let View { uidvalidity, last_uid, highestmodseq, deletedmodseq, recentuid, last_append, .. } = view;
    let View { pop3_last_login, gone, records, expunged, keywords, bytes, annotation_bytes, .. } = view;
    let tombstones: Vec<_> = view.tombstones.iter().collect();
    let (live, dead): (Vec<_>, Vec<_>) = (records.iter().collect(), expunged.iter().collect());
    format!(
        "{uidvalidity} {last_uid} {highestmodseq} {deletedmodseq} {recentuid} {last_append} {pop3_last_login} {gone} \
         {bytes} {annotation_bytes} {} {:?} {} {:?} {keywords:?} {live:#?} {dead:#?} {tombstones:?}",
        view.unseen,
        view.deleted(),
        view.exists(),
        view.metadata,
    )
}

fn header() -> Arc<Header> {
    Arc::new(Header {
        name: "user.fred".into(),
        uniqueid: "id".into(),
        uidvalidity: 7,
        acl: String::new(),
        mbtype: "e".into(),
        quotaroot: None,
        limits: None,
        options: 0,
        createdmodseq: 1,
        foldermodseq: 1,
        mtime: 0,
        name_history: Vec::new(),
        annotations: Default::default(),
        incoming: false,
        incoming_id: None,
        moved: None,
        moving: None,
    })
}

proptest! {
    #[test]
    fn what_a_session_sees_is_what_a_restart_reads_whatever_the_clock_does(
        acts in vec((act(), 0..1000i64), 1..40),
    ) {
        let mut tip = Arc::new(View { uidvalidity: 7, ..View::default() });
        let mut file = index::snapshot(&tip, 1);
        for (act, now) in acts {
            let base = Base { tip: tip.clone(), end: 0, cache_end: 0, generation: 1, version: index::FORMAT };
            let mut change = Change::new(&base, header(), now, 500);
            run(&mut change, act);
            if !change.is_nothing() {
                put_frame(&mut file, 1, &change.ops);
                tip = Arc::new(change.view);
            }
        }
        prop_assert_eq!(told(&index::parse(&file).unwrap().view), told(&tip));
        let compact = index::snapshot(&tip, 2);
        prop_assert_eq!(told(&index::parse(&compact).unwrap().view), told(&tip));
        let counted = View::default().with(tip.records.clone());
        prop_assert_eq!((counted.bytes, counted.unseen), (tip.bytes, tip.unseen));
        prop_assert_eq!(counted.deleted(), tip.deleted());
    }
}
