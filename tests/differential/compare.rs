//! Runs a scenario in all combinations of daemons and clients at once, and compares what was written down.

use crate::known::{KNOWN, Known, normalised};
use crate::world::World;

/// Whose programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Make {
    S6,
    Linchpin,
}

/// One combination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Combination {
    pub daemons: Make,
    pub clients: Make,
}

/// All combinations; the first is the reference. `Known::values` are in this order.
pub const COMBINATIONS: [Combination; 4] = [
    Combination { daemons: Make::S6, clients: Make::S6 },
    Combination { daemons: Make::S6, clients: Make::Linchpin },
    Combination { daemons: Make::Linchpin, clients: Make::S6 },
    Combination { daemons: Make::Linchpin, clients: Make::Linchpin },
];

/// Lines of a scenario: what was done or looked at, and what came of it.
pub type Transcript = Vec<(String, String)>;

/// Runs `scenario` in all combinations; they must tell the same, but for the differences that are listed as known
/// under its name, which must be there.
pub fn differ<F: Fn(&mut World) + Sync>(scenario: F) {
    let name = scenario_name::<F>();
    let transcripts = std::thread::scope(|scope| {
        let run = |combination| {
            let scenario = &scenario;
            scope.spawn(move || {
                let mut world = World::new(combination);
                scenario(&mut world);
                let line = |(label, value): (String, String)| {
                    let value = normalised(&label, &value, combination.clients);
                    (label, value)
                };
                world.transcript().into_iter().map(line).collect()
            })
        };
        let threads = COMBINATIONS.map(run);
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
fn problems(name: &str, transcripts: &[Transcript; 4], known: &[Known]) -> Vec<String> {
    let mut problems = Vec::new();
    let labels = |transcript: &Transcript| transcript.iter().map(|(label, _)| label.clone()).collect::<Vec<_>>();
    let reference = labels(&transcripts[0]);
    for (transcript, combination) in transcripts.iter().zip(COMBINATIONS) {
        if labels(transcript) != reference {
            problems.push(format!("{combination:?} went another way: {transcript:#?}"));
        }
    }
    if !problems.is_empty() {
        return problems;
    }
    let mut expected: Vec<_> = known.iter().filter(|known| known.scenario == name).collect();
    for (at, label) in reference.iter().enumerate() {
        let values = [0, 1, 2, 3].map(|combination: usize| transcripts[combination][at].1.as_str());
        let difference = expected.iter().position(|known| known.line == label);
        let wanted = difference.map_or([values[0]; 4], |at| expected.swap_remove(at).values);
        if values != wanted {
            let mut problem = format!("  {label}:");
            for (at, combination) in COMBINATIONS.iter().enumerate() {
                let mark = if values[at] == wanted[at] { "" } else { ", not as expected" };
                problem += &format!("\n    {combination:?}{mark}: {:?}", values[at]);
            }
            problems.push(problem);
        }
    }
    problems.extend(expected.iter().map(|known| format!("  known, but there is no such line: {}", known.line)));
    problems
}

/// The harness itself must see what is wrong.
#[test]
fn what_differs_and_is_not_known_is_a_problem() {
    let transcript = |value: &str| vec![("line".to_owned(), value.to_owned())];
    let two = [transcript("a"), transcript("a"), transcript("b"), transcript("b")];
    let known = |values| Known { scenario: "s", line: "line", values, why: "" };
    assert_eq!(problems("s", &two, &[]).len(), 1);
    assert_eq!(problems("other", &two, &[known(["a", "a", "b", "b"])]).len(), 1);
    assert_eq!(problems("s", &two, &[known(["a", "a", "b", "b"])]), [""; 0]);
    assert_eq!(problems("s", &two, &[known(["a", "a", "b", "c"])]).len(), 1);
    let same = [transcript("a"), transcript("a"), transcript("a"), transcript("a")];
    assert_eq!(problems("s", &same, &[]), [""; 0]);
    assert_eq!(problems("s", &same, &[known(["a", "a", "b", "b"])]).len(), 1);
    let longer = [transcript("a"), transcript("a"), transcript("a"), Transcript::new()];
    assert_eq!(problems("s", &longer, &[]).len(), 1);
}

/// The names of scenarios are those of their tests, or nothing that is known would be found.
#[test]
fn a_scenario_is_called_as_its_test() {
    fn name_of<F: Fn()>(_: F) -> String {
        scenario_name::<F>()
    }
    assert_eq!(name_of(|| {}), "compare::a_scenario_is_called_as_its_test");
}
