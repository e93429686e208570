use crate::beside::Beside;
use crate::same;

#[test]
fn every_row_of_the_table_ends_as_in_s6() {
    let both = Beside::new();
    let long = "X".repeat(300);
    for (variables, code) in [
        (&[][..], 100),
        (&[("PROTO", "")], 100),
        (&[("PROTO", "IPC")], 100),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "")], 100),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "3x")], 100),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "-3")], 100),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "4294967296")], 100),
        (&[("PROTO", "IPC"), ("TCPCONNNUM", "3")], 100),
        (&[(&long, "3"), ("PROTO", &long)], 100),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "3")], 0),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "3"), ("IPCCONNMAX", "")], 100),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "3"), ("IPCCONNMAX", "x")], 100),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "3"), ("IPCCONNMAX", "4")], 0),
        // The manual refuses this; the program does not.
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "3"), ("IPCCONNMAX", "3")], 0),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "3"), ("IPCCONNMAX", "2")], 1),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "3"), ("IPCCONNMAX", "002")], 1),
        (&[("PROTO", "IPC"), ("IPCCONNNUM", "1"), ("IPCCONNMAX", "0")], 1),
        (&[("PROTO", "TCP"), ("TCPCONNNUM", "3"), ("TCPCONNMAX", "2"), ("IPCCONNMAX", "9")], 1),
    ] {
        let words: [&[&str]; 3] = [&["echo", "-n", "in"], &[], &["--", "true"]];
        for words in words {
            let done = same(&both, "connlimit", |command| {
                command.envs(variables.iter().copied()).args(words);
            });
            match words.first() {
                // No options: the first word is the program.
                Some(&"--") if code == 0 => assert_eq!(done.code, 127),
                _ => assert_eq!(done.code, code, "{variables:?} {words:?}"),
            }
            assert_eq!(done.out, if code == 0 && words.first() == Some(&"echo") { "in" } else { "" });
        }
    }
}

#[test]
fn who_is_one_too_many_is_told_the_limit() {
    let both = Beside::new();
    let done = same(&both, "connlimit", |command| {
        command.envs([("PROTO", "IPC"), ("IPCCONNNUM", "41"), ("IPCCONNMAX", "40")]).arg("true");
    });
    assert_eq!(done.err, "s6-connlimit: fatal: number of connections from this client limited to 40\n");
}
