//! A report for its readers: the terminal, Markdown, HTML with plots, and the comparison of two.

pub(crate) mod compare;
mod html;
mod markdown;
mod plots;
mod readme;
pub(crate) mod terminal;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::goals::Goal;
use crate::model::{Part, Report, put};

/// Writes the report in all its forms into a directory.
pub(crate) fn write(report: &Report, goals: &[Goal], directory: &Path) -> Result<()> {
    let plots = plots::plots(report)?;
    let mut raw: Vec<String> = fs::read_dir(directory.join("raw"))
        .into_iter()
        .flatten()
        .filter_map(|file| Some(format!("raw/{}", file.ok()?.file_name().to_string_lossy())))
        .collect();
    raw.sort();
    report.write(&directory.join("report.json"))?;
    put(&directory.join("report.html"), &html::document(report, goals, &plots, &raw))?;
    let files = put_plots(&plots, directory, "plots")?;
    put(
        &directory.join("BENCHMARKS.md"),
        &markdown::document(report, goals, &files, markdown::Place::Target),
    )?;
    let with_raw = if raw.is_empty() { "" } else { ", with raw/ beside them" };
    println!("\nwritten: {}/report.html, BENCHMARKS.md and report.json{with_raw}", directory.display());
    Ok(())
}

/// Puts the report where readers of the repository find it.
pub(crate) fn publish(report: &Report, goals: &[Goal], root: &Path) -> Result<()> {
    check_complete(report)?;
    let plots = plots::plots(report)?;
    let readme = root.join("README.md");
    let text = fs::read_to_string(&readme).with_context(|| format!("cannot read {}", readme.display()))?;
    // This comes first, because a report that lacks numbers ends here.
    let text = readme::with_section(&text, report)?;
    let files = put_plots(&plots, root, "benches/plots")?;
    report.write(&root.join("benches/report.json"))?;
    put(&root.join("BENCHMARKS.md"), &markdown::document(report, goals, &files, markdown::Place::Root))?;
    put(&readme, &text)
}

/// An error if a whole part or what a picture shows was not measured.
fn check_complete(report: &Report) -> Result<()> {
    let has_part = |part: &Part| report.tables.iter().any(|table| table.part == *part);
    let parts = Part::ALL.into_iter().filter(|part| !has_part(part)).map(|part| part.title().to_owned());
    let pictures =
        plots::tables().filter(|id| report.table(id).is_none()).map(|id| format!("the table {id}"));
    let lacking: Vec<String> = parts.chain(pictures).collect();
    ensure!(
        lacking.is_empty(),
        "this report cannot be published: it lacks {} (publish a run of all parts, on a machine with two \
         processors)",
        lacking.join(", ")
    );
    Ok(())
}

/// Writes a file for each plot below `root` and removes the plots of older reports. Returns the tables' ids
/// and the paths relative to `root`.
fn put_plots(plots: &[(String, String)], root: &Path, directory: &str) -> Result<Vec<(String, String)>> {
    for old in fs::read_dir(root.join(directory)).into_iter().flatten().flatten() {
        let is_plot = |(id, _): &(String, String)| old.file_name() == *format!("{id}.svg");
        if old.path().extension().is_some_and(|extension| extension == "svg") && !plots.iter().any(is_plot) {
            fs::remove_file(old.path()).with_context(|| format!("cannot remove {}", old.path().display()))?;
        }
    }
    let files = plots.iter().map(|(id, svg)| {
        let file = format!("{directory}/{id}.svg");
        put(&root.join(&file), svg)?;
        Ok((id.clone(), file))
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::goals::goals;
    use xtask::run::root;

    #[test]
    fn what_is_published_is_what_the_repository_has() {
        let published = || Report::read(&root().join("benches/report.json")).expect("the published report");
        let copy = tempfile::tempdir().expect("a temporary directory");
        fs::copy(root().join("README.md"), copy.path().join("README.md")).expect("a copy");
        let older = copy.path().join("benches/plots/older.svg");
        put(&older, "a picture of what is no longer measured").expect("an older plot");
        publish(&published(), &goals(&published()), copy.path()).expect("published");
        assert!(!older.exists() && older.with_file_name("start.svg").exists());
        let plots = |root: &Path| {
            let files = fs::read_dir(root.join("benches/plots")).expect("plots");
            let names = files
                .map(|file| format!("benches/plots/{}", file.expect("a plot").file_name().to_string_lossy()));
            names.collect::<BTreeSet<_>>()
        };
        assert_eq!(plots(copy.path()), plots(&root()), "the plots");
        let texts = ["README.md", "BENCHMARKS.md", "benches/report.json"].map(str::to_owned);
        for file in texts.into_iter().chain(plots(&root())) {
            let read = |root: &Path| fs::read_to_string(root.join(&file)).expect("a file");
            let is_same = read(copy.path()) == read(&root());
            assert!(is_same, "{file} is older: cargo xtask bench --from benches/report.json --publish");
        }

        let mut partial = published();
        partial.tables.retain(|table| table.part != Part::Build && table.id != "pauses");
        let error = publish(&partial, &[], copy.path()).expect_err("no build cost").to_string();
        assert!(error.contains("it lacks Build cost, the table pauses"), "{error}");
    }
}
