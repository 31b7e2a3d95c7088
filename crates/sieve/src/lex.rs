//! The words of a script (RFC 5228 section 8.1), each with its line.
//!
//! ```text
//! identifier   = (ALPHA / "_") *(ALPHA / DIGIT / "_")
//! tag          = ":" identifier
//! number       = 1*DIGIT ["K" / "M" / "G"]
//! quoted       = DQUOTE *(any but DQUOTE and "\" / "\" any) DQUOTE
//! multi-line   = "text:" *(SP / HTAB) (hash-comment / CRLF) *(line CRLF) "." CRLF
//! white-space  = 1*(SP / CRLF / HTAB / hash-comment / bracket-comment)
//! ```
//!
//! A bare LF ends a line as CRLF does, and is CRLF in a string. Comments may have any bytes, strings are UTF-8.

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_till, take_until, take_while, take_while1};
use nom::combinator::{opt, recognize, value, verify};
use nom::multi::many0_count;
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

use crate::limits;
use crate::problem::Problem;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub line: u32,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Identifier(String),
    /// Without its colon.
    Tag(String),
    Number(u64),
    String(String),
    /// One of `[](){},;`.
    Symbol(u8),
}

/// The tokens of a script, up to the first thing that is none.
pub(crate) fn tokens(script: &[u8]) -> (Vec<Token>, Option<Problem>) {
    let mut rest = script.strip_prefix(b"\xef\xbb\xbf").unwrap_or(script);
    let (mut tokens, mut line) = (Vec::new(), 1);
    if script.len() > limits::SCRIPT {
        return (tokens, Some(Problem::new(1, format!("longer than {} bytes", limits::SCRIPT))));
    }
    loop {
        let start = rest;
        rest = blanks(rest).map_or(rest, |(rest, ())| rest);
        line += lines(start, rest);
        if rest.is_empty() {
            return (tokens, None);
        }
        if tokens.len() >= limits::TOKENS {
            return (tokens, Some(Problem::new(line, format!("more than {} words", limits::TOKENS))));
        }
        match token(rest) {
            Ok((behind, Ok(kind))) => {
                tokens.push(Token { line, kind });
                line += lines(rest, behind);
                rest = behind;
            }
            Ok((_, Err(text))) => return (tokens, Some(Problem::new(line, text))),
            Err(_) => return (tokens, Some(Problem::new(line, unknown(rest)))),
        }
    }
}

/// How many lines end between two places of the same text.
fn lines(from: &[u8], to: &[u8]) -> u32 {
    let passed = from.get(..from.len().saturating_sub(to.len())).unwrap_or_default();
    u32::try_from(passed.iter().filter(|&&byte| byte == b'\n').count()).unwrap_or(u32::MAX)
}

/// What is wrong with text that begins no token.
fn unknown(rest: &[u8]) -> String {
    match rest.first() {
        Some(b'"') => "this string does not end".to_owned(),
        Some(b'/') if rest.starts_with(b"/*") => "this comment does not end".to_owned(),
        Some(byte) if byte.is_ascii_graphic() => format!("unexpected {}", char::from(*byte)),
        Some(byte) => format!("unexpected byte {byte:#04x}"),
        None => "unexpected end".to_owned(),
    }
}

/// What a token is, or why it is none although it begins as one.
type Read = Result<Kind, String>;

fn token(at: &[u8]) -> IResult<&[u8], Read> {
    alt((symbol, multi_line, quoted, tagged, name, number)).parse(at)
}

fn symbol(at: &[u8]) -> IResult<&[u8], Read> {
    let (rest, symbol) =
        verify(nom::number::complete::u8, |byte: &u8| b"[](){},;".contains(byte)).parse(at)?;
    Ok((rest, Ok(Kind::Symbol(symbol))))
}

fn identifier(at: &[u8]) -> IResult<&[u8], String> {
    let (rest, name) = recognize(pair(take_while1(|byte: u8| byte.is_ascii_alphabetic() || byte == b'_'), {
        take_while(|byte: u8| byte.is_ascii_alphanumeric() || byte == b'_')
    }))
    .parse(at)?;
    Ok((rest, String::from_utf8_lossy(name).into_owned()))
}

fn name(at: &[u8]) -> IResult<&[u8], Read> {
    identifier.map(|name| Ok(Kind::Identifier(name))).parse(at)
}

fn tagged(at: &[u8]) -> IResult<&[u8], Read> {
    preceded(tag(":"), identifier).map(|name| Ok(Kind::Tag(name))).parse(at)
}

fn number(at: &[u8]) -> IResult<&[u8], Read> {
    let (rest, digits) = take_while1(|byte: u8| byte.is_ascii_digit()).parse(at)?;
    let (rest, unit) = take_while(|byte: u8| byte.is_ascii_alphanumeric() || byte == b'_').parse(rest)?;
    let shift = match unit {
        b"" => 0,
        b"k" | b"K" => 10,
        b"m" | b"M" => 20,
        b"g" | b"G" => 30,
        _ => return Ok((rest, Err(format!("unknown unit {}", String::from_utf8_lossy(unit))))),
    };
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    let number = number.and_then(|number| number.checked_mul(1 << shift));
    let number = number.filter(|&number| i64::try_from(number).is_ok());
    Ok((rest, number.map(Kind::Number).ok_or_else(|| "this number is too large".to_owned())))
}

