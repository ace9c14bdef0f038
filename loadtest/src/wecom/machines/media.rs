//! Uploaded files: what may be uploaded, and for how long its id is good.
//!
//! Ids of apps and of robots are apart: a robot's file is only for the corp's robots.
//! What is kept is bounded by [`BYTES_MAX`]; past that the oldest files go, as if their three days were over.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::wecom::errcode;
use crate::wecom::request::Refusal;

/// Bytes kept at once over all files.
pub const BYTES_MAX: usize = 256 << 20;
/// How long an id is good: three days.
pub const LIFE_MS: u64 = 3 * 86_400_000;
const MIB: usize = 1 << 20;
/// A minute of AMR, at 20 ms a frame.
const AMR_FRAMES_MAX: usize = 3_000;
const AMR_HEADER: &[u8] = b"#!AMR\n";

/// Who uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploader {
    /// An app, by `media/upload`.
    App,
    /// A group robot, by `webhook/upload_media`.
    Robot,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JPG or PNG.
    Image,
    /// AMR.
    Voice,
    /// MP4.
    Video,
    /// Anything.
    File,
}

impl Kind {
    /// By the name that calls use.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "image" => Some(Self::Image),
            "voice" => Some(Self::Voice),
            "video" => Some(Self::Video),
            "file" => Some(Self::File),
            _ => None,
        }
    }

    /// The name that calls use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::File => "file",
        }
    }

    fn bytes_max(self) -> usize {
        match self {
            Self::Image | Self::Video => 10 * MIB,
            Self::Voice => 2 * MIB,
            Self::File => 20 * MIB,
        }
    }

    fn too_large(self, by: Uploader) -> i64 {
        match (by, self) {
            (Uploader::Robot, _) | (Uploader::App, Self::Voice) => errcode::MEDIA_TOO_LARGE,
            (Uploader::App, Self::Image) => errcode::BAD_IMAGE_SIZE,
            (Uploader::App, Self::Video) => errcode::BAD_VIDEO_SIZE,
            (Uploader::App, Self::File) => errcode::BAD_FILE_SIZE,
        }
    }

    fn looks_right(self, bytes: &[u8]) -> bool {
        match self {
            Self::Image => is_image(bytes),
            Self::Voice => bytes.strip_prefix(AMR_HEADER).is_some_and(|frames| amr_frames(frames).is_some()),
            Self::Video => bytes.get(4..8) == Some(b"ftyp"),
            Self::File => true,
        }
    }
}

/// Whether bytes begin like a JPG or a PNG.
pub(super) fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(&[0xff, 0xd8, 0xff])
}

/// Counts the frames of narrow-band AMR; none when they are no such frames.
fn amr_frames(mut frames: &[u8]) -> Option<usize> {
    /// Bytes behind the head of a frame, by its type.
    const SIZES: [usize; 16] = [12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0];
    let mut count = 0;
    while let Some((&head, rest)) = frames.split_first() {
        frames = rest.get(SIZES[usize::from(head >> 3 & 0x0f)]..)?;
        count += 1;
    }
    Some(count)
}

/// One file.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Who uploaded it.
    pub by: Uploader,
    /// As what.
    pub kind: Kind,
    /// Under what name.
    pub name: String,
    /// When.
    pub at_ms: u64,
    /// What it holds.
    pub bytes: Bytes,
}

/// All files.
#[derive(Debug, Default)]
pub struct Media {
    files: HashMap<String, Upload>,
    /// Ids, oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

impl Media {
    /// Takes an upload under an id.
    ///
    /// # Errors
    /// 44001 for nothing or next to nothing, 40006, 40009, 40011, 45001 for too much, 40005 for another format, and for
    /// voices of more than a minute.
    pub fn put(
        &mut self,
        id: String,
        by: Uploader,
        kind: Kind,
        name: &str,
        bytes: Bytes,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        // An app's file has more than five bytes, a robot's five at least.
        let least = match by {
            Uploader::App => 6,
            Uploader::Robot => 5,
        };
        if bytes.len() < least {
            return Err(Refusal::code(errcode::EMPTY_MEDIA));
        }
        if bytes.len() > kind.bytes_max() {
            return Err(Refusal::code(kind.too_large(by)));
        }
        if !kind.looks_right(&bytes) {
            return Err(Refusal::code(errcode::BAD_FILE_TYPE));
        }
        if kind == Kind::Voice
            && amr_frames(bytes.get(AMR_HEADER.len()..).unwrap_or_default()) > Some(AMR_FRAMES_MAX)
        {
            return Err(Refusal::new(errcode::MEDIA_TOO_LARGE, "voice longer than 60s"));
        }
        self.bytes += bytes.len();
        self.order.push_back(id.clone());
        self.files.insert(id, Upload { by, kind, name: name.to_owned(), at_ms: now_ms, bytes });
        self.forget(now_ms);
        Ok(())
    }

    fn forget(&mut self, now_ms: u64) {
        while let Some(id) = self.order.front() {
            let is_over = self.files.get(id).is_none_or(|file| now_ms >= file.at_ms + LIFE_MS);
            if !is_over && self.bytes <= BYTES_MAX {
                return;
            }
            if let Some(file) = self.files.remove(id) {
                self.bytes -= file.bytes.len();
            }
            self.order.pop_front();
        }
    }

