//! setuidgid, applyuidgid, envuidgid: who the program is, and who it is told to be.

use crate::beside::*;
use std::os::unix::process::CommandExt;

const STATUS: &str = "grep -E '^(Uid|Gid|Groups):' /proc/self/status";
const VARIABLES: &str = "echo ${UID-unset} ${GID-unset} ${GIDLIST-unset}";

const PASSWD: &str = "root:x:0:0::/:\none:x:501:601::/:\nlast:x:503:603::/:\n34:x:504:604::/:\n";
const GROUP: &str = "root:x:0:\nfirst:x:601:\nsecond:x:701:one,last\nthird:x:702:lastone\nfourth:x:703:last,one\n";

/// Runs both with people of our own and some variables set; they must do the same. dash sets no UID of its own.
fn same(both: &Beside, name: &str, words: &[&str]) -> Outcome {
    both.file("passwd", PASSWD);
    both.file("group", GROUP);
    let [theirs, ours] = [Theirs, Ours].map(|whose| run(both, whose, name, words));
    assert_eq!(ours, theirs, "{name} {words:?}");
    ours
}

fn run(both: &Beside, whose: Whose, name: &str, words: &[&str]) -> Outcome {
    let command = both.command(whose, name);
    let mount = r#"mount --bind passwd /etc/passwd && mount --bind group /etc/group && exec "$@""#;
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["-m", "/bin/sh", "-c", mount, "sh"]).arg(command.get_program()).args(words);
    unshare.current_dir(both.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    unshare.envs([("UID", "7"), ("GID", "8"), ("GIDLIST", "9,10")]);
    outcome(&mut unshare)
}

fn words<'a>(options: &'a str, script: &'a str) -> Vec<&'a str> {
    options.split(' ').chain(["sh", "-c", script]).collect()
}

#[test]
fn envuidgid_tells_user_group_and_further_groups() {
    let both = Beside::new();
    assert_eq!(same(&both, "envuidgid", &words("one", VARIABLES)), Outcome::says("501 601 701,703\n"));
    assert_eq!(same(&both, "envuidgid", &words("root", VARIABLES)), Outcome::says("0 0\n"));
}

/// Debian's tells the group of the account twice if /etc/group names the account there too.
#[test]
fn envuidgid_does_not_list_the_accounts_own_group() {
    let both = Beside::new();
    both.file("passwd", PASSWD);
    both.file("group", GROUP.replace("first:x:601:", "first:x:601:one"));
    assert_eq!(run(&both, Ours, "envuidgid", &words("one", VARIABLES)), Outcome::says("501 601 701,703\n"));
}

#[test]
fn envuidgid_can_tell_half_of_it() {
    let both = Beside::new();
    assert_eq!(same(&both, "envuidgid", &words("-u one", VARIABLES)), Outcome::says("501 8 9,10\n"));
    assert_eq!(same(&both, "envuidgid", &words("-g second", VARIABLES)), Outcome::says("7 701 9,10\n"));
    assert_eq!(same(&both, "envuidgid", &words("-B one:second", VARIABLES)), Outcome::says("501 701 9,10\n"));
    assert_eq!(same(&both, "envuidgid", &words("-B one", VARIABLES)).code, 0);
    assert_eq!(same(&both, "envuidgid", &words("-B :second", VARIABLES)).code, 0);
}

#[test]
fn envuidgid_takes_numbers_if_asked_to() {
    let both = Beside::new();
    for options in
        ["-n 33", "-n 33:44", "-nB 33:44", "-nB root:44", "-nB 33:second", "-nu 33", "-ng 44", "-n one:second"]
    {
        assert_eq!(same(&both, "envuidgid", &words(options, VARIABLES)).code, 0, "{options}");
    }
    // A name comes before a number.
    assert_eq!(same(&both, "envuidgid", &words("-nu 34", VARIABLES)), Outcome::says("504 8 9,10\n"));
    assert_eq!(same(&both, "envuidgid", &words("34", VARIABLES)), Outcome::says("504 604\n"));
}

#[test]
fn envuidgid_says_1_for_whom_it_does_not_know() {
    let both = Beside::new();
    for options in [
        "nobody-here",
        "33",
        "-u nobody-here",
        "-g nobody-here",
        "-B nobody-here:second",
        "-B one:nobody-here",
        "-nu x",
        "-n x",
        "-nB 33:x",
        "-D 1:2:3 -i nobody-here",
    ] {
        assert_eq!(same(&both, "envuidgid", &words(options, VARIABLES)), Outcome::code(1), "{options}");
    }
}

#[test]
fn envuidgid_has_defaults_for_whom_it_does_not_know() {
    let both = Beside::new();
    for options in [
        "-D 1:2:3,4 nobody-here",
        "-D 1:2 nobody-here",
        "-D 1 nobody-here",
        "-D :: nobody-here",
        "-D 1:2:3,4 -u nobody-here",
        "-D 1:2:3,4 -g nobody-here",
        "-D 1:2:3,4 -B nobody-here:neither",
        "-D 1:2:3,4 -B one:nobody-here",
        "-D 1:2:3,4 -B one",
        "-D 1:2:3,4 -n 55",
        "-D 1:2:3,4 one",
        "-i -D 1:2:3,4 nobody-here",
    ] {
        assert_eq!(same(&both, "envuidgid", &words(options, VARIABLES)).code, 0, "{options}");
    }
    for options in ["-D x one", "-D 1:x one"] {
        assert_eq!(same(&both, "envuidgid", &words(options, VARIABLES)), Outcome::code(100), "{options}");
    }
}

