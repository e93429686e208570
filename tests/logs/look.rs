//! What there is to be seen, without what is different in each run: stamps. Those must have their form, lie in the time of
//! the scenario, and be in order.

use std::fmt::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of `@`, 16 digits and 8.
const LABEL: usize = 25;

/// Bytes of local time, without the two spaces.
const LOCAL: usize = 29;

/// A time of the wall clock: nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(pub u128);

impl Moment {
    pub fn now() -> Moment {
        Moment(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos())
    }

    /// What a label says.
    pub fn of_label(label: &str) -> Option<Moment> {
        let digits = label.strip_prefix('@').filter(|digits| digits.len() == LABEL - 1)?;
        if !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let (seconds, nanoseconds) = digits.split_at(16);
        let seconds = u64::from_str_radix(seconds, 16).unwrap().checked_sub((1 << 62) + 37)?;
        let nanoseconds = u32::from_str_radix(nanoseconds, 16).unwrap();
        Some(Moment(u128::from(seconds) * 1_000_000_000 + u128::from(nanoseconds)))
    }

    pub fn seconds(self) -> u64 {
        u64::try_from(self.0 / 1_000_000_000).unwrap()
    }
}

/// Whether it is the name of an archive. (Those with upper-case digits are no others' than tests'.)
pub fn is_archive(name: &str) -> bool {
    name.len() == LABEL + 2 && Moment::of_label(&name[..LABEL]).is_some() && matches!(&name[LABEL..], ".s" | ".u")
}

/// Complains about a stamp that is not of the time since `began`. (Archives that tests have prepared are of other years.)
fn check_label(label: &str, began: Moment) -> Option<String> {
    let year = Duration::from_secs(365 * 86400).as_nanos();
    // The anchor of a clock may be a little off.
    let slack = Duration::from_secs(1).as_nanos();
    let (now, then) = (Moment::now(), Moment::of_label(label).unwrap());
    let prepared = then.0 + year < began.0 || then.0 > now.0 + year;
    let right = prepared || then.0 + slack >= began.0 && then.0 <= now.0 + slack;
    (!right).then(|| format!(" [{label} is not of now]"))
}

/// All below a directory: what is there, and what is in that.
pub fn tree(directory: &Path, began: Moment) -> (String, String) {
    let (mut files, mut contents) = (String::new(), String::new());
    walk(directory, "", began, &mut files, &mut contents);
    (files, contents)
}

fn walk(directory: &Path, shown: &str, began: Moment, files: &mut String, contents: &mut String) {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    let mut number = 0;
    for name in names {
        let path = directory.join(&name);
        let mut masked = format!("{shown}{name}");
        if is_archive(&name) {
            // In the order of their names, which is that of their stamps.
            number += 1;
            masked = format!("{shown}@{number}{}", &name[LABEL..]);
            masked += &check_label(&name[..LABEL], began).unwrap_or_default();
        }
        let Ok(data) = path.symlink_metadata() else {
            writeln!(files, "{masked} vanished").unwrap();
            continue;
        };
        let (kind, mode) = (data.file_type(), data.mode() & 0o7777);
        if kind.is_dir() {
            writeln!(files, "{masked}/ {mode:04o}").unwrap();
            walk(&path, &format!("{masked}/"), began, files, contents);
        } else if kind.is_file() {
            let links = if data.nlink() == 1 { String::new() } else { format!(", {} links", data.nlink()) };
            let content = std::fs::read(&path).unwrap_or_default();
            writeln!(files, "{masked} {mode:04o}{links}, {} bytes", content.len()).unwrap();
            if !content.is_empty() {
                writeln!(contents, "{masked}:\n{}", masked_lines(&content, began)).unwrap();
            }
        } else if kind.is_symlink() {
            writeln!(files, "{masked} -> {}", std::fs::read_link(&path).unwrap().display()).unwrap();
        } else {
            let what = if kind.is_fifo() { "fifo" } else { "device" };
            writeln!(files, "{masked} {mode:04o}, {what}").unwrap();
        }
    }
}

