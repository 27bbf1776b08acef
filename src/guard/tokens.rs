//! The access tokens of a running server, which can be replaced without a restart.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use log::{info, warn};
use parking_lot::{Mutex, RwLock};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::{task::spawn_blocking, time::sleep};

use super::token::{TokenError, TokenList};

/// The largest file of tokens. Stops a wrong path, such as that of a log, from filling the memory.
const FILE_LIMIT_BYTES: u64 = 1 << 20;
/// How often the file is read. Its time stamps would not do: a mounted secret is replaced as a whole.
const FILE_INTERVAL: Duration = Duration::from_secs(2);

/// Where the tokens are listed.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// In a setting.
    Text(SecretString),
    /// In a file, which may change.
    File(PathBuf),
}

/// Why there are no tokens. No token is quoted.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file cannot be read.
    #[error("cannot be read ({0})")]
    Unreadable(io::Error),
    /// The list is malformed.
    #[error("is invalid: {0}")]
    Invalid(#[from] TokenError),
}

/// The tokens that are valid at the moment.
#[derive(Debug)]
pub struct AccessTokens {
    source: TokenSource,
    current: RwLock<Arc<TokenList>>,
    /// What was read last, by its digest; `None` if that failed.
    seen: Mutex<Option<[u8; 32]>>,
}

impl AccessTokens {
    /// Reads the tokens.
    ///
    /// # Errors
    ///
    /// [`TokensError`] if there are none.
    pub fn read(source: TokenSource) -> Result<Self, TokensError> {
        let text = source.text().map_err(TokensError::Unreadable)?;
        let list = TokenList::parse(&text)?;
        Ok(Self {
            source,
            current: RwLock::new(Arc::new(list)),
            seen: Mutex::new(Some(digest(&text))),
        })
    }

    /// The list that is valid at the moment.
    pub(super) fn current(&self) -> Arc<TokenList> {
        Arc::clone(&self.current.read())
    }

    /// Reads the tokens again. If they cannot be read or are invalid, those that were valid before stay
    /// valid, and the log says so once.
    pub fn reload(&self) {
        let read = self.source.text();
        let digest = read.as_ref().ok().map(digest);
        if std::mem::replace(&mut *self.seen.lock(), digest) == digest {
            return;
        }
        let parsed = read
            .map_err(TokensError::Unreadable)
            .and_then(|text| Ok(TokenList::parse(&text)?));
        match parsed {
            Ok(list) => {
                info!(tokens = list.len(); "access tokens reloaded");
                *self.current.write() = Arc::new(list);
            }
            Err(error) => {
                let cause = error.to_string();
                warn!(cause = cause.as_str(); "ACCESS_TOKENS_FILE is not usable: the previous tokens stay valid");
            }
        }
    }

    /// Reloads the tokens whenever their file changes, for as long as it is polled.
    pub async fn watch(self: Arc<Self>) {
        if let TokenSource::Text(_) = self.source {
            return std::future::pending().await;
        }
        loop {
            sleep(FILE_INTERVAL).await;
            let this = Arc::clone(&self);
            // On a thread of its own: a network file system may take its time.
            let _ = spawn_blocking(move || this.reload()).await;
        }
    }
}

impl TokenSource {
    fn text(&self) -> io::Result<SecretString> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => text_of(path),
        }
    }
}

fn text_of(path: &Path) -> io::Result<SecretString> {
    // Opening a pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    let read = File::open(path)?
        .take(FILE_LIMIT_BYTES + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_LIMIT_BYTES {
        let limit = FILE_LIMIT_BYTES >> 20;
        return Err(io::Error::other(format!("it is larger than {limit} MiB")));
    }
    Ok(text.into())
}

fn digest(text: &SecretString) -> [u8; 32] {
    Sha256::digest(text.expose_secret()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "ann-0123456789abcdef";
    const NEW: &str = "new-0123456789abcdef";

    /// A file that is removed in the end.
    struct Listed(PathBuf);

    impl Listed {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("tokens-{name}-{}", std::process::id());
            let file = Self(std::env::temp_dir().join(name));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.0, text).unwrap();
        }

        fn read(&self) -> Result<AccessTokens, TokensError> {
            AccessTokens::read(TokenSource::File(self.0.clone()))
        }
    }

    impl Drop for Listed {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn knows(tokens: &AccessTokens, sent: &str) -> bool {
        tokens.current().find(sent).is_some()
    }

    #[test]
    fn a_reload_replaces_the_tokens_and_a_bad_file_does_not() {
        let file = Listed::new("reload", &format!("ann:{ANN}\n"));
        let tokens = file.read().unwrap();
        assert!(knows(&tokens, ANN));
        file.write(&format!("ann:{NEW}\n"));
        assert!(knows(&tokens, ANN), "not before it is read");
        tokens.reload();
        assert!(knows(&tokens, NEW) && !knows(&tokens, ANN));
        for bad in ["", "ann", "ann:short"] {
            file.write(bad);
            tokens.reload();
            assert!(knows(&tokens, NEW), "for {bad}");
        }
        std::fs::remove_file(&file.0).unwrap();
        tokens.reload();
        assert!(knows(&tokens, NEW));
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_read_without_being_asked() {
        let file = Listed::new("watch", &format!("ann:{ANN}\n"));
        let tokens = Arc::new(file.read().unwrap());
        let watch = tokio::spawn(Arc::clone(&tokens).watch());
        file.write(&format!("ann:{NEW}\n"));
        while !knows(&tokens, NEW) {
            sleep(FILE_INTERVAL).await;
        }
        watch.abort();
    }

    #[test]
    fn what_is_no_file_of_tokens_is_refused_with_the_cause() {
        let large = "x".repeat(usize::try_from(FILE_LIMIT_BYTES).unwrap() + 1);
        let file = Listed::new("large", &large);
        let error = file.read().unwrap_err().to_string();
        assert_eq!(error, "cannot be read (it is larger than 1 MiB)");
        let folder = TokenSource::File(std::env::temp_dir());
        let error = AccessTokens::read(folder).unwrap_err().to_string();
        assert_eq!(error, "cannot be read (it is not a file)");
        file.write("ann");
        let error = file.read().unwrap_err().to_string();
        assert!(
            error.starts_with("is invalid: entry 1 must be NAME:TOKEN"),
            "{error}"
        );
    }
}
