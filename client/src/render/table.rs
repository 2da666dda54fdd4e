//! Rows whose columns begin below each other. Pure.

use crate::fold::columns;

/// How wide a column is made at most: what is wider pushes the rest of its row.
const WIDEST: usize = 48;

/// The rows as lines; the last column is as long as it is.
pub(crate) fn lines<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width =
        |at: usize| rows.iter().map(|row| columns(&row[at])).filter(|width| *width <= WIDEST).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let pad = width.saturating_sub(columns(cell));
            format!("{cell}{}", " ".repeat(pad))
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
