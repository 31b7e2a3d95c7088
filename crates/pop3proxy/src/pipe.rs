//! Bytes both ways between a client and its backend, unread.

use std::io;
use std::time::Duration;

use service::stream::Stream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_buf, split};

/// Copies until the backend closes, or the client does and the backend has had time to notice.
pub async fn pipe(client: Stream, backend: Stream) {
    let (client_reader, mut client_writer) = split(client);
    let (backend_reader, mut backend_writer) = split(backend);
    let mut down = std::pin::pin!(one_way(backend_reader, &mut client_writer));
    let up = async {
        let _ = one_way(client_reader, &mut backend_writer).await;
    };
    tokio::select! {
        // How either ended is the other's to see; there is nothing more to say here.
        _ = &mut down => {}
        () = up => {
            let _ = tokio::time::timeout(NOTICE, down).await;
        }
    }
}

async fn one_way<R, W>(reader: R, writer: &mut W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    copy_buf(&mut BufReader::with_capacity(BUFFER, reader), writer).await?;
    writer.shutdown().await
}

/// Per direction: large enough for throughput, small enough for thousands of idle sessions.
const BUFFER: usize = 16 * 1024;
/// What a backend gets to end its session after the client is gone.
const NOTICE: Duration = Duration::from_secs(30);
