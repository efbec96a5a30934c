//! Tables for people, JSON for programs.

use crate::Result;
use crate::measure::{Results, Series, What};
use crate::options::Options;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(crate) fn print(options: &Options, results: &Results) {
    for (name, bytes) in &results.servers {
        if let Some(bytes) = bytes {
            println!("{name}: {bytes:.0} bytes of resident memory for each idle connection");
        }
    }
    for cpus in options.cpus() {
        println!(
            "\n{cpus} CPU, {} rounds: median (least to most), ratio to the kernel, ratio to plain tcplab",
            options.rounds()
        );
        for (figure, row) in rows(results, cpus) {
            println!("{figure}");
            let kernel = row.get(&0);
            let plain = row.get(&1);
            for (server, series) in &row {
                let (name, _) = &results.servers[*server];
                let ratio = |to: Option<&&Series>, least: usize| match to {
                    Some(to) if *server > least => format!("×{:.2}", series.ratio(to).median()),
                    _ => String::new(),
                };
                println!(
                    "  {name:12} {:>10} ({} to {})  {:>7} {:>7}",
                    number(series.median()),
                    number(series.least()),
                    number(series.most()),
                    ratio(kernel, 0),
                    ratio(plain, 1),
                );
            }
        }
    }
}

pub(crate) fn write_json(path: &Path, options: &Options, results: &Results) -> Result<()> {
    let mut figures = Vec::new();
    for cpus in options.cpus() {
        for (figure, row) in rows(results, cpus) {
            let kernel = row.get(&0).copied();
            for (server, series) in &row {
                let ratio = kernel.map(|kernel| series.ratio(kernel).median());
                figures.push(json!({
                    "cpus": cpus,
                    "figure": figure,
                    "server": results.servers[*server].0,
                    "median": series.median(),
                    "rounds": series.rounds,
                    "ratio_to_kernel": ratio,
                }));
            }
        }
    }
    let idle: BTreeMap<&String, f64> = results
        .servers
        .iter()
        .filter_map(|(name, bytes)| Some((name, (*bytes)?)))
        .collect();
    let all = json!({ "idle_connection_bytes": idle, "figures": figures });
    Ok(fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?)
}

/// The series of each figure by server, in the order in which they were measured.
fn rows(results: &Results, cpus: u8) -> Vec<(&str, BTreeMap<usize, &Series>)> {
    let mut rows: BTreeMap<&(usize, String), BTreeMap<usize, &Series>> = BTreeMap::new();
    for (what, series) in &results.series {
        let What {
            cpus: other,
            figure,
            server,
        } = what;
        if *other == cpus {
            rows.entry(figure).or_default().insert(*server, series);
        }
    }
    let rows = rows.into_iter();
    rows.map(|((_, name), row)| (name.as_str(), row)).collect()
}

/// With three digits that mean something.
fn number(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
