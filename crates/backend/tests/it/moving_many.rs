//! XFER of several, quota roots above what moves, and a change of partition.

use crate::master::eventually;
use crate::moving::{Pair, answers, fill, login};

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_pattern_fits_or_that_is_on_a_partition_goes_each_with_a_line_of_its_own() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin
        .talk(
            "C: a CREATE lists\nS: a OK …
             C: b CREATE lists/cooks\nS: b OK …
             C: c CREATE user/barney big\nS: c OK …
             C: d XFER \"nothing/*\" be2\nS: d NO …Mailbox does not exist
             C: e XFER \"user/fred/*\" be2\nS: e NO …Mailbox does not exist
             C: f XFER \"user/%r*\" be2
             S: * OK USER barney
             S: * OK USER fred
             S: f OK Completed
             C: g XFER \"lists*\" be2
             S: * OK MAILBOX \"lists\"
             S: * OK MAILBOX \"lists/cooks\"
             S: g OK Completed",
        )
        .await;
    // They leave the list here just after their decision.
    eventually(async || {
        let told = answers(&mut admin, "LIST \"\" lists*").await;
        (told.len() == 1).then_some(())
    })
    .await;
    admin
        .talk(
            "C: h XFER default be2
             S: * OK USER wilma
             S: h OK Completed",
        )
        .await;
    let all = |places: &[String]| places.len() == 7 && places.iter().all(|place| place.contains(" be2!"));
    eventually(async || all(&pair.places().await).then_some(())).await;
    assert!(pair.places().await.contains(&"user.barney be2!big".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_root_above_a_shared_mailbox_that_moves_counts_on_both_servers() {
    let pair = Pair::start().await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin
        .talk(
            "C: a CREATE lists\nS: a OK …
             C: b CREATE lists/cooks\nS: b OK …
             C: c SETQUOTA lists (STORAGE 1000)\nS: …\nS: c OK …
             C: d SETACL lists/cooks anyone lrswipkxte\nS: d OK …",
        )
        .await;
    let mut fred = login(&pair.be1, "fred").await;
    fred.append("\"Shared Folders/lists/cooks\"", &format!("Subject: x\n\n{}\n", "x".repeat(20_000))).await;
    admin
        .talk(
            "C: e XFER lists/cooks be2
             S: * OK MAILBOX \"lists/cooks\"
             S: * OK Quota root lists counts on be1 and on be2 now, each with the same limits
             S: e OK Completed",
        )
        .await;
    eventually(async || {
        let told = answers(&mut admin, "GETQUOTA lists").await;
        told.iter().any(|line| line == "* QUOTA lists (STORAGE 0 1000)").then_some(())
    })
    .await;
    let mut there = login(&pair.be2, "cyrus").await;
    there.talk("C: a GETQUOTAROOT lists/cooks\nS: * QUOTAROOT lists/cooks lists\nS: * QUOTA lists (STORAGE 1… 1000)\nS: a OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_mailbox_open_goes_on_with_it_on_another_partition() {
    let pair = Pair::start().await;
    fill(&pair.be1).await;
    let mut fred = login(&pair.be1, "fred").await;
    let mut idle = login(&pair.be1, "fred").await;
    fred.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    idle.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b IDLE\nS: + …").await;
    let mut admin = login(&pair.be1, "cyrus").await;
    admin.talk("C: a RENAME user/fred user/fred big\nS: a OK …").await;
    fred.talk("C: b FETCH 3 (UID)\nS: * 3 FETCH (UID 3)\nS: b OK …\nC: c STORE 3 +FLAGS.SILENT (x)\nS: …\nS: c OK …").await;
    let told = idle.until("* 3 FETCH").await;
    assert!(told.contains('x'), "{told}");
    login(&pair.be1, "fred").await.append("INBOX", "Subject: new\n\nnew\n").await;
    idle.expect("* 4 EXISTS").await;
    let told = answers(&mut fred, "FETCH 4 BODY.PEEK[TEXT]").await;
    assert!(told.iter().any(|line| line == "new"), "{told:?}");
    eventually(async || pair.places().await.contains(&"user.fred be1!big".to_owned()).then_some(())).await;
    // And it is where it says, after a start too.
    let mut pop = pair.be1.client("pop3").await;
    pop.talk("S: +OK …\nC: USER fred\nS: +OK …\nC: PASS secret\nS: +OK …\nC: STAT\nS: +OK 4 …").await;
}
