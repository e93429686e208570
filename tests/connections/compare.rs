//! Runs a scenario with Debian's programs and with ours, and compares what was written down.

use crate::known::{KNOWN, Known};
use crate::stage::{Line, Maker, Proto, Stage};

/// Lines of a scenario.
pub type Transcript = Vec<Line>;

/// Runs a scenario over unix sockets, with Debian's programs and with ours. They must tell the same, but for the
/// differences that are listed as known under its name, which must be there.
pub fn differ<F: Fn(&mut Stage) + Sync>(scenario: F) {
    run(&scenario, &[(Maker::Debian, Proto::Ipc), (Maker::Linchpin, Proto::Ipc)]);
}

/// The same, and with our programs over TCP: there every line must be that of our unix sockets, but for those that belong
/// to the protocol.
pub fn everywhere<F: Fn(&mut Stage) + Sync>(scenario: F) {
    use Maker::{Debian, Linchpin};
    run(&scenario, &[(Debian, Proto::Ipc), (Linchpin, Proto::Ipc), (Linchpin, Proto::Tcp4), (Linchpin, Proto::Tcp6)]);
}

/// Runs a scenario with our programs over TCP only, for what unix sockets do not have.
pub fn over_tcp<F: Fn(&mut Stage) + Sync>(scenario: F) {
    run(&scenario, &[(Maker::Linchpin, Proto::Tcp4), (Maker::Linchpin, Proto::Tcp6)]);
}

fn run<F: Fn(&mut Stage) + Sync>(scenario: &F, with: &[(Maker, Proto)]) {
    let name = scenario_name::<F>();
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let start = |&(maker, proto): &(Maker, Proto)| {
            scope.spawn(move || {
                let mut stage = Stage::new(maker, proto);
                scenario(&mut stage);
                Run { maker, proto, transcript: stage.transcript() }
            })
        };
        let threads: Vec<_> = with.iter().map(start).collect();
        let end = |thread: std::thread::ScopedJoinHandle<'_, Run>| {
            thread.join().unwrap_or_else(|_| panic!("{name} did not come to its end"))
        };
        threads.into_iter().map(end).collect()
    });
    let problems = problems(&name, &runs, KNOWN);
    assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
}

/// What one side told.
struct Run {
    maker: Maker,
    proto: Proto,
    transcript: Transcript,
}

/// The path of the test in which the scenario is written.
fn scenario_name<F>() -> String {
    let name = std::any::type_name::<F>();
    let name = name.strip_suffix("::{{closure}}").unwrap_or(name);
    name.split_once("::").map_or(name, |(_, path)| path).to_owned()
}

/// What is not the same and not known, what is known and not so, and what is not as the specification says.
fn problems(name: &str, runs: &[Run], known: &[Known]) -> Vec<String> {
    let mut problems = Vec::new();
    let labels = |run: &Run| run.transcript.iter().map(|line| line.label.clone()).collect::<Vec<_>>();
    let reference = &runs[0];
    for run in runs {
        if labels(run) != labels(reference) {
            let lines = |run: &Run| {
                let line = |line: &Line| format!("    {}: {}\n", line.label, line.value);
                run.transcript.iter().map(line).collect::<String>()
            };
            let (wanted, got) = (lines(reference), lines(run));
            problems.push(format!("  {:?} {:?} went another way:\n{got}  and not:\n{wanted}", run.maker, run.proto));
        }
    }
    if !problems.is_empty() {
        return problems;
    }
    let mut expected: Vec<_> = known.iter().filter(|known| known.scenario == name).collect();
    for at in 0..reference.transcript.len() {
        let label = &reference.transcript[at].label;
        let difference = expected.iter().position(|known| known.line == label).map(|at| expected.swap_remove(at));
        let mut ours: Option<&str> = None;
        for run in runs {
            let line = &run.transcript[at];
            let wanted = match (run.maker, difference) {
                (Maker::Debian, Some(known)) => Some(known.debian),
                (Maker::Debian, None) => None,
                // What Debian's say is written in no other place: ours must say it too.
                (Maker::Linchpin, None) if run.proto == Proto::Ipc => Some(reference.transcript[at].value.as_str()),
                (Maker::Linchpin, Some(known)) if run.proto == Proto::Ipc => Some(known.linchpin),
                (Maker::Linchpin, _) if line.specific => None,
                (Maker::Linchpin, _) => ours,
            };
            for wanted in
                [wanted, line.wanted.as_deref().filter(|_| run.maker == Maker::Linchpin)].into_iter().flatten()
            {
                if line.value != wanted {
                    let who = format!("{:?} {:?}", run.maker, run.proto);
                    problems.push(format!("  {label}: {who}:\n{}\n  and not:\n{wanted}", line.value));
                }
            }
            if run.maker == Maker::Linchpin && ours.is_none() {
                ours = Some(&line.value);
            }
        }
    }
    problems.extend(expected.iter().map(|known| format!("  known, but there is no such line: {}", known.line)));
    problems
}

/// The harness itself must see what is wrong.
#[test]
fn what_differs_and_is_not_known_is_a_problem() {
    let line = |value: &str| Line { label: "line".into(), value: value.into(), specific: false, wanted: None };
    let own = |value: &str, wanted: &str| Line { specific: true, wanted: Some(wanted.into()), ..line(value) };
    let run = |maker, proto, line| Run { maker, proto, transcript: vec![line] };
    let two = |debian, linchpin| {
        [run(Maker::Debian, Proto::Ipc, line(debian)), run(Maker::Linchpin, Proto::Ipc, line(linchpin))]
    };
    let known = [Known { scenario: "s", line: "line", debian: "a", linchpin: "b", why: "" }];
    assert_eq!(problems("s", &two("a", "a"), &[]), [""; 0]);
    assert_eq!(problems("s", &two("a", "b"), &[]).len(), 1);
    assert_eq!(problems("s", &two("a", "b"), &known), [""; 0]);
    assert_eq!(problems("other", &two("a", "b"), &known).len(), 1);
    // The difference is gone, or is another one.
    assert_eq!(problems("s", &two("a", "a"), &known).len(), 1);
    assert_eq!(problems("s", &two("b", "b"), &known).len(), 1);
    assert_eq!(problems("s", &two("a", "c"), &known).len(), 1);
    let tcp = |ipc, tcp| [run(Maker::Linchpin, Proto::Ipc, ipc), run(Maker::Linchpin, Proto::Tcp4, tcp)];
    assert_eq!(problems("s", &tcp(line("a"), line("a")), &[]), [""; 0]);
    assert_eq!(problems("s", &tcp(line("a"), line("b")), &[]).len(), 1);
    assert_eq!(problems("s", &tcp(own("a", "a"), own("b", "b")), &[]), [""; 0]);
    assert_eq!(problems("s", &tcp(own("a", "a"), own("b", "c")), &[]).len(), 1);
    let mut other = two("a", "a");
    other[1].transcript.clear();
    assert_eq!(problems("s", &other, &[]).len(), 1);
}

/// The names of scenarios are those of their tests, or nothing that is known would be found.
#[test]
fn a_scenario_is_called_as_its_test() {
    fn name_of<F: Fn()>(_: F) -> String {
        scenario_name::<F>()
    }
    assert_eq!(name_of(|| {}), "compare::a_scenario_is_called_as_its_test");
}
