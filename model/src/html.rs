//! What an HTML report is made of: a frame that stands on its own, and parts that escape what they are given.
//!
//! The page asks for nothing: style is within it, there is no script, and a content security policy forbids the rest.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

const STYLE: &str = include_str!("html.css");

/// A whole page. `sections` are HTML already: an identifier, a heading, the content.
pub fn page(title: &str, lead: &str, sections: &[(&str, &str, String)]) -> String {
    let mut contents = String::new();
    let mut body = String::new();
    for (id, heading, content) in sections {
        let heading = escaped(heading);
        let _ = write!(contents, "<li><a href='#{id}'>{heading}</a></li>");
        let _ = write!(body, "<section id='{id}' aria-labelledby='{id}-heading'>");
        let _ = write!(body, "<h2 id='{id}-heading'>{heading}</h2>\n{content}</section>\n");
    }
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>{title}</title>\n\
         <meta name='viewport' content='width=device-width, initial-scale=1'>\n\
         <meta name='color-scheme' content='light dark'>\n\
         <meta http-equiv='Content-Security-Policy' \
         content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel='icon' href='data:,'>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1>\n{lead}<nav aria-label='Contents'><ul>{contents}</ul></nav></header>\n\
         <main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// Text as the content of an element, or between quotes.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}

/// One cell of a table.
pub enum Cell {
    /// Words.
    Text(String),
    /// A name, as in code.
    Code(String),
    /// A number, which stands to the right.
    Number(String),
    /// What is well, or what is not, and how one says so.
    Mark(bool, String),
}

impl Cell {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn html(&self) -> String {
        match self {
            Self::Text(text) => escaped(text),
            Self::Code(text) => format!("<code>{}</code>", escaped(text)),
            Self::Number(text) => escaped(text),
            Self::Mark(good, text) => {
                let (class, sign) = if *good { ("good", "✓") } else { ("bad", "✗") };
                format!(
                    "<span class='{class}'><span aria-hidden='true'>{sign}</span>&nbsp;{}</span>",
                    escaped(text)
                )
            }
        }
    }

    fn class(&self) -> &'static str {
        if matches!(self, Self::Number(_)) { " class='number'" } else { "" }
    }
}

/// A table, with a caption for those who cannot see the heading above it. The first cell of each row names it.
pub fn table(caption: &str, columns: &[&str], rows: &[Vec<Cell>]) -> String {
    let caption = escaped(caption);
    let mut text = scrolling(&caption);
    let _ = write!(text, "<table><caption>{caption}</caption><thead><tr>");
    for (place, column) in columns.iter().enumerate() {
        let class = rows.first().and_then(|row| row.get(place)).map_or("", Cell::class);
        let _ = write!(text, "<th scope='col'{class}>{}</th>", escaped(column));
    }
    text += "</tr></thead><tbody>\n";
    for row in rows {
        text += "<tr>";
        for (place, cell) in row.iter().enumerate() {
            let (open, close) = if place == 0 { ("th scope='row'", "th") } else { ("td", "td") };
            let _ = write!(text, "<{open}{}>{}</{close}>", cell.class(), cell.html());
        }
        text += "</tr>\n";
    }
    text + "</tbody></table></div>\n"
}

/// Opens a box that scrolls by itself, also by the keyboard, so that the page never does sideways.
pub fn scrolling(label: &str) -> String {
    format!("<div class='scroll' role='region' tabindex='0' aria-label='{label}'>")
}

/// Markdown of the project's own pages: headings of level `#` become `<h2>` and so on, and links to other files
/// become plain words, since those files are not there.
pub fn markdown(text: &str) -> String {
    let elsewhere = |target: &str| !target.starts_with("https://");
    let mut inside_dead_link = false;
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Start(Tag::Heading { level, id, classes, attrs }) => {
            Some(Event::Start(Tag::Heading { level: lower(level), id, classes, attrs }))
        }
        Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(lower(level)))),
        Event::Start(Tag::Link { dest_url, .. }) if elsewhere(&dest_url) => {
            inside_dead_link = true;
            None
        }
        Event::End(TagEnd::Link) if std::mem::take(&mut inside_dead_link) => None,
        other => Some(other),
    });
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events);
    html.replace("<table>", &format!("{}<table>", scrolling("Table"))).replace("</table>", "</table></div>")
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H2,
        HeadingLevel::H2 => HeadingLevel::H3,
        HeadingLevel::H3 => HeadingLevel::H4,
        HeadingLevel::H4 => HeadingLevel::H5,
        HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

/// A moment in UTC, to the minute.
pub fn utc(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (minutes, days) = (seconds / 60 % (24 * 60), seconds / (24 * 60 * 60));
    // Civil from days: eras of 400 years that begin on the first of March.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(at(4_107_542_399), "2100-02-28 23:59 UTC");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00 UTC");
    }

    #[test]
    fn what_is_shown_cannot_become_markup() {
        let evil = "<script>'\"&";
        let cells = vec![vec![Cell::text(evil), Cell::Code(evil.into()), Cell::Mark(false, evil.into())]];
        let html = page(evil, "", &[("id", evil, table(evil, &[evil, evil, evil], &cells))]);
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("'\"&"), "{html}");
    }

    #[test]
    fn links_to_files_become_words_and_others_stay() {
        let html = markdown(
            "# A\n\n[rules](src/rules.rs) and [site](https://example.org), `x < y`\n\n| a |\n| - |\n| b |\n",
        );
        assert!(
            html.contains("<h2>A</h2>")
                && html.contains("<p>rules and <a href=\"https://example.org\">site</a>"),
            "{html}"
        );
        assert!(
            html.contains("x &lt; y") && html.contains("tabindex='0'") && !html.contains("src/rules"),
            "{html}"
        );
    }
}
