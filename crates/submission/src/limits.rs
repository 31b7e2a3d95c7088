//! What a mail server can make a sender wait for and hold.

use std::time::Duration;

bounds::table! {
    "submission", "Mail that Sieve sends";
    /// How long a connection to the mail server, or the start of its program, may take.
    pub(crate) CONNECT: Duration = Duration::from_secs(10), Time, "chosen: a delivery waits for it";
    /// How long each reply of the mail server may take, and each piece that it reads.
    pub(crate) REPLY: Duration = Duration::from_secs(60), Time, "chosen; RFC 5321 section 4.5.3.2 has minutes, but a delivery waits for it";
    /// How long a mail server's program may take to end after QUIT.
    pub(crate) ENDING: Duration = Duration::from_secs(2), Time, "chosen: the mail is taken already";
    /// Mails that are being sent at a time.
    pub(crate) SENDING: usize = 32, Count, "chosen: with sendmail, each is a process";
    /// How long a mail waits for its turn.
    pub(crate) TURN: Duration = Duration::from_secs(60), Time, "chosen: as long as a reply";
    /// Bytes of a line of a reply.
    pub(crate) LINE: usize = 16 * 1024, Bytes, "RFC 5321 section 4.5.3.1.5 has 512; AUTH may be long";
    /// Bytes of an address.
    pub(crate) ADDRESS: usize = 1024, Bytes, "RFC 5321 section 4.5.3.1.3 has 256; a local part of UTF-8 may be longer";
    /// Challenges of one login.
    pub(crate) CHALLENGES: u32 = 16, Count, "chosen: no mechanism has as many";
    /// Bytes of a message that are written at a time.
    pub(crate) PIECE: usize = 64 * 1024, Bytes, "chosen: one write";
    /// Characters of a reply that are shown.
    pub(crate) SHOWN: usize = 300, Count, "chosen: a line of a log";
    /// Received fields of a message that is redirected on.
    pub(crate) HOPS: usize = 50, Count, "RFC 5321 section 6.3: at least 100; half of them are left for the way to us";
}
