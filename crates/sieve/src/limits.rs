//! What bounds a script, and what it may do with one message.

bounds::table! {
    "sieve", "A Sieve script";
    /// Bytes of a script that are read at all. What a user may upload is `sieve_maxscriptsize`.
    pub SCRIPT: usize = 4 * 1024 * 1024, Bytes, "our own";
    /// Words of a script: names, strings, numbers and brackets.
    pub TOKENS: usize = 64 * 1024, Count, "our own";
    /// Blocks in blocks.
    pub BLOCKS: usize = 32, Count, "our own; RFC 5228 section 2.9 asks for 15";
    /// Tests in tests.
    pub TESTS: usize = 100, Count, "our own; RFC 5228 section 2.9 asks for 15";
    /// Problems of one script that are shown.
    pub PROBLEMS: usize = 100, Count, "our own";
    /// Steps of one run. A comparison counts by its length too.
    pub INSTRUCTIONS: u64 = 500_000, Count, "our own";
    /// Bytes of a string with variables in it, and of a variable: what is longer is cut.
    pub STRING: usize = 32 * 1024, Bytes, "our own; RFC 5229 section 6 asks for 4000";
    /// Variables of one script, and global ones of a run.
    pub VARIABLES: usize = 128, Count, "RFC 5229 section 6";
    /// Flags of a message.
    pub FLAGS: usize = 128, Count, "our own";
    /// Bytes of a value that one comparison looks at.
    pub MATCH: usize = 1024 * 1024, Bytes, "our own";
    /// Bytes that a regular expression may take when it is compiled.
    pub REGEX: usize = 1024 * 1024, Bytes, "our own";
    /// Bytes of a text that a regular expression is tried on, an eighth for one of more than 128 KiB: what follows is not looked at.
    pub REGEX_INPUT: usize = 64 * 1024, Bytes, "our own";
    /// Actions for one message.
    pub ACTIONS: usize = 32, Count, "our own; RFC 5228 section 2.10.5";
    /// Addresses that one message is redirected to.
    pub REDIRECTS: usize = 32, Count, "our own; RFC 5228 section 10";
    /// Bytes of the fields that one run adds to a header.
    pub ADDED_HEADER: usize = 128 * 1024, Bytes, "our own; RFC 5293 section 7";
    /// Scripts that one run includes, the same one each time.
    pub INCLUDES: usize = 255, Count, "our own; RFC 6609 section 3.1";
    /// Scripts that include each other.
    pub INCLUDE_DEPTH: usize = 10, Count, "our own; RFC 6609 section 3.1 asks for 3";
    /// Lines that one run logs.
    pub LOG: usize = 32, Count, "our own";
    /// Steps of a run that are shown by a dry run.
    pub TRACE: usize = 10_000, Count, "our own";
}
