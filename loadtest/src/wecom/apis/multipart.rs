//! Just enough of `multipart/form-data` (RFC 7578) to read one uploaded file.

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'b> {
    /// The name the file had.
    pub(super) filename: Option<String>,
    /// What it holds.
    pub(super) bytes: &'b [u8],
}

/// The part of a name; none when there is none or the body is no form.
pub(super) fn find<'b>(content_type: &str, body: &'b [u8], name: &str) -> Option<Part<'b>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may begin the body, without a line before it.
    let first = delimiter.as_bytes().get(2..)?;
    let mut rest = body.get(position(body, first)? + first.len()..)?;
    while let Some(inside) = rest.strip_prefix(b"\r\n") {
        let end = position(inside, delimiter.as_bytes())?;
        let part = inside.get(..end)?;
        rest = inside.get(end + delimiter.len()..)?;
        let head_end = position(part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(part.get(..head_end)?).ok()?;
        let disposition = head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let Some((_, parameters)) = disposition.and_then(|value| value.split_once(';')) else { continue };
        if parameter(parameters, "name").as_deref() == Some(name) {
            let filename = parameter(parameters, "filename").filter(|filename| !filename.is_empty());
            return Some(Part { filename, bytes: part.get(head_end + 4..)? });
        }
    }
    None
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A parameter of a header, quoted or not; quotes may hold semicolons.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut is_quoted = false;
    let parts = text.split(|c: char| {
        is_quoted ^= c == '"';
        c == ';' && !is_quoted
    });
    let mut values = parts.filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    });
    values.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x;y\"";

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (disposition, bytes) in parts {
            body.extend(format!("--x;y\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").bytes());
            body.extend(*bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--x;y--\r\n");
        body
    }

    #[test]
    fn a_file_is_found_among_other_fields() {
        let body = form(&[
            ("name=\"other\"", b"1"),
            ("name=\"media\"; filename=\"a;b.txt\"; filelength=6", b"he\r\nl\x00"),
        ]);
        let part = find(TYPE, &body, "media").expect("a part");
        assert_eq!(part, Part { filename: Some("a;b.txt".to_owned()), bytes: b"he\r\nl\x00" });
        assert_eq!(find(TYPE, &body, "other").expect("a part").filename, None);
        assert_eq!(find(TYPE, &body, "none"), None);
    }

    #[test]
    fn what_is_no_form_has_no_parts() {
        let body = form(&[("name=\"media\"", b"hello")]);
        for (content_type, body) in [
            ("application/json", body.as_slice()),
            ("multipart/form-data", &body),
            ("multipart/form-data; boundary=zzz", &body),
            (TYPE, b""),
            (TYPE, b"--x;y"),
            (TYPE, b"--x;y\r\n"),
            (TYPE, b"--x;y\r\nContent-Disposition: form-data; name=\"media\"\r\n\r\nnever ends"),
            (TYPE, b"--x;y\r\n\xff\xff\r\n\r\nx\r\n--x;y--"),
        ] {
            assert_eq!(find(content_type, body, "media"), None, "{content_type}");
        }
    }
}
