//! The ratios as one SVG: a bar per row, with its floor and its aim.

use super::run::Results;

const WIDTH: f64 = 760.0;
const LABEL: f64 = 250.0;
const BAR: f64 = 22.0;
const STEP: f64 = 44.0;
const TOP: f64 = 64.0;

/// Draws the ratio table. No script, no font of its own, readable on light and dark ground.
pub(crate) fn svg(results: &Results) -> String {
    let [ours, theirs] = results.names;
    let most = results.compared.iter().flat_map(|c| [c.ratio(), c.row.aim]).fold(1.0, f64::max);
    let scale = (WIDTH - LABEL - 60.0) / most;
    let rows = u32::try_from(results.compared.len()).map_or(0.0, f64::from);
    let height = TOP + rows * STEP + 24.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{ours} requests per second, {theirs} Streams = 1</text>\n\
         <text x=\"16\" y=\"46\" fill=\"#555555\">dashed: floor; dotted: aim; both servers sync before they answer an append</text>\n"
    );
    let one = LABEL + scale;
    text.push_str(&line(one, (TOP, height - 20.0), "stroke=\"#999999\""));
    let mut y = TOP;
    for compared in &results.compared {
        let ratio = compared.ratio();
        let fill = if ratio < compared.row.floor { "#c0392b" } else { "#2e7d5b" };
        let middle = y + BAR * 0.7;
        text.push_str(&format!(
            "<text x=\"16\" y=\"{middle:.1}\">{}</text>\n\
             <rect x=\"{LABEL}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{fill}\"/>\n\
             <text x=\"{:.1}\" y=\"{middle:.1}\" font-weight=\"bold\">{ratio:.2}</text>\n",
            compared.row.name,
            ratio * scale,
            LABEL + ratio * scale + 6.0
        ));
        let ends = (y - 5.0, y + BAR + 5.0);
        text.push_str(&line(
            LABEL + compared.row.floor * scale,
            ends,
            "stroke=\"#000000\" stroke-dasharray=\"5 3\"",
        ));
        text.push_str(&line(
            LABEL + compared.row.aim * scale,
            ends,
            "stroke=\"#000000\" stroke-dasharray=\"1 3\"",
        ));
        y += STEP;
    }
    text.push_str("</svg>\n");
    text
}

fn line(x: f64, (from, to): (f64, f64), style: &str) -> String {
    format!("<line x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\" {style}/>\n")
}
