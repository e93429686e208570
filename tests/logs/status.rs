//! Status files.

use crate::compare::differ;

#[test]
fn a_status_file_has_the_last_line_and_1001_bytes() {
    differ(|stage| {
        stage.feed(&["=status"], "one\ntwo\nthree\n");
        stage.look("then");
    });
}

#[test]
fn a_longer_line_is_cut_and_has_no_newline() {
    differ(|stage| {
        for length in [999, 1000, 1001, 1002, 3000] {
            let input = [&vec![b'x'; length][..], b"\n"].concat();
            stage.feed(&[&format!("={length}")], input);
        }
        stage.look("then");
    });
}

#[test]
fn a_status_file_without_a_size_has_that_of_its_line() {
    differ(|stage| {
        stage.feed(&["^0", "=status"], "one\ntwo and a half\n");
        stage.look("then");
        stage.feed(&["^0", "=status"], "1\n");
        stage.look("again");
        stage.feed(&["^0", "=status"], [&[b'x'; 5000][..], b"\n"].concat());
        stage.look("long");
    });
}

#[test]
fn small_status_files() {
    differ(|stage| {
        stage.feed(&["^1", "=a", "^2", "=b", "^3", "=c", "^4", "=d", "^5", "=e", "^8", "=f"], "abc\n");
        stage.look("then");
        stage.feed(&["^1", "=a", "^2", "=b"], "\n");
        stage.look("of an empty line");
    });
}

#[test]
fn a_status_file_with_prefix_and_stamps() {
    differ(|stage| {
        stage.set("TZ", "UTC0");
        stage.feed(
            &["pP:", "^100", "t", "=a", "T", "=b", "t", "T", "=c", "=d", "^20", "t", "=e", "^40", "t", "T", "=f"],
            "line\n",
        );
        let files = ["a", "b", "c", "d", "e", "f"].map(|name| (name, stage.content(name)));
        for (name, content) in files {
            // e and f are cut in the stamps.
            let shown = if name < "e" { crate::look::masked(&content, stage.began()) } else { String::new() };
            stage.note(name, format!("{} bytes: {shown}", content.len()));
        }
    });
}

#[test]
fn only_selected_lines_are_a_status() {
    differ(|stage| {
        stage.feed(&["-", "+status", "^30", "=all", "-old", "=new", "f", "=none"], "status 1\nx\nold status 2\ny\n");
        stage.look("then");
    });
}

#[test]
fn a_status_file_in_another_directory_and_by_its_whole_path() {
    differ(|stage| {
        stage.directory("place");
        let absolute = format!("={}", stage.path("absolute").display());
        stage.feed(&["^10", "=place/status", &absolute, "=./dot"], "line\n");
        stage.look("then");
    });
}

#[test]
fn a_status_file_that_cannot_be_written_is_a_warning() {
    differ(|stage| {
        stage.directory("directory");
        stage.directory("occupied.new");
        let script = ["^10", "=none/status", "=directory", "=occupied", "=good", "1"];
        stage.feed(&script, "one\ntwo\n");
        stage.look("then");
        stage.feed(&["-q", "^10", "=none/status", "=good", "1"], "three\n");
    });
}

#[test]
fn without_input_there_is_no_status() {
    differ(|stage| {
        stage.file("old", "old");
        stage.feed(&["=status", "=old"], "");
        stage.look("then");
    });
}

#[test]
fn an_old_status_file_and_an_old_new_one_are_replaced() {
    differ(|stage| {
        stage.file_of_mode("status", 0o600, "old\n");
        stage.file_of_mode("status.new", 0o600, "something longer that was left there\n");
        stage.feed(&["^0", "=status"], "line\n");
        stage.look("then");
    });
}

#[test]
fn a_status_file_is_a_new_one_for_each_line() {
    differ(|stage| {
        stage.start(&["^20", "=status"]);
        stage.say("one\n");
        stage.until("status", "one");
        let first = std::fs::File::open(stage.path("status")).unwrap();
        stage.say("two\n");
        stage.until("status", "two");
        stage.look("then");
        let content = std::io::read_to_string(first).unwrap();
        stage.note("what was opened before", content);
        stage.eof();
        stage.end();
    });
}

#[test]
fn binary_bytes_in_a_status_file() {
    differ(|stage| {
        let bytes: Vec<u8> = (1..=255).filter(|byte| *byte != b'\n').collect();
        stage.feed(&["^300", "=status", "^100", "=short"], [&bytes[..], b"\n"].concat());
        stage.look("then");
    });
}
