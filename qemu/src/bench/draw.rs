//! Pictures of what was measured, as SVG
//!
//! Text and grid are of a grey that a light and a dark page can have; pouch has the one accent colour. A value stands
//! beside each bar, so that nobody has to measure with a ruler. Widths of words are estimated from above, as a
//! browser's own fonts are not known here.

use super::figures::Summary;
use super::report::{Kind, Plot, Span, Unit, number};
use svg::Document;
use svg::node::Text as Words;
use svg::node::element::{Circle, Group, Line, Polygon, Polyline, Rectangle, Style, Text, Title};

const WIDTH: f64 = 760.0;
const MARGIN: f64 = 20.0;
/// Below the title.
const HEAD: f64 = 56.0;
/// Below the drawing: the axis' numbers and its name.
const FOOT: f64 = 44.0;
/// The widest that a letter of 13 pixels' text is on the average.
const LETTER: f64 = 7.0;

/// One grey that stands on white and on black: a picture on a page is not told which of them the page has.
const STYLE: &str = "
text { font: 13px ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; fill: #737d88 }
.title { font-size: 15px; font-weight: 600 }
.value { font-variant-numeric: tabular-nums }
.ours { fill: #e0540a; font-weight: 600 }
.axis { font-size: 12px }
.grid { stroke: #8b949e; stroke-opacity: .28 }
.zero { stroke: #8b949e; stroke-opacity: .8 }
.spread { stroke: #5c6671; stroke-width: 1.5 }
rect.c0, circle.c0, polygon.c0 { fill: #e8590c } .s0 { stroke: #e8590c }
rect.c1, circle.c1, polygon.c1 { fill: #8b98a5 } .s1 { stroke: #8b98a5 }
rect.c2, circle.c2, polygon.c2 { fill: #4c8dae } .s2 { stroke: #4c8dae }
rect.c3, circle.c3, polygon.c3 { fill: #7c6fb0 } .s3 { stroke: #7c6fb0 }
rect.c4, circle.c4, polygon.c4 { fill: #6a9a6a } .s4 { stroke: #6a9a6a }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round }
polygon { fill-opacity: .14 }
";

/// What the accent colour is for.
fn is_ours(name: &str) -> bool {
    name.starts_with("pouch") || name.contains("PID 1")
}

/// The picture's file.
pub(super) fn draw(plot: &Plot) -> String {
    let (body, height) = match &plot.kind {
        Kind::Bars(bars) => draw_bars(plot.unit, bars),
        Kind::Lines(axis, lines) => draw_lines(plot.unit, axis, lines),
        Kind::Waterfall(spans) => draw_waterfall(spans),
    };
    Document::new()
        .set("xmlns", "http://www.w3.org/2000/svg")
        .set("viewBox", (0, 0, whole(WIDTH), whole(height)))
        .set("width", whole(WIDTH))
        .set("height", whole(height))
        .set("role", "img")
        .add(Title::new("").add(Words::new(plot.title.clone())))
        .add(Style::new(STYLE))
        .add(text(MARGIN, 30.0, "title", "start", &plot.title))
        .add(body)
        .to_string()
        + "\n"
}

/// From values to places: the last value of the axis, the step of its numbers, their unit.
struct Axis {
    most: f64,
    step: f64,
    scale: f64,
    unit: &'static str,
}

impl Axis {
    /// An axis from 0 to `most` (in the unit's own terms), in steps of 1, 2 or 5.
    fn new(unit: Unit, most: f64) -> Self {
        let (scale, name) = match unit {
            Unit::Time if most < 0.001 => (1e6, "µs"),
            Unit::Time if most >= 10.0 => (1.0, "s"),
            Unit::Size if most >= 8192.0 * 1024.0 => (1.0 / 1_048_576.0, "MiB"),
            Unit::Rate if most >= 8192.0 * 1024.0 => (1.0 / 1_048_576.0, "MiB/s"),
            _ => (unit.scale().0, unit.scale().1.trim()),
        };
        let shown = (most * scale).max(1e-9);
        let power = 10f64.powf((shown / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * power).find(|step| shown / step <= 7.5);
        Self { most: shown, step: step.unwrap_or(power * 10.0), scale, unit: name }
    }

    /// Where a value lies between 0 and 1.
    fn place(&self, value: f64) -> f64 {
        (value * self.scale / self.most).clamp(0.0, 1.0)
    }

    /// The numbers of the axis, with their places.
    fn marks(&self) -> Vec<(f64, String)> {
        let count = whole(self.most / self.step + 1e-6);
        (0..=count).map(|at| f64::from(at) * self.step).map(|value| (value / self.most, short(value))).collect()
    }

    fn show(&self, value: f64) -> String {
        format!("{} {}", number(value * self.scale), self.unit).trim_end().to_owned()
    }
}

/// A number of an axis: no digits that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[expect(clippy::cast_possible_truncation, reason = "pixels and marks of a picture")]
fn whole(value: f64) -> i32 {
    value.floor() as i32
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// The most pixels that a text is wide.
fn wide(text: &str) -> f64 {
    count(text.chars().count()) * LETTER
}

fn text(x: f64, y: f64, class: &str, anchor: &str, words: &str) -> Text {
    Text::new(words).set("x", round(x)).set("y", round(y)).set("class", class).set("text-anchor", anchor)
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Line {
    Line::new()
        .set("x1", round(from.0))
        .set("y1", round(from.1))
        .set("x2", round(to.0))
        .set("y2", round(to.1))
        .set("class", class)
}

/// A rectangle that can still be seen where its time is next to none.
fn block(class: &str, x: f64, y: f64, width: f64, height: f64) -> Rectangle {
    Rectangle::new()
        .set("x", round(x))
        .set("y", round(y))
        .set("width", round(width.max(1.5)))
        .set("height", round(height))
        .set("rx", 2)
        .set("class", class)
}

/// A tenth of a pixel is enough, and two runs with one result are one file.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Grid and numbers of a horizontal axis below a drawing.
fn across(axis: &Axis, left: f64, width: f64, top: f64, bottom: f64) -> Group {
    let mut group = Group::new();
    for (place, mark) in axis.marks() {
        let x = left + place * width;
        group = group.add(line(if place == 0.0 { "zero" } else { "grid" }, (x, top), (x, bottom))).add(text(
            x,
            bottom + 17.0,
            "axis",
            "middle",
            &mark,
        ));
    }
    group.add(text(left + width, bottom + 35.0, "axis", "end", axis.unit))
}

fn draw_bars(unit: Unit, bars: &[(String, Summary)]) -> (Group, f64) {
    const ROW: f64 = 30.0;
    let most = bars.iter().map(|(_, summary)| summary.most).fold(0.0, f64::max);
    let axis = Axis::new(unit, most);
    let values: Vec<String> = bars.iter().map(|(_, summary)| axis.show(summary.median)).collect();
    let names = bars.iter().map(|(name, _)| wide(name)).fold(0.0, f64::max);
    let left = MARGIN + names + 10.0;
    // The widest bar's value stands behind it.
    let width = WIDTH - left - MARGIN - 14.0 - values.iter().map(|value| wide(value)).fold(0.0, f64::max);
    let bottom = HEAD + count(bars.len()) * ROW;
    let mut group = across(&axis, left, width, HEAD - 4.0, bottom);
    for (at, ((name, summary), value)) in bars.iter().zip(&values).enumerate() {
        let (y, ours) = (HEAD + count(at) * ROW, is_ours(name));
        let end = left + axis.place(summary.median) * width;
        let (least, most) = (left + axis.place(summary.least) * width, left + axis.place(summary.most) * width);
        let middle = y + ROW / 2.0;
        let class = if ours { "ours" } else { "" };
        group = group
            .add(text(left - 10.0, middle + 4.5, class, "end", name))
            .add(block(if ours { "c0" } else { "c1" }, left, y + 5.0, end - left, ROW - 10.0))
            .add(text(most.max(end) + 8.0, middle + 4.5, &format!("value {class}"), "start", value));
        if most - least > 2.0 {
            group = group
                .add(line("spread", (least, middle), (most, middle)))
                .add(line("spread", (least, middle - 4.0), (least, middle + 4.0)))
                .add(line("spread", (most, middle - 4.0), (most, middle + 4.0)));
        }
    }
    (group, bottom + FOOT)
}

fn draw_lines(unit: Unit, name: &str, lines: &[(String, Vec<(f64, Summary)>)]) -> (Group, f64) {
    const TALL: f64 = 260.0;
    let (left, top) = (MARGIN + 52.0, HEAD + 8.0);
    let most = lines.iter().flat_map(|(_, points)| points).map(|(_, summary)| summary.most).fold(0.0, f64::max);
    let axis = Axis::new(unit, most);
    let names = lines.iter().map(|(name, _)| wide(name)).fold(0.0, f64::max);
    let width = WIDTH - left - MARGIN - names - 18.0;
    let mut places: Vec<f64> = lines.iter().flat_map(|(_, points)| points).map(|(x, _)| *x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    // Numbers that double are a distance each; 0 stands one before 1.
    let doubling = places.last().copied().unwrap_or(0.0) >= 16.0;
    let spot = |x: f64| if doubling { if x < 1.0 { -1.0 } else { x.log2() } } else { x };
    let (first, last) = (places.first().map_or(0.0, |x| spot(*x)), places.last().map_or(1.0, |x| spot(*x)));
    let at_x = |x: f64| left + (spot(x) - first) / (last - first).max(1e-9) * width;
    let at_y = |value: f64| top + TALL - axis.place(value) * TALL;
    let mut group = Group::new();
    for (place, mark) in axis.marks() {
        let y = top + TALL - place * TALL;
        group = group.add(line(if place == 0.0 { "zero" } else { "grid" }, (left, y), (left + width, y))).add(text(
            left - 8.0,
            y + 4.0,
            "axis",
            "end",
            &mark,
        ));
    }
    group = group.add(text(left - 8.0, top - 14.0, "axis", "end", axis.unit));
    let mut free = f64::MIN;
    for &x in &places {
        let (here, mark) = (at_x(x), short(x));
        // Numbers that would touch are left out.
        if here - wide(&mark) / 2.0 > free {
            group = group.add(text(here, top + TALL + 17.0, "axis", "middle", &mark));
            free = here + wide(&mark) / 2.0 + 6.0;
        }
    }
    group = group.add(text(left + width, top + TALL + 35.0, "axis", "end", name));
    let mut others = 0;
    let mut ends: Vec<(f64, usize, String)> = Vec::new();
    for (name, points) in lines {
        let colour = if is_ours(name) && !ends.iter().any(|(_, colour, _)| *colour == 0) {
            0
        } else {
            others += 1;
            (others - 1) % 4 + 1
        };
        let path = |pick: fn(&Summary) -> f64| {
            points.iter().map(|(x, summary)| (round(at_x(*x)), round(at_y(pick(summary))))).collect::<Vec<_>>()
        };
        let show = |places: &[(f64, f64)]| places.iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ");
        let (medians, least, mut area) = (path(|s| s.median), path(|s| s.least), path(|s| s.most));
        area.extend(least.into_iter().rev());
        group = group
            .add(Polygon::new().set("points", show(&area)).set("class", format!("c{colour}")))
            .add(Polyline::new().set("points", show(&medians)).set("class", format!("line s{colour}")));
        for (x, y) in &medians {
            group =
                group.add(Circle::new().set("cx", *x).set("cy", *y).set("r", 3.5).set("class", format!("c{colour}")));
        }
        ends.push((medians.last().map_or(top, |(_, y)| *y), colour, name.clone()));
    }
    // Names stand at their lines' ends, and never on each other.
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut last = f64::MIN;
    let mut spots: Vec<f64> = ends
        .iter()
        .map(|(y, _, _)| {
            last = y.max(last + 17.0);
            last
        })
        .collect();
    let over = (spots.last().copied().unwrap_or(0.0) - (top + TALL)).max(0.0);
    let mut next = f64::MAX;
    for y in spots.iter_mut().rev() {
        if over > 0.0 {
            *y = y.min(top + TALL).min(next - 17.0)
        }
        next = *y;
    }
    for ((_, colour, name), y) in ends.iter().zip(spots) {
        let class = if *colour == 0 { "ours" } else { "" };
        group = group.add(block(&format!("c{colour}"), left + width + 10.0, y - 1.5, 8.0, 3.0)).add(text(
            left + width + 22.0,
            y + 4.5,
            class,
            "start",
            name,
        ));
    }
    (group, top + TALL + FOOT)
}

fn draw_waterfall(spans: &[Span]) -> (Group, f64) {
    const ROW: f64 = 22.0;
    let most = spans.iter().map(|span| span.end).fold(0.0, f64::max);
    let axis = Axis::new(Unit::Time, most);
    let names = spans.iter().map(|span| wide(&span.name)).fold(0.0, f64::max);
    let values: Vec<String> = spans.iter().map(|span| axis.show(span.end - span.begin)).collect();
    let left = MARGIN + names + 10.0;
    let width = WIDTH - left - MARGIN - 10.0 - values.iter().map(|value| wide(value)).fold(0.0, f64::max);
    let mut lanes: Vec<&str> = Vec::new();
    for span in spans {
        if !lanes.contains(&span.lane.as_str()) {
            lanes.push(&span.lane);
        }
    }
    // The accent is for the first lane that is pouch's; the others follow in their order.
    let ours = lanes.iter().position(|lane| is_ours(lane)).unwrap_or(0);
    let colour = |lane: &str| match lanes.iter().position(|known| *known == lane).unwrap_or(0) {
        at if at == ours => 0,
        at if at < ours => at % 4 + 1,
        at => (at - 1) % 4 + 1,
    };
    let top = HEAD + 22.0;
    let bottom = top + count(spans.len()) * ROW;
    let mut group = across(&axis, left, width, top - 4.0, bottom);
    let mut x = MARGIN;
    for lane in &lanes {
        group = group.add(block(&format!("c{}", colour(lane)), x, HEAD - 10.0, 12.0, 12.0)).add(text(
            x + 18.0,
            HEAD + 0.5,
            "",
            "start",
            lane,
        ));
        x += wide(lane) + 46.0;
    }
    for (at, (span, value)) in spans.iter().zip(&values).enumerate() {
        let y = top + count(at) * ROW;
        let (begin, end) = (left + axis.place(span.begin) * width, left + axis.place(span.end) * width);
        group = group
            .add(text(left - 10.0, y + ROW / 2.0 + 4.5, "", "end", &span.name))
            .add(block(&format!("c{}", colour(&span.lane)), begin, y + 4.0, end - begin, ROW - 8.0))
            .add(text((end + 6.0).max(begin + 8.0), y + ROW / 2.0 + 4.5, "value axis", "start", value));
    }
    (group, bottom + FOOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(median: f64) -> Summary {
        Summary { median, least: median * 0.9, most: median * 1.2, count: 5 }
    }

    #[test]
    fn an_axis_counts_in_steps_that_a_person_counts_in() {
        let axis = Axis::new(Unit::Time, 0.0187);
        assert_eq!(axis.unit, "ms");
        assert_eq!(axis.marks().into_iter().map(|(_, mark)| mark).collect::<Vec<_>>(), ["0", "5", "10", "15"]);
        assert_eq!(Axis::new(Unit::Size, 15e6).unit, "MiB");
        assert_eq!(Axis::new(Unit::Time, 0.0004).show(0.00025), "250 µs");
    }

    #[test]
    fn a_picture_has_its_title_its_unit_and_each_value() {
        let bars = vec![("pouch".to_owned(), figure(0.002)), ("crun <1.8>".to_owned(), figure(0.0151))];
        let plot = Plot { name: "start".into(), title: "Start & run".into(), unit: Unit::Time, kind: Kind::Bars(bars) };
        let text = draw(&plot);
        for wanted in ["Start &amp; run", "crun &lt;1.8&gt;", "2.00 ms", "15.1 ms", "\nms\n", "class=\"c0\""] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }

    #[test]
    fn names_at_the_ends_of_lines_do_not_touch() {
        let line = |name: &str, at: f64| (name.to_owned(), vec![(1.0, figure(at)), (64.0, figure(at))]);
        let lines = vec![line("pouch", 0.01), line("a", 0.0101), line("b", 0.0), line("c", 0.0)];
        let plot = Plot { name: "x".into(), title: "x".into(), unit: Unit::Time, kind: Kind::Lines("n".into(), lines) };
        let text = draw(&plot);
        let mut places: Vec<f64> = ["pouch", "a", "b", "c"]
            .iter()
            .map(|name| {
                let line = text.lines().rev().skip_while(|line| line.trim() != *name).nth(1).unwrap();
                line.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
            })
            .collect();
        places.sort_by(f64::total_cmp);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 16.9), "{places:?}");
    }
}
