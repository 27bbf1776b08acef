//! What awc's errors mean: the fault for clients and the cause for the log, without text from a server.

use std::io;

// awc does not export it.
use actix_web::error::ParseError;
use awc::error::{ConnectError, PayloadError, SendRequestError};

use crate::{
    event::ErrorCode,
    upstream::{
        cause::Cause,
        diagnosis::Diagnosis,
        fault::Fault,
        transport::{ConnectFailure, certificate_reason},
    },
};

/// The fault of a request that got no response head.
pub(super) fn connection_fault(error: &SendRequestError) -> Fault {
    let code = match error {
        // The connection ended before the head did.
        SendRequestError::Response(ParseError::Incomplete | ParseError::Io(_)) => {
            ErrorCode::UpstreamUnavailable
        }
        SendRequestError::Response(_) => ErrorCode::UpstreamProtocol,
        SendRequestError::Url(_)
        | SendRequestError::Http(_)
        | SendRequestError::TunnelNotSupported => ErrorCode::Internal,
        // Name resolution, connection, TLS, sending.
        _ => ErrorCode::UpstreamUnavailable,
    };
    let (cause, diagnosis) = match error {
        SendRequestError::Connect(error) => connect_cause(error),
        SendRequestError::Send(error) => (io_cause(SEND, error), Diagnosis::Other),
        SendRequestError::Response(error) => (head_cause(error), Diagnosis::Other),
        SendRequestError::Timeout => (reason(SEND, "timed out"), Diagnosis::Other),
        SendRequestError::Url(_) => (reason(SEND, "the URL is invalid"), Diagnosis::Other),
        SendRequestError::Http(_) => (reason(SEND, "a header is invalid"), Diagnosis::Other),
        _ => (reason(SEND, "failed"), Diagnosis::Other),
    };
    Fault {
        diagnosis,
        ..Fault::new(code, cause)
    }
}

const CONNECT: &str = "connect";
const TLS: &str = "TLS";
const SEND: &str = "send request";
const HEAD: &str = "read response head";
const BODY: &str = "read response body";

const fn reason(stage: &'static str, reason: &'static str) -> Cause {
    Cause::Connection { stage, reason }
}

fn connect_cause(error: &ConnectError) -> (Cause, Diagnosis) {
    let failure = match error {
        ConnectError::Io(error) => error.get_ref(),
        _ => None,
    };
    match failure.and_then(|inner| inner.downcast_ref::<ConnectFailure>()) {
        Some(failure) => (failure.cause.clone(), failure.diagnosis),
        None => (reason(CONNECT, "failed"), Diagnosis::Connection),
    }
}

fn io_cause(stage: &'static str, error: &io::Error) -> Cause {
    certificate_reason(error).map_or_else(|| Cause::io(stage, error), |why| reason(TLS, why))
}

fn head_cause(error: &ParseError) -> Cause {
    match error {
        ParseError::Incomplete => reason(HEAD, "the connection was closed"),
        ParseError::Io(error) => io_cause(HEAD, error),
        ParseError::TooLarge => reason(HEAD, "it is too long"),
        ParseError::Timeout => reason(HEAD, "timed out"),
        _ => reason(HEAD, "it is not HTTP/1.1"),
    }
}

/// The cause of a body that could not be read.
pub(super) fn body_cause(error: &PayloadError) -> Cause {
    match error {
        PayloadError::Incomplete(None) => reason(BODY, "the connection was closed"),
        PayloadError::Incomplete(Some(error)) | PayloadError::Io(error) => io_cause(BODY, error),
        PayloadError::Overflow => reason(BODY, "it is too long"),
        _ => reason(BODY, "its encoding is invalid"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_fault_names_its_stage_and_reason() {
        let failure = ConnectFailure {
            cause: Cause::Proxy { status: 407 },
            diagnosis: Diagnosis::ProxyCredentials,
        };
        let cases = [
            (
                SendRequestError::Connect(ConnectError::Io(io::Error::other(failure))),
                ErrorCode::UpstreamUnavailable,
                Diagnosis::ProxyCredentials,
                "CONNECT through the proxy: status=407",
            ),
            (
                SendRequestError::Response(ParseError::Incomplete),
                ErrorCode::UpstreamUnavailable,
                Diagnosis::Other,
                "read response head: the connection was closed",
            ),
            (
                SendRequestError::Response(ParseError::Version),
                ErrorCode::UpstreamProtocol,
                Diagnosis::Other,
                "read response head: it is not HTTP/1.1",
            ),
        ];
        for (error, code, diagnosis, cause) in cases {
            let fault = connection_fault(&error);
            assert_eq!(fault.error.code, code, "{cause}");
            assert_eq!(fault.diagnosis, diagnosis, "{cause}");
            assert_eq!(fault.cause.to_string(), cause);
        }
    }

    #[test]
    fn no_text_of_the_servers_is_part_of_a_cause() {
        let certificate = rustls::CertificateError::NotValidForNameContext {
            expected: "r.openai.azure.com".try_into().unwrap(),
            presented: vec!["canary.example".to_owned()],
        };
        let quoting = [
            io::Error::other(rustls::Error::InvalidCertificate(certificate)),
            io::Error::other(rustls::Error::General("canary".to_owned())),
            io::Error::other("canary"),
        ];
        for error in quoting {
            let cause = io_cause(BODY, &error);
            assert!(!format!("{cause} {cause:?}").contains("canary"), "{cause}");
        }
    }
}
