//! Reads the file `.env` of the working directory.
//!
//! The encoding is checked before the content: editors on Windows write a byte order mark, and
//! PowerShell's `>` writes UTF-16. An error names the line and never quotes it, because lines contain
//! keys.

use std::{cell::Cell, io, io::Read, path::Path};

const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";
const UTF_16_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// Why `.env` cannot be used. Displayed in one line with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum DotEnvError {
    /// The file cannot be opened or read.
    #[error(".env cannot be read ({0}): make it a readable file, or remove it")]
    Unreadable(#[from] io::Error),
    /// The file is UTF-16.
    #[error(
        ".env is UTF-16 text, which PowerShell's > writes: save it as UTF-8 (in PowerShell: Set-Content -Encoding utf8, or Out-File -Encoding utf8)"
    )]
    Utf16,
    /// The file is in another encoding than UTF-8.
    #[error(".env is not UTF-8 text at line {line}: save the file as UTF-8")]
    NotUtf8 {
        /// Counted from 1.
        line: usize,
    },
    /// A line is not `NAME=value`.
    #[error(
        ".env has a syntax error at line {line}: write NAME=value, and put a value that contains spaces, # or $ in single quotes"
    )]
    Syntax {
        /// Counted from 1.
        line: usize,
    },
}

/// Reads the variables of a file; there are none if the file does not exist.
///
/// # Errors
///
/// [`DotEnvError`].
pub(super) fn read(file: &Path) -> Result<Vec<(String, String)>, DotEnvError> {
    match std::fs::read(file) {
        Ok(bytes) => parse(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Reads the variables of a file's content.
///
/// # Errors
///
/// [`DotEnvError`], but never [`DotEnvError::Unreadable`].
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, DotEnvError> {
    let text = decode(bytes)?;
    let read = Cell::new(0);
    let lines = LineByLine {
        rest: text.as_bytes(),
        read: &read,
    };
    dotenvy::from_read_iter(lines)
        .map(|pair| pair.map_err(|error| syntax_error(&error, read.get())))
        .collect()
}

fn decode(bytes: &[u8]) -> Result<&str, DotEnvError> {
    let bytes = bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes);
    let marked = UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark));
    if marked || is_unmarked_utf_16(bytes) {
        return Err(DotEnvError::Utf16);
    }
    std::str::from_utf8(bytes).map_err(|error| DotEnvError::NotUtf8 {
        line: 1 + newlines(&bytes[..error.valid_up_to()]),
    })
}

/// In UTF-16, one half of each ASCII character is a zero byte, always the same half. A variable's
/// name is ASCII, so at least one such character is there; no other text holds zero bytes.
fn is_unmarked_utf_16(bytes: &[u8]) -> bool {
    let zeros_at = |half| {
        bytes
            .iter()
            .skip(half)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let (first, second) = (zeros_at(0), zeros_at(1));
    // Half of all characters are enough: values may hold characters of other scripts.
    first.max(second) * 4 >= bytes.len() && first != second
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// `read` is how many lines the parser has taken. The statement that it rejects begins as many
/// lines earlier as it is long: an unclosed quote takes all the lines that follow.
fn syntax_error(error: &dotenvy::Error, read: usize) -> DotEnvError {
    let lines = match error {
        dotenvy::Error::LineParse(statement, _) => statement.lines().count().max(1),
        _ => 1,
    };
    DotEnvError::Syntax {
        line: (read + 1).saturating_sub(lines).max(1),
    }
}

/// Gives the parser one line at a time, so that the number of lines read is that of the line at
/// which the parser stands. `dotenvy` does not tell it.
struct LineByLine<'a> {
    rest: &'a [u8],
    read: &'a Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.split_inclusive(|byte| *byte == b'\n').next();
        let line = line.unwrap_or_default();
        let count = line.len().min(buffer.len());
        buffer[..count].copy_from_slice(&line[..count]);
        if count > 0 && count == line.len() {
            self.read.set(self.read.get() + 1);
        }
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
        parse(bytes).unwrap()
    }

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn line_of_error(bytes: &[u8]) -> usize {
        match parse(bytes).unwrap_err() {
            DotEnvError::Syntax { line } | DotEnvError::NotUtf8 { line } => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_does_not_exist_has_no_variables() {
        assert!(read(Path::new("no such file")).unwrap().is_empty());
    }

    #[test]
    fn a_directory_is_an_error() {
        let error = read(Path::new("src")).unwrap_err();
        assert!(matches!(error, DotEnvError::Unreadable(_)), "{error:?}");
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_not_part_of_the_text() {
        let expected = [("PORT", "1"), ("HOST", "::1")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(pairs(b"\xEF\xBB\xBFPORT=1\r\nHOST=::1\r\n"), expected);
        assert_eq!(pairs(b"PORT=1\nHOST=::1"), expected);
        assert!(pairs(b"\xEF\xBB\xBF").is_empty());
        assert!(pairs(b"").is_empty());
    }

    #[test]
    fn utf_16_is_named_with_and_without_its_mark() {
        for text in [
            "PORT=1\r\n",
            "\u{feff}PORT=1\n",
            "A=1",
            "SYSTEM_PROMPT='Ты поэт'\n",
        ] {
            for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
                let error = parse(&utf_16(text, bytes)).unwrap_err();
                assert!(matches!(error, DotEnvError::Utf16), "{text:?}: {error:?}");
            }
        }
        let cut = &utf_16("\u{feff}PORT=1", u16::to_le_bytes)[..5];
        assert!(matches!(parse(cut).unwrap_err(), DotEnvError::Utf16));
    }

    #[test]
    fn utf_8_in_any_script_is_not_treated_as_utf_16() {
        assert_eq!(pairs("A='Ты поэт'".as_bytes())[0].1, "Ты поэт");
        assert_eq!(
            pairs("A='あなたは詩人です'".as_bytes())[0].1,
            "あなたは詩人です"
        );
        // A stray zero byte is no reason to call the file UTF-16.
        assert_eq!(pairs(b"A='1\x002'")[0].1, "1\u{0}2");
    }

    #[test]
    fn another_encoding_is_told_by_its_line() {
        assert_eq!(line_of_error(b"PORT=1\n# caf\xE9\n"), 2);
        assert_eq!(line_of_error(b"\xEF\xBB\xBFA='\xFC'"), 1);
    }

    #[test]
    fn a_syntax_error_is_told_by_the_line_on_which_its_statement_begins() {
        assert_eq!(line_of_error(b"two words"), 1);
        assert_eq!(
            line_of_error(b"# A=two words\n\nA='1\n2'\nA=two words\n"),
            5
        );
        // Quoted, the same text is right; the line that is wrong comes later.
        assert_eq!(
            line_of_error(b"A='\nB=two words\n'\r\n\r\nB=two words\r\n"),
            5
        );
        assert_eq!(line_of_error(b"PORT=1\nA='never closed\nB=2\n\n"), 2);
        let long = format!("A={}\nB=two words", "a".repeat(20_000));
        assert_eq!(line_of_error(long.as_bytes()), 2);
    }

    #[test]
    fn no_error_quotes_the_file() {
        for bytes in [&b"KEY=my s3cret"[..], b"KEY='s3cret", b"KEY=s3cret\xFF"] {
            let error = parse(bytes).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
