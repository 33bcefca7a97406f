//! Plots as SVG, all in one style: axes with units and round ticks, linear or logarithmic; colours that people who are
//! blind to some can tell apart (Okabe and Ito), and that a browser in dark mode changes to lighter ones.
//!
//! Drawn by `plotters`, on whose lines the ticks, the legend and the style sheet are ours.

mod axis;
mod legend;

use std::fmt::Write;

use plotters::prelude::*;

use axis::Ruler;
pub(crate) use axis::{Axis, number};

/// Pixels of the drawing for each of the page: plotters draws at whole ones only.
const SHARPNESS: u32 = 4;
const TEXT: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const FRAME: RGBColor = RGBColor(0x6E, 0x77, 0x81);
const GRID: RGBColor = RGBColor(0xE1, 0xE4, 0xE8);
const FONT_PX: u32 = 13;

/// The colours of what is plotted. The same thing has the same colour in every plot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Colour {
    /// What a paper has, and what is computed.
    Grey,
    /// `#0072B2`
    Blue,
    /// `#D55E00`
    Orange,
    /// `#009E73`
    Green,
    /// `#CC79A7`
    Pink,
    /// `#B58900`
    Yellow,
    /// `#56B4E9`
    Sky,
    /// `#7A4FB5`
    Violet,
}

impl Colour {
    /// Those that data has, in the order in which they are told apart best.
    pub(crate) const OF_DATA: [Self; 7] =
        [Self::Blue, Self::Orange, Self::Green, Self::Pink, Self::Yellow, Self::Sky, Self::Violet];

    const ALL: [Self; 8] = [
        Self::Grey,
        Self::Blue,
        Self::Orange,
        Self::Green,
        Self::Pink,
        Self::Yellow,
        Self::Sky,
        Self::Violet,
    ];

    fn on_light(self) -> RGBColor {
        match self {
            Self::Grey => RGBColor(0x59, 0x63, 0x6E),
            Self::Blue => RGBColor(0x00, 0x72, 0xB2),
            Self::Orange => RGBColor(0xD5, 0x5E, 0x00),
            Self::Green => RGBColor(0x00, 0x9E, 0x73),
            Self::Pink => RGBColor(0xCC, 0x79, 0xA7),
            Self::Yellow => RGBColor(0xB5, 0x89, 0x00),
            Self::Sky => RGBColor(0x56, 0xB4, 0xE9),
            Self::Violet => RGBColor(0x7A, 0x4F, 0xB5),
        }
    }

    fn on_dark(self) -> &'static str {
        match self {
            Self::Grey => "#9198A1",
            Self::Blue => "#4FA8E0",
            Self::Orange => "#F58A3C",
            Self::Green => "#2FC79A",
            Self::Pink => "#E39AC4",
            Self::Yellow => "#E6C229",
            Self::Sky => "#8FD0F5",
            Self::Violet => "#B08CE8",
        }
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// A line.
    Line,
    /// A broken line.
    Dashes,
    /// A line, and a dot at each point.
    LineWithDots,
    /// A broken line, and a dot at each point.
    DashesWithDots,
    /// Small faint dots, for many of them.
    Cloud,
}

impl Mark {
    fn has_line(self) -> bool {
        matches!(self, Self::Line | Self::LineWithDots)
    }

    fn has_dashes(self) -> bool {
        matches!(self, Self::Dashes | Self::DashesWithDots)
    }

    fn has_dots(self) -> bool {
        matches!(self, Self::LineWithDots | Self::DashesWithDots)
    }
}

/// One line or set of dots.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// For the legend; two series of the same name share an entry if they look alike.
    pub(crate) name: String,
    /// Its colour.
    pub(crate) colour: Colour,
    /// How it is drawn.
    pub(crate) mark: Mark,
    /// The points.
    pub(crate) points: Vec<(f64, f64)>,
    /// Intervals of uncertainty: where, from, to.
    pub(crate) intervals: Vec<(f64, f64, f64)>,
}

impl Series {
    /// A series without intervals.
    pub(crate) fn new(name: impl Into<String>, colour: Colour, mark: Mark, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), colour, mark, points, intervals: Vec::new() }
    }
}

