//! The figures of a report, as SVG.

use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;

use super::chapters::{RATES, rate_title};
use crate::peers::Proxy;
use crate::report::{Comparison, Report};

/// A figure that was drawn.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// Its file, in the report's folder.
    pub file: &'static str,
}

/// A line of points, or a row of bars.
struct Series {
    proxy: Proxy,
    points: Vec<(f64, f64)>,
}

/// Draws what the report has numbers for.
pub fn draw(report: &Report, folder: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let chapters: Vec<&Comparison> = BARS
        .iter()
        .filter_map(|title| report.comparisons.iter().find(|one| one.title == *title))
        .collect();
    let figure = Figure {
        title: "CPU per request by proxy (µs of the proxy, 1 worker, medians)".to_owned(),
        file: "cpu-per-request.svg",
    };
    if !chapters.is_empty() {
        bars(&chapters, &figure, folder)?;
        figures.push(figure);
    }
    for (name, file, pick) in QUANTILES {
        let figure = Figure {
            title: format!("{name} latency at fixed rates (open loop, µs from the instant due)"),
            file,
        };
        let series = at_rates(report, pick);
        if series.iter().any(|line| line.points.len() > 1) {
            lines(&series, &figure, "requests per second", folder)?;
            figures.push(figure);
        }
    }
    for (title, file) in MEMORY {
        let Some(comparison) = report.comparisons.iter().find(|one| one.title == title) else {
            continue;
        };
        let figure = Figure {
            title: format!("Memory by idle connections, {title} (MB of all processes, PSS)"),
            file,
        };
        lines(&by_connections(comparison), &figure, "idle connections", folder)?;
        figures.push(figure);
    }
    Ok(figures)
}

fn at_rates(report: &Report, pick: fn(&crate::report::Sample) -> f64) -> Vec<Series> {
    let point = |proxy: Proxy, rate: u32| {
        let title = rate_title(rate);
        let comparison = report.comparisons.iter().find(|one| one.title == title)?;
        let rounds = comparison.by_round(proxy, pick);
        let all = crate::statistics::Spread::of(rounds.iter().map(|(_, value)| *value))?;
        Some((f64::from(rate), all.median))
    };
    each_proxy(|proxy| RATES.iter().filter_map(|rate| point(proxy, *rate)).collect())
}

fn by_connections(comparison: &Comparison) -> Vec<Series> {
    each_proxy(|proxy| {
        let mut rounds = comparison.rounds.iter().filter(|round| round.proxy == proxy);
        let memory = rounds.find_map(|round| round.memory.as_ref());
        let steps = memory.map(|memory| memory.steps.as_slice()).unwrap_or_default();
        steps.iter().map(|step| (step.connections as f64, step.pss_kb as f64 / 1024.0)).collect()
    })
}

fn each_proxy(points: impl Fn(Proxy) -> Vec<(f64, f64)>) -> Vec<Series> {
    let all = Proxy::ALL.into_iter().map(|proxy| Series { proxy, points: points(proxy) });
    all.filter(|series| !series.points.is_empty()).collect()
}

fn bars(chapters: &[&Comparison], figure: &Figure, folder: &Path) -> Result<()> {
    let cpu = |comparison: &Comparison, proxy: Proxy| {
        let load = comparison.summary(proxy)?.load.as_ref()?;
        Some(load.cpu_us.median)
    };
    let series = each_proxy(|proxy| {
        let cells = chapters.iter().enumerate();
        cells.filter_map(|(at, one)| Some((at as f64, cpu(one, proxy)?))).collect()
    });
    let path = folder.join(figure.file);
    let root = SVGBackend::new(&path, SIZE).into_drawing_area();
    root.fill(&WHITE).context("filling a figure")?;
    let top = highest(&series);
    let mut chart = ChartBuilder::on(&root)
        .caption(&figure.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(-0.5..chapters.len() as f64 - 0.5, 0.0..top)
        .context("laying out a figure")?;
    let name = |at: &f64| {
        let nearest = at.round();
        let on_it = (at - nearest).abs() < 0.01 && nearest >= 0.0;
        let chapter = on_it.then(|| chapters.get(nearest as usize)).flatten();
        chapter.map_or(String::new(), |one| one.title.clone())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(chapters.len() * 2 + 1)
        .x_label_formatter(&name)
        .y_desc("µs")
        .draw()
        .context("drawing axes")?;
    let width = 0.8 / series.len().max(1) as f64;
    for (place, row) in series.iter().enumerate() {
        let colour = colour(row.proxy);
        let left = -0.4 + place as f64 * width;
        let cells = row.points.iter().map(|(at, value)| {
            let corners = [(at + left, 0.0), (at + left + width * 0.9, *value)];
            Rectangle::new(corners, colour.filled())
        });
        chart
            .draw_series(cells)
            .context("drawing bars")?
            .label(row.proxy.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    legend(&mut chart)?;
    root.present().with_context(|| format!("writing {}", path.display()))
}

fn lines(series: &[Series], figure: &Figure, across: &str, folder: &Path) -> Result<()> {
    let path = folder.join(figure.file);
    let root = SVGBackend::new(&path, SIZE).into_drawing_area();
    root.fill(&WHITE).context("filling a figure")?;
    let points = series.iter().flat_map(|line| &line.points);
    let right = points.map(|(x, _)| *x).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(&figure.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..right * 1.02, 0.0..highest(series))
        .context("laying out a figure")?;
    let whole = |value: &f64| format!("{value:.0}");
    chart
        .configure_mesh()
        .x_desc(across)
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .draw()
        .context("drawing axes")?;
    for line in series {
        let colour = colour(line.proxy);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)))
            .context("drawing a line")?
            .label(line.proxy.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 12, y + 2)], colour.filled()));
        let dots = line.points.iter().map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots).context("drawing points")?;
    }
    legend(&mut chart)?;
    root.present().with_context(|| format!("writing {}", path.display()))
}

type Chart<'a> = ChartContext<
    'a,
    SVGBackend<'a>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn legend<'a>(chart: &mut Chart<'a>) -> Result<()> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()
        .context("drawing the legend")
}

fn highest(series: &[Series]) -> f64 {
    let values = series.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    values.fold(1.0, f64::max) * 1.1
}

/// Told apart by most people, also those who see no red or no green.
fn colour(proxy: Proxy) -> RGBColor {
    match proxy {
        Proxy::Suzerain => RGBColor(0, 114, 178),
        Proxy::Nginx => RGBColor(0, 158, 115),
        Proxy::Haproxy => RGBColor(230, 159, 0),
        Proxy::Uwsgi => RGBColor(204, 121, 167),
        Proxy::Sozu => RGBColor(86, 180, 233),
        Proxy::Pingora => RGBColor(213, 94, 0),
        Proxy::Floor => RGBColor(120, 120, 120),
        Proxy::Direct => BLACK,
    }
}

const SIZE: (u32, u32) = (960, 420);
/// Chapters of the first figure.
const BARS: [&str; 7] = [
    "keepalive",
    "saturated",
    "new-connection",
    "uwsgi-upstream",
    "tls-keepalive",
    "h2-single",
    "websocket",
];
type Quantile = (&'static str, &'static str, fn(&crate::report::Sample) -> f64);
const QUANTILES: [Quantile; 2] = [
    ("p50", "latency-p50.svg", |sample| sample.p50_us),
    ("p99", "latency-p99.svg", |sample| sample.p99_us),
];
const MEMORY: [(&str, &str); 2] =
    [("idle", "memory-idle.svg"), ("idle-tls", "memory-idle-tls.svg")];
