//! What a program gets of the client's environment.

use crate::beside::*;
use crate::side::*;

/// The program's environment, sorted, without PATH.
fn environment(whose: Whose, server: &[(&str, &str)], client: &[&str]) -> Vec<String> {
    let both = Beside::new();
    let (answers, written, code) = run(&both, whose, &[], Request { args: &["env"], client, server });
    assert_eq!((&answers[..], code), (&[0; 5][..], 0));
    let mut all: Vec<String> = written.lines().map(str::to_owned).collect();
    all.retain(|entry| !entry.starts_with("PATH="));
    all.sort();
    all
}

fn same(server: &[(&str, &str)], client: &[&str]) -> Vec<String> {
    let [theirs, ours] = BOTH.map(|whose| environment(whose, server, client));
    assert_eq!(ours, theirs, "{server:?} {client:?}");
    ours
}

#[test]
fn a_variable_is_taken_only_if_the_server_has_it_empty() {
    for (server, client, expected) in [
        (None, None, None),
        (None, Some(""), None),
        (None, Some("client"), None),
        (Some(""), None, Some("")),
        (Some(""), Some(""), Some("")),
        (Some(""), Some("client"), Some("client")),
        (Some("server"), None, Some("server")),
        (Some("server"), Some(""), Some("server")),
        (Some("server"), Some("client"), Some("server")),
    ] {
        let server: Vec<_> = server.map(|value| ("V", value)).into_iter().collect();
        let client: Vec<_> = client.map(|value| format!("V={value}")).into_iter().collect();
        let client: Vec<&str> = client.iter().map(String::as_str).collect();
        let expected: Vec<_> = expected.map(|value| format!("V={value}")).into_iter().collect();
        assert_eq!(same(&server, &client), expected, "{server:?} {client:?}");
    }
}

#[test]
fn a_value_may_hold_anything() {
    assert_eq!(same(&[("V", "")], &["V==a=b\tc "]), ["V==a=b\tc "]);
}

#[test]
fn of_several_the_first_that_is_not_empty_is_taken() {
    assert_eq!(same(&[("V", "")], &["V=", "V=1", "V=2", "V="]), ["V=1"]);
}

#[test]
fn names_are_compared_as_a_whole() {
    assert_eq!(same(&[("V", ""), ("VW", "")], &["W=1", "VWX=2", "v=3", "=4"]), ["V=", "VW="]);
    assert_eq!(same(&[("VW", "")], &["V=1"]), ["VW="]);
    assert_eq!(same(&[("V", "")], &["VW=1"]), ["V="]);
}

#[test]
fn many_variables_are_no_trouble() {
    let server: Vec<(String, &str)> = (0..200).map(|n| (format!("V{n}"), "")).collect();
    let server: Vec<(&str, &str)> = server.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let client: Vec<String> = (0..3000).map(|n| format!("V{n}={n}")).collect();
    let client: Vec<&str> = client.iter().map(String::as_str).collect();
    let all = environment(Ours, &server, &client);
    let mut expected: Vec<&str> = client[..200].to_vec();
    expected.sort_unstable();
    assert_eq!(all, expected);
}

#[test]
fn an_entry_that_is_no_variable_is_refused() {
    for whose in BOTH {
        let both = Beside::new();
        let request = Request { args: &["echo", "ran"], client: &["V=1", "no variable"], server: &[("V", "")] };
        assert_eq!(run(&both, whose, &[], request), (vec![22], String::new(), 100), "{whose:?}");
    }
}

#[test]
fn the_program_is_looked_up_in_the_servers_path_whatever_the_client_says() {
    for whose in BOTH {
        let both = Beside::new();
        std::fs::create_dir(both.path().join("client")).unwrap();
        std::os::unix::fs::symlink("/bin/echo", both.path().join("client/linchpin-test-echo")).unwrap();
        let path = format!("PATH={}", both.path().join("client").display());
        let sudod = both.command(whose, "sudod").get_program().to_owned();
        // Debian's own is found by the PATH that we have.
        let mut command = std::process::Command::new("env");
        command.args(["PATH=", if whose == Ours { sudod.to_str().unwrap() } else { "/usr/bin/s6-sudod" }]);
        command.current_dir(both.path());
        let (sudod, output) = (Sudod::of(&both, command), Output::new());
        sudod.ask(&["linchpin-test-echo", "ran"], &[&path], [output.end(); 3]);
        // Debian's means to say why not, and says that all is well.
        assert_eq!(hear(&sudod.socket, 5), [if whose == Ours { 2 } else { 0 }]);
        assert_eq!(sudod.end().0, 111);
        assert!(!output.all().starts_with("ran"));
    }
}
