//! Terms by their codes, one step a code; children lie sorted, so that all of them can be gone through too.

use super::sound::Code;

/// A place in the trie; 0 is the root.
pub(super) type Node = u32;

/// Codes below this have a direct way from the root.
const ROOT_CODES: usize = 0x0500;

/// Terms by codes.
#[derive(Debug, Default)]
pub(super) struct Trie {
    /// From the root by code; 0 where there is none.
    root: Vec<Node>,
    /// Node `n` has the edges from `edges_from[n]` up to `edges_from[n + 1]`.
    edges_from: Vec<u32>,
    codes: Vec<Code>,
    children: Vec<Node>,
    /// Node `n` ends the terms from `ends_from[n]` up to `ends_from[n + 1]`.
    ends_from: Vec<u32>,
    ends: Vec<u32>,
}

impl Trie {
    /// Builds it from spellings in codes and what each stands for.
    pub(super) fn new(mut spellings: Vec<(Vec<Code>, u32)>) -> Self {
        spellings.sort_unstable();
        spellings.dedup();
        let mut trie = Self { root: vec![0; ROOT_CODES], ..Self::default() };
        // Breadth first: each node is a range of spellings that begin alike, `depth` codes long.
        let mut nodes = vec![(0, spellings.len(), 0)];
        let mut next = 0;
        while let Some((from, to, depth)) = nodes.get(next).copied() {
            trie.edges_from.push(index(trie.codes.len()));
            trie.ends_from.push(index(trie.ends.len()));
            let group = spellings.get(from..to).unwrap_or_default();
            let ended = group.iter().take_while(|(codes, _)| codes.len() == depth);
            trie.ends.extend(ended.map(|(_, of)| of));
            let mut at = from + group.iter().take_while(|(codes, _)| codes.len() == depth).count();
            while let Some(code) =
                spellings.get(at).filter(|_| at < to).and_then(|(codes, _)| codes.get(depth))
            {
                let same = |(codes, _): &&(Vec<Code>, u32)| codes.get(depth) == Some(code);
                let end = at + spellings.get(at..to).unwrap_or_default().iter().take_while(same).count();
                let child = index(nodes.len());
                trie.codes.push(*code);
                trie.children.push(child);
                if next == 0
                    && let Some(way) = trie.root.get_mut(usize::from(*code))
                {
                    *way = child;
                }
                nodes.push((at, end, depth + 1));
                at = end;
            }
            next += 1;
        }
        trie.edges_from.push(index(trie.codes.len()));
        trie.ends_from.push(index(trie.ends.len()));
        trie
    }

    /// Returns where a code leads.
    #[inline]
    pub(super) fn child(&self, node: Node, code: Code) -> Option<Node> {
        if node == 0
            && let Some(child) = self.root.get(usize::from(code))
        {
            return (*child != 0).then_some(*child);
        }
        let (codes, children) = self.edges(node);
        let at = codes.binary_search(&code).ok()?;
        children.get(at).copied()
    }

    /// Returns all codes that lead on, and where.
    pub(super) fn edges(&self, node: Node) -> (&[Code], &[Node]) {
        let range = range(&self.edges_from, node);
        (self.codes.get(range.clone()).unwrap_or_default(), self.children.get(range).unwrap_or_default())
    }

    /// Returns what ends here.
    pub(super) fn ends(&self, node: Node) -> &[u32] {
        self.ends.get(range(&self.ends_from, node)).unwrap_or_default()
    }

    /// Says whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the bytes it occupies.
    pub(super) fn memory_bytes(&self) -> usize {
        let words = self.root.len()
            + self.edges_from.len()
            + self.children.len()
            + self.ends_from.len()
            + self.ends.len();
        words * size_of::<u32>() + self.codes.len() * size_of::<Code>()
    }
}

/// Terms are at most 4 million (`check_limits`), and what they spell is bounded with them.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn range(from: &[u32], node: Node) -> std::ops::Range<usize> {
    let at = |index: usize| from.get(index).map_or(0, |at| *at as usize);
    at(node as usize)..at(node as usize + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(trie: &Trie, codes: &[Code]) -> Vec<u32> {
        let end = codes.iter().try_fold(0, |node, code| trie.child(node, *code));
        end.map(|node| trie.ends(node).to_vec()).unwrap_or_default()
    }

    proptest! {
        #[test]
        fn every_spelling_leads_to_what_it_stands_for(
            spellings in prop::collection::vec((prop::collection::vec(prop::sample::select(vec![1_u16, 2, 3, 0x600, 0x7000]), 1..5), 0_u32..20), 0..40),
            other in prop::collection::vec(prop::sample::select(vec![1_u16, 2, 3, 0x600, 0x7000]), 1..5),
        ) {
            let trie = Trie::new(spellings.clone());
            for codes in spellings.iter().map(|(codes, _)| codes).chain([&other]) {
                let mut expect: Vec<u32> =
                    spellings.iter().filter(|(of, _)| of == codes).map(|(_, term)| *term).collect();
                expect.sort_unstable();
                expect.dedup();
                prop_assert_eq!(find(&trie, codes), expect);
            }
        }
    }
}
