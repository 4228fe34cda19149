//! What measuring programs print: lines of a name and a number. The n-th line of a name is its n-th round, so that
//! two names' lines pair up.

use std::collections::HashMap;

use anyhow::{Context, Result};

use super::statistics::Summary;

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

    /// Of all rounds; none if the program did not measure it.
    pub(crate) fn named(&self, name: &str) -> &[f64] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn summary(&self, name: &str) -> Option<Summary> {
        Summary::of(self.named(name).iter().copied())
    }

    /// What becomes of the two numbers of each round.
    pub(crate) fn pairs(&self, one: &str, other: &str, of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        self.named(one).iter().zip(self.named(other)).map(|(&one, &other)| of(one, other)).collect()
    }

    /// The ratios of all rounds.
    pub(crate) fn ratios(&self, one: &str, to: &str) -> Vec<f64> {
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
        assert!(samples.summary("c").is_none());
        assert!(Samples::parse("a\n").is_err());
    }
}
