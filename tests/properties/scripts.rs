//! A logger's script and its expressions: whatever the words and lines are, lines go where the words say.
#![allow(unsafe_code)] // words that live long enough

use linchpin::limits::{LOG_GATHER, LOG_RAM_LEAST, LOG_RAM_MOST};
use linchpin::logd::script::{Script, Target};
use linchpin::text::regex::{Automaton, Error, Regex};
use std::cell::RefCell;
use std::ffi::{CStr, CString};

thread_local! {
    static SCRIPT: RefCell<Box<Script>> = RefCell::new(Box::new(Script::new()));
    static MEMORY: RefCell<Vec<u16>> = RefCell::new(vec![0; Automaton::MOST]);
}

/// A pattern up to the first newline, lines behind it; the first byte says how little memory there is.
pub fn regex(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    let mut lines = data.split(|byte| *byte == b'\n');
    let pattern = lines.next().unwrap_or_default();
    MEMORY.with_borrow_mut(|memory| {
        let size = Automaton::MOST >> (size % 9);
        let compiled = (Regex::new(pattern), Automaton::new(pattern, &mut memory[..size]));
        let (regex, mut automaton) = match compiled {
            (Ok(regex), Ok(automaton)) => (regex, automaton),
            // The one has less room for instructions, the other for everything else.
            (Ok(_), Err(Error::TooLarge)) | (Err(Error::TooLarge), _) => return,
            (regex, automaton) => return assert_eq!(regex.err(), automaton.err()),
        };
        for line in lines {
            let found = regex.is_match(line);
            assert_eq!(automaton.is_match(line), found, "{} in {}", pattern.escape_ascii(), line.escape_ascii());
            let (first, second) = line.split_at(line.len() / 2);
            let mut search = regex.search();
            assert_eq!(regex.go_on(&mut search, first), regex.is_match(first));
            assert_eq!(regex.go_on(&mut search, second), found);
        }
        assert!(automaton.used() <= size);
    });
}

/// Words, each ended by a NUL, and lines behind an empty one.
pub fn script(data: &[u8]) {
    let mut words = vec![];
    let mut left = data;
    while let Some(end) = left.iter().position(|byte| *byte == 0) {
        let (word, rest) = left.split_at(end);
        left = &rest[1..];
        if word.is_empty() {
            break;
        }
        words.push(CString::new(word).unwrap());
    }
    SCRIPT.with_borrow_mut(|script| {
        // SAFETY: the script forgets all words before they are gone.
        let forever = words.iter().map(|word| unsafe { &*std::ptr::from_ref::<CStr>(word.as_c_str()) });
        match script.parse(forever.clone()) {
            Ok(notes) => {
                settings_are_possible(script);
                let selections = words.iter().rev().take_while(|word| !acts(word)).any(|word| selects(word));
                assert_eq!(notes.extraneous, selections);
                left.split(|byte| *byte == b'\n').for_each(|line| lines_go_where_words_say(script, &words, line));
            }
            Err(problem) => {
                let text = problem.to_string();
                assert!(problem.code() == 100 && !text.is_empty() && !text.contains(char::is_control));
                // The same again: nothing of the first time is left.
                assert_eq!(script.parse(forever), Err(problem));
            }
        }
        script.parse([c"1"].into_iter()).unwrap();
    });
}

fn acts(word: &CStr) -> bool {
    matches!(word.to_bytes()[0], b'1' | b'2' | b'=' | b'.' | b'/')
}

fn selects(word: &CStr) -> bool {
    matches!(word.to_bytes()[0], b'+' | b'-' | b'f')
}

fn settings_are_possible(script: &Script) {
    for dir in &script.dirs {
        assert!((4096..=0x0fff_ffff).contains(&dir.size) && dir.tolerance <= 0x0fff_ffff / 2);
        assert!(dir.ring == 0 || (LOG_RAM_LEAST..=LOG_RAM_MOST).contains(&(dir.ring as usize)));
        assert!(dir.gather_size as usize <= LOG_GATHER && (dir.gather_size == 0 || dir.gather_time > 0));
        assert!(dir.processor.is_none_or(|(_, command)| !command.is_empty()));
        // Times can be added to any clock.
        for time in [dir.retry, dir.age, dir.gather_time] {
            assert!(time < u64::MAX / 2);
        }
    }
    for action in &script.actions {
        if let Target::Dir(number) = action.target {
            assert!(script.dirs.get(usize::from(number)).is_some());
        }
    }
}

/// What the words say, read word for word.
fn lines_go_where_words_say(script: &mut Script, words: &[CString], line: &[u8]) {
    let matches = |pattern: &[u8]| Regex::new(pattern).map(|regex| regex.is_match(line));
    let (mut selected, mut acted, mut number, mut expected) = (true, false, 0, vec![]);
    for word in words {
        let (letter, rest) = word.to_bytes().split_first().unwrap();
        match letter {
            b'f' => selected = !acted,
            b'+' | b'-' => match matches(rest) {
                Ok(true) => selected = *letter == b'+',
                Ok(false) => {}
                // The script's have more room.
                Err(_) => return,
            },
            _ if acts(word) => {
                if selected {
                    acted = true;
                    expected.push(number);
                }
                number += 1;
            }
            _ => {}
        }
    }
    let mut ran = vec![];
    script.each_action(line, |action| ran.push(action));
    assert_eq!(ran, expected, "{words:?}: {}", line.escape_ascii());
    if script.is_plain() {
        assert_eq!(ran.len(), script.actions.len());
    }
}