/// The size of a plot on a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    /// As wide as the page.
    Wide,
    /// Two of them stand side by side.
    Half,
    /// Three of them stand side by side.
    Third,
}

impl Size {
    /// Width and height in CSS pixels.
    pub(crate) fn pixels(self) -> (u32, u32) {
        match self {
            Self::Wide => (760, 380),
            Self::Half => (380, 290),
            Self::Third => (252, 220),
        }
    }
}

/// A plot.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    /// What it is, for those who do not see it.
    pub(crate) title: String,
    /// How large it is.
    pub(crate) size: Size,
    /// To the right.
    pub(crate) x: Axis,
    /// Upwards.
    pub(crate) y: Axis,
    /// What is plotted, in order.
    pub(crate) series: Vec<Series>,
    /// Moments: upright lines with a word.
    pub(crate) moments: Vec<(f64, String)>,
}

impl Plot {
    /// The plot as a whole SVG document, which also stands in a page of HTML as it is.
    pub(crate) fn svg(&self) -> String {
        let mut body = String::new();
        let (width, height) = self.size.pixels();
        let size = (px(width), px(height));
        {
            let area = SVGBackend::with_string(&mut body, size).into_drawing_area();
            self.draw(&area).and_then(|()| area.present()).expect("a string takes whatever is drawn");
        }
        let (_, drawn) = body.split_once('\n').expect("the first line is the opening tag");
        format!(
            "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {} {}\">\n<title>{}</title>\n<style>{}</style>\n{drawn}",
            size.0,
            size.1,
            escaped(&self.title),
            style_sheet()
        )
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<'_, DB>) -> Drawn<DB> {
        let legend = legend::Legend::of(&self.series, self.size.pixels().0);
        let (x, y) = (self.x.ruler(self.xs()), self.y.ruler(self.ys()));
        let ends = y.ends();
        let mut chart = ChartBuilder::on(area)
            .margin_top(px(14) + legend.height() + px(if self.moments.is_empty() { 0 } else { FONT_PX }))
            .margin_right(px(24))
            .margin_bottom(px(6))
            .margin_left(px(6))
            .x_label_area_size(px(46))
            .y_label_area_size(px(68))
            .build_cartesian_2d(x, y)?;
        let font = ("sans-serif", f64::from(px(FONT_PX)) * FONT_SCALE).into_font();
        chart
            .configure_mesh()
            .bold_line_style(GRID.stroke_width(SHARPNESS))
            .axis_style(FRAME.stroke_width(SHARPNESS))
            .set_all_tick_mark_size(px(4))
            .x_desc(self.x.label.clone())
            .y_desc(self.y.label.clone())
            .label_style(font.clone().color(&TEXT))
            .axis_desc_style(font.color(&TEXT))
            .draw()?;
        self.draw_moments(&mut chart, ends)?;
        for series in &self.series {
            self.draw_series(&mut chart, series)?;
        }
        legend.draw(area)
    }

    fn draw_moments<DB: DrawingBackend>(
        &self,
        chart: &mut Chart<'_, DB>,
        (bottom, top): (f64, f64),
    ) -> Drawn<DB> {
        let font = ("sans-serif", f64::from(px(FONT_PX)) * FONT_SCALE).into_font();
        for (at, word) in &self.moments {
            let line = [(*at, bottom), (*at, top)];
            chart.draw_series(DashedLineSeries::new(
                line,
                px(3),
                px(3),
                Colour::Grey.on_light().stroke_width(px(1)),
            ))?;
            let place = EmptyElement::at((*at, top))
                + Text::new(word.clone(), (0, -whole(px(FONT_PX + 3))), font.clone().color(&TEXT));
            chart.draw_series([place])?;
        }
        Ok(())
    }

