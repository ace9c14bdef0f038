//! An Aho–Corasick automaton over class codes in a double array: one step is one load of eight bytes.
//!
//! The state after `class` can only be at `base + class`; it is there if that node's owner is the state before. Where
//! states go (`build.rs`) is what makes it fast: the memory a text touches decides, not the instructions.
//! Not for: streams that go on from one text to the next.
//! Invariant: of two nodes with one owner, none is a child of another state; so no class, listed or not, can lead
//! astray, and a class that leads out of the array leads nowhere.

use thiserror::Error;

use super::build::{NONE, Places, Trie};
use super::{ExactStage, Found};

/// The root's place.
const ROOT: u32 = 0;

/// Bits of [`Node::owner`] that name a state: 4 GiB of nodes.
const OWNER: u32 = (1 << 29) - 1;
/// A pattern ends here, as the whole or as a suffix of what was read.
const ENDS: u32 = 1 << 31;
/// Nothing goes on from here, so `base` is free to hold the pattern that ends.
const LEAF: u32 = 1 << 30;

/// The patterns need more states than can be numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the terms need more than {OWNER} states; use fewer or shorter ones")]
pub struct TooManyStates;

/// A place of the array.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where the children are, less their classes; may wrap around.
    base: u32,
    /// The parent's place, and flags. A free place has the owner [`OWNER`], which no state has.
    owner: u32,
}

const FREE: Node = Node { base: 0, owner: OWNER };

/// The automaton.
#[derive(Debug)]
pub(in crate::interception) struct DoubleArray {
    nodes: Box<[Node]>,
    /// By place: the state of the longest proper suffix.
    fails: Box<[u32]>,
    /// States with children where a pattern ends, ascending, and the longest such pattern.
    inner: Box<[(u32, u32)]>,
    /// By pattern: the next shorter pattern that ends wherever it does, or [`NONE`].
    shorter: Box<[u32]>,
    /// By pattern: how many classes it has.
    lengths: Box<[u16]>,
}

impl DoubleArray {
    /// Builds the automaton; a pattern's index is its position. An empty pattern is never found.
    ///
    /// # Errors
    /// When the patterns need more states than can be numbered.
    pub(in crate::interception) fn new(patterns: &[Vec<u16>]) -> Result<Self, TooManyStates> {
        let trie = Trie::new(patterns);
        let places = Places::find(&trie);
        if places.slots() >= OWNER as usize {
            return Err(TooManyStates);
        }
        let mut nodes = vec![FREE; places.slots()].into_boxed_slice();
        for (id, state) in trie.states().iter().enumerate() {
            let owner = if id == 0 { OWNER } else { places.slot(state.parent) };
            nodes[places.slot_of(id)] = Node { base: places.base_of(id), owner };
        }
        let mut automaton = Self {
            fails: vec![ROOT; nodes.len()].into_boxed_slice(),
            nodes,
            inner: Box::default(),
            shorter: trie.equals(),
            lengths: patterns.iter().map(|p| u16::try_from(p.len()).unwrap_or(u16::MAX)).collect(),
        };
        automaton.link(&trie, &places);
        Ok(automaton)
    }

    /// Finds each state's longest proper suffix and the patterns that end with it: parents before children, so that
    /// what is shorter is known.
    fn link(&mut self, trie: &Trie, places: &Places) {
        let mut inner = Vec::new();
        // By place: the longest pattern that ends here.
        let mut longest = vec![NONE; self.nodes.len()];
        for (id, state) in trie.states().iter().enumerate().skip(1) {
            let (slot, parent) = (places.slot_of(id), places.slot(state.parent));
            let fail =
                if parent == ROOT { ROOT } else { self.after(self.fails[parent as usize], state.class) };
            self.fails[slot] = fail;
            let suffix = longest[fail as usize];
            let ends = match state.pattern {
                NONE => suffix,
                first => {
                    self.append(first, suffix);
                    first
                }
            };
            if ends == NONE {
                continue;
            }
            longest[slot] = ends;
            self.nodes[slot].owner |= ENDS;
            if state.children.is_empty() {
                self.nodes[slot].owner |= LEAF;
                self.nodes[slot].base = ends;
            } else {
                inner.push((places.slot(u32::try_from(id).unwrap_or(NONE)), ends));
            }
        }
        inner.sort_unstable();
        self.inner = inner.into_boxed_slice();
    }

    /// Puts `suffix` behind `pattern` and the patterns equal to it.
    fn append(&mut self, pattern: u32, suffix: u32) {
        let mut last = pattern as usize;
        while self.shorter[last] != NONE {
            last = self.shorter[last] as usize;
        }
        self.shorter[last] = suffix;
    }

    /// Returns the state after `state` reads `class`.
    fn after(&self, mut state: u32, class: u16) -> u32 {
        loop {
            match self.child(state, self.nodes[state as usize].base, class) {
                Some((child, _)) => return child,
                None if state == ROOT => return ROOT,
                None => state = self.fails[state as usize],
            }
        }
    }

    #[inline]
    fn child(&self, state: u32, base: u32, class: u16) -> Option<(u32, Node)> {
        let at = base.wrapping_add(u32::from(class));
        let node = *self.nodes.get(at as usize)?;
        (node.owner & OWNER == state).then_some((at, node))
    }

    /// Tells every occurrence of every pattern, in order of their ends.
    pub(super) fn each(&self, classes: &[u16], mut tell: impl FnMut(Found)) {
        let base_of = |state: u32| self.nodes.get(state as usize).map_or(0, |node| node.base);
        let (mut state, mut base) = (ROOT, base_of(ROOT));
        for (class, end) in classes.iter().zip(1..) {
            loop {
                if let Some((child, node)) = self.child(state, base, *class) {
                    (state, base) = (child, node.base);
                    if node.owner & ENDS != 0 {
                        self.report(state, node, end, &mut tell);
                    }
                    break;
                }
                if state == ROOT {
                    break;
                }
                state = self.fails.get(state as usize).copied().unwrap_or(ROOT);
                base = base_of(state);
            }
        }
    }

    fn report(&self, state: u32, node: Node, end: usize, tell: &mut impl FnMut(Found)) {
        let mut pattern = if node.owner & LEAF != 0 {
            node.base
        } else {
            self.inner.binary_search_by_key(&state, |(state, _)| *state).map_or(NONE, |at| self.inner[at].1)
        };
        while pattern != NONE {
            let index = pattern as usize;
            tell(Found { start: end - usize::from(self.lengths[index]), end, pattern: index });
            pattern = self.shorter[index];
        }
    }
}

impl ExactStage for DoubleArray {
    fn find(&self, classes: &[u16], found: &mut Vec<Found>) {
        found.clear();
        self.each(classes, |one| found.push(one));
    }

    fn memory_bytes(&self) -> usize {
        size_of_val(&*self.nodes)
            + size_of_val(&*self.fails)
            + size_of_val(&*self.inner)
            + size_of_val(&*self.shorter)
            + size_of_val(&*self.lengths)
    }
}
