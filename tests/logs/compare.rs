//! Runs a scenario with Debian's s6-log and with ours, and compares what was written down.

use crate::known::{KNOWN, Known};
use crate::stage::{Line, Maker, Stage};

/// Runs a scenario with Debian's s6-log and with ours. They must tell the same, but for the differences that are listed as
/// known under its name, which must be there.
pub fn differ<F: Fn(&mut Stage) + Sync>(scenario: F) {
    let name = scenario_name::<F>();
    let transcripts = std::thread::scope(|scope| {
        let start = |maker| {
            let scenario = &scenario;
            scope.spawn(move || {
                let mut stage = Stage::new(maker);
                scenario(&mut stage);
                stage.transcript()
            })
        };
        let threads = [Maker::Debian, Maker::Linchpin].map(start);
        threads.map(|thread| thread.join().unwrap_or_else(|_| panic!("{name} did not come to its end")))
    });
    let problems = problems(&name, &transcripts, KNOWN);
    assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
}

/// The path of the test in which the scenario is written.
fn scenario_name<F>() -> String {
    let name = std::any::type_name::<F>();
    let name = name.strip_suffix("::{{closure}}").unwrap_or(name);
    name.split_once("::").map_or(name, |(_, path)| path).to_owned()
}

/// What is not the same and not known, and what is known and not so.
fn problems(name: &str, [debian, linchpin]: &[Vec<Line>; 2], known: &[Known]) -> Vec<String> {
    let labels = |lines: &[Line]| lines.iter().map(|line| line.label.clone()).collect::<Vec<_>>();
    if labels(debian) != labels(linchpin) {
        return vec![format!("  the scenario went another way: {linchpin:#?}\nand not: {debian:#?}")];
    }
    let mut problems = Vec::new();
    let mut expected: Vec<_> = known.iter().filter(|known| known.scenario == name).collect();
    for (theirs, ours) in debian.iter().zip(linchpin) {
        let difference = expected.iter().position(|known| known.line == theirs.label);
        let difference = difference.map(|at| expected.swap_remove(at));
        let wanted = difference.map_or([theirs.value.as_str(); 2], |known| [known.debian, known.linchpin]);
        for (who, value, wanted) in [("Debian's", &theirs.value, wanted[0]), ("linchpin's", &ours.value, wanted[1])] {
            if value.trim_end() != wanted.trim_end() {
                problems.push(format!("  {}, {who}:\n{}", theirs.label, contrast(value, wanted)));
            }
        }
    }
    problems.extend(expected.iter().map(|known| format!("  known, but there is no such line: {}", known.line)));
    problems
}

/// Both, or, if they are long, where they begin to differ.
fn contrast(value: &str, wanted: &str) -> String {
    const SHORT: usize = 1500;
    if value.len() + wanted.len() < 2 * SHORT {
        return format!("{value}\n  and not:\n{wanted}");
    }
    let same = value.bytes().zip(wanted.bytes()).take_while(|(value, wanted)| value == wanted).count();
    let piece = |text: &str| {
        let from = same.saturating_sub(300);
        let to = text.len().min(same + 300);
        format!("[{from}..{to} of {}] {}", text.len(), &text[from..to])
    };
    format!("{}\n  and not:\n{}", piece(value), piece(wanted))
}

/// The harness itself must see what is wrong.
#[test]
fn what_differs_and_is_not_known_is_a_problem() {
    let transcript = |value: &str| vec![Line { label: "line".into(), value: value.into() }];
    let two = |debian, linchpin| [transcript(debian), transcript(linchpin)];
    let known = [Known { scenario: "s", line: "line", debian: "a", linchpin: "b", why: "" }];
    assert_eq!(problems("s", &two("a", "a"), &[]), [""; 0]);
    assert_eq!(problems("s", &two("a", "b"), &[]).len(), 1);
    assert_eq!(problems("s", &two("a", "b"), &known), [""; 0]);
    assert_eq!(problems("other", &two("a", "b"), &known).len(), 1);
    // The difference is gone, or is another one.
    assert_eq!(problems("s", &two("a", "a"), &known).len(), 1);
    assert_eq!(problems("s", &two("b", "b"), &known).len(), 1);
    assert_eq!(problems("s", &two("a", "c"), &known).len(), 1);
    assert_eq!(problems("s", &[transcript("a"), Vec::new()], &[]).len(), 1);
    assert_eq!(problems("s", &[Vec::new(), Vec::new()], &known).len(), 1);
    let (long, longer) = ("x".repeat(5000), "x".repeat(5001));
    let shown = problems("s", &two(&long, &longer), &[]);
    assert!(shown.len() == 1 && shown[0].len() < 2000, "{shown:?}");
}

/// The names of scenarios are those of their tests, or nothing that is known would be found.
#[test]
fn a_scenario_is_called_as_its_test() {
    fn name_of<F: Fn()>(_: F) -> String {
        scenario_name::<F>()
    }
    assert_eq!(name_of(|| {}), "compare::a_scenario_is_called_as_its_test");
}
