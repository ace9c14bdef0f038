//! Building the double array: a trie of the patterns, and a place in the array for each of its states.
//!
//! States with several children come first and breadth first: those near the root are the ones every text visits.
//! From where a pattern has parted from all others its states stand in a row, so that following it to its end costs
//! one or two cache lines and not one for each class.
//! Invariant: no place is given twice.

use std::ops::Range;

/// No pattern.
pub(super) const NONE: u32 = u32::MAX;

/// A prefix of patterns.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The last class.
    pub(super) class: u16,
    /// The prefix without it.
    pub(super) parent: u32,
    /// The prefixes with one more.
    pub(super) children: Range<usize>,
    /// A pattern that is this prefix, or [`NONE`].
    pub(super) pattern: u32,
    /// Which of the sorted patterns begin with it.
    sorted: Range<usize>,
}

/// All prefixes of the patterns, the empty one first, the shorter ones before the longer.
#[derive(Debug)]
pub(super) struct Trie {
    states: Vec<State>,
    equals: Box<[u32]>,
}

impl Trie {
    /// Builds the trie; a pattern's index is its position.
    pub(super) fn new(patterns: &[Vec<u16>]) -> Self {
        let mut sorted: Vec<u32> = (0..).take(patterns.len()).collect();
        sorted.sort_unstable_by_key(|index| patterns[*index as usize].as_slice());
        let root = State { class: 0, parent: 0, children: 0..0, pattern: NONE, sorted: 0..sorted.len() };
        let mut trie = Self { states: vec![root], equals: vec![NONE; patterns.len()].into_boxed_slice() };
        // Levels, not a depth with each state: the states of one depth stand together.
        let (mut level, mut depth) = (0..1, 0);
        while !level.is_empty() {
            for id in level.clone() {
                trie.grow(id, depth, &sorted, patterns);
            }
            level = level.end..trie.states.len();
            depth += 1;
        }
        trie
    }

    /// Adds the children of one state and notes the patterns that end with it.
    fn grow(&mut self, id: usize, depth: usize, sorted: &[u32], patterns: &[Vec<u16>]) {
        let Range { start: mut from, end } = self.states[id].sorted.clone();
        let class_at = |at: usize| patterns[sorted[at] as usize].get(depth).copied();
        // Whole patterns are sorted before those that go on.
        while from < end && class_at(from).is_none() {
            if depth > 0 {
                self.equals[sorted[from] as usize] = self.states[id].pattern;
                self.states[id].pattern = sorted[from];
            }
            from += 1;
        }
        let first = self.states.len();
        // `Places` refuses more states than fit, long before this.
        let parent = u32::try_from(id).unwrap_or(NONE);
        while from < end {
            let class = class_at(from);
            let to = (from..end).find(|at| class_at(*at) != class).unwrap_or(end);
            let class = class.unwrap_or_default();
            self.states.push(State { class, parent, children: 0..0, pattern: NONE, sorted: from..to });
            from = to;
        }
        self.states[id].children = first..self.states.len();
    }

    /// Returns the states, the root first, parents before children.
    pub(super) fn states(&self) -> &[State] {
        &self.states
    }

    /// Returns, by pattern, another one that is equal to it, or [`NONE`]; following them ends.
    pub(super) fn equals(&self) -> Box<[u32]> {
        self.equals.clone()
    }
}

/// Where each state of a trie stands.
#[derive(Debug)]
pub(super) struct Places {
    /// By state.
    slots: Vec<u32>,
    /// By state: what to add a class to.
    bases: Vec<u32>,
    taken: Taken,
}

