//! Draws the tables.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::model::{Report, Table, Unit};
use crate::statistics::slope;

const SIZE: (u32, u32) = (760, 420);
const COLORS: [RGBColor; 6] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0xff, 0x7f, 0x0e),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0x7f, 0x7f, 0x7f),
];

/// A plot of some columns of a table.
struct Plot {
    table: &'static str,
    columns: &'static [&'static str],
    kind: Kind,
}

enum Kind {
    /// A bar for each row and column.
    Bars,
    /// Lines over what the rows count.
    Lines { x: &'static str, has_slope: bool },
}

const PLOTS: [Plot; 7] = [
    Plot { table: "calls-chain", columns: &["Rust", "C"], kind: Kind::Bars },
    Plot {
        table: "calls-sites-rust",
        columns: &["direct", "static call", "pointer", "pointer, retpolines"],
        kind: Kind::Lines { x: "sites", has_slope: false },
    },
    Plot {
        table: "calls-sites-c",
        columns: &["direct", "static call", "pointer", "pointer, retpolines"],
        kind: Kind::Lines { x: "sites", has_slope: false },
    },
    Plot {
        table: "update-sites",
        columns: &["window", "alias", "breakpoint"],
        kind: Kind::Lines { x: "sites", has_slope: true },
    },
    Plot {
        table: "update-peers",
        columns: &["static-call", "static-keys", "one store"],
        kind: Kind::Lines { x: "sites", has_slope: false },
    },
    Plot {
        table: "pauses",
        columns: &["no updates", "window", "breakpoint"],
        kind: Kind::Lines { x: "one period in this many is worse", has_slope: false },
    },
    Plot { table: "start", columns: &["more"], kind: Kind::Lines { x: "sites", has_slope: true } },
];

/// The tables that get plots.
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    PLOTS.iter().map(|plot| plot.table)
}

/// Each plot for which the report has numbers: its table's id and the SVG.
pub(crate) fn plots(report: &Report) -> Result<Vec<(String, String)>> {
    let mut plots = Vec::new();
    for plot in &PLOTS {
        let Some(table) = report.table(plot.table) else { continue };
        let mut svg = String::new();
        let drawn = match plot.kind {
            Kind::Bars => bars(table, plot.columns, &mut svg),
            Kind::Lines { x, has_slope } => lines(table, plot.columns, x, has_slope, &mut svg),
        };
        if drawn.map_err(|error| anyhow!("cannot draw {}: {error}", plot.table))? {
            plots.push((table.id.clone(), svg));
        }
    }
    Ok(plots)
}

type Drawn = Result<bool, Box<dyn std::error::Error>>;

fn bars(table: &Table, columns: &[&str], svg: &mut String) -> Drawn {
    let bars: Vec<(String, f64, usize)> = table
        .rows
        .iter()
        .flat_map(|row| {
            let cells = columns.iter().enumerate().filter_map(|(index, name)| {
                let summary = row.cells[table.column(name)?].as_ref()?;
                Some((
                    if columns.len() > 1 { format!("{}, {name}", row.name) } else { row.name.clone() },
                    summary.median,
                    index,
                ))
            });
            cells.collect::<Vec<_>>()
        })
        .collect();
    let longest = bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
    if bars.is_empty() {
        return Ok(false);
    }
    let unit = unit(table, columns);
    let height = 60 + 17 * bars.len() as u32;
    let root = SVGBackend::with_string(svg, (SIZE.0, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let font = ("sans-serif", 12).into_font();
    let (left, right) = (230, SIZE.0 as i32 - 80);
    root.draw_text(&table.title, &("sans-serif", 16).into_text_style(&root), (10, 10))?;
    for (number, (name, value, column)) in bars.iter().enumerate() {
        let top = 40 + 17 * number as i32;
        let end = left + (value / longest * f64::from(right - left)) as i32;
        root.draw_text(name, &font.clone().into_text_style(&root), (10, top))?;
        root.draw(&Rectangle::new([(left, top), (end.max(left + 1), top + 12)], COLORS[*column].filled()))?;
        root.draw_text(&unit.show(*value), &font.clone().into_text_style(&root), (end + 5, top))?;
    }
    root.present()?;
    drop(root);
    Ok(true)
}

fn lines(table: &Table, columns: &[&str], x: &str, has_slope: bool, svg: &mut String) -> Drawn {
    let curves: Vec<(&str, Vec<(f64, f64)>)> = columns
        .iter()
        .map(|&column| {
            let points = table.points(column).into_iter().map(|(x, y)| (x, y.median));
            (column, points.filter(|(x, y)| *x > 0.0 && *y > 0.0).collect())
        })
        .filter(|(_, points): &(_, Vec<_>)| !points.is_empty())
        .collect();
    let all = || curves.iter().flat_map(|(_, points)| points);
    let (Some(xs), Some(ys)) = (range(all().map(|p| p.0)), range(all().map(|p| p.1))) else {
        return Ok(false);
    };
    // Leaves room for the curves' names.
    let (xs, ys) = (xs.start..xs.end * 1.1, ys.start / 1.5..ys.end * 6.0);
    let unit = unit(table, columns);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(&table.title, ("sans-serif", 16))
        .margin(12)
        .margin_right(30)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(xs.log_scale(), ys.log_scale())?;
    chart
        .configure_mesh()
        .x_desc(x)
        .x_label_formatter(&|x| Unit::Count.show(*x))
        .y_label_formatter(&|y| unit.show(*y))
        .max_light_lines(1)
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(0xdd, 0xdd, 0xdd))
        .draw()?;
    for ((name, points), color) in curves.iter().zip(COLORS) {
        // With fewer points, the slope would reflect fixed costs.
        let many: Vec<(f64, f64)> = points.iter().copied().filter(|(x, _)| *x >= 1_000.0).collect();
        let label = match slope(&many) {
            Some(slope) if has_slope => format!("{name}, slope {slope:.2} from 1,000 on"),
            _ => (*name).to_owned(),
        };
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(0xdd, 0xdd, 0xdd))
        .draw()?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(true)
}

fn unit(table: &Table, columns: &[&str]) -> Unit {
    columns
        .iter()
        .find_map(|name| table.column(name))
        .map_or(Unit::Count, |column| table.columns[column].unit)
}

fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (low, high) =
        values.fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)));
    (low <= high).then_some(low..if low == high { high * 2.0 } else { high })
}
