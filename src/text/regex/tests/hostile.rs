//! Patterns and texts that are meant to stall or to fill memory.

use super::*;

const HOSTILE: [&str; 11] = [
    "(a*)*b",
    "(a+)+b",
    "(a|a)*b",
    "(a|aa)+b",
    "(a|aa|a*)*(a*)*(a?){200}b$",
    "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)b",
    "(x+x+)+y",
    "a.{200}b",
    "[ab]*a[ab]{60}c",
    "(((((a?){3}){3}){3}){3}){3}b",
    "(a|b|ab)*(a|b|ab){40}c",
];

/// A text of `a` and `b` in an order that repeats nothing.
fn unruly(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        if state >> 24 & 1 == 0 { b'a' } else { b'b' }
    };
    (0..len).map(|_| next()).collect()
}

/// The steps that machines make while `body` runs.
fn steps<R>(body: impl FnOnce() -> R) -> (u64, R) {
    let before = STEPS.get();
    let result = body();
    (STEPS.get() - before, result)
}

/// For each pattern: its instructions, the steps that compiling takes, and those that a text takes.
fn cost(pattern: &str, text: &[u8], memory: &mut [u16]) -> (u64, u64, u64) {
    let regex = Regex::new(pattern.as_bytes()).unwrap();
    let (compiling, automaton) = steps(|| Automaton::new(pattern.as_bytes(), memory));
    let mut automaton = automaton.unwrap();
    let (first, found) = steps(|| automaton.is_match(text));
    assert_eq!(found, regex.is_match(text), "{pattern}");
    (regex.len as u64, compiling, first)
}

#[test]
fn a_byte_never_costs_more_than_some_steps_for_each_instruction() {
    for pattern in HOSTILE {
        for text in [vec![b'a'; 5_000], unruly(5_000)] {
            let (code, compiling, matching) = cost(pattern, &text, &mut [0; 20_000]);
            // The machine looks at each place that it is at, and visits each place once; making a state asks once more
            // whether the text may end there.
            assert!(matching <= 3 * code * text.len() as u64, "{pattern}: {matching} steps for {code} instructions");
            // Learning to skip asks twice for each byte at most.
            assert!(compiling <= 3 * code * (4 + 2 * 256), "{pattern}: {compiling} steps for {code} instructions");
        }
    }
}

#[test]
fn a_text_that_the_automaton_knows_costs_no_steps_at_all() {
    let text = unruly(5_000);
    for pattern in ["error", "(warn|err|crit).*disk", "^x", "[0-9]+ ms$", "(a*)*c", "a[ab]{4}c"] {
        let mut memory = vec![0; Automaton::MOST];
        let mut automaton = Automaton::new(pattern.as_bytes(), &mut memory).unwrap();
        automaton.is_match(&text);
        assert_eq!(steps(|| automaton.is_match(&text)).0, 0, "{pattern}");
    }
}

#[test]
fn states_that_do_not_last_are_not_made_for_each_byte() {
    // Nearly every byte of this text leads to a state that has not been before.
    let (pattern, text) = ("[ab]*a[ab]{60}c", unruly(50_000));
    let regex = Regex::new(pattern.as_bytes()).unwrap();
    for len in [100, text.len()] {
        let mut memory = vec![0; 4_000];
        let mut automaton = Automaton::new(pattern.as_bytes(), &mut memory).unwrap();
        let found = |is_match: &mut dyn FnMut(&[u8]) -> bool| text.chunks(len).filter(|line| is_match(line)).count();
        let (with, ours) = steps(|| found(&mut |line| automaton.is_match(line)));
        let (without, expected) = steps(|| found(&mut |line| regex.is_match(line)));
        assert_eq!(ours, expected);
        assert!(with <= without + without / 4, "{with} steps, {without} without memory");
        assert!(automaton.used() <= 4_000);
    }
}

#[test]
fn memory_that_is_full_of_what_does_not_come_again_is_used_for_what_does() {
    let mut memory = vec![0; 4_000];
    let mut automaton = Automaton::new(b"[ab]*a[ab]{60}c", &mut memory).unwrap();
    unruly(50_000).chunks(100).for_each(|line| assert!(!automaton.is_match(line)));
    let line = b"ab".repeat(30);
    assert!(steps(|| automaton.is_match(&line)).0 > 0);
    let learns = |_: &u32| steps(|| automaton.is_match(&line)).0 == 0;
    assert!((0..1000).find(learns).is_some());
}

#[test]
fn thousands_of_lines_never_use_more_memory_than_there_is() {
    let text = unruly(20_000);
    for pattern in HOSTILE {
        let regex = Regex::new(pattern.as_bytes()).unwrap();
        let mut memory = vec![0; 20_000];
        let mut automaton = Automaton::new(pattern.as_bytes(), &mut memory).unwrap();
        for line in text.chunks(83) {
            assert_eq!(automaton.is_match(line), regex.is_match(line), "{pattern}");
        }
        assert!(automaton.used() <= 20_000);
    }
}

#[test]
fn a_simple_pattern_uses_less_than_a_page() {
    for pattern in ["error", "^kern: ", "(warn|err|crit)", "[0-9]+ ms$", "foo.*bar", "[Ee]rror: [a-z]* failed"] {
        let mut memory = vec![0; Automaton::MOST];
        let mut automaton = Automaton::new(pattern.as_bytes(), &mut memory).unwrap();
        for line in [&b"kern: error 17 ms"[..], b"foobar", b"Error: disk failed", b"warning", b""] {
            automaton.is_match(line);
        }
        assert!(2 * automaton.used() < 4096, "{pattern}: {} bytes", 2 * automaton.used());
    }
}

#[test]
fn what_is_too_large_is_told_at_once() {
    let mut memory = vec![0; Automaton::MOST];
    let alternatives: Vec<String> = (0..1000).map(|i| format!("service{i}")).collect();
    for pattern in ["((((a{1,30}){1,30}){1,30}){1,30})".to_owned(), alternatives.join("|"), "(a?){32767}".to_owned()] {
        assert_eq!(Automaton::new(pattern.as_bytes(), &mut memory).err(), Some(Error::TooLarge), "{pattern}");
    }
    let fewer = alternatives[..300].join("|");
    assert_eq!(Regex::new(fewer.as_bytes()).err(), Some(Error::TooLarge));
    let mut automaton = Automaton::new(fewer.as_bytes(), &mut memory).unwrap();
    assert!(automaton.is_match(b"  service299") && !automaton.is_match(b"servicex"));
    assert_eq!(Automaton::new(b"abc", &mut memory[..200]).err(), Some(Error::TooLarge));
    assert_eq!(Automaton::new(b"abc", &mut []).err(), Some(Error::TooLarge));
}
