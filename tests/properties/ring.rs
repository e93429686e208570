//! A log's ring whose bytes are anything: who reads it, and who goes on with it.

use linchpin::logd::ring::{Got, HEADER, Source, State, View, Writer, look, write_state};

struct Memory(Vec<u8>);

impl Source for Memory {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        let there = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let n = there.len().min(buf.len());
        buf[..n].copy_from_slice(&there[..n]);
        n
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }
}

/// What a reader finds, if it is a ring to it.
fn read(memory: &Memory) -> Option<Vec<u8>> {
    let header = look(memory).ok()?;
    let (mut view, mut all, mut buf) = (View::new(memory).unwrap(), Vec::new(), [0; 50]);
    loop {
        match view.read(memory, &mut buf, u64::MAX).unwrap() {
            Got::Bytes(0) => break,
            Got::Bytes(n) => all.extend_from_slice(&buf[..n]),
            Got::Lost(_) => panic!("nobody writes"),
        }
        assert!(all.len() <= header.capacity, "it has more than it has room for");
    }
    assert_eq!(all.len() as u64, header.state.end - header.state.start);
    Some(all)
}

/// The first byte is the capacity; the second tells whether the header is right but for its states, each of which is made of
/// five of the next ten (0xff is a large number); the rest is the data, or all of it the header.
pub fn ring(data: &[u8]) {
    let Some((&[capacity, kind, ref states @ ..], rest)) = data.split_first_chunk::<12>() else { return };
    let capacity = 5 + usize::from(capacity) % 120;
    let mut memory = Memory(vec![0; HEADER + capacity]);
    if kind % 4 == 3 {
        let n = rest.len().min(memory.0.len());
        memory.0[..n].copy_from_slice(&rest[..n]);
    } else {
        Writer::make(&mut memory.0, 7, State::default()).unwrap();
        let number = |byte: u8| if byte == 0xff { u64::MAX } else { u64::from(byte) };
        for (change, state) in (2..).zip(states.chunks(5)) {
            let &[start, gone, end, lines, cut] = state else { continue };
            // Most are near enough to each other.
            let (start, gone) = (number(start), number(gone));
            let end = if kind & 8 == 0 { start.saturating_add(number(end)) } else { number(end) };
            let lines = if kind & 16 == 0 { gone.saturating_add(number(lines)) } else { number(lines) };
            write_state(&mut memory.0, change, State { start, gone, end, lines, cut: number(cut) });
        }
        for (byte, value) in memory.0[HEADER..].iter_mut().zip(rest.iter().cycle()) {
            *byte = *value;
        }
    }
    let before = read(&memory);
    let Ok(mut writer) = Writer::go_on(&mut memory.0) else { return };
    let mut state = writer.state();
    let before = before.expect("what can be gone on with can be read");
    assert_eq!(before.iter().filter(|byte| **byte == b'\n').count() as u64, state.lines - state.gone);
    for line in [&b"line"[..], b"", &[b'x'; 300], b"", rest] {
        writer.push(&[line, b"\n"]);
        let now = writer.state();
        assert!(now.start >= state.start && now.end > state.end);
        assert!(now.end - now.start <= capacity as u64);
        state = now;
    }
    let after = read(&memory).expect("it is one still");
    assert_eq!(after.len() as u64, state.end - state.start);
}
