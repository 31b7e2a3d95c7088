//! UNAUTHENTICATE at a frontend: a connection that is compressed goes on in the clear, for somebody else.

use super::talk::{ask, compress, compressed, unauthenticate};
use super::world::{Backend, World};

#[tokio::test]
async fn what_was_compressed_is_not_after_unauthenticate_and_can_be_again() {
    let be0 = Backend::start(|_| "$ OK Completed\r\n".to_owned()).await;
    let world = World::new(&[&be0], &[("user.fred", 0), ("user.cyrus", 0)], "").await;
    let mut stream = compressed(world.address, "pw").await;
    for user in ["cyrus", "fred"] {
        let capability = ask(&mut stream, "c CAPABILITY\r\n").await;
        assert!(!capability.contains("COMPRESS"), "{capability}");
        unauthenticate(&mut stream).await;
        let answer = ask(&mut stream, "e CAPABILITY\r\n").await;
        assert!(
            answer.starts_with("* CAPABILITY IMAP4rev1") && answer.ends_with("e OK Completed\r\n"),
            "{answer}"
        );
        compress(&mut stream, user, "pw").await;
    }
    // Whom it is not announced to goes on as he was.
    assert_eq!(ask(&mut stream, "h UNAUTHENTICATE\r\n").await, "h BAD Unrecognized command\r\n");
    assert!(ask(&mut stream, "i SELECT INBOX\r\n").await.contains("i OK"));
}

#[tokio::test]
async fn a_command_compressed_behind_unauthenticate_ends_the_session_and_is_not_done() {
    let be0 = Backend::start(|_| "$ OK Completed\r\n".to_owned()).await;
    let world = World::new(&[&be0], &[("user.fred", 0), ("user.cyrus", 0)], "").await;
    let mut stream = compressed(world.address, "pw").await;
    let answer = ask(&mut stream, "c UNAUTHENTICATE\r\nd LOGIN fred pw\r\n").await;
    assert_eq!(answer, "* BYE The compression ends with UNAUTHENTICATE: wait for its answer\r\n");
}
