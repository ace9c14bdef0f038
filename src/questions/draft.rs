//! What a reply rule would have to match so that it catches questions that are alike.

/// Shorter common stretches would catch ordinary talk, in characters.
const CHARS_MIN: usize = 3;
/// Longest stretch, in characters: enough to tell questions apart, and looking for it stays cheap.
const CHARS_MAX: usize = 40;

/// Returns the longest stretch that stands in every one of these folded gists; `None` where it is too short to be a keyword.
pub fn keyword(gists: &[String]) -> Option<String> {
    let (first, others) = gists.split_first()?;
    let chars: Vec<char> = first.chars().collect();
    for length in (CHARS_MIN..=chars.len().min(CHARS_MAX)).rev() {
        for stretch in chars.windows(length) {
            let stretch: String = stretch.iter().collect();
            if others.iter().all(|other| other.contains(&stretch)) {
                return Some(stretch);
            }
        }
    }
    None
}
