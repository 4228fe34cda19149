//! report.html: one file that needs nothing else, with every table and every plot.

use std::fmt::Write as _;

use crate::goals::Goal;
use crate::model::{Part, Report, Table};
use crate::statistics::Summary;

const STYLE: &str = "\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: \
#222 }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child, .facts td { text-align: left }
small { color: #777 }
.met { color: #17703a } .missed { color: #b3261e; font-weight: bold } .unclear, .unknown { color: #777 }
figure { margin: 1rem 0 } svg { max-width: 100%; height: auto }";

/// `plots` has each plot's table and SVG. `raw` lists the files beside the report: programs' output and
/// disassembly.
pub(crate) fn document(
    report: &Report,
    goals: &[Goal],
    plots: &[(String, String)],
    raw: &[String],
) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>What a static call is \
         worth</title>\n\
         <style>\n{STYLE}\n</style>\n<h1>What a static call is worth</h1>\n\
         <p>{} \
         A cell's tooltip has the tenth and the ninetieth percentile of its samples, and their number.\n",
        super::text::NUMBERS
    );
    let facts = super::text::circumstances(report);
    let facts: String =
        facts.iter().map(|(name, fact)| format!("<tr><td>{}<td>{}\n", escape(name), escape(fact))).collect();
    write!(html, "<table class=\"facts\">\n{facts}</table>\n<h2>Goals</h2>\n<table>\n").expect("memory");
    html += "<tr><th>figure<th>goal<th>measured<th>\n";
    for goal in goals {
        let verdict = goal.verdict.as_str();
        writeln!(
            html,
            "<tr><td>{}<td>{}<td>{}<td class=\"{verdict}\">{verdict}",
            escape(&goal.figure),
            escape(&goal.wanted),
            escape(&goal.measured)
        )
        .expect("memory");
    }
    html += "</table>\n<ul>\n";
    for goal in goals {
        if let Some(obstacle) = goal.obstacle {
            writeln!(html, "<li>{}: {}", escape(&goal.figure), escape(obstacle)).expect("memory");
        }
    }
    html += "</ul>\n";
    if !report.missing.is_empty() {
        html += "<h2>What is missing</h2>\n<ul>\n";
        for missing in &report.missing {
            writeln!(html, "<li>{}: {}", escape(&missing.what), escape(&missing.why)).expect("memory");
        }
        html += "</ul>\n";
    }
    for part in Part::ALL {
        let tables: Vec<&Table> = report.tables.iter().filter(|table| table.part == part).collect();
        if !tables.is_empty() {
            writeln!(html, "<h2>{}</h2>", part.title()).expect("memory");
        }
        for table in tables {
            writeln!(
                html,
                "<h3 id=\"{0}\">{1}</h3>\n<p>{2}",
                table.id,
                escape(&table.title),
                escape(&table.about)
            )
            .expect("memory");
            writeln!(html, "<p><small>Source: {}</small>", table.sources.join(", ")).expect("memory");
            for (_, svg) in plots.iter().filter(|(id, _)| *id == table.id) {
                writeln!(html, "<figure>{svg}</figure>").expect("memory");
            }
            html += &rows(table);
        }
    }
    html += "<h2>Raw data and disassembly</h2>\n<ul>\n<li><a href=\"report.json\">report.json</a>\n";
    for file in raw {
        writeln!(html, "<li><a href=\"{0}\">{0}</a>", escape(file)).expect("memory");
    }
    html + "</ul>\n"
}

fn rows(table: &Table) -> String {
    let mut html = format!("<table>\n<tr><th>{}", escape(&table.of));
    for column in &table.columns {
        write!(html, "<th>{}", escape(&column.name)).expect("memory");
    }
    for row in &table.rows {
        write!(html, "\n<tr><td>{}", escape(&row.name)).expect("memory");
        for (cell, column) in row.cells.iter().zip(&table.columns) {
            let Some(summary) = cell else {
                html += "<td>";
                continue;
            };
            let Summary { samples, runs, p10, p90, .. } = summary;
            let shown = column.unit.show_range(summary);
            let shown = match shown.split_once(" (") {
                Some((median, range)) => format!("{median} <small>({range}</small>"),
                None => shown,
            };
            let [p10, p90] = [*p10, *p90].map(|value| column.unit.show(value));
            write!(html, "<td title=\"p10 {p10}, p90 {p90}; {samples} samples of {runs} runs\">{shown}")
                .expect("memory");
        }
    }
    html + "\n</table>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