/// Lines of a log as they can be shown; those of one that does not end with a newline end with a backslash.
pub fn masked(text: &[u8], began: Moment) -> String {
    masked_lines(text, began)
}

fn masked_lines(text: &[u8], began: Moment) -> String {
    let mut shown = String::new();
    let mut before = Moment(0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = line.strip_suffix(b"\n").map_or((line, "\\"), |line| (line, ""));
        let (start, mut line) = line.split_at(if line.starts_with(ALERT) { ALERT.len() } else { 0 });
        show(&mut shown, start);
        if let Some(label) = label_of(line).filter(|_| line.get(LABEL) == Some(&b' ')) {
            let moment = Moment::of_label(label).unwrap();
            shown += "@STAMP ";
            shown += &check_label(label, began).unwrap_or_default();
            if moment < before {
                write!(shown, "[{label} is earlier than the one before] ").unwrap();
            }
            before = moment;
            line = &line[LABEL + 1..];
        }
        if let Some(rest) = local_of(line).and_then(|_| line[LOCAL..].strip_prefix(b"  ")) {
            shown += "LOCAL  ";
            line = rest;
        }
        show(&mut shown, line);
        shown += end;
        shown.push('\n');
    }
    shown
}

/// How an alert begins.
const ALERT: &[u8] = b"s6-log: alert: ";

/// The label at the start of a line.
pub fn label_of(line: &[u8]) -> Option<&str> {
    let label = std::str::from_utf8(line.get(..LABEL)?).ok()?;
    Moment::of_label(label).map(|_| label)
}

/// The local time at the start of a line.
pub fn local_of(line: &[u8]) -> Option<&str> {
    let local = line.get(..LOCAL)?;
    let form = b"dddd-dd-dd dd:dd:dd.ddddddddd";
    let fits = |(byte, form): (&u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form };
    local.iter().zip(form).all(fits).then(|| std::str::from_utf8(local).unwrap())
}

fn show(shown: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'\\' => shown.push_str("\\\\"),
            b'\t' => shown.push_str("\\t"),
            b' '..=b'~' => shown.push(char::from(*byte)),
            _ => write!(shown, "\\x{byte:02x}").unwrap(),
        }
    }
}

/// What is not there must not be masked.
#[test]
fn stamps_are_masked_and_looked_at() {
    let label = |moment: Moment| {
        let nanoseconds = moment.0 % 1_000_000_000;
        format!("@{:016x}{nanoseconds:08x}", moment.seconds() + (1 << 62) + 37)
    };
    let now = Moment::now();
    let later = Moment(now.0 + 5);
    let show = |text: &str| masked(text.as_bytes(), now);
    let (first, second) = (label(now), label(later));
    assert_eq!(Moment::of_label(&first), Some(now));
    assert_eq!(show(&format!("{first} a\n{second} b\n{second} c")), "@STAMP a\n@STAMP b\n@STAMP c\\\n");
    assert!(show(&format!("{second} a\n{first} b\n")).contains("earlier"));
    assert!(show(&format!("{} a\n", label(Moment(now.0 - 60_000_000_000)))).contains("not of now"));
    assert!(show(&format!("{} a\n", label(Moment(now.0 + 60_000_000_000)))).contains("not of now"));
    assert_eq!(show("2026-11-22 09:25:06.988537991  x\n"), "LOCAL  x\n");
    for bare in ["2026-11-22 09:25:06.988537991 x\n", "2026-11-22 09:25:06.98853799  x\n", "@4000 x\n"] {
        assert_eq!(show(bare), bare);
    }
    assert_eq!(show(&first), format!("{first}\\\n"));
    assert!(show(&first.to_uppercase()).starts_with("@4"));
    assert_eq!(show(&format!("s6-log: alert: {first} a\n")), "s6-log: alert: @STAMP a\n");
    assert_eq!(masked(b"a\\\t\x01\xff", now), "a\\\\\\t\\x01\\xff\\\n");
    assert_eq!(masked(b"", now), "");
    assert!(is_archive(&format!("{first}.s")) && !is_archive(&format!("{first}.t")) && !is_archive(&first));
}
