//! The run scripts of a service that has instances, and of its logger. Pure.
//!
//! s6 writes them in execline; these are for `/bin/sh`, which is there where execline may not be. They call s6's
//! commands by their names: those of s6 will do as well as ours.

use crate::text::number::Decimal;
use heapless::Vec;

/// Longest script: it holds a user name, a log directory and a prefix, each far shorter than a path may be.
const SCRIPT: usize = 4096;

/// A script, or too long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    text: Vec<u8, SCRIPT>,
    cut: bool,
}

/// How a logger logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Logger<'a> {
    /// Where; an absolute path.
    pub dir: &'a [u8],
    /// User to run as; `None`: as the supervisor.
    pub user: Option<&'a [u8]>,
    /// Stamps in front of lines: 1 TAI64N, 2 ISO 8601, 3 both, 0 none.
    pub stamp: u32,
    /// Archived files at most.
    pub files: u32,
    /// Bytes of one file.
    pub size: u64,
    /// Bytes of all archived files; 0: any number.
    pub total: u64,
    /// In front of each line; may be empty.
    pub prefix: &'a [u8],
}

/// The script of the service: a scanner on `instance`, for at most `max` instances, as `user`.
pub fn service(user: Option<&[u8]>, max: u32) -> Script {
    let mut script = Script::new();
    script.put(b"exec 2>&1\n");
    if let Some(user) = user {
        // The scanner makes files of its own there, and so does who makes instances.
        script.put(b"chown ");
        script.word(user);
        script.put(b" instance instances || exit 111\n");
    }
    script.exec_as(user);
    // What Debian's s6 takes, and ours; s6's head calls it -C.
    script.put(b"s6-svscan -d3 -c");
    script.put(Decimal::new(max.into()).as_bytes());
    script.put(b" -- instance\n");
    script
}

/// The script of its logger.
pub fn logger(logger: &Logger<'_>) -> Script {
    let mut script = Script::new();
    script.exec_as(logger.user);
    script.put(b"s6-log -bd3 --");
    if logger.stamp & 1 != 0 {
        script.put(b" t");
    }
    if logger.stamp & 2 != 0 {
        script.put(b" T");
    }
    script.directive(b" n", logger.files.into());
    script.directive(b" s", logger.size);
    if logger.total != 0 {
        script.directive(b" S", logger.total);
    }
    if !logger.prefix.is_empty() {
        script.put(b" p");
        script.word(logger.prefix);
    }
    script.put(b" ");
    script.word(logger.dir);
    script.put(b"\n");
    script
}

impl Script {
    fn new() -> Script {
        let mut script = Script { text: Vec::new(), cut: false };
        script.put(b"#!/bin/sh\n");
        script
    }

    /// The script; `None`: it is longer than 4 KiB.
    pub fn get(&self) -> Option<&[u8]> {
        (!self.cut).then_some(&self.text)
    }

    fn put(&mut self, text: &[u8]) {
        self.cut |= self.text.extend_from_slice(text).is_err();
    }

    /// A word that the shell takes as it is, whatever is in it.
    fn word(&mut self, word: &[u8]) {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/.,:_+-@%".contains(b);
        if !word.is_empty() && word.iter().all(plain) {
            return self.put(word);
        }
        self.put(b"'");
        for (i, part) in word.split(|b| *b == b'\'').enumerate() {
            self.put(if i == 0 { b"" } else { b"'\\''" });
            self.put(part);
        }
        self.put(b"'");
    }

    fn directive(&mut self, letter: &[u8], number: u64) {
        self.put(letter);
        self.put(Decimal::new(number).as_bytes());
    }

    fn exec_as(&mut self, user: Option<&[u8]>) {
        self.put(b"exec ");
        if let Some(user) = user {
            self.put(b"s6-setuidgid ");
            self.word(user);
            self.put(b" ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOGGER: Logger<'_> =
        Logger { dir: b"/var/log/x", user: None, stamp: 1, files: 10, size: 1_000_000, total: 0, prefix: b"" };

    fn text(script: &Script) -> &str {
        core::str::from_utf8(script.get().unwrap()).unwrap()
    }

    #[test]
    fn the_service_is_a_scanner_that_says_when_it_is_ready() {
        assert_eq!(text(&service(None, 500)), "#!/bin/sh\nexec 2>&1\nexec s6-svscan -d3 -c500 -- instance\n");
    }

    #[test]
    fn a_scanner_that_is_another_user_has_directories_of_its_own() {
        assert_eq!(
            text(&service(Some(b"www-data"), 7)),
            "#!/bin/sh\nexec 2>&1\nchown www-data instance instances || exit 111\n\
             exec s6-setuidgid www-data s6-svscan -d3 -c7 -- instance\n"
        );
    }

    #[test]
    fn the_logger_gets_a_directive_for_each_option() {
        assert_eq!(text(&logger(&LOGGER)), "#!/bin/sh\nexec s6-log -bd3 -- t n10 s1000000 /var/log/x\n");
        let all =
            Logger { user: Some(b"log"), stamp: 3, files: 4, size: 5000, total: 70000, prefix: b"pre: ", ..LOGGER };
        assert_eq!(
            text(&logger(&all)),
            "#!/bin/sh\nexec s6-setuidgid log s6-log -bd3 -- t T n4 s5000 S70000 p'pre: ' /var/log/x\n"
        );
        assert!(text(&logger(&Logger { stamp: 0, ..LOGGER })).contains("-- n10"));
        assert!(text(&logger(&Logger { stamp: 2, ..LOGGER })).contains("-- T n10"));
    }

    #[test]
    fn a_script_that_is_too_long_is_none() {
        assert_eq!(logger(&Logger { dir: &[b'/'; SCRIPT], ..LOGGER }).get(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn the_shell_reads_each_word_as_it_was(word in "[^\0]{0,40}") {
            let mut script = Script::new();
            script.put(b"printf %s ");
            script.word(word.as_bytes());
            let output = std::process::Command::new("/bin/sh").arg("-c").arg(text(&script)).output().unwrap();
            prop_assert_eq!(output.stdout, word.as_bytes());
        }
    }
}
