//! The way from one program to another: connections, what protects and compresses them, and the names of servers.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`stream`] | one connection: TCP, UNIX socket or a pair in memory, with TLS and DEFLATE put over it while it lives |
//! | [`wire`] | a stream with its two buffers and the bounds of each read, write and handshake |
//! | [`peer`] | who is at the other end, and how the way there is protected |
//! | [`tls`] | certificates, handshakes, and what they told us |
//! | [`resolve`] | from a server's name to a connection |
//! | [`proxy_header`] | the PROXY protocol, by which a load balancer names the client |
//! | [`settings`] | the options of imapd.conf that decide all this |

mod deflate;
mod large_reads;
pub mod limits;
pub mod peer;
pub mod proxy_header;
pub mod resolve;
pub mod settings;
pub mod stream;
pub mod tls;
pub mod wire;
