//! What people say: lines of a file, or lines of our own making, with listed terms spliced in where a run asks for them.
//!
//! All text here is made for tests. The generator's lines are ordinary shop-group talk of our own writing, filled with
//! products, prices and times; [`adverts`] are mild and invented.

pub mod adverts;
mod slots;
pub mod talk;

use std::borrow::Cow;
use std::path::Path;

use rand::Rng;
use rand::seq::IndexedRandom;

/// A source of message texts.
#[derive(Debug, Clone)]
pub struct Lines {
    file: Vec<Box<str>>,
    origin: String,
}

impl Lines {
    /// Lines made up on the spot.
    pub fn generated() -> Self {
        Self { file: Vec::new(), origin: "built-in generator (shop-group talk of our own)".to_owned() }
    }

    /// The non-empty lines of a UTF-8 file, in order.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no line.
    pub fn from_file(path: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let file: Vec<Box<str>> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Into::into).collect();
        if file.is_empty() {
            return Err(std::io::Error::other("the file holds no line"));
        }
        let origin = format!("{} ({} lines)", path.display(), file.len());
        Ok(Self { file, origin })
    }

    /// Tells where the lines come from, for the report.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The line of a message: a file is walked in order and from the start again, the generator draws.
    pub fn pick(&self, index: usize, rng: &mut impl Rng) -> Cow<'_, str> {
        match self.file.len() {
            0 => Cow::Owned(talk::ordinary(rng)),
            lines => Cow::Borrowed(&self.file[index % lines]),
        }
    }
}

/// Listed terms to splice into otherwise ordinary lines.
#[derive(Debug, Clone)]
pub struct Lexicon {
    terms: Vec<Box<str>>,
}

impl Lexicon {
    /// Reads `term` or `term<TAB>category`, one a line; `#` starts a comment line.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no term.
    pub fn from_file(path: &Path) -> std::io::Result<Self> {
        let lexicon = Self::parse(&std::fs::read_to_string(path)?);
        if lexicon.terms.is_empty() {
            Err(std::io::Error::other("the file holds no term"))
        } else {
            Ok(lexicon)
        }
    }

    fn parse(text: &str) -> Self {
        let term = |line: &str| line.split('\t').next().unwrap_or_default().trim().to_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(term);
        Self { terms: lines.filter(|term| !term.is_empty()).map(Into::into).collect() }
    }

    /// Puts one term, drawn at random, somewhere into the text, with blanks around it so that Latin terms stay whole.
    pub fn splice(&self, text: &str, rng: &mut impl Rng) -> String {
        let Some(term) = self.terms.choose(rng) else { return text.to_owned() };
        let at = rng.random_range(0..=text.chars().count());
        let mut spliced: String = text.chars().take(at).collect();
        spliced.push(' ');
        spliced.push_str(term);
        spliced.push(' ');
        spliced.extend(text.chars().skip(at));
        spliced
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_same_seed_says_the_same_things() {
        let say = |seed: u64| {
            let mut rng = StdRng::seed_from_u64(seed);
            let lines = Lines::generated();
            (0..200).map(|index| lines.pick(index, &mut rng).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(say(7), say(7));
        assert_ne!(say(7), say(8));
    }

    #[test]
    fn ordinary_talk_is_varied_and_leaves_no_slot_open() {
        let mut rng = StdRng::seed_from_u64(1);
        let lines: HashSet<String> = (0..2_000).map(|_| talk::ordinary(&mut rng)).collect();
        assert!(lines.len() > 800, "only {} different lines", lines.len());
        let open: Vec<_> = lines.iter().filter(|line| line.contains(['{', '}'])).collect();
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn a_spliced_line_holds_the_term_and_the_whole_text() {
        let lexicon = Lexicon::parse("# note\n加微信\tcontact\n\nabc\n");
        assert_eq!(lexicon.terms.len(), 2);
        let mut rng = StdRng::seed_from_u64(3);
        for _ in 0..50 {
            let line = lexicon.splice("今天的草莓真甜", &mut rng);
            assert!(lexicon.terms.iter().any(|term| line.contains(&**term)), "{line}");
            let rest: String = line.replace(" 加微信 ", "").replace(" abc ", "");
            assert_eq!(rest, "今天的草莓真甜");
        }
    }
}
