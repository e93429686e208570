//! What bulk input becomes, from a regular file: archives of the same bytes.

use crate::compare::differ;
use crate::stage::{Stage, even_lines, lines};

/// This script with this input, and what it leaves.
fn bulk(stage: &mut Stage, words: &[&str], input: impl AsRef<[u8]>) {
    stage.feed(words, input);
    stage.look("then");
}

#[test]
fn bulk_goes_beyond_the_size() {
    differ(|stage| bulk(stage, &["s4096", "l0", "n100", "./d"], even_lines(2000, 100)));
}

#[test]
fn bulk_with_a_tolerance() {
    differ(|stage| bulk(stage, &["s4096", "l2000", "n100", "./d"], even_lines(2000, 100)));
}

#[test]
fn bulk_of_lines_of_all_lengths() {
    differ(|stage| bulk(stage, &["s4096", "l0", "n1000", "./d"], lines(10_000)));
}

#[test]
fn a_megabyte_without_any_directive() {
    differ(|stage| bulk(stage, &["./d"], even_lines(10_000, 100)));
}

#[test]
fn three_megabytes_of_short_lines() {
    differ(|stage| bulk(stage, &["n1000", "./d"], even_lines(300_000, 10)));
}

#[test]
fn a_megabyte_of_which_all_is_kept() {
    differ(|stage| bulk(stage, &["n1000", "s50000", "l1000", "./d"], lines(40_000)));
}

#[test]
fn several_logdirs_of_different_sizes() {
    differ(|stage| {
        let script = ["n100", "s4096", "l0", "./a", "s8192", "./b", "s20000", "l2000", "./c", "s99999", "./d"];
        bulk(stage, &script, lines(8000));
    });
}

#[test]
fn several_logdirs_with_different_lines() {
    differ(|stage| {
        let script = ["n100", "s4096", "l0", "-", "+error", "./a", "f", "-foo", "s6000", "pP", "./b", "f", "./c"];
        bulk(stage, &script, lines(8000));
    });
}

#[test]
fn a_prefix_counts_for_the_size() {
    differ(|stage| {
        bulk(stage, &["n100", "s4096", "l0", "pprefix prefix prefix", "./a", "p", "./b"], even_lines(1000, 20))
    });
}

#[test]
fn a_stamp_counts_for_the_size() {
    differ(|stage| bulk(stage, &["n100", "s8192", "l0", "t", "./a", "./b", "T", "./c"], even_lines(2000, 20)));
}

#[test]
fn lines_longer_than_the_size() {
    differ(|stage| {
        let mut input = Vec::new();
        for at in 0..10_u8 {
            input.extend(vec![b'a' + at; 6000]);
            input.extend(b"\nshort\n");
        }
        bulk(stage, &["n100", "s4096", "l0", "./a", "s8192", "./b", "s65536", "./c"], input);
    });
}

#[test]
fn lines_longer_than_a_chunk() {
    differ(|stage| {
        let mut input = Vec::new();
        for at in 0..10_u8 {
            input.extend(vec![b'a' + at; 20_000]);
            input.extend(b"\nshort\nshort\n");
        }
        bulk(stage, &["-l0", "n100", "s4096", "l0", "./a", "s30000", "./b", "s99999", "./c"], input);
    });
}

#[test]
fn lines_of_the_length_of_a_chunk() {
    differ(|stage| {
        let input: Vec<u8> =
            [8191, 8190, 8192, 8191, 1, 16382, 8191].into_iter().flat_map(|length| even_lines(1, length)).collect();
        bulk(stage, &["-l0", "n100", "s4096", "l0", "./a", "s16382", "./b", "s8191", "./c"], input);
    });
}

#[test]
fn split_lines_are_counted_with_their_newlines() {
    differ(|stage| bulk(stage, &["-l", "64", "n100", "s4096", "l0", "./a"], even_lines(20, 5000)));
}

#[test]
fn nuls_are_counted_as_newlines() {
    differ(|stage| {
        let input: Vec<u8> = lines(3000).into_iter().map(|byte| if byte == b'o' { 0 } else { byte }).collect();
        bulk(stage, &["n100", "s4096", "l0", "./a"], input);
    });
}

#[test]
fn numbers_of_archives() {
    differ(|stage| {
        let script = ["s4096", "l0", "n0", "./a", "n1", "./b", "n3", "./c", "n10", "./d", "n100", "./e"];
        bulk(stage, &script, even_lines(1000, 100));
    });
}

#[test]
fn sums_of_archives() {
    differ(|stage| {
        let script =
            ["s4096", "l0", "n100", "S8200", "./a", "S10000", "./b", "S16400", "./c", "S24600", "./d", "S1", "./e"];
        bulk(stage, &script, even_lines(1000, 100));
    });
}

#[test]
fn numbers_and_sums_of_archives() {
    differ(|stage| {
        bulk(
            stage,
            &["s4096", "l0", "n2", "S50000", "./a", "n5", "S20000", "./b", "n0", "S50000", "./c"],
            even_lines(1000, 100),
        );
    });
}

#[test]
fn lines_that_fill_the_file_exactly() {
    differ(|stage| bulk(stage, &["s4096", "l0", "n100", "./a", "s8191", "./b", "s8192", "./c"], even_lines(1024, 64)));
}

#[test]
fn a_file_is_rotated_with_its_last_line() {
    differ(|stage| {
        for number in [63, 64, 65] {
            bulk(stage, &["s4096", "l0", &format!("./{number}")], even_lines(number, 64));
        }
    });
}

#[test]
fn an_input_without_newlines() {
    differ(|stage| bulk(stage, &["-l", "1000", "s4096", "l0", "n100", "./a"], [&[b'x'; 30_000][..], b"\n"].concat()));
}

#[test]
fn standard_output_and_alerts_with_bulk() {
    differ(|stage| bulk(stage, &["1", "-", "+error", "2", "f", "s4096", "l0", "n100", "./a"], lines(4000)));
}

#[test]
fn bulk_after_bulk() {
    differ(|stage| {
        for _ in 0..4 {
            bulk(stage, &["s10000", "l1000", "n5", "./a", "n2", "./b"], lines(500));
        }
    });
}

#[test]
fn bulk_with_b() {
    differ(|stage| bulk(stage, &["-b", "s4096", "l0", "n100", "./a", "1", "s9999", "./b"], lines(3000)));
}
