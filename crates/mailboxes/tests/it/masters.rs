//! What the clients of several lists over one authority see is true; and a fault of that is found.

use mailboxes::{ListId, authority::Lost, authority::Memory};

use crate::several::{Fault, Faulty, ask, list};

/// None: what was said can be true.
async fn lie(fault: Fault, seed: u64) -> Option<String> {
    let memory = Memory::new(ListId(7));
    let faulty = Faulty { inner: memory.clone(), fault };
    let lists = [list(faulty.clone()).await, list(faulty.clone()).await, list(faulty).await];
    let history = ask(&lists, seed, 150, move |number| match number {
        0..20 => memory.lose_next_answer(Lost::Done),
        20..40 => memory.lose_next_answer(Lost::Undone),
        _ => {}
    });
    let history = history.await;
    assert!(history.answered() > 300, "{} answers", history.answered());
    history.lie()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_three_masters_say_can_be_true_though_answers_of_the_authority_are_lost() {
    for seed in 0..10 {
        assert_eq!(lie(Fault::None, seed).await, None, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_masters_is_found_by_what_their_clients_see() {
    for fault in [Fault::FindWithoutBarrier, Fault::NoForUnknown, Fault::WithoutFence] {
        let mut found = false;
        for seed in 0..50 {
            found = found || lie(fault, seed).await.is_some();
        }
        assert!(found, "{fault:?}");
    }
}
