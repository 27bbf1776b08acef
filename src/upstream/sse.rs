//! Server-sent events, decoding side: bytes from upstream in, [`Frame`]s out.
//!
//! Follows the [HTML standard][spec] for every sequence of bytes, with two deliberate differences:
//! lines and frames are bounded, and [`Decoder::finish`] returns a frame that the stream left
//! unfinished, where a browser drops it: some servers omit the last blank line.
//!
//! This module does no I/O, and knows nothing of Azure. It knows only one thing about the data: that
//! a decoder can be told to leave long JSON strings out of a line that is too long.
//!
//! [spec]: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

use std::borrow::Cow;

use memchr::memchr2;

use super::long_strings::LongStrings;

/// The longest line, and the most data in one frame. Stops an upstream that never ends its line from
/// filling the memory. The longest lines measured from Azure have less than 2 KiB.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// One event of the stream, as the standard dispatches it.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event` field, or empty where none was given (the standard's `message`).
    pub event: Cow<'a, str>,
    /// The `data` lines, joined by line feeds. Invalid UTF-8 has become U+FFFD.
    pub data: Cow<'a, str>,
    /// The last event id so far. It outlives its frame.
    pub id: &'a str,
}

/// A line or a frame is longer than [`MAX_FRAME_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line or frame of the event stream is longer than {MAX_FRAME_BYTES} bytes")]
pub struct TooLong;

/// An incremental decoder: takes bytes as they come, split anywhere.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The frame's data so far; a line feed follows each line.
    data: Vec<u8>,
    event: Vec<u8>,
    id: String,
    /// What becomes of a line that is too long.
    long_lines: LongLines,
    /// How much of a leading byte order mark has been seen.
    mark: Mark,
    /// The last byte was a carriage return: a line feed now belongs to the same line end.
    after_cr: bool,
    recognized: bool,
}

/// What becomes of a line that is too long.
#[derive(Debug, Default)]
enum LongLines {
    /// It is an error.
    #[default]
    Refused,
    /// Its long JSON strings are left out: in the line that has begun, once it is too long.
    Shortened(Option<LongStrings>),
}

/// How much of the byte order mark has been seen that may begin a stream.
#[derive(Debug, Default)]
enum Mark {
    #[default]
    Seen0,
    Seen1,
    Seen2,
    Past,
}

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl Decoder {
    /// Makes a decoder that leaves long strings out of JSON that is too long, so that only lines
    /// which are too long without them are errors.
    #[must_use]
    pub fn without_long_strings() -> Self {
        Self {
            long_lines: LongLines::Shortened(None),
            ..Self::default()
        }
    }

    /// Decodes `bytes` and calls `on_frame` for each frame that they complete.
    ///
    /// # Errors
    ///
    /// [`TooLong`]. The decoder cannot be used any more.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut on_frame: impl FnMut(Frame<'_>),
    ) -> Result<(), TooLong> {
        while !matches!(self.mark, Mark::Past) {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            let (seen, next) = match self.mark {
                Mark::Seen0 => (0, Mark::Seen1),
                Mark::Seen1 => (1, Mark::Seen2),
                Mark::Seen2 | Mark::Past => (2, Mark::Past),
            };
            if *first == BYTE_ORDER_MARK[seen] {
                self.mark = next;
                bytes = rest;
            } else {
                self.mark = Mark::Past;
                // It is no byte order mark: its bytes belong to the line.
                self.line.extend_from_slice(&BYTE_ORDER_MARK[..seen]);
            }
        }
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\r', b'\n', bytes) {
            if self.line.is_empty() && end <= MAX_FRAME_BYTES {
                self.take_line(&bytes[..end], &mut on_frame)?;
            } else {
                self.keep(&bytes[..end])?;
                let mut line = std::mem::take(&mut self.line);
                let taken = self.take_line(&line, &mut on_frame);
                line.clear();
                self.line = line;
                if let LongLines::Shortened(shortened) = &mut self.long_lines {
                    *shortened = None;
                }
                taken?;
            }
            let carriage_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if carriage_return {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
        }
        self.keep(bytes)
    }

    /// Ends the stream, and calls `on_frame` for a frame that no blank line follows. Its last line
    /// may be cut anywhere.
    ///
    /// # Errors
    ///
    /// [`TooLong`], if that last line makes the frame too long.
    pub fn finish(&mut self, mut on_frame: impl FnMut(Frame<'_>)) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, &mut on_frame)?;
        }
        self.dispatch(&mut on_frame);
        Ok(())
    }

    /// Whether any line so far belongs to an event stream: a comment or a known field. If none does,
    /// the body is something else, such as the page of a proxy.
    #[must_use]
    pub fn has_recognized(&self) -> bool {
        self.recognized
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), TooLong> {
        let is_too_long = self.line.len() + part.len() > MAX_FRAME_BYTES;
        let strings = match &mut self.long_lines {
            LongLines::Shortened(Some(strings)) => strings,
            LongLines::Shortened(shortened @ None) if is_too_long => {
                let strings = shortened.insert(LongStrings::default());
                let line = std::mem::take(&mut self.line);
                strings.push(&line, &mut self.line);
                strings
            }
            LongLines::Refused if is_too_long => return Err(TooLong),
            LongLines::Refused | LongLines::Shortened(None) => {
                self.line.extend_from_slice(part);
                return Ok(());
            }
        };
        strings.push(part, &mut self.line);
        if strings.settled(&self.line) > MAX_FRAME_BYTES {
            return Err(TooLong);
        }
        Ok(())
    }

    fn take_line(
        &mut self,
        line: &[u8],
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), TooLong> {
        if line.is_empty() {
            self.dispatch(on_frame);
            return Ok(());
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        self.recognized |= matches!(field, b"" | b"data" | b"event" | b"id" | b"retry");
        match field {
            b"data" => {
                if self.data.len() + value.len() >= MAX_FRAME_BYTES {
                    return Err(TooLong);
                }
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => {
                self.event.clear();
                self.event.extend_from_slice(value);
            }
            b"id" if !value.contains(&0) => {
                self.id = String::from_utf8_lossy(value).into_owned();
            }
            // A comment has an empty field name. `retry` concerns clients that reconnect, and a POST
            // cannot be repeated.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, on_frame: &mut impl FnMut(Frame<'_>)) {
        if let Some((_, data)) = self.data.split_last() {
            on_frame(Frame {
                event: String::from_utf8_lossy(&self.event),
                data: String::from_utf8_lossy(data),
                id: &self.id,
            });
        }
        self.data.clear();
        self.event.clear();
    }
}

#[cfg(test)]
mod tests;
