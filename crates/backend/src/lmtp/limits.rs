//! What scripts may take of a delivery, beside the bounds of crate `sieve`.

use std::time::Duration;

bounds::table! {
    "rules", "A delivery with a Sieve script";
    options {
        /// Addresses that one message is redirected to.
        sieve_max_redirects, "chosen; RFC 5228 section 10 asks for a limit";
    }
    /// How long a script may run for one message.
    pub(super) TIME: Duration = Duration::from_secs(2), Time, "chosen: a thousand times what a long script takes";
    /// Steps of a script that are made on the thread of the delivery; a longer run goes on elsewhere.
    pub(super) QUICK: u64 = 10_000, Count, "chosen: less than a millisecond";
    /// Bytes of a message that are looked at there.
    pub(super) QUICK_SIZE: u64 = 64 * 1024, Bytes, "chosen: less than a millisecond";
    /// Steps between two looks at the clock.
    pub(super) SLICE: u64 = 20_000, Count, "chosen: about a millisecond";
    /// Bytes of the scripts whose compiled form is kept.
    pub(super) PROGRAMS: usize = 16 * 1024 * 1024, Bytes, "chosen: ten thousand scripts of usual length";
    /// How long it is known that a message was redirected to an address.
    pub(super) REDIRECTED: Duration = Duration::from_secs(3 * 86_400), Time, "as for deliveries";
    /// The interval of vacation answers where the script says none.
    pub(super) VACATION: Duration = Duration::from_secs(7 * 86_400), Time, "RFC 5230 section 4.1";
    /// Bytes of a message that are copied in about the time of a step.
    pub(super) LOT: usize = 512, Bytes, "chosen: as work is weighed";
    /// Lines of a refusal.
    pub(super) REASON_LINES: usize = 50, Count, "chosen: a proxy reads 200";
    /// Bytes of a line of a refusal.
    pub(super) REASON_LINE: usize = 400, Bytes, "RFC 5321 section 4.5.3.1.5 has 512 with code and end";
}
