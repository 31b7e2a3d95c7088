//! What bounds a script, and what it may do with one message.

bounds::table! {
    "sieve", "A Sieve script";
    /// Bytes of a script that are read at all. What a user may upload is `sieve_maxscriptsize`.
    pub SCRIPT: usize = 4 * 1024 * 1024, Bytes, "chosen: a hundred times the default of sieve_maxscriptsize";
    /// Words of a script: names, strings, numbers and brackets.
    pub TOKENS: usize = 64 * 1024, Count, "chosen: ten times what a script of 32 KiB can have";
    /// Blocks in blocks.
    pub BLOCKS: usize = 32, Count, "chosen: RFC 5228 section 2.9 asks for 15";
    /// Tests in tests.
    pub TESTS: usize = 100, Count, "chosen: RFC 5228 section 2.9 asks for 15";
    /// Problems of one script that are shown.
    pub PROBLEMS: usize = 100, Count, "chosen: more than anyone mends at once";
    /// Steps of one run. A comparison counts by its length too.
    pub INSTRUCTIONS: u64 = 500_000, Count, "chosen: some ten milliseconds; a script of 100 rules takes a thousand";
    /// Bytes of a string with variables in it, and of a variable: what is longer is cut.
    pub STRING: usize = 32 * 1024, Bytes, "chosen: RFC 5229 section 6 asks for 4000";
    /// Variables of one script, and global ones of a run.
    pub VARIABLES: usize = 128, Count, "RFC 5229 section 6";
    /// Flags of a message.
    pub FLAGS: usize = 128, Count, "Cyrus has 128 user flags";
    /// Bytes of a flag: a longer one is none.
    pub FLAG: usize = 256, Bytes, "chosen: more than any client writes";
    /// Fields of a message's header that scripts see; the others are stored all the same.
    pub FIELDS: usize = 5000, Count, "chosen: ten times what long ways leave";
    /// Fields of a part's header that scripts see.
    pub PART_FIELDS: usize = 100, Count, "chosen: ten times what parts have";
    /// Bytes of a value that one comparison looks at.
    pub MATCH: usize = 1024 * 1024, Bytes, "chosen: no header is as long";
    /// Bytes that a regular expression may take when it is compiled.
    pub REGEX: usize = 1024 * 1024, Bytes, "chosen: some milliseconds to make it ready";
    /// Bytes that the patterns of one script may take when they are compiled, regular expressions and those of `:matches`.
    pub PATTERNS: usize = 8 * 1024 * 1024, Bytes, "chosen: some hundred expressions of real scripts";
    /// Bytes of a text that a regular expression is tried on, an eighth for one of more than 64 KiB: what follows is not looked at.
    pub REGEX_INPUT: usize = 64 * 1024, Bytes, "chosen: the size of both is what a match may cost";
    /// Characters of a `:matches` pattern between two stars, where some are `?`.
    pub PIECE: usize = 1024, Count, "chosen: each is compared with each character of the text";
    /// Texts that a match keeps: `${0}` and on.
    pub CAPTURES: usize = 32, Count, "chosen: RFC 5229 section 3.2 asks for 10";
    /// Actions for one message.
    pub ACTIONS: usize = 32, Count, "chosen: RFC 5228 section 2.10.5 leaves it to the server";
    /// Addresses that one message is redirected to.
    pub REDIRECTS: usize = 32, Count, "chosen: RFC 5228 section 10 demands a limit";
    /// Bytes of the fields that one run adds to a header.
    pub ADDED_HEADER: usize = 128 * 1024, Bytes, "chosen: a tenth of a usual mail; RFC 5293 leaves it open";
    /// Scripts that one run includes, the same one each time.
    pub INCLUDES: usize = 255, Count, "chosen: RFC 6609 section 3.1 demands a limit";
    /// Scripts that include each other.
    pub INCLUDE_DEPTH: usize = 10, Count, "chosen: RFC 6609 section 3.1 asks for 3";
    /// Lines that one run logs.
    pub LOG: usize = 32, Count, "chosen: as many as actions";
    /// Steps of a run that are shown by a dry run.
    pub TRACE: usize = 10_000, Count, "chosen: more than anyone reads";
}
