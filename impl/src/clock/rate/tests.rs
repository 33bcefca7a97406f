use super::*;
use proptest::prelude::*;

const BEAT: i64 = 250_000_000;

/// Two servers that tell each other their time every beat, as an outsider with a true clock sees them.
struct Pair {
    meter: RateMeter,
    /// The true time.
    world: i64,
    ours: i64,
    theirs: i64,
    /// What theirs gains on ours, in millionths.
    ppm: i64,
    reached: Option<Reached>,
}

impl Pair {
    fn new(ppm: i64) -> Self {
        let (ours, theirs) = (7_000_000_000, 3_000_000_000);
        Self { meter: RateMeter::default(), world: 0, ours, theirs, ppm, reached: None }
    }

    fn pass(&mut self, nanos: i64) {
        self.world += nanos;
        self.ours += nanos;
        let theirs = i128::from(nanos) * (1_000_000 + i128::from(self.ppm)) / 1_000_000;
        self.theirs += i64::try_from(theirs).unwrap();
    }

    /// One beat goes there, and one comes back that says so, each with its delay; then it is quiet.
    fn exchange(&mut self, there: i64, back: i64) {
        let left = LocalTime(self.ours);
        self.pass(there);
        self.reached = Some(Reached { left, came: Span(self.theirs) });
        let sent = Span(self.theirs);
        self.pass(back);
        self.meter.note(Sample { sent, came: LocalTime(self.ours), echo: self.reached });
        self.pass((BEAT - there - back).max(0));
    }

    fn least(&self) -> i64 {
        self.meter.until_now().map(|(_, rates)| rates.least_ppm).max().unwrap_or(i64::MIN)
    }

    fn most(&self) -> i64 {
        self.meter.until_now().map(|(_, rates)| rates.most_ppm).min().unwrap_or(i64::MAX)
    }
}

/// A delay of 0 to 400 ms, short ones most often.
fn delay() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 50_000..400_000_i64, 2 => 50_000..5_000_000_i64, 1 => 50_000..400_000_000_i64]
}

fn delays() -> impl Strategy<Value = Vec<(i64, i64)>> {
    proptest::collection::vec((delay(), delay()), 2..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_delays_the_bounds_hold_the_true_rate(ppm in -500_000..1_000_000_i64, delays in delays()) {
        let mut pair = Pair::new(ppm);
        for (there, back) in delays {
            pair.exchange(there, back);
            let (least, most) = (pair.least(), pair.most());
            prop_assert!(least <= ppm && ppm <= most.saturating_add(1), "{least} to {most}");
            if let Some(rates) = pair.meter.rates() {
                prop_assert!(rates.least_ppm <= ppm && ppm <= rates.most_ppm + 1, "{rates:?}");
            }
        }
    }

    #[test]
    fn a_rate_that_changes_within_a_bound_is_never_taken_to_be_beyond_it(
        exchanges in proptest::collection::vec((-10_000..=10_000_i64, delay(), delay()), 2..200),
    ) {
        let mut pair = Pair::new(0);
        for (ppm, there, back) in exchanges {
            pair.ppm = ppm;
            pair.exchange(there, back);
            prop_assert!(pair.least() <= 10_000 && pair.most() >= -10_001, "{} {}", pair.least(), pair.most());
        }
    }

    #[test]
    fn what_is_beyond_the_bound_shows_within_the_shortest_round_trip_divided_by_the_excess(
        excess in 2_000..500_000_i64, slower in any::<bool>(), jitter in proptest::collection::vec((delay(), delay()), 600),
    ) {
        const BOUND: i64 = 10_000;
        // Every tenth beat is as quick as can be, there and back: 0.8 ms.
        const SHORTEST: i64 = 400_000;
        let mut pair = Pair::new(if slower { -BOUND - excess } else { BOUND + excess });
        let shown = |pair: &Pair| if slower { pair.most() < -BOUND } else { pair.least() > BOUND };
        let needed = 2 * SHORTEST * 1_000_000 / excess * 11 / 10;
        for (at, (there, back)) in jitter.into_iter().enumerate() {
            let (there, back) = if at % 10 == 0 { (SHORTEST, SHORTEST) } else { (there, back) };
            pair.exchange(there, back);
            if shown(&pair) {
                break;
            }
        }
        let patience = needed + 11 * (BEAT + 2 * 400_000_000);
        prop_assert!(shown(&pair) && pair.world <= patience, "{} ms, {} at most", pair.world / 1_000_000, patience / 1_000_000);
    }

    #[test]
    fn no_message_makes_it_panic(samples in proptest::collection::vec(any::<[i64; 5]>(), 0..120)) {
        let mut meter = RateMeter::default();
        for [sent, came, left, reached, kind] in samples {
            let echo = (kind % 2 == 0).then_some(Reached { left: LocalTime(left), came: Span(reached) });
            meter.note(Sample { sent: Span(sent), came: LocalTime(came), echo });
            meter.until_now().for_each(drop);
            let _ = meter.rates();
        }
    }
}

#[test]
fn a_clock_of_ones_own_that_stands_still_makes_the_peers_run_beyond_any_bound() {
    let mut meter = RateMeter::default();
    let echo = Some(Reached { left: LocalTime(5), came: Span(100) });
    for beat in 0..3 {
        meter.note(Sample { sent: Span(200 + beat * BEAT), came: LocalTime(5), echo });
    }
    let least = meter.until_now().map(|(_, rates)| rates.least_ppm).max();
    assert!(least > Some(100_000_000), "{least:?}");
}

#[test]
fn an_hour_of_beats_is_kept_in_few_windows_that_narrow_the_rate_to_a_millionth() {
    let mut pair = Pair::new(37);
    for _ in 0..4 * 3_600 {
        pair.exchange(150_000, 150_000);
        assert!(pair.meter.windows.len() <= WINDOWS_MAX);
    }
    let rates = pair.meter.rates().unwrap();
    assert!(rates.width() <= 2, "{rates:?}");
    // A change shows in the first beats after it.
    pair.ppm = 50_000;
    for _ in 0..3 {
        pair.exchange(150_000, 150_000);
    }
    assert!(pair.least() > 40_000, "{}", pair.least());
}

#[test]
fn after_a_restart_only_what_comes_counts() {
    let mut pair = Pair::new(90_000);
    (0..9).for_each(|_| pair.exchange(100_000, 100_000));
    assert!(pair.least() > 80_000);
    pair.meter.restart();
    assert_eq!(pair.meter.until_now().count(), 0);
    pair.ppm = 0;
    (0..9).for_each(|_| pair.exchange(100_000, 100_000));
    assert!(pair.most() < 11_000, "all but a beat: {}", pair.most());
}
