//! Sorting where the code is to be small: the standard library's way is fast for millions and takes kilobytes.

/// Puts `items` in order: in place, in O(n log n) steps (heapsort). Items of which neither is `less` may change places.
pub fn sort<T>(items: &mut [T], less: &mut dyn FnMut(&T, &T) -> bool) {
    for root in (0..items.len() / 2).rev() {
        sift(items, root, less);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sift(items.get_mut(..end).unwrap_or_default(), 0, less);
    }
}

/// Moves the item at `root` down until nothing below it belongs above it.
fn sift<T>(items: &mut [T], mut root: usize, less: &mut dyn FnMut(&T, &T) -> bool) {
    loop {
        let mut child = 2 * root + 1;
        let (Some(item), Some(left)) = (items.get(root), items.get(child)) else { return };
        let mut larger = left;
        if let Some(right) = items.get(child + 1).filter(|right| less(left, right)) {
            (child, larger) = (child + 1, right);
        }
        if !less(item, larger) {
            return;
        }
        items.swap(root, child);
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_are_put_in_order(mut items in prop::collection::vec(0u16..50, 0..100)) {
            let mut expected = items.clone();
            expected.sort();
            sort(&mut items, &mut |a, b| a < b);
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn a_thousand_items_take_less_than_twenty_comparisons_each() {
        for from in [|i: u32| i, |i| 1000 - i, |i| i * 7919 % 1009, |_| 7] {
            let mut items: Vec<u32> = (0..1000).map(from).collect();
            let mut count = 0;
            sort(&mut items, &mut |a, b| {
                count += 1;
                a < b
            });
            assert!(items.is_sorted());
            assert!(count < 20_000, "{count}");
        }
    }
}
