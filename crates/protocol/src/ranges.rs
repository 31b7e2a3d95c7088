//! Ranges of numbers: UIDs, as the store keeps them and protocols say them.

/// Ranges in any order as ascending ones that do not touch, both ends included.
pub fn joined(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let touch = next.0 <= before.1.saturating_add(1);
        if touch {
            before.1 = before.1.max(next.1);
        }
        touch
    });
    ranges
}
