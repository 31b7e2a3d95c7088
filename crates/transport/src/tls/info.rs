//! What a finished handshake told us.

use tokio_rustls::TlsStream;
use tokio_rustls::rustls::ProtocolVersion;

use super::names;

/// The protection of a connection and the certificate that the peer showed.
#[derive(Clone, Debug, Default)]
pub struct TlsInfo {
    /// `TLSv1.3`
    pub version: String,
    /// `TLS13_AES_256_GCM_SHA384`
    pub cipher: String,
    /// `tls-exporter` (RFC 9266), only with TLS 1.3: in 1.2 it is safe only with an extension we cannot see.
    pub channel_binding: Option<Vec<u8>>,
    /// The common name of the peer's verified certificate.
    pub client_cn: Option<String>,
    /// Its alternative names: DNS names and mail addresses.
    pub client_alt_names: Vec<String>,
    /// The peer showed a certificate, and it was verified.
    pub client_certificate: bool,
}

impl TlsInfo {
    pub(crate) fn of<T>(stream: &TlsStream<T>) -> TlsInfo {
        let (_, state) = stream.get_ref();
        let version = state.protocol_version();
        let certificate = state.peer_certificates().and_then(|chain| chain.first());
        TlsInfo {
            version: version_name(version),
            cipher: state
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default(),
            channel_binding: exporter(stream).filter(|_| version == Some(ProtocolVersion::TLSv1_3)),
            client_cn: certificate.and_then(|certificate| names::common_name(certificate)),
            client_alt_names: certificate
                .map(|certificate| names::alternative_names(certificate))
                .unwrap_or_default(),
            client_certificate: certificate.is_some(),
        }
    }
}

/// RFC 9266: 32 bytes, this label, an empty context (which is the same as none in TLS 1.3).
fn exporter<T>(stream: &TlsStream<T>) -> Option<Vec<u8>> {
    let bytes = [0u8; 32];
    let exported = match stream {
        TlsStream::Client(io) => io.get_ref().1.export_keying_material(bytes, EXPORTER_LABEL, Some(b"")),
        TlsStream::Server(io) => io.get_ref().1.export_keying_material(bytes, EXPORTER_LABEL, Some(b"")),
    };
    exported.ok().map(|bytes| bytes.to_vec())
}

fn version_name(version: Option<ProtocolVersion>) -> String {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        other => format!("{other:?}"),
    }
}

const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
