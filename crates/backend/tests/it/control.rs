//! The tools of a backend: several at once, and none beside a backend that starts.

use std::fs::File;
use std::io::ErrorKind;

use backend::control::{self, Answer, Request};
use config::imapd::Imapd;
use store::{Ages, Which};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::node::Node;

fn socket(imapd: &Imapd) -> std::path::PathBuf {
    imapd.program_directory("backend").join("control")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_takes_long_keeps_no_other_waiting() {
    let node = Node::start().await;
    let imapd = node.context.imapd();
    // One that is connected, and has not said yet what it wants.
    let mut slow = UnixStream::connect(socket(&imapd)).await.unwrap();
    let answer = control::ask(&imapd, Request::Expire(Ages::default())).await.unwrap();
    assert!(matches!(answer, Answer::Expired(done) if done.mailboxes == 2), "{answer:?}");
    let answer = control::ask(&imapd, Request::Reconstruct(Which::default())).await.unwrap();
    assert!(matches!(answer, Answer::Reconstructed(done) if done.lines.len() == 2));
    // Nobody gave it up meanwhile.
    assert_eq!(slow.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    slow.write_all(b"nonsense\n").await.unwrap();
    let mut said = String::new();
    slow.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("not understood"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tool_too_many_is_told_so() {
    let node = Node::start().await;
    let imapd = node.context.imapd();
    let mut waiting = Vec::new();
    loop {
        let mut stream = UnixStream::connect(socket(&imapd)).await.unwrap();
        // Those before it are accepted when this one is.
        let answer = control::ask(&imapd, Request::Expire(Ages::default())).await.unwrap();
        if let Answer::Failed(why) = answer {
            assert!(why.starts_with("Too many tools"), "{why}");
            break;
        }
        assert_eq!(stream.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.write_all(b"{").await.unwrap();
        waiting.push(stream);
        assert!(waiting.len() < 100);
    }
    // When they are gone, there is room again.
    drop(waiting);
    while matches!(
        control::ask(&imapd, Request::Expire(Ages::default())).await.unwrap(),
        Answer::Failed(why) if why.starts_with("Too many tools")
    ) {}
}

#[tokio::test(start_paused = true)]
async fn a_tool_waits_for_a_backend_that_starts_and_says_so_when_it_has_waited_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().display();
    let spool = dir.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    let text = format!("configdirectory: {base}\nservername: be1\npartition-default: {base}/spool\n");
    let imapd = Imapd::parse(&dir.path().join("imapd.conf"), &text, "backend").unwrap();
    // As the daemon does first of all, long before it serves anybody.
    let daemon = File::open(&spool).unwrap();
    rustix::fs::flock(&daemon, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let refused = control::ask(&imapd, Request::Expire(Ages::default())).await.unwrap_err();
    assert!(refused.contains("the backend starts or ends") && refused.contains("control"), "{refused}");
    drop(daemon);
    let answer = control::ask(&imapd, Request::Expire(Ages::default())).await.unwrap();
    assert!(matches!(answer, Answer::Expired(_)), "{answer:?}");
}
