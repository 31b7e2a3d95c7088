//! What a ManageSieve client can make a frontend do and hold, beside what holds on every server.

bounds::table! {
    "sieveproxy", "A ManageSieve session of a frontend";
    options {
        /// How long a client that is connected through may take nothing.
        timeout, "RFC 5804 section 1.2: 30 minutes at least";
        /// How long each step of connecting and logging in to a backend may take.
        client_timeout, "Cyrus";
    }
}
