//! Doors for the fuzz targets (`fuzz/`) to what is private and decodes bytes from outside. No part of the interface:
//! it changes with what is behind it.

pub use crate::log::fuzzing::reseal_segment;
pub use crate::page::fuzzing::PageRequest;
