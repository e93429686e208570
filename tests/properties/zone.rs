//! What a time zone's file or rule leads to, whatever its bytes are: the check, for proptest (`main.rs` beside this) and for
//! libFuzzer (`fuzz/`).

use linchpin::text::date::Civil;
use linchpin::text::tai::Stamp;
use linchpin::text::zone::Zone;

/// Seconds by which local time may be ahead of UTC or behind it: what RFC 9636 allows, and a summer time on top of a rule.
const MOST: i32 = 26 * 3600;

/// Bytes as a file, and as a rule.
pub fn zone(data: &[u8]) {
    let first = data.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let last = data.last_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let is_rule = Zone::of_rule(data);
    assert!(is_rule.is_none_or(|zone| !zone.is_right()));
    for zone in [Zone::of_file(data), is_rule].into_iter().flatten() {
        for time in [i64::MIN, -1, 0, 78_796_800, 1_795_788_904, 1 << 40, i64::MAX, first, last] {
            let offset = zone.offset(time);
            assert!(offset.abs() <= MOST, "{offset}");
            let civil = zone.local(time);
            assert!((1..=12).contains(&civil.month) && (1..=31).contains(&civil.day) && civil.second <= 60);
            let mut room = [0; Civil::SIZE];
            assert!(civil.write(&mut room).len() >= 19);
            if !zone.is_right() && time.unsigned_abs() < 1 << 62 {
                assert_eq!(civil.seconds(), time + i64::from(offset));
            }
        }
        for sec in [0, 1 << 62, (1 << 62) + 1_483_228_836, (1 << 62) + first as u64 % (1 << 62), u64::MAX] {
            if let Some(civil) = zone.at(Stamp { sec, nano: 0 }) {
                assert!(civil.second <= 60 && (1..=i64::from(i32::MAX)).contains(&civil.year));
            }
        }
    }
}
