//! The order of what is put on the disk and of what gets another name, as strace tells it.

use crate::compare::differ;
use crate::stage::{Stage, even_lines};

/// What the logger does about files, a line each; nothing where there is no strace.
fn calls(stage: &mut Stage, words: &[&str], input: &[u8]) -> String {
    let trace = stage.path("../trace");
    let input = stage.input(input);
    let mut command = stage.shell(
        "umask 022; command -v strace >/dev/null || exit 0; exec strace -f -y -qq -e signal=none \
         -e 'trace=fsync,fdatasync,sync,/^rename,/^link,/^unlink,/chmod' -o ../trace \"$0\" \"$@\"",
    );
    command.arg(stage.program()).args(words).stdin(input);
    stage.run(command);
    let trace = std::fs::read_to_string(trace).unwrap_or_default();
    trace.lines().filter_map(call).collect::<Vec<_>>().join("\n")
}

/// One call that has succeeded: its kind, and the last part of each path.
fn call(line: &str) -> Option<String> {
    let line = line.strip_suffix(" = 0")?;
    // Behind the process's number.
    let (name, arguments) = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').split_once('(')?;
    let kind =
        ["fsync", "fdatasync", "sync", "rename", "unlink", "link", "chmod"].iter().find(|kind| name.contains(*kind))?;
    let mut paths: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
    if paths.is_empty() {
        // That of a descriptor.
        paths.push(arguments.split_once('<')?.1.split_once('>')?.0);
    }
    let last = |path: &&str| {
        let last = path.rsplit('/').next().unwrap_or_default();
        if crate::look::is_archive(last) { format!("@{}", &last[25..]) } else { last.to_owned() }
    };
    Some(format!("{kind} {}", paths.iter().map(last).collect::<Vec<_>>().join(" ")))
}

macro_rules! calls {
    ($($name:ident: $lines:literal, $($word:literal)*;)*) => {$(
        #[test]
        fn $name() {
            differ(|stage| {
                let made = calls(stage, &[$($word),*], &even_lines($lines, 100));
                stage.note("calls", made);
            });
        }
    )*};
}

calls! {
    a_log_is_put_on_the_disk_at_the_end_only: 50, "./d";
    a_rotation_puts_the_log_on_the_disk_and_then_renames_it: 100, "s4096" "l0" "./d";
    what_a_processor_wrote_is_put_on_the_disk_before_the_log_goes: 81, "s4096" "l0" "?cat" "./d" "?" "-" "./other";
    archives_are_removed_when_there_is_a_new_one: 300, "s4096" "l0" "n1" "./d";
    a_status_file_is_not_put_on_the_disk: 1, "=status";
}

#[test]
fn what_was_left_is_recovered_in_this_order() {
    differ(|stage| {
        for (name, mode) in [("processed", 0o744), ("previous", 0o744), ("newstate", 0o644), ("state", 0o644)] {
            stage.file_of_mode(&format!("d/{name}"), mode, name);
        }
        let made = calls(stage, &["./d"], b"line\n");
        stage.note("calls", made);
        stage.look("then");
    });
}
