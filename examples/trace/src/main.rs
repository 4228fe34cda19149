//! A parser of JSON with twenty trace points: sixteen static branches, and four lazy hooks whose arguments
//! are evaluated only while they are on.
//!
//! ```text
//! cargo run --release -p trace                     # a text that is made here
//! cargo run --release -p trace -- FILE.json 100    # a file, 100 rounds
//! ```
//!
//! It parses the text without trace points, with points that load a flag, and with points that are branches:
//! while all are off, while all are on, and while another thread switches all of them a thousand times a
//! second. The forms take turns, and each is compared with the one without points of the same round. All have
//! to find the same, and flags and branches the same events.

mod forms;
mod input;
mod points;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::points::{NAMES, switch, switch_flags, take_events};

/// What the trace points of a form do while it is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Points {
    Off,
    On,
    Switched,
}

struct Form {
    name: &'static str,
    parse: fn(&[u8]) -> u64,
    switch: fn(bool) -> Result<()>,
    points: Points,
}

fn switch_nothing(_: bool) -> Result<()> {
    Ok(())
}

fn switch_keys(are_on: bool) -> Result<()> {
    switch(are_on).context("the trace points cannot be switched")
}

fn switch_all_flags(are_on: bool) -> Result<()> {
    switch_flags(are_on);
    Ok(())
}

const NONE: Form =
    Form { name: "none", parse: forms::none::parse, switch: switch_nothing, points: Points::Off };
const FLAGS: Form = Form { name: "loads, off", parse: forms::flags::parse, switch: switch_all_flags, ..NONE };
const KEYS: Form = Form { name: "branches, off", parse: forms::keyed::parse, switch: switch_keys, ..NONE };

/// The first one is what the others are compared with.
const FORMS: [Form; 8] = [
    NONE,
    Form { name: "none, a second copy", parse: forms::again::parse, ..NONE },
    FLAGS,
    KEYS,
    Form { name: "loads, on", points: Points::On, ..FLAGS },
    Form { name: "branches, on", points: Points::On, ..KEYS },
    Form { name: "loads, switched", points: Points::Switched, ..FLAGS },
    Form { name: "branches, switched", points: Points::Switched, ..KEYS },
];

/// What a form does with a text: in seconds, the number that it finds, and the events that it sees.
struct Run {
    seconds: f64,
    found: u64,
    events: Vec<[u64; 2]>,
    switches: u64,
}

impl Form {
    fn run(&self, text: &[u8]) -> Result<Run> {
        take_events();
        (self.switch)(self.points == Points::On)?;
        let is_over = AtomicBool::new(self.points != Points::Switched);
        let (seconds, found, switches) = thread::scope(|scope| {
            let switcher = scope.spawn(|| self.switch_until(&is_over));
            let start = Instant::now();
            let found = (self.parse)(text);
            let seconds = start.elapsed().as_secs_f64();
            is_over.store(true, Ordering::Relaxed);
            (seconds, found, switcher.join().expect("it does not panic"))
        });
        (self.switch)(false)?;
        Ok(Run { seconds, found, events: take_events().to_vec(), switches: switches? })
    }

    /// Switches all points a thousand times a second. Returns how often.
    fn switch_until(&self, is_over: &AtomicBool) -> Result<u64> {
        let mut switches = 0;
        while !is_over.load(Ordering::Relaxed) {
            switches += 1;
            (self.switch)(switches % 2 == 1)?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(switches)
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let text = match arguments.next() {
        Some(path) => std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
        None => input::generated(),
    };
    let rounds = arguments.next().map(|rounds| rounds.into_string().ok()?.parse().ok());
    let rounds: usize = rounds.unwrap_or(Some(31)).filter(|&rounds| rounds > 0).context("no number")?;

    let info = static_call::process_info();
    println!(
        "{} trace points: {} branches, of which {} are patched (mode {}, {})",
        NAMES.len(),
        info.branches,
        info.patched_branches,
        static_call::mode(),
        static_call::mode_reason()
    );
    println!("{:.1} MB, {rounds} rounds in turns; medians\n", text.len() as f64 / 1e6);
    let runs = measure(&text, rounds)?;
    print_figures(&text, &runs);
    print_events(&runs[5][0].events, runs[7].iter().map(|run| run.switches).sum());
    Ok(())
}

/// Runs all forms in turns, and checks what they find. Returns each form's runs.
fn measure(text: &[u8], rounds: usize) -> Result<Vec<Vec<Run>>> {
    let mut runs: Vec<Vec<Run>> = FORMS.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        // Each comes first as often, and in other rounds after other ones: eight has no divisor in common
        // with an odd step.
        let step = 2 * (round % 4) + 1;
        for turn in 0..FORMS.len() {
            let index = (round / 4 + step * turn) % FORMS.len();
            runs[index].push(FORMS[index].run(text)?);
        }
    }
    let (found, all) = (runs[0][0].found, &runs[4][0].events);
    let none = vec![[0, 0]; NAMES.len()];
    for (form, runs) in FORMS.iter().zip(&runs) {
        for run in runs {
            ensure!(run.found == found, "{}: found {:x} instead of {found:x}", form.name, run.found);
            let is_right = match form.points {
                Points::Off => run.events == none,
                Points::On => run.events == *all,
                Points::Switched => run.events.iter().zip(all).all(|(seen, all)| seen[0] <= all[0]),
            };
            ensure!(is_right, "{}: the events {:?} instead of {all:?}", form.name, run.events);
        }
    }
    Ok(runs)
}

fn print_figures(text: &[u8], runs: &[Vec<Run>]) {
    println!("{:22} {:>8} {:>8}", "trace points", "MB/s", "to none");
    for (form, runs_of_form) in FORMS.iter().zip(runs) {
        let rate = median(runs_of_form.iter().map(|run| text.len() as f64 / 1e6 / run.seconds));
        let pairs = runs_of_form.iter().zip(&runs[0]);
        let ratio = median(pairs.map(|(run, none)| run.seconds / none.seconds));
        println!("{:22} {rate:8.1} {ratio:8.3}", form.name);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn print_events(events: &[[u64; 2]], switches: u64) {
    println!("\nall points were switched {switches} times while the parser ran; events while all are on:");
    let told: Vec<String> =
        NAMES.iter().zip(events).map(|(name, [count, _])| format!("{name} {count}")).collect();
    for line in told.chunks(5) {
        println!("  {}", line.join(", "));
    }
}
