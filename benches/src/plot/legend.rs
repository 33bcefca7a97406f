//! The legend: a row or more of names above the plot, each with a piece of its line.

use plotters::prelude::*;

use super::{Area, Drawn, FONT_PX, FONT_SCALE, Mark, SHARPNESS, Series, TEXT, px, whole};

/// Widths in pixels of the page. Without a font at hand, a letter is taken to be as wide as most are.
const LETTER_PX: f64 = 6.9;
const SWATCH_PX: u32 = 26;
const GAP_PX: u32 = 18;
const LEFT_PX: u32 = 80;
const ROW_PX: u32 = 20;

pub(super) struct Legend<'a> {
    rows: Vec<Vec<(&'a Series, u32)>>,
}

impl<'a> Legend<'a> {
    /// One entry for each name and look, in order, in as many rows as it takes.
    pub(super) fn of(series: &'a [Series], page_width: u32) -> Self {
        let mut rows: Vec<Vec<(&Series, u32)>> = Vec::new();
        let mut at = 0;
        for one in series.iter().filter(|one| !one.name.is_empty()) {
            let same = |&(other, _): &(&Series, u32)| {
                (&other.name, other.colour, other.mark) == (&one.name, one.colour, one.mark)
            };
            if rows.iter().flatten().any(same) {
                continue;
            }
            let width = SWATCH_PX + letters(&one.name) + GAP_PX;
            if rows.is_empty() || at + width > page_width {
                rows.push(Vec::new());
                at = LEFT_PX;
            }
            rows.last_mut().expect("there is a row").push((one, at));
            at += width;
        }
        Self { rows }
    }

    pub(super) fn height(&self) -> u32 {
        px(ROW_PX) * u32::try_from(self.rows.len()).unwrap_or(0)
    }

    pub(super) fn draw<DB: DrawingBackend>(&self, area: &Area<'_, DB>) -> Drawn<DB> {
        let font = ("sans-serif", f64::from(px(FONT_PX)) * FONT_SCALE).into_font().color(&TEXT);
        for (row, entries) in (0..).zip(&self.rows) {
            let y = whole(px(ROW_PX) * row + px(12));
            for &(series, at) in entries {
                let (x, swatch) = (whole(px(at)), whole(px(SWATCH_PX - 6)));
                draw_swatch(area, series, (x, y), swatch)?;
                let text_at = (x + whole(px(SWATCH_PX)), y - whole(px(FONT_PX)) / 2);
                area.draw(&Text::new(series.name.clone(), text_at, font.clone()))?;
            }
        }
        Ok(())
    }
}

fn draw_swatch<DB: DrawingBackend>(
    area: &Area<'_, DB>,
    series: &Series,
    (x, y): (i32, i32),
    width: i32,
) -> Drawn<DB> {
    let colour = series.colour.on_light();
    let line = colour.stroke_width(2 * SHARPNESS);
    if series.mark.has_line() {
        area.draw(&PathElement::new([(x, y), (x + width, y)], line))?;
    }
    if series.mark.has_dashes() {
        let dash = width / 4; // A dot between them leaves a gap.
        area.draw(&PathElement::new([(x, y), (x + dash, y)], line))?;
        area.draw(&PathElement::new([(x + width - dash, y), (x + width, y)], line))?;
    }
    if series.mark.has_dots() || series.mark == Mark::Cloud {
        area.draw(&Circle::new((x + width / 2, y), px(7) / 2, colour.filled()))?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn letters(text: &str) -> u32 {
    (text.chars().count() as f64 * LETTER_PX).ceil() as u32
}
