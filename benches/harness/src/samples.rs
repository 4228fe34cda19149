//! The output of programs that measure: lines of a name and a number. The n-th line with a name belongs to
//! its n-th round, so the lines of two names form pairs. One process does not represent all: another one has
//! different addresses.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};

use crate::statistics::Summary;

/// The output of one process.
pub(crate) struct Samples(HashMap<String, Vec<f64>>);

impl Samples {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut samples: HashMap<String, Vec<f64>> = HashMap::new();
        for line in text.lines() {
            let sample = || Some((line.rsplit_once(' ')?.0, line.rsplit_once(' ')?.1.parse().ok()?));
            let (name, value) = sample().with_context(|| format!("no name and number: `{line}`"))?;
            samples.entry(name.to_owned()).or_default().push(value);
        }
        Ok(Self(samples))
    }

    /// An error if the process reports another mode, another writer than the one asked for, or calls that it
    /// did not patch: its times would measure something else.
    pub(crate) fn check(&self, mode: &str, writer: Option<&str>) -> Result<()> {
        const MODES: [&str; 3] = ["generic", "trampoline", "inline"];
        const WRITERS: [&str; 5] = ["none", "window", "breakpoint", "custom", "alias"];
        let name = |names: &[&'static str], number: &f64| *names.get(*number as usize).unwrap_or(&"unknown");
        let because = || {
            self.0.keys().find_map(|name| name.strip_prefix("process/because ")).unwrap_or("no reason given")
        };
        for number in self.named("process/mode") {
            let found = name(&MODES, number);
            ensure!(found == mode, "it ran in mode {found} instead of {mode} ({})", because());
        }
        for number in self.named("process/writer") {
            let found = name(&WRITERS, number);
            let wanted = if mode == "generic" { Some("none") } else { writer };
            ensure!(
                wanted.is_none_or(|wanted| found == wanted),
                "its writer was {found} instead of {}",
                wanted.unwrap_or_default()
            );
        }
        for (direct, sites) in self.named("process/direct").iter().zip(self.named("process/sites")) {
            ensure!(
                mode != "inline" || direct == sites,
                "only {direct} of its {sites} static calls were direct"
            );
        }
        Ok(())
    }

    /// The samples of all rounds; empty if the program did not measure this.
    pub(crate) fn named(&self, name: &str) -> &[f64] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Combines the two numbers of each round.
    pub(crate) fn pairs(&self, one: &str, other: &str, of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        self.named(one).iter().zip(self.named(other)).map(|(&one, &other)| of(one, other)).collect()
    }

    /// The ratios of all rounds.
    pub(crate) fn ratios(&self, one: &str, to: &str) -> Vec<f64> {
        self.pairs(one, to, |one, to| one / to)
    }
}

/// The output of several processes of a program.
#[derive(Default)]
pub(crate) struct Runs(Vec<Samples>);

impl Runs {
    pub(crate) fn push(&mut self, samples: Samples) {
        self.0.push(samples);
    }

    /// The summary of each process's samples; None if there are none.
    pub(crate) fn of(&self, found: impl Fn(&Samples) -> Vec<f64>) -> Option<Summary> {
        Summary::of_runs(self.0.iter().map(found))
    }

    /// The sum of the samples of this name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.0.iter().flat_map(|samples| samples.named(name)).sum()
    }

    pub(crate) fn summary(&self, name: &str) -> Option<Summary> {
        self.of(|samples| samples.named(name).to_vec())
    }

    pub(crate) fn pairs(&self, one: &str, other: &str, of: impl Fn(f64, f64) -> f64) -> Option<Summary> {
        self.of(|samples| samples.pairs(one, other, &of))
    }

    pub(crate) fn ratios(&self, one: &str, to: &str) -> Option<Summary> {
        self.pairs(one, to, |one, to| one / to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_pair_up() {
        let samples = Samples::parse("a 1\nb 2\na/x y 7.5\nb 8\na 4\n").expect("samples");
        assert_eq!(samples.ratios("a", "b"), [0.5, 0.5]);
        assert_eq!(samples.named("a/x y"), [7.5]);
        assert!(Samples::parse("a\n").is_err());
    }

    #[test]
    fn processes_stay_apart() {
        let mut runs = Runs::default();
        for text in ["a 1\na 2\na 3\nb 1\nb 1\nb 1\n", "a 8\nb 2\n"] {
            runs.push(Samples::parse(text).expect("samples"));
        }
        let ratio = runs.ratios("a", "b").expect("ratios");
        assert_eq!((ratio.runs, ratio.low, ratio.median, ratio.high), (2, 2.0, 3.0, 4.0));
        assert!(runs.summary("c").is_none());
    }

    #[test]
    fn a_program_that_ran_otherwise_does_not_count() {
        let check = |text: &str, mode, writer| {
            Samples::parse(text).expect("samples").check(mode, writer).map_err(|error| error.to_string())
        };
        let inline = "process/mode 2\nprocess/because the best 2\nprocess/writer 1\nprocess/sites \
                      9\nprocess/direct 9\n";
        assert_eq!(check(inline, "inline", None), Ok(()));
        assert_eq!(check(inline, "inline", Some("window")), Ok(()));
        let error = check(inline, "inline", Some("breakpoint")).expect_err("another writer");
        assert!(error.contains("window instead of breakpoint"), "{error}");
        let generic = "process/mode 0\nprocess/because the kernel forbids it 0\nprocess/writer 0\n";
        let error = check(generic, "inline", Some("window")).expect_err("another mode");
        assert!(error.contains("generic instead of inline (the kernel forbids it)"), "{error}");
        assert_eq!(check(generic, "generic", Some("window")), Ok(()));
        let error =
            check("process/sites 9\nprocess/direct 8\n", "inline", None).expect_err("a site is not direct");
        assert!(error.contains("8 of its 9"), "{error}");
    }
}
