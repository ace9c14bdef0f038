//! `media/upload`, `media/get`, and what the uploads of apps and robots have in common.

use bytes::Bytes;

use super::Route;
use super::groups::app_of;
use super::multipart;
use crate::wecom::config::Family::Message;
use crate::wecom::errcode;
use crate::wecom::machines::media::{Kind, Uploader};
use crate::wecom::request::{Answer, Caller, Outcome, Refusal, Request};
use crate::wecom::world::World;

pub(super) const ROUTES: &[Route] =
    &[Route::new("media/upload", Message, upload), Route::get("media/get", Message, get)];

fn upload(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    take(world, caller, request, Uploader::App, &[Kind::Image, Kind::Voice, Kind::Video, Kind::File])
}

/// Takes one uploaded file of one of the kinds.
pub(super) fn take(
    world: &mut World,
    caller: &Caller,
    request: &Request,
    by: Uploader,
    kinds: &[Kind],
) -> Outcome {
    let kind = request.param("type").and_then(Kind::named).filter(|kind| kinds.contains(kind));
    let kind = kind.ok_or_else(|| Refusal::code(errcode::BAD_MEDIA_TYPE))?;
    let missing = || Refusal::code(errcode::MEDIA_MISSING);
    let part = multipart::find(&request.content_type, &request.body, "media").ok_or_else(missing)?;
    let name = part.filename.ok_or_else(missing)?;
    let id = world.new_id("3");
    let bytes = Bytes::copy_from_slice(part.bytes);
    world.states.media.put(id.clone(), by, kind, &name, bytes, caller.now_ms)?;
    Ok(Answer::ok()
        .with("type", kind.name())
        .with("media_id", id.clone())
        .with("created_at", caller.now_s().to_string())
        .did(id))
}

fn get(world: &mut World, caller: &Caller, request: &Request) -> Outcome {
    app_of(caller)?;
    let id = request.param("media_id").unwrap_or_default();
    let file = world.states.media.get(id, Uploader::App, caller.now_ms)?;
    let content_type = match file.kind {
        Kind::Image if file.bytes.starts_with(b"\x89PNG") => "image/png",
        Kind::Image => "image/jpeg",
        Kind::Voice => "voice/amr",
        Kind::Video => "video/mp4",
        Kind::File => "application/octet-stream",
    };
    Ok(Answer::bytes(content_type, file.bytes.clone()))
}
