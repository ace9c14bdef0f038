//! Terms by their codes, one step a code; children lie sorted, so that all of them can be gone through too.

use super::sound::Code;

/// A place in the trie; 0 is the root.
pub(super) type Node = u32;

/// Codes below this have a direct way from the root.
const ROOT_CODES: usize = 0x0500;

/// Codes below this are asked for by one bit at the second step.
const SECOND_CODES: usize = 0x0200;

/// Words of those bits for one node.
const SECOND_WORDS: usize = SECOND_CODES / 64;

/// Terms by codes.
#[derive(Debug, Default)]
pub(super) struct Trie {
    /// From the root by code; 0 where there is none.
    root: Vec<Node>,
    /// By node next to the root and code: whether a way leads on. Most do not, and looking for one takes seven guesses.
    seconds: Vec<[u64; SECOND_WORDS]>,
    /// One more than there are.
    nodes: Vec<From>,
    /// Edge `e` leads to node `e + 1`: nodes are numbered in the order in which they are reached.
    codes: Vec<Code>,
    ends: Vec<u32>,
}

/// Where what belongs to a node begins; it ends where the next node's does.
#[derive(Clone, Copy, Debug)]
struct From {
    edges: u32,
    ends: u32,
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
            trie.nodes.push(trie.next_from());
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
        trie.nodes.push(trie.next_from());
        trie.seconds = (0..=trie.edges_of(0).1.len()).map(|node| trie.seconds_of(index(node))).collect();
        trie
    }

    fn seconds_of(&self, node: Node) -> [u64; SECOND_WORDS] {
        let mut bits = [0; SECOND_WORDS];
        for code in self.edges_of(node).1 {
            if let Some(word) = bits.get_mut(usize::from(*code) / 64) {
                *word |= 1 << (code % 64);
            }
        }
        bits
    }

    fn next_from(&self) -> From {
        From { edges: index(self.codes.len()), ends: index(self.ends.len()) }
    }

    /// Returns where a code leads.
    #[inline]
    pub(super) fn child(&self, node: Node, code: Code) -> Option<Node> {
        if node == 0
            && let Some(child) = self.root.get(usize::from(code))
        {
            return (*child != 0).then_some(*child);
        }
        if let Some(bits) = self.seconds.get(node as usize)
            && let Some(word) = bits.get(usize::from(code) / 64)
            && word >> (code % 64) & 1 == 0
        {
            return None;
        }
        let (first, codes) = self.edges_of(node);
        // Most nodes have one.
        let at =
            if let [only] = codes { (*only == code).then_some(0) } else { codes.binary_search(&code).ok() };
        Some(first + index(at?))
    }

    /// Returns all codes that lead on, and where.
    pub(super) fn edges(&self, node: Node) -> impl Iterator<Item = (Code, Node)> + '_ {
        let (first, codes) = self.edges_of(node);
        codes.iter().copied().zip(first..)
    }

    /// Returns the codes that lead on, and where the first of them leads.
    fn edges_of(&self, node: Node) -> (Node, &[Code]) {
        let Some([from, to]) = self.range(node) else { return (0, &[]) };
        let codes = self.codes.get(from.edges as usize..to.edges as usize);
        (from.edges + 1, codes.unwrap_or_default())
    }

    fn range(&self, node: Node) -> Option<[From; 2]> {
        self.nodes.get(node as usize..)?.first_chunk().copied()
    }

    /// Returns what ends here.
    pub(super) fn ends(&self, node: Node) -> &[u32] {
        let Some([from, to]) = self.range(node) else { return &[] };
        self.ends.get(from.ends as usize..to.ends as usize).unwrap_or_default()
    }

    /// Says whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the bytes it occupies.
    pub(super) fn memory_bytes(&self) -> usize {
        let words = self.root.len() + 2 * self.nodes.len() + self.ends.len();
        words * size_of::<u32>() + size_of_val(&*self.seconds) + self.codes.len() * size_of::<Code>()
    }
}

/// Terms are at most 4 million (`check_limits`), and what they spell is bounded with them.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
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