    fn draw_series<DB: DrawingBackend>(&self, chart: &mut Chart<'_, DB>, series: &Series) -> Drawn<DB> {
        let points = &series.points;
        let colour = series.colour.on_light();
        let line = colour.stroke_width(px(2));
        for &(x, low, high) in &series.intervals {
            let (from, to) = ((x, low), (x, high));
            chart.draw_series([PathElement::new([from, to], line)])?;
            for end in [from, to] {
                let cap = whole(px(5));
                chart.draw_series([EmptyElement::at(end) + PathElement::new([(-cap, 0), (cap, 0)], line)])?;
            }
        }
        if series.mark.has_line() {
            chart.draw_series(LineSeries::new(points.iter().copied(), line))?;
        }
        if series.mark.has_dashes() {
            chart.draw_series(DashedLineSeries::new(points.iter().copied(), px(6), px(4), line))?;
        }
        if series.mark.has_dots() {
            chart.draw_series(points.iter().map(|&at| Circle::new(at, px(7) / 2, colour.filled())))?;
        }
        if series.mark == Mark::Cloud {
            chart
                .draw_series(points.iter().map(|&at| Circle::new(at, px(3) / 2, colour.mix(0.6).filled())))?;
        }
        Ok(())
    }

    fn xs(&self) -> impl Iterator<Item = f64> {
        let points = self.series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
        points.chain(self.moments.iter().map(|moment| moment.0))
    }

    fn ys(&self) -> impl Iterator<Item = f64> {
        self.series.iter().flat_map(|series| {
            let intervals = series.intervals.iter().flat_map(|&(_, low, high)| [low, high]);
            series.points.iter().map(|point| point.1).chain(intervals)
        })
    }
}

type Area<'a, DB> = DrawingArea<DB, plotters::coord::Shift>;
type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;
type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<Ruler, Ruler>>;

/// What plotters divides a font's size by.
const FONT_SCALE: f64 = 1.24;

/// Pixels of the drawing for so many of the page.
fn px(page: u32) -> u32 {
    page * SHARPNESS
}

fn whole(pixels: u32) -> i32 {
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

/// Colours in dark mode, by what they are in light mode.
fn style_sheet() -> String {
    let hex = |RGBColor(r, g, b)| format!("#{r:02X}{g:02X}{b:02X}");
    let mut rules = String::new();
    let mut rule = |from: RGBColor, to: &str| {
        let from = hex(from);
        let _ = write!(rules, ".plot [fill=\"{from}\"]{{fill:{to}}}.plot [stroke=\"{from}\"]{{stroke:{to}}}");
    };
    rule(TEXT, "#E6EDF3");
    rule(FRAME, "#7D8590");
    rule(GRID, "#30363D");
    for colour in Colour::ALL {
        rule(colour.on_light(), colour.on_dark());
    }
    format!(".plot{{max-width:100%;height:auto}}@media screen and (prefers-color-scheme:dark){{{rules}}}")
}

/// Text for HTML and XML.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let mut series = Series::new(
            "a <b> & \"c\"",
            Colour::Blue,
            Mark::LineWithDots,
            vec![(1.0, 0.2), (10.0, 30.0), (1000.0, 7.0)],
        );
        series.intervals = vec![(10.0, 20.0, 400.0)];
        Plot {
            title: "Title <x>".into(),
            size: Size::Wide,
            x: Axis::log("clients"),
            y: Axis::linear("latency, ms"),
            series: vec![series],
            moments: vec![(100.0, "crash".into())],
        }
    }

    #[test]
    fn a_plot_has_its_labels_its_ticks_and_its_legend_and_nothing_that_is_not_escaped() {
        let svg = plot().svg();
        for part in ["clients", "latency, ms", "a &lt;b&gt; &amp; &quot;c&quot;", "Title &lt;x&gt;", "crash"]
        {
            assert!(svg.contains(part), "{part}");
        }
        for tick in [">\n1\n<", ">\n10\n<", ">\n100\n<", ">\n1,000\n<", ">\n400\n<"] {
            assert!(svg.contains(tick), "{tick}");
        }
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn every_colour_that_is_drawn_has_one_for_dark_mode() {
        let svg = plot().svg();
        let (rules, drawn) = svg.split_once("</style>").unwrap();
        let mut colours = 0;
        for (at, _) in drawn.match_indices("=\"#") {
            let colour = &drawn[at + 2..at + 9];
            assert!(rules.contains(&format!("=\"{colour}\"")), "{colour}");
            colours += 1;
        }
        assert!(colours > 10);
    }

    #[test]
    fn an_empty_plot_is_drawn_too() {
        let svg = Plot { series: Vec::new(), moments: Vec::new(), ..plot() }.svg();
        assert!(svg.contains("clients"));
    }
}
