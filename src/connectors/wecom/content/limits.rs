//! How long and how large WeCom lets things be, surface by surface.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Surface, Unfit, Upload};
use crate::outbox::delivery::Media;

/// How long a text may be, in bytes of UTF-8. It may not be empty either: every surface refuses that (44004).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connectors::wecom) struct Limit(usize);

impl Limit {
    /// Title of a link, a film, a card. WeCom cuts longer ones without a word.
    pub(in crate::connectors::wecom) const TITLE: Self = Self(128);
    /// The words below a title; cut as well.
    pub(in crate::connectors::wecom) const DESCRIPTION: Self = Self(512);
    /// An address.
    pub(in crate::connectors::wecom) const URL: Self = Self(2048);
    /// Title of a mini program's card.
    pub(in crate::connectors::wecom) const CARD_TITLE: Self = Self(64);
    /// Text of a mass send, or of the welcome of a new contact.
    pub(in crate::connectors::wecom) const TASK_TEXT: Self = Self(4000);
    /// Text of a welcome template.
    pub(in crate::connectors::wecom) const TEMPLATE_TEXT: Self = Self(3000);

    /// Checks a text that must be there.
    ///
    /// # Errors
    /// `text_empty` or `text_too_long`, with the field and the limit.
    pub(in crate::connectors::wecom) fn check(self, field: &str, text: &str) -> Result<(), Unfit> {
        if text.is_empty() {
            return Err(Unfit::new("text_empty", format!("`{field}` is empty")));
        }
        if text.len() > self.0 {
            let detail = format!("`{field}` has {} bytes, {} at most", text.len(), self.0);
            return Err(Unfit::new("text_too_long", detail));
        }
        Ok(())
    }
}

impl Surface {
    /// Returns how long a plain text may be.
    pub(in crate::connectors::wecom) const fn text_limit(self) -> Limit {
        match self {
            Surface::Robot | Surface::App | Surface::OwnGroup => Limit(2048),
        }
    }

    /// Returns how long a text with marks may be.
    pub(super) const fn markdown_limit(self) -> Limit {
        match self {
            Surface::Robot => Limit(4096),
            Surface::App | Surface::OwnGroup => Limit(2048),
        }
    }

    /// Returns how large a picture may be.
    pub(super) const fn image_limit(self) -> MediaLimit {
        let bytes_max = match self {
            Surface::Robot => 2 * MIB,
            Surface::App | Surface::OwnGroup => 10 * MIB,
        };
        MediaLimit { kind: "image", bytes_max, formats: &[Format::Jpg, Format::Png] }
    }
}

const MIB: usize = 1024 * 1024;
/// WeCom wants more than five bytes of whatever is uploaded.
const BYTES_MIN: usize = 6;
/// Longest name of a file; what common file systems take.
const NAME_BYTES_MAX: usize = 255;

/// What a file may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::connectors::wecom) struct MediaLimit {
    kind: &'static str,
    bytes_max: usize,
    /// Empty for any.
    formats: &'static [Format],
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Jpg,
    Png,
    Amr,
    Mp4,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Format::Jpg => "JPG",
            Format::Png => "PNG",
            Format::Amr => "AMR",
            Format::Mp4 => "MP4",
        }
    }

    fn is_of(self, bytes: &[u8]) -> bool {
        match self {
            Format::Jpg => bytes.starts_with(&[0xff, 0xd8, 0xff]),
            Format::Png => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
            Format::Amr => bytes.starts_with(b"#!AMR"),
            Format::Mp4 => bytes.get(4..8) == Some(b"ftyp".as_slice()),
        }
    }
}

impl MediaLimit {
    /// A recording: also at most 60 seconds, which WeCom itself checks.
    pub(in crate::connectors::wecom) const fn voice() -> Self {
        Self { kind: "voice", bytes_max: 2 * MIB, formats: &[Format::Amr] }
    }

    /// A film.
    pub(in crate::connectors::wecom) const fn video() -> Self {
        Self { kind: "video", bytes_max: 10 * MIB, formats: &[Format::Mp4] }
    }

    /// Any file.
    pub(in crate::connectors::wecom) const fn file() -> Self {
        Self { kind: "file", bytes_max: 20 * MIB, formats: &[] }
    }

    /// A picture with what goes to customers.
    pub(in crate::connectors::wecom) const fn image() -> Self {
        Surface::App.image_limit()
    }

    /// What the platform calls it.
    pub(in crate::connectors::wecom) const fn kind(self) -> &'static str {
        self.kind
    }

    /// How large it may be.
    pub(in crate::connectors::wecom) const fn bytes_max(self) -> usize {
        self.bytes_max
    }

    /// Decodes and checks a file.
    ///
    /// # Errors
    /// `media_name`, `media_base64`, `media_size` or `media_format`, with the field and the limit.
    pub(super) fn check(self, field: &str, media: &Media) -> Result<Upload, Unfit> {
        let bytes = STANDARD
            .decode(&media.base64)
            .map_err(|error| Unfit::new("media_base64", format!("`{field}.base64`: {error}")))?;
        self.check_bytes(field, &media.name, Bytes::from(bytes))
    }

    /// Checks a file.
    ///
    /// # Errors
    /// `media_name`, `media_size` or `media_format`, with the field and the limit.
    pub(in crate::connectors::wecom) fn check_bytes(
        self,
        field: &str,
        name: &str,
        bytes: Bytes,
    ) -> Result<Upload, Unfit> {
        check_name(field, name)?;
        if bytes.len() < BYTES_MIN || bytes.len() > self.bytes_max {
            let detail =
                format!("`{field}` has {} bytes, {BYTES_MIN} to {} are taken", bytes.len(), self.bytes_max);
            return Err(Unfit::new("media_size", detail));
        }
        if !self.formats.is_empty() && !self.formats.iter().any(|format| format.is_of(&bytes)) {
            let names: Vec<_> = self.formats.iter().map(|format| format.name()).collect();
            let detail = format!("`{field}` must be {}", names.join(" or "));
            return Err(Unfit::new("media_format", detail));
        }
        Ok(Upload { kind: self.kind, name: name.to_owned(), bytes })
    }
}

/// Checks the name of a file: it stands in a header of the upload.
pub(in crate::connectors::wecom) fn check_name(field: &str, name: &str) -> Result<(), Unfit> {
    let is_bad = |c: char| c.is_control() || matches!(c, '"' | '\\' | '/');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(is_bad) {
        let detail = format!(
            "`{field}.name` must have 1 to {NAME_BYTES_MAX} bytes, without control characters, quotes and slashes"
        );
        return Err(Unfit::new("media_name", detail));
    }
    Ok(())
}
