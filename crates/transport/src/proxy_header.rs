//! The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): a load balancer says in front of everything else
//! who the client is. On listeners with `-H`.
//!
//! Exactly the header is read, so that what follows it (a TLS handshake, most likely) is untouched. A header that is not
//! understood ends the connection: going on would take the balancer for the client.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Source and destination of the client's connection; `None` where the balancer speaks for itself (health checks).
pub type Ends = Option<(SocketAddr, SocketAddr)>;

/// Reads the header off a stream. The caller bounds it in time.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Ends> {
    // The shortest header of version 1, `PROXY UNKNOWN`, is longer than the signature of version 2.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        let mut fixed = [0; 4];
        stream.read_exact(&mut fixed).await?;
        let [version_command, family, high, low] = fixed;
        let mut rest = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        if rest.len() > LONGEST_V2 {
            return Err(bad("the header is too long"));
        }
        stream.read_exact(&mut rest).await?;
        return version_2(version_command, family, &rest);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(bad("the connection does not begin with a header"));
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_V1 {
            return Err(bad("the line does not end"));
        }
        line.push(stream.read_u8().await?);
    }
    version_1(&line)
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`
fn version_1(line: &[u8]) -> io::Result<Ends> {
    let text = std::str::from_utf8(line).map_err(|_| bad("not ASCII"))?;
    let text = text.strip_suffix("\r\n").unwrap_or(text);
    let words: Vec<&str> = text.split(' ').collect();
    let (v4, source, destination, ports) = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4", source, destination, from, to] => (true, source, destination, (from, to)),
        ["PROXY", "TCP6", source, destination, from, to] => (false, source, destination, (from, to)),
        _ => return Err(bad("expected PROXY TCP4|TCP6 source destination port port")),
    };
    let end = |address: &str, port: &str| {
        let address: IpAddr = address.parse().ok().filter(|a: &IpAddr| a.is_ipv4() == v4)?;
        Some(SocketAddr::new(address, port.parse().ok()?))
    };
    match (end(source, ports.0), end(destination, ports.1)) {
        (Some(source), Some(destination)) => Ok(Some((source, destination))),
        _ => Err(bad("an address or a port is not one")),
    }
}

fn version_2(version_command: u8, family: u8, rest: &[u8]) -> io::Result<Ends> {
    match version_command {
        // LOCAL: the balancer's own connection.
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err(bad("neither PROXY nor LOCAL of version 2")),
    }
    match family {
        // TCP over IPv4, over IPv6; what follows the addresses is not needed here.
        0x11 => v4(rest).map(Some).ok_or_else(|| bad("the addresses are cut off")),
        0x21 => v6(rest).map(Some).ok_or_else(|| bad("the addresses are cut off")),
        0x00 => Ok(None),
        _ => Err(bad("neither TCP over IPv4 nor over IPv6")),
    }
}

fn v4(rest: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = rest.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    let (from, to) = ports(rest)?;
    Some((SocketAddr::new((*source).into(), from), SocketAddr::new((*destination).into(), to)))
}

fn v6(rest: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = rest.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let (from, to) = ports(rest)?;
    let end = |bytes: &[u8; 16], port| SocketAddr::new(Ipv6Addr::from(*bytes).into(), port);
    Some((end(source, from), end(destination, to)))
}

fn ports(rest: &[u8]) -> Option<(u16, u16)> {
    let (from, rest) = rest.split_first_chunk::<2>()?;
    let (to, _) = rest.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*from), u16::from_be_bytes(*to)))
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The specification's own bound, with CRLF.
const LONGEST_V1: usize = 107;
/// Far beyond addresses and the usual extensions.
const LONGEST_V2: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    async fn header(bytes: &[u8]) -> (Result<Ends, String>, Vec<u8>) {
        let mut rest = bytes;
        let read = read(&mut rest).await.map_err(|error| error.to_string());
        (read, rest.to_vec())
    }

    fn ends(source: &str, destination: &str) -> Ends {
        Some((source.parse().unwrap(), destination.parse().unwrap()))
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn both_versions_tell_the_client_and_leave_what_follows() {
        let (read, rest) = header(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 143\r\nLOGIN").await;
        assert_eq!((read.unwrap(), &rest[..]), (ends("192.0.2.1:56324", "192.0.2.2:143"), &b"LOGIN"[..]));
        let (read, _) = header(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 143\r\n").await;
        assert_eq!(read.unwrap(), ends("[2001:db8::1]:1", "[2001:db8::2]:143"));
        let bytes = v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 80, 0, 143, 3, 0, 1, 7]);
        let (read, rest) = header(&[&bytes[..], b"x"].concat()).await;
        assert_eq!((read.unwrap(), &rest[..]), (ends("192.0.2.1:80", "192.0.2.2:143"), &b"x"[..]));
        let mut six = [0; 36];
        (six[15], six[31], six[33], six[35]) = (1, 2, 80, 143);
        assert_eq!(header(&v2(0x21, 0x21, &six)).await.0.unwrap(), ends("[::1]:80", "[::2]:143"));
    }

    #[tokio::test]
    async fn a_balancer_that_speaks_for_itself_names_nobody() {
        assert_eq!(header(b"PROXY UNKNOWN\r\n").await.0.unwrap(), None);
        assert_eq!(header(b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n").await.0.unwrap(), None);
        assert_eq!(header(&v2(0x20, 0x00, &[])).await.0.unwrap(), None);
        assert_eq!(header(&v2(0x21, 0x00, &[1, 2])).await.0.unwrap(), None);
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
        let rows: Vec<Vec<u8>> = vec![
            b"a LOGIN fred secret\r\n".to_vec(),
            b"PROXY".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 143 \r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 2001:db8::1 1 2\r\n".to_vec(),
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 2\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.\xff 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n".to_vec(),
            endless,
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x12, &[0; 12]),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x11, &[0; 5000]),
            v2(0x21, 0x11, &[0; 12])[..20].to_vec(),
        ];
        for row in rows {
            assert!(header(&row).await.0.is_err(), "{}", row.escape_ascii());
        }
    }
}
