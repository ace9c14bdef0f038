//! Which questions ask the same, by their sketches alone.

use crate::near::{Index, LANES, Sketch};

/// Lanes in which two questions must agree: about two fifths of their pairs of characters are the same.
const LANES_MIN: usize = LANES * 7 / 16;

/// Groups questions; each joins the cluster whose first question it is nearest to, or begins one. Returns the places in
/// `sketches` of each cluster, the largest cluster first, of equal ones the earlier.
///
/// Compared with the first of a cluster only: else one question after another would drift away from what was asked.
pub fn clusters<'a>(sketches: impl Iterator<Item = &'a Sketch>) -> Vec<Vec<usize>> {
    let mut index: Index<usize, 1> = Index::default();
    let mut clusters: Vec<Vec<usize>> = Vec::new();
    for (place, sketch) in sketches.enumerate() {
        let near: Option<usize> = index.nearest(sketch, LANES_MIN);
        if let Some(cluster) = near.and_then(|near| clusters.get_mut(near)) {
            cluster.push(place);
        } else {
            index.insert(sketch, clusters.len());
            clusters.push(vec![place]);
        }
    }
    clusters.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    clusters
}
