//! softlimit: resource limits of the program.

use crate::beside::*;

const LIMITS: [&str; 2] = ["cat", "/proc/self/limits"];

fn with(both: &Beside, options: &[&str]) -> Outcome {
    let words: Vec<&str> = options.iter().chain(&LIMITS).copied().collect();
    both.same("softlimit", &words)
}

#[test]
fn each_option_sets_the_limit_of_its_resource() {
    let both = Beside::new();
    for options in [
        &["-a", "999997440"][..],
        &["-c", "4096"],
        &["-d", "99999744"],
        &["-f", "1000000"],
        &["-l", "4096"],
        &["-m", "100000000"],
        &["-o", "77"],
        &["-p", "99"],
        &["-r", "12345"],
        &["-s", "1048576"],
        &["-t", "70"],
        &["-o77", "-c0"],
    ] {
        let outcome = with(&both, options);
        assert_eq!(outcome.code, 0, "{options:?}");
        assert_ne!(outcome.out, with(&both, &["-q"]).out, "{options:?} has an effect");
    }
}

#[test]
fn hard_limits_are_set_from_the_option_on_that_says_so() {
    let both = Beside::new();
    assert_eq!(with(&both, &["-c", "3", "-H", "-o", "77", "-c", "5"]).code, 0);
    assert_eq!(with(&both, &["-H", "-c", "10", "-h", "-l", "4096", "-o", "90000000000"]).code, 111);
}

/// Debian's fails if the hard limit goes below the soft one.
#[test]
fn a_soft_limit_is_lowered_with_its_hard_limit() {
    let both = Beside::new();
    let ulimit = ["-h", "-o", "50", "sh", "-c", "ulimit -Sn; ulimit -Hn"];
    assert_eq!(both.ours("softlimit", &ulimit), Outcome::says("50\n50\n"));
    let mut theirs = both.command(Theirs, "softlimit");
    assert_eq!(outcome(theirs.args(ulimit)), Outcome::code(111));
}

#[test]
fn an_equals_sign_means_as_much_as_may_be() {
    let both = Beside::new();
    assert_eq!(with(&both, &["-o", "10", "-o", "="]).code, 0);
    assert_eq!(with(&both, &["-hc", "="]).code, 0);
    assert_eq!(with(&both, &["-Hc", "="]).code, 0);
}

#[test]
fn a_soft_limit_above_the_hard_one_is_lowered() {
    let both = Beside::new();
    let outcome = both.same("softlimit", &["-Ho", "60", "s6-softlimit", "-o", "70", "sh", "-c", "ulimit -n"]);
    assert_eq!(outcome, Outcome::says("60\n"));
}

#[test]
fn real_time_priority_is_an_option_of_its_own() {
    let both = Beside::new();
    let words = ["-HP", "0", "sh", "-c", "grep realtime.priority /proc/self/limits"];
    let outcome = both.ours("softlimit", &words);
    let numbers: Vec<&str> = outcome.out.split_whitespace().skip(3).collect();
    assert_eq!(numbers, ["0", "0"]);
}

#[test]
fn bad_numbers_are_wrong_usage_and_unknown_options_are_nothing() {
    let both = Beside::new();
    for value in ["x", "-1", "", "18446744073709551616", "1k"] {
        assert_eq!(with(&both, &["-c", value]), Outcome::code(100), "{value:?}");
    }
    assert_eq!(with(&both, &["-c", "18446744073709551615", "-qZ"]).code, 0);
    assert_eq!(both.same("softlimit", &[]), Outcome::code(100));
    assert_eq!(both.same("softlimit", &["-o"]), Outcome::code(100));
}
