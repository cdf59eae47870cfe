//! One chart as SVG: lines over a grid, with titles, units and a legend. It needs nothing but what it is given.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Told apart by people who see colours differently too (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#444444"];

/// An axis.
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// Logarithmic; nothing at or below 0 is drawn.
    pub log: bool,
    /// Its ends.
    pub range: (f64, f64),
    /// Lines of the grid and what stands beside them.
    pub ticks: Vec<(f64, String)>,
}

/// One line.
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
    /// Drawn in dashes.
    pub dashed: bool,
}

impl Axis {
    /// A share between 0 and 1 of the axis.
    fn place(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let share = if self.log {
            (value.max(low).ln() - low.ln()) / (high.ln() - low.ln())
        } else {
            (value - low) / (high - low)
        };
        share.clamp(0.0, 1.0)
    }

    /// A linear axis from 0 that holds `most`, with round steps.
    #[must_use]
    pub fn linear(title: &str, most: f64) -> Self {
        const STEPS: f64 = 5.0;
        let raw = (most / STEPS).max(1e-9);
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= raw);
        let step = step.unwrap_or(power * 10.0);
        let count = (most / step).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|at| f64::from(at) * step).map(|value| (value, round(value))).collect();
        Self { title: title.to_owned(), log: false, range: (0.0, count * step), ticks }
    }

    /// A logarithmic axis of nanoseconds that holds `low` to `high`.
    #[must_use]
    pub fn times(title: &str, low: u64, high: u64) -> Self {
        let begin = 10_f64.powf((low.max(1) as f64).log10().floor());
        let end = 10_f64.powf((high.max(2) as f64).log10().ceil()).max(begin * 10.0);
        let mut ticks = Vec::new();
        let mut at = begin;
        while at <= end * 1.001 {
            let words = match at {
                at if at < 1e3 => format!("{at:.0} ns"),
                at if at < 1e6 => format!("{:.0} us", at / 1e3),
                at if at < 1e9 => format!("{:.0} ms", at / 1e6),
                at => format!("{:.0} s", at / 1e9),
            };
            ticks.push((at, words));
            at *= 10.0;
        }
        Self { title: title.to_owned(), log: true, range: (begin, end), ticks }
    }

    /// Percentiles, the tail as wide as the rest: up to so many nines.
    #[must_use]
    pub fn percentiles(title: &str, count: u64) -> Self {
        let most = (count.max(10) as f64 * 2.0).min(1e6);
        let all =
            [(1.0, "0"), (2.0, "50"), (10.0, "90"), (100.0, "99"), (1e3, "99.9"), (1e4, "99.99"), (1e5, "99.999")];
        let ticks = all.into_iter().filter(|(at, _)| *at <= most).map(|(at, words)| (at, words.to_owned())).collect();
        Self { title: title.to_owned(), log: true, range: (1.0, most), ticks }
    }
}

fn round(value: f64) -> String {
    if value >= 1e3 { super::count(value as u64) } else { format!("{}", (value * 1e3).round() / 1e3) }
}

/// What is marked beside the lines.
pub struct Marks<'a> {
    /// A level across the chart, and its words.
    pub level: Option<(f64, &'a str)>,
    /// Stretches from left to right that are shaded.
    pub bands: &'a [(f64, f64)],
}

/// Draws lines.
#[must_use]
pub fn svg(x: &Axis, y: &Axis, lines: &[Line], marks: &Marks<'_>) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = draw(&mut out, x, y, lines, marks);
    out
}

fn at_x(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)
}

fn at_y(axis: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)
}

fn draw(out: &mut String, x: &Axis, y: &Axis, lines: &[Line], marks: &Marks<'_>) -> std::fmt::Result {
    writeln!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">")?;
    for (from, to) in marks.bands {
        let (left, right) = (at_x(x, *from), at_x(x, *to));
        let (width, height) = ((right - left).max(2.0), HEIGHT - TOP - BOTTOM);
        writeln!(out, "<rect class=\"band\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\"/>")?;
    }
    grid(out, x, y)?;
    if let Some((level, words)) = marks.level.filter(|(level, _)| (y.range.0..=y.range.1).contains(level)) {
        let (right, at) = (WIDTH - RIGHT, at_y(y, level));
        writeln!(out, "<line class=\"mark\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>")?;
        let (at, words) = (at - 4.0, escape(words));
        writeln!(out, "<text class=\"mark\" text-anchor=\"end\" x=\"{}\" y=\"{at:.1}\">{words}</text>", right - 4.0)?;
    }
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let dashes = if line.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        write!(out, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes} points=\"")?;
        for (at, value) in &line.points {
            write!(out, "{:.1},{:.1} ", at_x(x, *at), at_y(y, *value))?;
        }
        writeln!(out, "\"/>")?;
    }
    writeln!(out, "</svg>")?;
    legend(out, lines)
}

fn grid(out: &mut String, x: &Axis, y: &Axis) -> std::fmt::Result {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for (value, words) in &y.ticks {
        let at = at_y(y, *value);
        writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>")?;
        writeln!(out, "<text text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{words}</text>", LEFT - 7.0, at + 4.0)?;
    }
    for (value, words) in &x.ticks {
        let at = at_x(x, *value);
        writeln!(out, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>")?;
        writeln!(out, "<text text-anchor=\"middle\" x=\"{at:.1}\" y=\"{}\">{words}</text>", bottom + 17.0)?;
    }
    let middle = (LEFT + right) / 2.0;
    writeln!(
        out,
        "<text class=\"axis\" text-anchor=\"middle\" x=\"{middle}\" y=\"{}\">{}</text>",
        HEIGHT - 8.0,
        escape(&x.title)
    )?;
    let height = (TOP + bottom) / 2.0;
    writeln!(
        out,
        "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(14 {height}) rotate(-90)\">{}</text>",
        escape(&y.title)
    )
}

fn legend(out: &mut String, lines: &[Line]) -> std::fmt::Result {
    write!(out, "<p class=\"legend\">")?;
    for (number, line) in lines.iter().enumerate() {
        let (colour, style) = (COLOURS[number % COLOURS.len()], if line.dashed { "dashed" } else { "solid" });
        write!(out, "<span><i style=\"border-top:3px {style} {colour}\"></i>{}</span>", escape(&line.name))?;
    }
    writeln!(out, "</p>")
}

/// Text that means nothing to a browser but itself.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_what_they_are_to_show() {
        let linear = Axis::linear("x", 2_345.0);
        assert_eq!((linear.range, linear.ticks.len()), ((0.0, 2_500.0), 6));
        assert_eq!(linear.ticks[2].1, "1,000");
        let times = Axis::times("y", 150_000, 42_000_000);
        assert_eq!(times.range, (1e5, 1e8));
        let words: Vec<_> = times.ticks.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(words, ["100 us", "1 ms", "10 ms", "100 ms"]);
        assert_eq!((times.place(1e5), times.place(1e8), times.place(0.0)), (0.0, 1.0, 0.0));
        assert_eq!(Axis::percentiles("p", 1_000).ticks.len(), 5);
    }

    #[test]
    fn words_stay_words() {
        let lines = [Line { name: "<b>&".into(), points: vec![(1.0, 1.0)], dashed: false }];
        let text = svg(&Axis::linear("x", 1.0), &Axis::linear("y", 1.0), &lines, &Marks { level: None, bands: &[] });
        assert!(text.contains("&lt;b&gt;&amp;") && !text.contains("<b>"));
    }
}