    /// A file that is still there.
    ///
    /// # Errors
    /// 41006 without an id, 40007 for unknown and old ones and those of the other kind of uploader.
    pub fn get(&self, id: &str, by: Uploader, now_ms: u64) -> Result<&Upload, Refusal> {
        if id.is_empty() {
            return Err(Refusal::code(errcode::MEDIA_ID_MISSING));
        }
        let file = self.files.get(id).filter(|file| file.by == by && now_ms < file.at_ms + LIFE_MS);
        file.ok_or_else(|| Refusal::code(errcode::BAD_MEDIA_ID))
    }

    /// Whether an id may stand in a message as such a kind.
    ///
    /// # Errors
    /// As [`Self::get`], and 40007 for another kind.
    pub fn check(&self, id: &str, by: Uploader, kind: Kind, now_ms: u64) -> Result<(), Refusal> {
        Refusal::unless(self.get(id, by, now_ms)?.kind == kind, errcode::BAD_MEDIA_ID)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::wecom::machines) fn png(length: usize) -> Bytes {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.resize(length, 0);
        bytes.into()
    }

    fn amr(frames: usize) -> Bytes {
        let mut bytes = AMR_HEADER.to_vec();
        // Type 0: a head and twelve bytes.
        bytes.resize(AMR_HEADER.len() + 13 * frames, 0);
        bytes.into()
    }

    fn mp4(length: usize) -> Bytes {
        let mut bytes = b"\0\0\0\x18ftypisom".to_vec();
        bytes.resize(length, 0);
        bytes.into()
    }

    fn put(by: Uploader, kind: Kind, bytes: Bytes) -> i64 {
        let taken = Media::default().put("M".to_owned(), by, kind, "f", bytes, 0);
        taken.map_or_else(|refusal| refusal.errcode, |()| 0)
    }

    #[test]
    fn each_kind_has_its_size_and_format() {
        let plain = |length| Bytes::from(vec![b'x'; length]);
        for (by, kind, bytes, code) in [
            (Uploader::App, Kind::Image, png(10 * MIB), 0),
            (Uploader::App, Kind::Image, png(10 * MIB + 1), 40_009),
            (Uploader::App, Kind::Image, plain(100), 40_005),
            (Uploader::App, Kind::Voice, amr(3_000), 0),
            (Uploader::App, Kind::Voice, amr(3_001), 45_001),
            (Uploader::App, Kind::Voice, plain(100), 40_005),
            (Uploader::App, Kind::Voice, plain(2 * MIB + 1), 45_001),
            (Uploader::App, Kind::Video, mp4(10 * MIB), 0),
            (Uploader::App, Kind::Video, mp4(10 * MIB + 1), 40_011),
            (Uploader::App, Kind::Video, plain(100), 40_005),
            (Uploader::App, Kind::File, plain(6), 0),
            (Uploader::App, Kind::File, plain(5), 44_001),
            (Uploader::App, Kind::File, plain(20 * MIB), 0),
            (Uploader::App, Kind::File, plain(20 * MIB + 1), 40_006),
            (Uploader::Robot, Kind::File, plain(5), 0),
            (Uploader::Robot, Kind::File, plain(4), 44_001),
            (Uploader::Robot, Kind::File, plain(20 * MIB + 1), 45_001),
            (Uploader::Robot, Kind::Voice, amr(1), 0),
        ] {
            let length = bytes.len();
            assert_eq!(put(by, kind, bytes), code, "{by:?} {kind:?} {length}");
        }
    }

    #[test]
    fn a_broken_last_frame_is_no_voice() {
        let whole = amr(2);
        assert_eq!(put(Uploader::App, Kind::Voice, whole.slice(..whole.len() - 1)), 40_005);
    }

    #[test]
    fn ids_are_good_for_three_days_and_only_for_their_own_kind_of_caller() {
        let mut media = Media::default();
        media.put("M".to_owned(), Uploader::App, Kind::Image, "a.png", png(9), 1_000).expect("an image");
        let code = |media: &Media, id, by, kind, now_ms| {
            media.check(id, by, kind, now_ms).map_or_else(|refusal| refusal.errcode, |()| 0)
        };
        let end = 1_000 + LIFE_MS;
        assert_eq!(code(&media, "M", Uploader::App, Kind::Image, end - 1), 0);
        assert_eq!(code(&media, "M", Uploader::App, Kind::Image, end), 40_007);
        assert_eq!(code(&media, "M", Uploader::App, Kind::File, 1_000), 40_007);
        assert_eq!(code(&media, "M", Uploader::Robot, Kind::Image, 1_000), 40_007);
        assert_eq!(code(&media, "", Uploader::App, Kind::Image, 1_000), 41_006);
    }

    #[test]
    fn the_oldest_files_go_when_there_is_too_much() {
        let mut media = Media::default();
        let file = Bytes::from(vec![0; 20 * MIB]);
        for n in 0..14 {
            media.put(format!("M{n}"), Uploader::App, Kind::File, "f", file.clone(), n).expect("a file");
        }
        assert!(media.bytes <= BYTES_MAX);
        assert!(media.get("M1", Uploader::App, 20).is_err());
        assert!(media.get("M2", Uploader::App, 20).is_ok());
    }
}
