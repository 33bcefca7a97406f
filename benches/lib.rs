//! Benchmarks of Leasehold; see the bench targets beside this file.
