//! The table of variants, by what they endanger.

mod agreement;
mod disk;
mod lease;
mod reads;

use super::Description;

/// The parts of the table, in order.
pub const TABLES: &[&[Description]] =
    &[agreement::VARIANTS, disk::VARIANTS, lease::VARIANTS, reads::VARIANTS];