impl Places {
    /// Gives every state a place; the root gets the first.
    pub(super) fn find(trie: &Trie) -> Self {
        let count = trie.states().len();
        let mut places = Self { slots: vec![0; count], bases: vec![0; count], taken: Taken::default() };
        places.taken.take(&[0]);
        let mut offsets = Vec::new();
        for (id, state) in trie.states().iter().enumerate().filter(|(_, s)| s.children.len() > 1) {
            let children = trie.states().get(state.children.clone()).unwrap_or_default();
            let first = children.first().map_or(0, |child| child.class);
            offsets.clear();
            offsets.extend(children.iter().map(|child| u32::from(child.class - first)));
            let at = places.taken.take(&offsets);
            for (child, offset) in state.children.clone().zip(&offsets) {
                places.slots[child] = at + offset;
            }
            places.bases[id] = at.wrapping_sub(u32::from(first));
        }
        for (id, state) in trie.states().iter().enumerate() {
            let above = &trie.states()[state.parent as usize];
            if state.children.len() == 1 && (id == 0 || above.children.len() > 1) {
                places.put_in_a_row(trie, id);
            }
        }
        places
    }

    /// Places the descendants of a state down to the first that has not exactly one child.
    fn put_in_a_row(&mut self, trie: &Trie, from: usize) {
        let only_child = |id: &usize| match trie.states()[*id].children.clone() {
            children if children.len() == 1 => Some(children.start),
            _ => None,
        };
        let row: Vec<usize> = std::iter::successors(Some(from), only_child).collect();
        let offsets: Vec<u32> = (0..).take(row.len() - 1).collect();
        let at = self.taken.take(&offsets);
        for ((parent, child), offset) in row.iter().zip(row.iter().skip(1)).zip(offsets) {
            self.slots[*child] = at + offset;
            self.bases[*parent] = (at + offset).wrapping_sub(u32::from(trie.states()[*child].class));
        }
    }

    /// Returns how long the array is.
    pub(super) fn slots(&self) -> usize {
        self.taken.end
    }

    /// Returns the place of a state.
    pub(super) fn slot(&self, state: u32) -> u32 {
        self.slots[state as usize]
    }

    pub(super) fn slot_of(&self, state: usize) -> usize {
        self.slots[state] as usize
    }

    /// Returns what to add a class to, to find the state's child.
    pub(super) fn base_of(&self, state: usize) -> u32 {
        self.bases[state]
    }
}

/// Which places are taken, one bit each.
#[derive(Debug, Default)]
struct Taken {
    words: Vec<u64>,
    /// By the logarithm of how many places are wanted: the word to look from.
    look_from: [usize; 17],
    /// One past the last taken place.
    end: usize,
}

/// So far back from the last success the next search begins: far enough to fill most holes, near enough to end soon.
const LOOK_BACK: usize = 32;

impl Taken {
    /// Takes the first place from which on all of `offsets` (ascending from 0, at least one) are free.
    fn take(&mut self, offsets: &[u32]) -> u32 {
        let size = offsets.len().ilog2() as usize;
        let look_from = self.look_from[size];
        let mut word = look_from;
        // Sixty-four places at once; behind the last word all is free, so this ends.
        let free = loop {
            let taken = |taken, offset: &u32| match taken {
                u64::MAX => u64::MAX,
                _ => taken | self.window(word * 64 + *offset as usize),
            };
            let free = !offsets.iter().fold(0, taken);
            if free != 0 {
                break free;
            }
            word += 1;
        };
        self.look_from[size] = if size == 0 { word } else { look_from.max(word.saturating_sub(LOOK_BACK)) };
        let at = word * 64 + free.trailing_zeros() as usize;
        for offset in offsets {
            self.set(at + *offset as usize);
        }
        // `slots` is checked before anything is read from an array of this length.
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Returns the bits of the sixty-four places from `at` on.
    fn window(&self, at: usize) -> u64 {
        let word = |index: usize| self.words.get(index).copied().unwrap_or(0);
        let shift = at % 64;
        word(at / 64) >> shift | word(at / 64 + 1) << 1 << (63 - shift)
    }

    fn set(&mut self, at: usize) {
        if self.words.len() <= at / 64 {
            self.words.resize(at / 64 + 1, 0);
        }
        self.words[at / 64] |= 1 << (at % 64);
        self.end = self.end.max(at + 1);
    }
}
