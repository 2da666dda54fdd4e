//! What went wrong on the way, in words, and whether the target may have received the request.

use std::{error::Error, io::ErrorKind};

use hyper_util::client::legacy;
use rustix::io::Errno;
use rustls::CertificateError;

use super::{clients::CONNECT, names::NameError};
use crate::kind::{Failure, Then};

/// What passes by itself on this machine: too many files, no memory, no port.
const PASSING: [Errno; 5] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL];

/// The failure of a call that was not answered.
pub(super) fn failure(error: &legacy::Error, host: &str) -> Failure {
    let refused = causes(error).find_map(|cause| match cause.downcast_ref::<NameError>()? {
        NameError::Refused(refused) => Some(refused.to_string()),
        NameError::None | NameError::Server(_) => None,
    });
    if let Some(refused) = refused {
        return Failure { then: Then::GiveUp, ..Failure::new(refused) };
    }
    let told = told(error);
    Failure::new(if error.is_connect() {
        format!("no connection to {host}: {told}")
    } else if is_unsent(error) {
        format!("no answer from {host}: {told}; nothing was sent")
    } else {
        format!("no answer from {host}: {told}; it may have received the request")
    })
}

/// Whether this machine has no room for another connection just now.
pub(super) fn is_no_room(error: &legacy::Error) -> bool {
    let code = causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>()?.raw_os_error());
    error.is_connect() && code.is_some_and(|code| PASSING.contains(&Errno::from_raw_os_error(code)))
}

fn is_unsent(error: &legacy::Error) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled))
}

/// What an error is caused by, from the outside in. Errors of files and sockets are looked into: they hide what they wrap.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'e (dyn Error + 'static) = *error;
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// The innermost cause, in words.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    let mut told = None;
    for cause in causes(error) {
        let known = if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            Some(of_tls(tls))
        } else if let Some(name) = cause.downcast_ref::<NameError>() {
            Some(name.to_string())
        } else if let Some(io) = cause.downcast_ref::<std::io::Error>().filter(|io| io.get_ref().is_none()) {
            Some(of_io(io))
        } else {
            cause.downcast_ref::<hyper::Error>().and_then(of_hyper).map(str::to_owned)
        };
        told = known.or(told);
    }
    told.unwrap_or_else(|| causes(error).last().map_or_else(String::new, ToString::to_string))
}

fn of_hyper(error: &hyper::Error) -> Option<&'static str> {
    if error.is_incomplete_message() {
        Some("the connection was closed in the middle")
    } else if error.is_parse_too_large() {
        Some("the head of the answer is too large")
    } else if error.is_parse() {
        Some("the answer is not HTTP")
    } else if error.is_canceled() {
        Some("the connection was closed")
    } else {
        None
    }
}

fn of_io(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
        ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof => "the connection was closed in the middle".to_owned(),
        ErrorKind::TimedOut => format!("it took longer than {}", runtime::config::Duration(CONNECT)),
        ErrorKind::HostUnreachable => "there is no way to its address".to_owned(),
        ErrorKind::NetworkUnreachable => "its network cannot be reached".to_owned(),
        _ => error.to_string(),
    }
}

fn of_tls(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) => "it does not speak TLS there".to_owned(),
            rustls::Error::AlertReceived(alert) => format!("it refused us by the TLS alert {alert:?}"),
            other => format!("TLS: {other}"),
        };
    };
    match wrong {
        CertificateError::UnknownIssuer => {
            "its certificate is from an authority that is not trusted here; name that one in `tls.ca`".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        // The verifier's own word for it is all that there is.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's (CA:TRUE), which is not taken for a server's; make it anew with \
             `basicConstraints=critical,CA:FALSE`, or let that authority sign one, and name the authority in `tls.ca`"
                .to_owned()
        }
        other => format!("its certificate is not valid: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[test]
    fn a_certificate_of_an_authority_in_the_place_of_a_server_s_is_told_with_what_to_do() {
        let other = OtherError(Arc::new(std::io::Error::other("CaUsedAsEndEntity")));
        let told = of_tls(&rustls::Error::InvalidCertificate(CertificateError::Other(other)));
        assert!(told.contains("CA:TRUE") && told.contains("CA:FALSE") && told.contains("`tls.ca`"), "{told}");
    }
}
