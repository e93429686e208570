use super::super::view::{Got, Source, View, look};
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A ring's file in memory.
pub struct Memory(pub Vec<u8>);

impl Source for Memory {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        let there = self.0.get(offset as usize..).unwrap_or_default();
        let n = there.len().min(buf.len());
        buf[..n].copy_from_slice(&there[..n]);
        n
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }
}

/// What a ring must do, in the simplest way.
#[derive(Default)]
struct Model {
    lines: VecDeque<Vec<u8>>,
    state: State,
}

impl Model {
    fn push(&mut self, line: &[u8], capacity: usize) {
        let mut line = line.to_vec();
        if line.len() > capacity {
            self.state.cut += (line.len() - 1 - (capacity - MARK.len())) as u64;
            line.truncate(capacity - MARK.len());
            line.extend(MARK);
        }
        while self.lines.iter().map(Vec::len).sum::<usize>() + line.len() > capacity {
            self.state.start += self.lines.pop_front().unwrap().len() as u64;
            self.state.gone += 1;
        }
        self.state.end += line.len() as u64;
        self.state.lines += 1;
        self.lines.push_back(line);
    }
}

/// Everything in a ring, by its reader.
fn read_all(memory: &Memory) -> Vec<u8> {
    let (mut view, mut all, mut buf) = (View::new(memory).unwrap(), Vec::new(), [0; 7]);
    loop {
        match view.read(memory, &mut buf, u64::MAX).unwrap() {
            Got::Bytes(0) => return all,
            Got::Bytes(n) => all.extend(&buf[..n]),
            Got::Lost(lines) => panic!("{lines} lines are lost with nobody writing"),
        }
    }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("a newline ends the line", |byte| *byte != b'\n');
    prop::collection::vec(byte, 0..60).prop_map(|mut line| {
        line.push(b'\n');
        line
    })
}

proptest! {
    #[test]
    fn a_ring_holds_what_the_model_holds(
        capacity in 5usize..100,
        lines in prop::collection::vec((line(), any::<prop::sample::Index>(), prop::bool::weighted(0.1)), 0..80),
    ) {
        let (mut memory, mut model) = (Memory(vec![0; HEADER + capacity]), Model::default());
        Writer::make(&mut memory.0, 7, State::default()).unwrap();
        for (line, cut, again) in &lines {
            let mut writer = Writer::go_on(&mut memory.0).unwrap();
            if *again {
                // Whoever dies before a push is done leaves a slot that says nothing, and bytes where nothing is said to be.
                let before = writer.state();
                writer.make_room(line.len().min(capacity));
                writer.store(before.end, &line[..line.len().min(capacity)]);
                let newer = writer.changes + 1;
                memory.0[SLOTS[newer as usize % 2] + 8] ^= 1;
                let state = Writer::go_on(&mut memory.0).unwrap().state();
                prop_assert!(state.end == before.end && state.lines == before.lines);
                while model.state.start < state.start {
                    model.state.start += model.lines.pop_front().unwrap().len() as u64;
                    model.state.gone += 1;
                }
                prop_assert_eq!(model.state, state);
                writer = Writer::go_on(&mut memory.0).unwrap();
            }
            let (first, second) = line.split_at(cut.index(line.len()));
            writer.push(&[first, b"", second]);
            model.push(line, capacity);
            prop_assert_eq!(writer.state(), model.state);
            prop_assert_eq!(read_all(&memory), model.lines.iter().flatten().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_reader_misses_nothing_that_it_is_not_told_of(
        capacity in 20usize..200,
        steps in prop::collection::vec((0usize..6, 1usize..40), 1..80),
    ) {
        let mut memory = Memory(vec![0; HEADER + capacity]);
        Writer::make(&mut memory.0, 7, State::default()).unwrap();
        let mut view = View::new(&memory).unwrap();
        let (mut pushed, mut known, mut text) = (0u64, 0u64, Vec::new());
        for (lines, size) in steps {
            for _ in 0..lines {
                Writer::go_on(&mut memory.0).unwrap().push(&[format!("line {pushed}\n").as_bytes()]);
                pushed += 1;
            }
            let mut buf = vec![0; size];
            match view.read(&memory, &mut buf, u64::MAX).unwrap() {
                Got::Bytes(n) => text.extend(&buf[..n]),
                Got::Lost(lines) => {
                    text.clear();
                    known += lines;
                }
            }
            while let Some(end) = find::first(&text, b'\n') {
                prop_assert_eq!(std::str::from_utf8(&text[..end]).unwrap(), format!("line {known}"));
                text.drain(..=end);
                known += 1;
            }
        }
        prop_assert!(known <= pushed);
        prop_assert_eq!(look(&memory).unwrap().state.lines, pushed);
    }

    #[test]
    fn any_bytes_are_a_ring_or_none(mut bytes in prop::collection::vec(any::<u8>(), 0..300), data in 0usize..100, at in 0usize..256, bit in 0u8..8) {
        bytes.resize(HEADER + data, b'x');
        let _ = Writer::go_on(&mut bytes);
        let mut memory = Memory(vec![0; HEADER + data.max(5)]);
        let mut writer = Writer::make(&mut memory.0, 7, State::default()).unwrap();
        writer.push(&[b"line\n"]);
        memory.0[at] ^= 1 << bit;
        if let Ok(writer) = Writer::go_on(&mut memory.0) {
            let state = writer.state();
            // A flipped bit is in what does not count, or the state before that one counts again.
            prop_assert!(state.lines <= 1 && state.end <= 5);
        }
    }
}

#[test]
fn a_slot_that_was_not_written_to_its_end_is_not_believed() {
    let mut memory = vec![0; HEADER + 64];
    let mut writer = Writer::make(&mut memory, 7, State::default()).unwrap();
    writer.push(&[b"first\n"]);
    let before = writer.state();
    let newer = SLOTS[writer.changes as usize % 2 ^ 1];
    for at in 0..8 * WORDS {
        let mut torn = memory.clone();
        Writer::go_on(&mut torn).unwrap().push(&[b"second\n"]);
        // As if the stores had stopped at this byte.
        torn[newer + at..newer + 8 * WORDS].copy_from_slice(&memory[newer + at..newer + 8 * WORDS]);
        let state = Writer::go_on(&mut torn).unwrap().state();
        assert!(state == before || state.lines == 2 && state.end == 13, "{at}: {state:?}");
    }
}

#[test]
fn a_ring_is_gone_on_with_at_its_own_size_only() {
    let mut memory = vec![0; HEADER + 64];
    Writer::make(&mut memory, 7, State::default()).unwrap().push(&[b"line\n"]);
    assert_eq!(Writer::go_on(&mut memory[..HEADER + 63]).err(), Some(Fault::Size));
    let mut longer = memory.clone();
    longer.push(0);
    assert_eq!(Writer::go_on(&mut longer).err(), Some(Fault::Size));
    let mut other = memory.clone();
    other[8] += 1;
    assert_eq!(Writer::go_on(&mut other).err(), Some(Fault::Version));
    other = memory.clone();
    other[HEADER + 4] = b'x';
    assert_eq!(Writer::go_on(&mut other).err(), Some(Fault::State));
    assert_eq!(Writer::go_on(&mut memory[..100]).err(), Some(Fault::Size));
    assert_eq!(Writer::go_on(&mut []).err(), Some(Fault::Foreign));
}
