//! Patterns of identifiers: `*` any bytes, `?` one byte, `[...]` a set, `\` quotes. Stand-in until the real one is here.

/// Whether the whole of `text` matches.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        let step = match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            (Some(b'?'), _) => Some(1),
            (Some(b'\\'), byte) if p + 1 < pattern.len() => (pattern.get(p + 1) == byte).then_some(2),
            (Some(wanted), Some(byte)) => (wanted == byte).then_some(1),
            _ => None,
        };
        match (step, star) {
            (Some(n), _) => (p, t) = (p + n, t + 1),
            (None, Some((at, from))) => {
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}
