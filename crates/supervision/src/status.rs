//! Cyrus's own protocol between master and a service process: eight bytes on descriptor 3, a code and a process id, both
//! 32-bit integers in the machine's order, written at once.

/// A status message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    pub code: Code,
    pub pid: i32,
}

/// What a worker says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Done with a client, idle again.
    Available,
    /// Taken by a client, or about to end.
    Unavailable,
    /// Serves one more client.
    Connection,
    /// A threaded service serves one more client and stays ready.
    ConnectionMulti,
}

impl Status {
    pub const SIZE: usize = 8;

    /// None for a code that nobody knows.
    pub fn parse(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let [a, b, c, d, rest @ ..] = bytes;
        let code = match i32::from_ne_bytes([a, b, c, d]) {
            1 => Code::Available,
            2 => Code::Unavailable,
            3 => Code::Connection,
            4 => Code::ConnectionMulti,
            _ => return None,
        };
        Some(Self { code, pid: i32::from_ne_bytes(rest) })
    }

    /// As it is written.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let code: i32 = match self.code {
            Code::Available => 1,
            Code::Unavailable => 2,
            Code::Connection => 3,
            Code::ConnectionMulti => 4,
        };
        let ([a, b, c, d], [e, f, g, h]) = (code.to_ne_bytes(), self.pid.to_ne_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_codes_are_read_and_others_are_not() {
        let bytes = |code: i32, pid: i32| -> [u8; 8] {
            [code.to_ne_bytes(), pid.to_ne_bytes()].concat().try_into().unwrap()
        };
        for (number, code) in
            [(1, Code::Available), (2, Code::Unavailable), (3, Code::Connection), (4, Code::ConnectionMulti)]
        {
            assert_eq!(Status::parse(bytes(number, 77)), Some(Status { code, pid: 77 }));
            assert_eq!(Status { code, pid: 77 }.to_bytes(), bytes(number, 77));
        }
        assert_eq!(Status::parse(bytes(5, 77)), None);
        assert_eq!(Status::parse(bytes(0, 77)), None);
    }
}
