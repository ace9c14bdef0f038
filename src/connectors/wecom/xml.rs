//! Reads the flat XML of callbacks without building a tree: element by element, borrowed from the text where possible.
//!
//! Accepts CDATA and plain text, any order, unknown elements. A document type is refused, so there is nothing that could be
//! expanded; of entities only the five of XML itself and characters by number are known. Depth and number of elements are
//! bounded; how long the text may be, whoever reads it from the network bounds.

use std::borrow::Cow;
use std::ops::ControlFlow;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

/// Deepest nesting; callbacks have three levels.
const DEPTH_MAX: usize = 8;
/// Most elements of one document: the list of a group's changed members, many times over.
const ELEMENTS_MAX: usize = 20_000;

/// Why a text is not the XML of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotXml;

/// Reads `text` and gives the contents of each element below the root that `known` knows to `take`, with the element
/// around it if that is known, too; both by what `known` made of their names. Ends early when `take` breaks.
///
/// # Errors
/// When it is not well formed as far as it was read, or breaks a bound.
pub(super) fn read<'x, N: Copy>(
    text: &'x str,
    known: impl Fn(&str) -> Option<N>,
    mut take: impl FnMut(Option<N>, N, Cow<'x, str>) -> ControlFlow<()>,
) -> Result<(), NotXml> {
    let mut reader = Reader::from_str(text);
    // The names of the open elements; `None` for the root and what is not known.
    let mut open = [None::<N>; DEPTH_MAX];
    let (mut depth, mut elements) = (0_usize, 0_usize);
    let mut value = Cow::Borrowed("");
    loop {
        match reader.read_event().map_err(|_| NotXml)? {
            Event::Start(start) => {
                elements += 1;
                if elements > ELEMENTS_MAX {
                    return Err(NotXml);
                }
                *open.get_mut(depth).ok_or(NotXml)? =
                    if depth == 0 { None } else { known(start.name().as_ref()) };
                depth += 1;
                value = Cow::Borrowed("");
            }
            Event::End(_) => {
                depth = depth.checked_sub(1).ok_or(NotXml)?;
                let around = depth.checked_sub(1).and_then(|above| open.get(above).copied().flatten());
                if let Some(name) = open.get(depth).copied().flatten()
                    && take(around, name, std::mem::take(&mut value)).is_break()
                {
                    return Ok(());
                }
                value = Cow::Borrowed("");
                if depth == 0 {
                    return Ok(());
                }
            }
            Event::Text(part) => append(&mut value, part.into_inner()),
            Event::CData(part) => append(&mut value, part.into_inner()),
            Event::GeneralRef(reference) => {
                let by_number = reference.resolve_char_ref().map_err(|_| NotXml)?;
                match by_number {
                    Some(character) => append(&mut value, Cow::Owned(character.to_string())),
                    None => append(
                        &mut value,
                        Cow::Borrowed(resolve_xml_entity(&reference.into_inner()).ok_or(NotXml)?),
                    ),
                }
            }
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::DocType(_) | Event::Eof => return Err(NotXml),
        }
    }
}

fn append<'x>(value: &mut Cow<'x, str>, part: Cow<'x, str>) {
    if value.is_empty() {
        *value = part;
    } else if !part.is_empty() {
        value.to_mut().push_str(&part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Vec<String>, NotXml> {
        let mut found = Vec::new();
        let known = |name: &str| ["a", "b", "item"].iter().position(|known| *known == name);
        read(text, known, |around, name, value| {
            found.push(format!(
                "{}{name}={value}",
                around.map_or(String::new(), |around| format!("{around}/"))
            ));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    #[test]
    fn text_and_cdata_in_any_order_with_unknown_elements_between() {
        let check = |text: &str, expect: &[&str]| assert_eq!(all(text).unwrap(), expect, "{text}");
        check("<xml><a>1</a><b><![CDATA[2<&>]]></b></xml>", &["0=1", "1=2<&>"]);
        check("<?xml version=\"1.0\"?>\n<xml>\n <x><y>9</y></x>\n <b>2</b><!-- c --> <a/>\n</xml>", &["1=2"]);
        check("<xml><a>1&amp;2&#x4f60;&#65;<![CDATA[3]]></a></xml>", &["0=1&2你A3"]);
        check("<xml><b><item>m1</item><item>m2</item></b></xml>", &["1/2=m1", "1/2=m2", "1="]);
        check("<xml><item></item></xml> trailing", &["2="]);
    }

    #[test]
    fn what_could_be_expanded_or_does_not_end_is_refused() {
        for text in [
            "",
            "plain",
            "<xml>",
            "<xml><a>1</b></xml>",
            "<xml><a>&lol;</a></xml>",
            "<xml><a>&#xFFFFFFFF;</a></xml>",
            "<!DOCTYPE xml [<!ENTITY lol \"lol\">]><xml><a>1</a></xml>",
            "<xml><a><a><a><a><a><a><a><a>1</a></a></a></a></a></a></a></a></xml>",
        ] {
            assert_eq!(all(text), Err(NotXml), "{text}");
        }
        let many = format!("<xml>{}</xml>", "<a>1</a>".repeat(ELEMENTS_MAX));
        assert_eq!(all(&many), Err(NotXml));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}|(<|/|>|xml|a|\\[CDATA\\[|!|\\]\\]|&|;|#|x){0,60}") {
            _ = all(&text); // that it returns is the point
        }
    }
}
