//! Medians, because a busy machine slows some samples and never speeds one up.

use serde::{Deserialize, Serialize};

/// Samples of one quantity, possibly from several runs of a program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) samples: usize,
    pub(crate) runs: usize,
    /// The median of the runs' medians.
    pub(crate) median: f64,
    /// The values that one sample in ten, and nine in ten, do not exceed.
    pub(crate) p10: f64,
    pub(crate) p90: f64,
    /// A 95 % confidence interval for the median, from the runs' medians or from the samples of a single run.
    /// With fewer than six, it spans all of them and is less certain.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Summary {
    /// Summarizes the samples of each run. None if there are none.
    pub(crate) fn of_runs(runs: impl IntoIterator<Item = Vec<f64>>) -> Option<Self> {
        let runs: Vec<Vec<f64>> = runs.into_iter().filter(|run| !run.is_empty()).collect();
        let mut medians: Vec<f64> = runs.iter().map(|run| median(run)).collect();
        medians.sort_by(f64::total_cmp);
        let mut all: Vec<f64> = runs.concat();
        all.sort_by(f64::total_cmp);
        let (low, high) = match &medians[..] {
            [] => return None,
            [_] => median_interval(&all),
            several => median_interval(several),
        };
        Some(Self {
            samples: all.len(),
            runs: runs.len(),
            median: median(&medians),
            p10: quantile(&all, 0.1),
            p90: quantile(&all, 0.9),
            low,
            high,
        })
    }

    /// Summarizes one run's samples.
    pub(crate) fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        Self::of_runs([samples.into_iter().collect()])
    }

    /// A number that was counted, not measured.
    pub(crate) fn exactly(value: f64) -> Option<Self> {
        Self::of([value])
    }

    pub(crate) fn is_finite(&self) -> bool {
        [self.median, self.p10, self.p90, self.low, self.high].iter().all(|value| value.is_finite())
    }

    /// The summary of a function of this quantity, which may be decreasing.
    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        let ordered = |one: f64, other: f64| {
            let [one, other] = [change(one), change(other)];
            (one.min(other), one.max(other))
        };
        let (p10, p90) = ordered(self.p10, self.p90);
        let (low, high) = ordered(self.low, self.high);
        Self { median: change(self.median), p10, p90, low, high, ..*self }
    }
}

/// The quantile of sorted samples.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((part * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

/// The middle value, or the mean of the two in the middle; NaN if there are none.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// This holds for any distribution of the samples: the number of them below its median is binomial.
fn median_interval(sorted: &[f64]) -> (f64, f64) {
    let count = sorted.len() as f64;
    let reach = 0.98 * count.sqrt();
    let at = |rank: f64| sorted[(rank.max(0.0) as usize).min(sorted.len() - 1)];
    (at((count / 2.0 - reach).floor()), at((count / 2.0 + reach).ceil()))
}

/// The exponent of the best-fitting power of x: 1 if y is proportional to x.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> =
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    if logs.len() < 2 {
        return None;
    }
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let over = logs.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
    Some(over / logs.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_knows_its_runs() {
        let summary = Summary::of_runs([vec![1.0, 2.0, 9.0], vec![4.0], vec![]]).expect("samples");
        assert_eq!((summary.samples, summary.runs), (4, 2));
        assert_eq!((summary.low, summary.median, summary.high), (2.0, 3.0, 4.0));
        assert!(Summary::of([]).is_none());
        // One outlier among many hardly affects their median.
        let runs = (0..49).map(|run| vec![if run == 0 { 1e9 } else { f64::from(run) }]);
        let summary = Summary::of_runs(runs).expect("samples");
        assert_eq!((summary.low, summary.median, summary.high), (18.0, 25.0, 33.0));
    }

    #[test]
    fn the_interval_of_one_run_holds_its_median() {
        let summary = Summary::of((0..=100).map(f64::from)).expect("samples");
        assert_eq!((summary.low, summary.median, summary.high), (40.0, 50.0, 61.0));
        assert_eq!((summary.p10, summary.p90), (10.0, 90.0));
        let less = summary.map(|value| -value);
        assert_eq!((less.low, less.median, less.high, less.p10), (-61.0, -50.0, -40.0, -90.0));
    }

    #[test]
    fn slopes_are_exponents() {
        let squares = [1.0, 10.0, 100.0].map(|x: f64| (x, 3.0 * x * x));
        assert!((slope(&squares).expect("points") - 2.0).abs() < 1e-9);
        assert_eq!(slope(&squares[..1]), None);
    }
}
