//! Reads a request's body: bounded in bytes and time, gzip undone under a cap of its own.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Config;
use super::reply::Refusal;

/// A body in memory, and its share of the memory that all bodies may take.
#[derive(Debug)]
pub struct Held<'a> {
    /// The bytes, decoded.
    pub bytes: Bytes,
    /// Given back when the request is answered.
    pub permit: SemaphorePermit<'a>,
}

/// Reads a body into memory. Cancel safe: a dropped read gives its memory back.
///
/// # Errors
/// 413 above a cap, 408 when the client is too slow, 415 for an unknown encoding, 503 when memory is short.
pub async fn read<'a>(
    headers: &HeaderMap,
    body: Incoming,
    memory: &'a Semaphore,
    config: &Config,
) -> Result<Held<'a>, Refusal> {
    let gzip = encoding(headers)?;
    let announced = body.size_hint().exact().and_then(|n| usize::try_from(n).ok());
    if announced.is_some_and(|bytes| bytes > config.body_bytes_max) {
        return Err(Refusal::too_large("body_too_large", "body", config.body_bytes_max));
    }
    // Charged before the first byte is read: a chunked body of unknown length costs the most it may become.
    let charge = if gzip { config.decoded_bytes_max } else { announced.unwrap_or(config.body_bytes_max) };
    let charge = u32::try_from(charge).unwrap_or(u32::MAX);
    let permit = memory.try_acquire_many(charge).map_err(|_| Refusal::overloaded("request bodies"))?;
    let raw = match tokio::time::timeout(config.body_timeout, collect(body, announced, config)).await {
        Ok(raw) => raw?,
        Err(_) => return Err(Refusal::slow()),
    };
    let bytes = if gzip { gunzip(&raw, config.decoded_bytes_max)? } else { raw };
    Ok(Held { bytes, permit })
}

fn encoding(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(http::HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"gzip") => Ok(true),
        Some(_) => Err(Refusal::encoding()),
    }
}

async fn collect(mut body: Incoming, announced: Option<usize>, config: &Config) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::aborted())?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > config.body_bytes_max {
            return Err(Refusal::too_large("body_too_large", "body", config.body_bytes_max));
        }
        if whole.is_empty() && Some(data.len()) == announced {
            return Ok(data); // came in one piece: no copy
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn gunzip(raw: &[u8], bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut out = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let read = GzDecoder::new(raw).take(limit).read_to_end(&mut out);
    if out.len() > bytes_max {
        return Err(Refusal::too_large("decoded_too_large", "decoded body", bytes_max));
    }
    match read {
        Ok(_) => Ok(out.into()),
        Err(_) => Err(Refusal::gzip()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_small_bomb_is_stopped_at_the_cap() {
        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < 10_000);
        assert_eq!(gunzip(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(gunzip(&bomb, (1 << 20) - 1).unwrap_err().code, "decoded_too_large");
    }

    #[test]
    fn a_cut_or_false_stream_is_refused() {
        let whole = gzip(b"hello");
        assert_eq!(gunzip(&whole[..whole.len() - 9], 100).unwrap_err().code, "gzip");
        assert_eq!(gunzip(b"hello", 100).unwrap_err().code, "gzip");
    }
}
