//! Cuts the input into chunks of whole lines, whatever the lines are like.

use std::io::{self, BufRead, ErrorKind};

use super::LINE_BYTES_MAX;

/// A chunk ends with the line that brings it here.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// Most lines in a chunk: short lines cost more output than input.
const CHUNK_LINES: usize = 4096;

/// Whole lines and where they end.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    first_line: u64,
    data: Vec<u8>,
    /// By line: its end in `data`, and its length in the input when that was too much to keep.
    ends: Vec<(usize, Option<u64>)>,
}

/// One line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'c> {
    /// Its bytes.
    Whole(&'c [u8]),
    /// Longer than [`LINE_BYTES_MAX`]; this long.
    TooLong(u64),
}

impl Line<'_> {
    /// Length in the input, without the line's end.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Line::Whole(bytes) => bytes.len() as u64,
            Line::TooLong(bytes) => bytes,
        }
    }
}

impl Chunk {
    /// Yields the lines with their numbers, from 1 over the whole input.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, Line<'_>)> {
        let mut from = 0;
        (self.first_line..).zip(&self.ends).map(move |(number, (end, too_long))| {
            let bytes = self.data.get(from..*end).unwrap_or_default();
            from = *end;
            (number, too_long.map_or(Line::Whole(bytes), Line::TooLong))
        })
    }
}

/// The input, chunk by chunk.
pub(super) struct Chunks<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Chunks<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 1 }
    }

    /// Fills `chunk` anew; false at the end of the input.
    pub(super) fn read(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        chunk.data.clear();
        chunk.ends.clear();
        chunk.first_line = self.line;
        while chunk.data.len() < CHUNK_BYTES && chunk.ends.len() < CHUNK_LINES && self.read_line(chunk)? {
            self.line += 1;
        }
        Ok(!chunk.ends.is_empty())
    }

    fn read_line(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        let start = chunk.data.len();
        let mut bytes = 0_u64;
        let mut ended = false;
        while !ended {
            let available = match self.input.fill_buf() {
                Ok([]) if bytes == 0 => return Ok(false),
                Ok([]) => break,
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let newline = available.iter().position(|b| *b == b'\n');
            let taken = newline.unwrap_or(available.len());
            // One byte more than allowed is kept, to see that it is more; the rest only passes by.
            let room = (LINE_BYTES_MAX + 1).saturating_sub(chunk.data.len() - start);
            chunk.data.extend_from_slice(&available[..taken.min(room)]);
            bytes += taken as u64;
            ended = newline.is_some();
            let consumed = taken + usize::from(ended);
            // An empty line has no bytes, but it is a line.
            self.input.consume(consumed);
        }
        let too_long = chunk.data.len() - start > LINE_BYTES_MAX;
        if too_long {
            chunk.data.truncate(start);
        } else if chunk.data.get(start..).is_some_and(|line| line.ends_with(b"\r")) {
            chunk.data.pop();
        }
        chunk.ends.push((chunk.data.len(), too_long.then_some(bytes)));
        Ok(true)
    }
}
