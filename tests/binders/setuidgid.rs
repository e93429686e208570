//! setuidgid, beside Debian's.

use super::*;

/// Runs setuidgid, ours or Debian's, with our own passwd and group in place of the machine's.
fn setuidgid(command: Command, dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    const PASSWD: &str = "root:x:0:0::/:\none:x:501:601::/:\nbad:x:7\none:x:1:1::/:\nbad:x:502:602::/:\nminus:x:-1:5::/:\nlast:x:503:603::/:";
    const GROUP: &str =
        "root:x:0:\nfirst:x:601:one\nsecond:x:701:one,last\nthird:x:702:lastone\nfourth:x:703:last,one\nbroken:x:one";
    std::fs::write(dir.join("passwd"), PASSWD).unwrap();
    std::fs::write(dir.join("group"), GROUP).unwrap();
    let mount = r#"mount --bind passwd /etc/passwd && mount --bind group /etc/group && exec "$@""#;
    let mut unshare = Command::new("unshare");
    unshare.current_dir(dir).args(["-m", "/bin/sh", "-c", mount, "sh"]).arg(command.get_program()).args(arguments);
    unshare.env_clear().envs([("PATH", "/usr/bin:/bin"), ("UID", "7"), ("GID", "8"), ("GIDLIST", "9"), ("UIDX", "1")]);
    seen(unshare.output().unwrap())
}

#[test]
fn setuidgid_becomes_who_debians_becomes() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let who = ["/bin/sh", "-c", "grep -E '^(Uid|Gid|Groups):' /proc/self/status; env | grep -E '^(UID|GID)' | sort"];
    for account in
        ["one", "last", "bad", "root", "lastone", "501", "501:602", "0:5", "5:0", "1:2:3", ":5", "5:", "5:x", "one:601"]
    {
        let arguments = [&[account], &who[..]].concat();
        let dir = TempDir::new();
        let link = dir.command(SETUIDGID);
        let (code, out, err) = setuidgid(Command::new(link), dir.path(), &arguments);
        if let Some((dir, command)) = debians(SETUIDGID) {
            let (debians_code, debians_out, debians_err) = setuidgid(command(), dir.path(), &arguments);
            assert_eq!((code, &out), (debians_code, &debians_out), "{account}: {err} / {debians_err}");
            // Debian's runs s6-envuidgid and s6-applyuidgid, which speak for themselves.
            if code == Some(1) {
                assert_eq!(err.split_once(": ").unwrap().1, debians_err.split_once(": ").unwrap().1);
            }
        }
        if account == "one" {
            let (uid, gid) = ("501\t".repeat(4), "601\t".repeat(4));
            assert_eq!(out, format!("Uid:\t{}\nGid:\t{}\nGroups:\t601 701 703 \nUIDX=1\n", uid.trim(), gid.trim()));
        }
    }
}

#[test]
fn setuidgid_without_the_right_to_fails_and_runs_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let (dir, command) = ours(SETUIDGID);
    let again = dir.command(SETUIDGID);
    let (code, out, err) = seen(command().arg("12345:12345").arg(again).args(["1:1", "echo", "ran"]).output().unwrap());
    assert_eq!((code, out.as_str()), (Some(111), ""));
    assert!(
        err.ends_with("setuidgid: fatal: unable to set supplementary group list: Operation not permitted\n"),
        "{err}"
    );
}

#[test]
fn setuidgid_needs_an_account_and_a_program() {
    let (_dir, command) = ours(SETUIDGID);
    for wrong in [&[][..], &["root"], &["-x", "root", "true"], &["4294967296:1", "true"], &["", "true"]] {
        let code = command().args(wrong).output().unwrap().status.code();
        assert_eq!(code, Some(if *wrong == ["", "true"] { 0 } else { 100 }), "{wrong:?}");
    }
}
