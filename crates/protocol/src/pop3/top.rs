//! Where TOP ends in a message.

/// Bytes of `message` that TOP with so many body lines sends: the header, the blank line, the lines.
pub fn top_length(message: &[u8], lines: u32) -> usize {
    let mut at = 0;
    let mut left = lines;
    let mut in_body = false;
    for line in message.split_inclusive(|&b| b == b'\n') {
        if in_body {
            if left == 0 {
                break;
            }
            left -= 1;
        }
        at += line.len();
        in_body |= matches!(line, b"\r\n" | b"\n");
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_and_so_many_lines() {
        let message = b"A: b\r\n\r\none\r\n\r\nthree";
        assert_eq!(top_length(message, 0), 8);
        assert_eq!(top_length(message, 1), 13);
        assert_eq!(top_length(message, 2), 15);
        assert_eq!(top_length(message, 9), message.len());
        assert_eq!(top_length(b"A: b", 1), 4);
    }
}
