//! Why something failed, in a form that is safe to log.
//!
//! A [`Cause`] consists of this program's own texts, numbers, and [`Word`]s. It has no field for text
//! from upstream, so no upstream error can carry a key, a prompt or a reply into the log.

use std::{fmt, io, time::Duration};

use super::word::Word;

/// The cause of a failure. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A sentence of this program.
    Text(&'static str),
    /// Data that is not the JSON it should be, from this position on. The data itself is not told.
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A response with a status other than 200.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What its body says.
        words: Box<ErrorWords>,
    },
    /// An error inside the event stream.
    InStream(Box<ErrorWords>),
    /// A connection failed for a reason with a name.
    Connection {
        /// What was being done.
        stage: &'static str,
        /// What went wrong.
        reason: &'static str,
    },
    /// A connection failed by an error of the operating system.
    Io {
        /// What was being done.
        stage: &'static str,
        /// The kind of error.
        kind: io::ErrorKind,
        /// The system's number for it, where there is one.
        os_error: Option<i32>,
    },
    /// A proxy refused to connect.
    Proxy {
        /// The HTTP status of its response.
        status: u16,
    },
    /// There is no Entra token.
    NoToken {
        /// What each source of tokens was asked for, in order, and why it gave none.
        failures: Vec<TokenFailure>,
        /// What an operator can do about it.
        remedy: &'static str,
    },
}

impl Cause {
    /// An error of the operating system.
    pub(super) fn io(stage: &'static str, error: &io::Error) -> Self {
        Self::Io {
            stage,
            kind: error.kind(),
            os_error: error.raw_os_error(),
        }
    }

    /// Whether this process is the one that failed: neither it nor the machine has a descriptor for
    /// another connection.
    pub(super) fn is_out_of_descriptors(&self) -> bool {
        /// ENFILE, EMFILE
        const NUMBERS: [i32; 2] = [23, 24];
        let Self::Io { os_error, .. } = self else {
            return false;
        };
        cfg!(unix) && os_error.is_some_and(|number| NUMBERS.contains(&number))
    }
}

impl From<&'static str> for Cause {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Json { line, column } => {
                write!(f, "invalid JSON at line {line}, column {column}")
            }
            Self::Refused { status, words } => write!(f, "status={status}{words}"),
            Self::InStream(words) => write!(f, "error in the stream{words}"),
            Self::Connection { stage, reason } => write!(f, "{stage}: {reason}"),
            Self::Io {
                stage,
                kind,
                os_error,
            } => match os_error {
                Some(number) => write!(f, "{stage}: {}", io::Error::from_raw_os_error(*number)),
                None => write!(f, "{stage}: {kind}"),
            },
            Self::Proxy { status } => write!(f, "CONNECT through the proxy: status={status}"),
            Self::NoToken { failures, remedy } => {
                f.write_str("no Entra token: ")?;
                for (at, failure) in failures.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", and " };
                    write!(f, "{comma}{failure}")?;
                }
                write!(f, ": {remedy}")
            }
        }
    }
}

/// What an error object says, reduced to known words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorWords {
    /// `code`
    pub code: Word,
    /// `type`
    pub kind: Word,
    /// `innererror.code`
    pub inner: Word,
    /// `param`
    pub param: Word,
}

/// ` code=… type=…`, each only where upstream gave one.
impl fmt::Display for ErrorWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, word) in [
            ("code", self.code),
            ("type", self.kind),
            ("inner", self.inner),
            ("param", self.param),
        ] {
            if !word.is_absent() {
                write!(f, " {name}={word}")?;
            }
        }
        Ok(())
    }
}

/// Why one source gave no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFailure {
    /// The source.
    pub source: &'static str,
    /// The reason.
    pub reason: TokenReason,
}

impl fmt::Display for TokenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, reason } = self;
        write!(f, "{source} failed ({reason})")
    }
}

/// Why a source gave no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenReason {
    /// It responded with another status than 200.
    Refused {
        /// The HTTP status.
        status: u16,
        /// OAuth's error code.
        error: Word,
        /// Entra's number for the error, `AADSTS…`, to look up in its documentation.
        aadsts: Option<u32>,
        /// What that number means, for the ones that are met most.
        meaning: Option<&'static str>,
    },
    /// It gave none in this time; what the last request came to, if there was one.
    TimedOut(Duration, Option<Box<TokenReason>>),
    /// The connection to it failed.
    Connection {
        /// Why.
        cause: Box<Cause>,
        /// What an operator can do about the network, if that is the problem.
        remedy: Option<&'static str>,
    },
    /// Something else, in this program's words.
    Text(&'static str),
}

impl fmt::Display for TokenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                status,
                error,
                aadsts,
                meaning,
            } => {
                write!(f, "HTTP {status}")?;
                if !error.is_absent() {
                    write!(f, " {error}")?;
                }
                if let Some(number) = aadsts {
                    write!(f, " AADSTS{number}")?;
                }
                meaning.map_or(Ok(()), |meaning| write!(f, ", {meaning}"))
            }
            Self::TimedOut(limit, last) => {
                write!(f, "no token within {} s", limit.as_secs_f32())?;
                match last {
                    Some(last) => write!(f, "; last: {last}"),
                    None => f.write_str("; no response at all"),
                }
            }
            Self::Connection { cause, .. } => cause.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}
