//! The client of saslauthd: four counted strings out, one counted answer back.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::limits::{LONGEST_ANSWER, SASLAUTHD};

/// Asks saslauthd. Blocks, for [`SASLAUTHD`] at most.
pub(super) fn verify(socket: &Path, service: &str, user: &str, password: &[u8]) -> io::Result<bool> {
    let (user, realm) = user.rsplit_once('@').unwrap_or((user, ""));
    let mut request = Vec::new();
    for field in [user.as_bytes(), password, service.as_bytes(), realm.as_bytes()] {
        let length = u16::try_from(field.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        request.extend_from_slice(&length.to_be_bytes());
        request.extend_from_slice(field);
    }
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(SASLAUTHD))?;
    stream.set_write_timeout(Some(SASLAUTHD))?;
    stream.write_all(&request)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length)).min(LONGEST_ANSWER)];
    stream.read_exact(&mut answer)?;
    Ok(answer.starts_with(b"OK"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn fields_are_counted_and_the_answer_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mux");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4 * 2 + 4 + 6 + 4 + 11];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"\0\x02OK").unwrap();
            request
        });
        assert!(verify(&path, "imap", "fred@example.org", b"secret").unwrap());
        assert_eq!(server.join().unwrap(), b"\0\x04fred\0\x06secret\0\x04imap\0\x0bexample.org");
        assert!(verify(&dir.path().join("none"), "imap", "x", b"y").is_err());
    }
}
