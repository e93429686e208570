//! permafailon: reads the tally of the service directory it is in, exits 125 or goes on.

use crate::beside::*;
use linchpin::service::tally::Record;
use linchpin::text::tai::Stamp;

/// Exit code that makes a failure permanent.
const PERMANENT: i32 = 125;

/// A service directory with these deaths: so many seconds ago (negative: to come), so.
fn died(deaths: &[(i64, u16)]) -> Beside {
    let both = Beside::new();
    std::fs::create_dir(both.path().join("supervise")).unwrap();
    let (now, _) = linchpin::sys::time::wall();
    let tally: Vec<u8> = deaths
        .iter()
        .flat_map(|(ago, wstat)| {
            Record::new(Stamp::from_unix(now.checked_add_signed(-ago).unwrap(), 0), *wstat).encode()
        })
        .collect();
    both.file("supervise/death_tally", tally);
    both
}

const fn exit(code: u16) -> u16 {
    code << 8
}

const TERM: u16 = 15;
const SEGV_WITH_CORE: u16 = 11 | 0x80;

/// `permafailon SECS COUNT LIST echo x`, both.
fn same(both: &Beside, words: &str) -> i32 {
    let words: Vec<&str> = words.split('/').chain(["echo", "x"]).collect();
    let outcome = both.same("permafailon", &words);
    assert!(outcome.code != 0 || outcome.out == "x\n");
    outcome.code
}

#[test]
fn enough_deaths_of_a_listed_cause_are_a_permanent_failure() {
    let both = died(&[(400, exit(1)), (300, exit(1)), (200, TERM), (100, SEGV_WITH_CORE), (50, exit(7))]);
    for (words, code) in [
        ("10000/1/1", PERMANENT),
        ("10000/2/1", PERMANENT),
        ("10000/3/1", 0),
        ("10000/1/2", 0),
        ("10000/5/0-255", PERMANENT),
        ("10000/6/0-255", 0),
        ("10000/2/1-7,SIGTERM", PERMANENT),
        ("10000/5/1,7,SIGTERM,SIGSEGV", PERMANENT),
        ("10000/4000000000/1", 0),
    ] {
        assert_eq!(same(&both, words), code, "{words}");
    }
}

#[test]
fn deaths_that_are_older_do_not_count() {
    let both = died(&[(50_000, exit(1)), (30_000, exit(1)), (10, exit(1))]);
    for (words, code) in [
        ("60000/3/1", PERMANENT),
        ("40000/2/1", PERMANENT),
        ("40000/3/1", 0),
        ("20000/1/1", PERMANENT),
        ("20000/2/1", 0),
        ("0/1/1", 0),
        ("4294967295/3/1", PERMANENT),
    ] {
        assert_eq!(same(&both, words), code, "{words}");
    }
}

/// The clock was set back meanwhile.
#[test]
fn deaths_in_the_future_count() {
    assert_eq!(same(&died(&[(-50_000, exit(1))]), "0/1/1"), PERMANENT);
}

#[test]
fn a_signal_is_listed_by_name_by_number_or_by_its_exit_code() {
    let both = died(&[(1, TERM)]);
    for list in ["SIGTERM", "term", "sigterm", "SIG15", "sig15", "143", "140-150", "1;TERM", "1 2\t3\r4\nSIGTERM\n"] {
        assert_eq!(same(&both, &format!("10000/1/{list}")), PERMANENT, "{list}");
    }
    for list in ["15", "SIGKILL", "SIG14", "142", "", "stkflt", "SIG64", "poll", "SIGIOT", "cld"] {
        assert_eq!(same(&both, &format!("10000/1/{list}")), 0, "{list}");
    }
}

#[test]
fn the_core_flag_does_not_matter() {
    let both = died(&[(1, SEGV_WITH_CORE)]);
    for list in ["SIGSEGV", "SIG11", "139"] {
        assert_eq!(same(&both, &format!("10000/1/{list}")), PERMANENT, "{list}");
    }
}

#[test]
fn wrong_usage_of_permafailon_is_100() {
    let both = died(&[(1, TERM)]);
    for words in [
        "10/1/SIGNONE",
        "10/1/300",
        "10/1/9-8",
        "10/1/1-",
        "10/1/0-256",
        "10/1/-1",
        "10/1/,1",
        "10/1/ 1",
        "10/1/7x",
        "10/1/SIG0",
        "10/1/SIG65",
        "10/1/SIGTERM-SIGSEGV",
        "10/1/EXIT",
        "10/0/1",
        "x/1/1",
        "-1/1/1",
        "5000000000/1/1",
    ] {
        assert_eq!(same(&both, words), 100, "{words}");
    }
    assert_eq!(both.same("permafailon", &["10", "1"]).code, 100);
    assert_eq!(both.same("permafailon", &[]).code, 100);
}

#[test]
fn without_a_program_it_exits_0_or_125() {
    let both = died(&[(1, TERM)]);
    assert_eq!(both.same("permafailon", &["1000", "2", "TERM"]), Outcome::code(0));
    assert_eq!(both.same("permafailon", &["1000", "1", "TERM"]), Outcome::code(PERMANENT));
}

#[test]
fn a_program_that_cannot_be_executed_is_127() {
    let both = died(&[]);
    assert_eq!(both.same("permafailon", &["1", "1", "1", "/nonexistent/prog"]), Outcome::code(127));
}

#[test]
fn a_tally_that_is_missing_or_damaged_has_no_deaths() {
    let both = died(&[]);
    for content in [&b"abc"[..], &[0; 15], b""] {
        both.file("supervise/death_tally", content);
        assert_eq!(same(&both, "4294967295/1/0-255"), 0);
    }
    std::fs::remove_file(both.path().join("supervise/death_tally")).unwrap();
    assert_eq!(same(&both, "4294967295/1/0-255"), 0);
    std::fs::remove_dir(both.path().join("supervise")).unwrap();
    assert_eq!(same(&both, "4294967295/1/0-255"), 0);
}

#[test]
fn it_says_why_it_gave_up_and_what_is_wrong_with_the_tally() {
    let both = died(&[(1, TERM)]);
    let said =
        |words: &[&str]| String::from_utf8(both.command(Ours, "permafailon").args(words).output().unwrap().stderr);
    assert_eq!(
        said(&["1000", "1", "TERM"]).unwrap(),
        "s6-permafailon: info: permanent failure: 1 such deaths in the last 1000 seconds\n"
    );
    both.file("supervise/death_tally", "abc");
    assert_eq!(
        said(&["9", "1", "1"]).unwrap(),
        "s6-permafailon: warning: supervise/death_tally is missing or damaged\n"
    );
    assert!(said(&["9", "1", "1,x,2"]).unwrap().ends_with("neither exit code nor signal: x\n"));
}