fn quoted(at: &[u8]) -> IResult<&[u8], Read> {
    let escaped = pair(tag("\\"), take_while_one);
    let plain = take_while1(|byte: u8| byte != b'"' && byte != b'\\');
    let inner = recognize(many0_count(alt((plain, recognize(escaped)))));
    let (rest, raw) = delimited(tag("\""), inner, tag("\"")).parse(at)?;
    let (mut text, mut bytes) = (Vec::with_capacity(raw.len()), raw.iter());
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte };
        push(&mut text, byte);
    }
    Ok((rest, string(text)))
}

fn take_while_one(at: &[u8]) -> IResult<&[u8], &[u8]> {
    nom::bytes::complete::take(1_usize).parse(at)
}

fn multi_line(at: &[u8]) -> IResult<&[u8], Read> {
    let (mut rest, _) = preceded(
        (tag_no_case("text:"), take_while(|byte| matches!(byte, b' ' | b'\t'))),
        terminated(opt(hash_comment), line_end),
    )
    .parse(at)?;
    let mut text = Vec::new();
    loop {
        let (behind, line) = take_till(|byte| byte == b'\n').parse(rest)?;
        let bare = line.strip_suffix(b"\r").unwrap_or(line);
        let ended = behind.is_empty();
        rest = behind.get(1..).unwrap_or_default();
        match bare {
            b"." => return Ok((rest, string(text))),
            _ if ended => {
                return Ok((rest, Err("this text: does not end with a line of one dot".to_owned())));
            }
            _ => bare.strip_prefix(b".").unwrap_or(bare).iter().for_each(|&byte| push(&mut text, byte)),
        }
        text.extend_from_slice(b"\r\n");
    }
}

/// A line ends with CRLF.
fn push(text: &mut Vec<u8>, byte: u8) {
    if byte == b'\n' && text.last() != Some(&b'\r') {
        text.push(b'\r');
    }
    text.push(byte);
}

fn string(text: Vec<u8>) -> Read {
    if text.contains(&0) {
        return Err("a NUL byte stands in this string".to_owned());
    }
    String::from_utf8(text).map(Kind::String).map_err(|_| "this string is not UTF-8".to_owned())
}

fn blanks(at: &[u8]) -> IResult<&[u8], ()> {
    let blank = value((), take_while1(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')));
    value((), many0_count(alt((blank, hash_comment, bracket_comment)))).parse(at)
}

fn hash_comment(at: &[u8]) -> IResult<&[u8], ()> {
    value((), pair(tag("#"), take_till(|byte| byte == b'\n'))).parse(at)
}

fn bracket_comment(at: &[u8]) -> IResult<&[u8], ()> {
    value((), delimited(tag("/*"), take_until("*/"), tag("*/"))).parse(at)
}

fn line_end(at: &[u8]) -> IResult<&[u8], ()> {
    value((), alt((tag("\r\n"), tag("\n")))).parse(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(script: &str) -> Result<Vec<Kind>, String> {
        let (tokens, problem) = tokens(script.as_bytes());
        match problem {
            Some(problem) => Err(problem.to_string()),
            None => Ok(tokens.into_iter().map(|token| token.kind).collect()),
        }
    }

    #[test]
    fn strings_in_all_their_forms() {
        let text = |script: &str| match kinds(script).as_deref() {
            Ok([Kind::String(text)]) => text.clone(),
            other => panic!("{script:?}: {other:?}"),
        };
        for (script, expected) in [
            (r#""a\"b\\c\d""#, "a\"b\\cd"),
            ("\"\"", ""),
            ("\"é\nx\r\ny\"", "é\r\nx\r\ny"),
            ("text:\r\na\r\n..b\r\n.c\r\n.\r\n", "a\r\n.b\r\nc\r\n"),
            ("TEXT: \t# why\na\n.\n", "a\r\n"),
            ("text:\n.\n", ""),
            ("text:\na\n.", "a\r\n"),
        ] {
            assert_eq!(text(script), expected, "{script:?}");
        }
    }

    #[test]
    fn numbers_have_units_and_an_end() {
        assert_eq!(kinds("0 1k 2M 3g"), Ok([0, 1024, 2 << 20, 3 << 30].map(Kind::Number).to_vec()));
        assert_eq!(kinds("9223372036854775807"), Ok(vec![Kind::Number(i64::MAX as u64)]));
        for bad in ["9223372036854775808", "180143985094819840k", "99999999999999999999999", "1kb", "1_"] {
            assert!(kinds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_word_is_reported_with_its_line() {
        for (script, problem) in [
            ("keep;\n\"abc", "line 2: this string does not end"),
            ("/* x\n*/ /* y", "line 2: this comment does not end"),
            ("text:\nabc", "line 1: this text: does not end with a line of one dot"),
            ("# é is well here\nkéep;", "line 2: unexpected byte 0xc3"),
            ("\"\u{0}\"", "line 1: a NUL byte stands in this string"),
            ("if =", "line 1: unexpected ="),
        ] {
            assert_eq!(kinds(script).unwrap_err(), problem, "{script:?}");
        }
        assert_eq!(tokens(b"\n\"\xff\"").1.unwrap().to_string(), "line 2: this string is not UTF-8");
    }
}
