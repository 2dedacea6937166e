//! Which nodes should hold a bucket: highest random weight, zones apart, load capped.
//!
//! Every node scores every bucket by a hash of its identity and the bucket; the best nodes hold it, in different
//! zones as long as there are such, and none holds more than 110 % of its even share (rounded up). Scores do not
//! depend on who else is there, so a node that comes or goes moves little besides its own share.
//!
//! The result is a wish. [`moves`] compares it with what is; whoever carries moves out does so one at a time and
//! with proof that no quorum breaks. Nothing is recomputed behind anybody's back.
//!
//! Invariants: each bucket gets `min(factor, nodes)` distinct nodes; no node is above [`Placement::load_limit`].
//! The limit wins over zones: with one small zone, not every bucket can have a replica there.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::limits::PLACEMENT_LOAD_PERCENT;

/// A node that may hold replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementNode {
    /// Its identity; never that of another node.
    pub id: Uuid,
    /// What fails together with it; without one, it fails alone.
    pub zone: Option<String>,
}

/// Nodes by bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// For each bucket its nodes, the best first.
    pub buckets: Vec<Vec<Uuid>>,
    /// How many replicas a node may hold at most.
    pub load_limit: u64,
}

/// A change that brings a bucket nearer to its placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    /// A replica goes from one node to another.
    Replace {
        /// Number of the bucket.
        bucket: u16,
        /// The node that gives it up.
        from: Uuid,
        /// The node that takes it.
        to: Uuid,
    },
    /// The bucket has too few replicas.
    Add {
        /// Number of the bucket.
        bucket: u16,
        /// The node that takes one.
        to: Uuid,
    },
    /// The bucket has too many replicas.
    Remove {
        /// Number of the bucket.
        bucket: u16,
        /// The node that gives its up.
        from: Uuid,
    },
}

/// How much a node wants a bucket: xxh3 of the node's 16 bytes and the bucket's two, high byte first.
pub fn score(node: Uuid, bucket: u16) -> u64 {
    let mut bytes = [0; 18];
    let (id, number) = bytes.split_at_mut(16);
    id.copy_from_slice(node.as_bytes());
    number.copy_from_slice(&bucket.to_be_bytes());
    xxh3_64(&bytes)
}

/// Where `bucket_count` buckets should be, `factor` replicas each, or one per node if there are fewer nodes.
///
/// The order of `nodes` does not matter. Of two nodes with the same id the second is ignored.
pub fn place(nodes: &[PlacementNode], bucket_count: u16, factor: u16) -> Placement {
    let nodes: BTreeMap<Uuid, &PlacementNode> =
        nodes.iter().rev().map(|node| (node.id, node)).collect();
    let node_count = u64::try_from(nodes.len()).unwrap_or(u64::MAX);
    let replicas = u64::from(factor).min(node_count);
    let wanted = u64::from(bucket_count) * replicas;
    let load_limit = (PLACEMENT_LOAD_PERCENT * wanted).div_ceil(100 * node_count.max(1));
    let mut room: BTreeMap<Uuid, u64> = nodes.keys().map(|id| (*id, load_limit)).collect();
    let mut buckets = Vec::new();
    for bucket in 0..bucket_count {
        let left = u64::from(bucket_count - bucket);
        let chosen = choose(&nodes, &room, bucket, Demand { left, replicas });
        for id in &chosen {
            room.entry(*id).and_modify(|room| *room -= 1);
        }
        buckets.push(chosen);
    }
    Placement { buckets, load_limit }
}

/// What has to be changed so that `current` becomes `wish`, in order of buckets. Bucket numbers that only one of the
/// two has are left alone.
pub fn moves(current: &[Vec<Uuid>], wish: &[Vec<Uuid>]) -> Vec<Move> {
    let mut moves = Vec::new();
    for ((is, should), bucket) in current.iter().zip(wish).zip(0..) {
        let mut leaving = is.iter().copied().filter(|id| !should.contains(id));
        let mut coming = should.iter().copied().filter(|id| !is.contains(id));
        loop {
            moves.push(match (leaving.next(), coming.next()) {
                (Some(from), Some(to)) => Move::Replace { bucket, from, to },
                (None, Some(to)) => Move::Add { bucket, to },
                (Some(from), None) => Move::Remove { bucket, from },
                (None, None) => break,
            });
        }
    }
    moves
}

/// What is still to be placed, this bucket included.
#[derive(Clone, Copy)]
struct Demand {
    /// Buckets.
    left: u64,
    /// Replicas of each.
    replicas: u64,
}

/// Nodes for `bucket`, best first.
///
/// The buckets left can be placed if and only if `Σ min(room, left) ≥ replicas · left`: a node takes at most one
/// replica of each. Call the difference slack. Nodes with room for all buckets left lose one place of that sum now,
/// chosen or not; the others only if chosen. So the sum stays large enough exactly if at most `slack` of the former are
/// passed over, and that many of them are taken whatever their scores. This matters for the last few buckets alone.
fn choose(
    nodes: &BTreeMap<Uuid, &PlacementNode>,
    room: &BTreeMap<Uuid, u64>,
    bucket: u16,
    demand: Demand,
) -> Vec<Uuid> {
    let Demand { left, replicas } = demand;
    let has_room_for_all = |id: &Uuid| room.get(id).is_some_and(|room| *room >= left);
    let places = room.values().map(|room| *room.min(&left)).sum::<u64>();
    let slack = places.checked_sub(replicas * left).expect("each choice leaves enough room");
    let roomy = nodes.keys().filter(|id| has_room_for_all(id)).map(|_| 1).sum::<u64>();
    let mut must_be_roomy = roomy.saturating_sub(slack);
    let mut places_left = replicas;

    let mut candidates: Vec<_> =
        nodes.values().filter(|node| room.get(&node.id) > Some(&0)).collect();
    candidates.sort_by_key(|node| std::cmp::Reverse((score(node.id, bucket), node.id)));
    let mut chosen: Vec<Uuid> = Vec::new();
    let mut zones = BTreeSet::new();
    // First the best of each zone, then the best of the rest.
    for is_zone_taken_accepted in [false, true] {
        for node in &candidates {
            let is_roomy = has_room_for_all(&node.id);
            let is_zone_taken = node.zone.as_ref().is_some_and(|zone| zones.contains(zone));
            if places_left == 0
                || chosen.contains(&node.id)
                || (is_zone_taken && !is_zone_taken_accepted)
                || (!is_roomy && places_left <= must_be_roomy)
            {
                continue;
            }
            chosen.push(node.id);
            zones.extend(node.zone.as_ref());
            places_left -= 1;
            must_be_roomy = must_be_roomy.saturating_sub(u64::from(is_roomy));
        }
    }
    assert_eq!(places_left, 0, "bucket {bucket} has all its replicas");
    chosen
}

#[cfg(test)]
mod tests;