/// Debian's takes `1:2` of `-nB 1:2:3`, and the groups before the first that is none of a list.
#[test]
fn numbers_with_something_behind_them_are_refused() {
    let both = Beside::new();
    assert_eq!(both.ours("envuidgid", &["-nB", "1:2:3", "true"]), Outcome::code(1));
    assert_eq!(both.ours("envuidgid", &["-D", "1:2:3,x", "root", "true"]), Outcome::code(100));
    assert_eq!(both.ours("applyuidgid", &["-G", "7,x", "true"]), Outcome::code(100));
}

#[test]
fn applyuidgid_takes_on_user_group_and_groups() {
    let both = Beside::new();
    for options in
        ["-u 5", "-g 6", "-u 5 -g 6", "-u 5 -g 6 -G 7,8", "-G 7,8,", "-u 0 -g 0", "-g 9 -G 9", "-G 7,7", "-u 5 -G 7"]
    {
        assert_eq!(both.same("applyuidgid", &words(options, STATUS)).code, 0, "{options}");
    }
    assert_eq!(both.same("applyuidgid", &["-g", "9", "-G", "", "sh", "-c", STATUS]).code, 0);
    let own = both.ours("applyuidgid", &words("-u 5 -g 6 -G 7,8", STATUS)).out;
    let (uid, gid) = (["5"; 4].join("\t"), ["6"; 4].join("\t"));
    assert_eq!(own, format!("Uid:\t{uid}\nGid:\t{gid}\nGroups:\t6 7 8 \n"));
}

#[test]
fn applyuidgid_takes_them_from_the_environment() {
    let both = Beside::new();
    let both_of_it = format!("{STATUS}; {VARIABLES}");
    for options in ["-U", "-Uz", "-z", "-U -u 77", "-u 77 -U", "-U -g 77 -G 5"] {
        assert_eq!(same(&both, "applyuidgid", &words(options, &both_of_it)).code, 0, "{options}");
    }
    assert!(same(&both, "applyuidgid", &words("-Uz", &both_of_it)).out.ends_with("unset unset unset\n"));
}

#[test]
fn applyuidgid_wants_all_three_variables_and_numbers_in_them() {
    let both = Beside::new();
    let good = [("UID", "1"), ("GID", "2"), ("GIDLIST", "")];
    for (i, value) in [(0, None), (1, None), (2, None), (0, Some("x")), (1, Some("")), (2, Some("x"))] {
        for whose in [Theirs, Ours] {
            let mut command = both.command(whose, "applyuidgid");
            command.args(["-U", "echo", "x"]).envs(good).env_remove(good[i].0);
            command.envs(value.map(|value| (good[i].0, value)));
            assert_eq!(outcome(&mut command), Outcome::code(100), "{whose:?} {i} {value:?}");
        }
    }
}

#[test]
fn nothing_runs_for_who_may_not() {
    let both = Beside::new();
    both.copy("applyuidgid");
    both.copy("setuidgid");
    for (name, words) in [
        ("applyuidgid", &["-u", "3", "echo", "x"][..]),
        ("applyuidgid", &["-g", "3", "echo", "x"]),
        ("applyuidgid", &["-G", "", "echo", "x"]),
        ("setuidgid", &["1:1", "echo", "x"]),
        ("setuidgid", &["root", "echo", "x"]),
    ] {
        for whose in [Theirs, Ours] {
            let mut command = both.command(whose, name);
            assert_eq!(outcome(command.args(words).uid(65534).gid(65534)), Outcome::code(111), "{whose:?} {name}");
        }
    }
}

#[test]
fn setuidgid_knows_names_pairs_and_nobody() {
    let both = Beside::new();
    let script = format!("{STATUS}; {VARIABLES}");
    for account in
        ["one", "last", "root", "34", "501", "501:602", "0:5", "5:0", "1:", ":1", "1:2x", "x:1", "nobody-here"]
    {
        same(&both, "setuidgid", &[account, "sh", "-c", &script]);
    }
    assert_eq!(same(&both, "setuidgid", &["nobody-here", "true"]), Outcome::code(1));
}

#[test]
fn setuidgid_changes_nothing_for_an_empty_account() {
    let both = Beside::new();
    let outcome = same(&both, "setuidgid", &["", "sh", "-c", VARIABLES]);
    assert_eq!(outcome, Outcome::says("7 8 9,10\n"));
    assert_eq!(both.same("setuidgid", &[""]), Outcome::code(100));
}

#[test]
fn what_cannot_be_executed_is_126_or_127() {
    let both = Beside::new();
    both.file("plain", "x");
    for (name, account) in [("setuidgid", "root"), ("envuidgid", "root"), ("applyuidgid", "-u0"), ("setuidgid", "0:0")]
    {
        assert_eq!(both.same(name, &[account, "no-such-program"]), Outcome::code(127), "{name}");
        assert_eq!(both.same(name, &[account, "./plain"]), Outcome::code(126), "{name}");
        assert_eq!(both.same(name, &[account]), Outcome::code(100), "{name}");
    }
}
