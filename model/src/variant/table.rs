//! The table of variants, by what they endanger.

mod agreement;
mod disk;
mod lease;
mod reads;
mod recovery;
mod snapshots;

use super::Description;

/// The parts of the table, in order.
pub const TABLES: &[&[Description]] = &[
    agreement::VARIANTS,
    disk::VARIANTS,
    lease::VARIANTS,
    reads::VARIANTS,
    recovery::VARIANTS,
    snapshots::VARIANTS,
];

/// The whole table, in Markdown: what `model/README.md` has between its marks.
pub fn markdown() -> String {
    let mut text = String::from(
        "| variant | known bug | what it does | seen in | rule | scope | falls | the machine refuses |\n\
         | --- | ---: | --- | --- | --- | --- | --- | --- |\n",
    );
    for variant in super::all() {
        let rows: Vec<_> = variant.rows.iter().map(u8::to_string).collect();
        let falls = match (variant.falls, variant.harmless) {
            (Some(property), _) => property.to_string(),
            (None, why) => format!("nothing, it is a control: {}", why.unwrap_or_default()),
        };
        let Description { name, deviation, source, rule, scope, refused, .. } = variant;
        text += &format!(
            "| `{name}` | {} | {deviation} | {source} | {rule} | `{scope}` | {falls} | {refused} |\n",
            rows.join(", ")
        );
    }
    text
}
