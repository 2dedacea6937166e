use proptest::prelude::*;

use super::*;

fn node(number: u128, zone: Option<u8>) -> PlacementNode {
    let zone = zone.map(|zone| format!("zone-{zone}"));
    // Ids as they are in life: nothing regular about them.
    let id = Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834));
    PlacementNode { id, zone }
}

fn nodes(count: u128) -> Vec<PlacementNode> {
    (1..=count).map(|number| node(number, None)).collect()
}

fn loads(placement: &Placement) -> BTreeMap<Uuid, u64> {
    let mut loads = BTreeMap::new();
    for id in placement.buckets.iter().flatten() {
        *loads.entry(*id).or_default() += 1;
    }
    loads
}

fn zones_of(nodes: &[PlacementNode], bucket: &[Uuid]) -> usize {
    let zone = |id: &Uuid| nodes.iter().find(|node| node.id == *id).unwrap().zone.clone();
    bucket.iter().map(zone).collect::<BTreeSet<_>>().len()
}

fn any_nodes() -> impl Strategy<Value = Vec<PlacementNode>> {
    let zone = prop::option::of(0..4_u8);
    prop::collection::btree_map(any::<u128>(), zone, 1..12)
        .prop_map(|nodes| nodes.into_iter().map(|(number, zone)| node(number, zone)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_bucket_has_its_replicas_and_no_node_too_many(
        nodes in any_nodes(), bucket_count in 0..200_u16, factor in 0..6_u16,
    ) {
        let placement = place(&nodes, bucket_count, factor);
        prop_assert_eq!(placement.buckets.len(), usize::from(bucket_count));
        for bucket in &placement.buckets {
            let distinct: BTreeSet<_> = bucket.iter().collect();
            prop_assert_eq!(distinct.len(), bucket.len());
            prop_assert_eq!(bucket.len(), usize::from(factor).min(nodes.len()));
        }
        let most = loads(&placement).into_values().max().unwrap_or(0);
        prop_assert!(most <= placement.load_limit, "{} > {}", most, placement.load_limit);
    }

    #[test]
    fn the_order_of_nodes_does_not_matter(nodes in any_nodes(), factor in 1..4_u16) {
        let reversed: Vec<_> = nodes.iter().rev().cloned().collect();
        prop_assert_eq!(place(&nodes, 32, factor), place(&reversed, 32, factor));
    }

    #[test]
    fn moves_lead_from_what_is_to_what_should_be(
        before in any_nodes(), after in any_nodes(), factors in (0..4_u16, 0..4_u16),
    ) {
        let (is, should) = (place(&before, 16, factors.0), place(&after, 16, factors.1));
        let mut sets: Vec<BTreeSet<_>> =
            is.buckets.iter().map(|ids| ids.iter().copied().collect()).collect();
        for step in moves(&is.buckets, &should.buckets) {
            let (bucket, from, to) = match step {
                Move::Replace { bucket, from, to } => (bucket, Some(from), Some(to)),
                Move::Add { bucket, to } => (bucket, None, Some(to)),
                Move::Remove { bucket, from } => (bucket, Some(from), None),
            };
            let set = &mut sets[usize::from(bucket)];
            from.iter().for_each(|id| assert!(set.remove(id), "it was there"));
            to.into_iter().for_each(|id| assert!(set.insert(id), "it was not there"));
        }
        let wish: Vec<BTreeSet<_>> =
            should.buckets.iter().map(|ids| ids.iter().copied().collect()).collect();
        prop_assert_eq!(sets, wish);
    }
}

#[test]
fn the_limit_is_110_percent_rounded_up() {
    assert_eq!(place(&nodes(3), 4, 3).load_limit, 5);
    assert_eq!(place(&nodes(5), 64, 3).load_limit, 43, "38.4 · 1.1 = 42.24");
    assert_eq!(place(&nodes(1), 4, 3).load_limit, 5, "one node, one replica each");
    assert_eq!(place(&[], 4, 3).buckets, vec![Vec::<Uuid>::new(); 4]);
}

#[test]
fn equal_zones_each_get_a_replica() {
    let nodes: Vec<_> = (0..9_u8).map(|n| node(u128::from(n) + 1, Some(n % 3))).collect();
    let placement = place(&nodes, 256, 3);
    assert!(placement.buckets.iter().all(|bucket| zones_of(&nodes, bucket) == 3));
}

#[test]
fn a_small_zone_is_not_overloaded() {
    let nodes: Vec<_> = (0..10_u8).map(|n| node(u128::from(n) + 1, Some(n.min(1)))).collect();
    let placement = place(&nodes, 100, 2);
    assert_eq!(placement.load_limit, 22);
    assert_eq!(loads(&placement)[&nodes[0].id], 22, "the lone node is full, not more");
}

#[test]
fn a_new_node_takes_little_more_than_its_share() {
    for count in 3..9 {
        let before = place(&nodes(count), 256, 3);
        let after = place(&nodes(count + 1), 256, 3);
        let moved = moves(&before.buckets, &after.buckets).len();
        let share = 256 * 3 / usize::try_from(count + 1).unwrap();
        assert!(moved <= share * 3 / 2, "{count} nodes: {moved} moves for a share of {share}");
    }
}

#[test]
fn a_score_never_changes() {
    assert_eq!(score(Uuid::from_u128(1), 2), 16_020_098_426_777_796_798);
}
