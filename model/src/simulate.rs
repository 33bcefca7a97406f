//! Random walks through scopes that are too large to exhaust: the same handlers, the same properties, judged after
//! every step. A walk that breaks one is minimised.
//!
//! A walk is a function of the seed, its number and the bounds, and of nothing else. Each draws how likely it makes
//! each kind of action, some not at all (swarm testing, Groce et al. 2012): one walk is full of crashes, the next has
//! none and renews leases all the time, and together they come by more than walks that are all alike.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use spec::ServerId;
use stateright::Model;

use crate::probes::PROBES;
use crate::properties::{PROPERTIES, RECOVERABILITY};
use crate::replay::{Run, perform};
use crate::saved::Act;
use crate::scope::{CLOCKS, SERVERS_MAX, Scope};
use crate::state::State;
use crate::step::Input;
use crate::system::{Action, Reductions, System};
use crate::variant::Variant;

/// What walks go through.
#[derive(Clone)]
pub struct Plan {
    /// The bounds.
    pub scope: Scope,
    /// Which Paxos.
    pub variant: Variant,
    /// Which reductions.
    pub reductions: Reductions,
    /// What all randomness comes from.
    pub seed: u64,
    /// The most steps of a walk.
    pub steps_max: usize,
}

/// The names of all probes.
const ALL_PROBES: [&str; PROBES.len()] = {
    let mut names = [""; PROBES.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = PROBES[place].name;
        place += 1;
    }
    names
};

/// Bounds for walks: everything that the handlers can do, with so many servers.
pub fn wide(servers: u8) -> Scope {
    Scope {
        name: "simulation",
        purpose: "random walks",
        servers,
        slots: 6,
        views: 2 * servers,
        views_each: 4,
        updates: 4,
        retries: 3,
        crashes: 2,
        rounds: 4,
        resigns: 2,
        reads: 4,
        lease: Some(CLOCKS),
        compactions: 3,
        flush: true,
        forward: true,
        recovery: true,
        probes: &ALL_PROBES,
        ..Scope::custom()
    }
}

/// What became of one walk.
pub struct Walk {
    /// Where it went: the bounds of the plan, or less.
    pub scope: Scope,
    /// How many steps it took.
    pub steps: usize,
    /// The probes that it came by.
    pub reached: Vec<&'static str>,
    /// Whether it ended because a state holds no more different messages.
    pub overflowed: bool,
    /// What happened.
    pub run: Run,
    /// The property that fell in its last state, if one did.
    pub fell: Option<&'static str>,
}

/// A source of random numbers (SplitMix64, Steele et al. 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    /// Walk `number` of `seed`.
    fn new(seed: u64, number: u64) -> Self {
        let mut first = Self(seed);
        Self(first.next() ^ Self(number).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is small, so that the bias does not matter.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }
}

/// How likely a walk makes each kind of action.
struct Taste {
    weights: [usize; KINDS],
    /// Of ten deliveries so many are of messages that were not delivered before.
    fresh: usize,
    /// The most steps for which the network stays parted; none if it is never.
    parted: Option<usize>,
    /// The servers on one side of the network, as bits, and for how many more steps.
    side: (usize, usize),
}

const KINDS: usize = 10;
const DELIVER: usize = 0;

fn kind(action: Action) -> usize {
    match action {
        Action::At(_, input) => match input {
            Input::Deliver(_) => DELIVER,
            Input::Elect => 1,
            Input::Renew | Input::Retry | Input::Forward => 2,
            Input::Submit(_) => 3,
            Input::Read => 4,
            Input::Resign => 5,
            Input::Flush => 6,
            Input::Crash(_) | Input::Wipe | Input::Damage(_) | Input::Doubt(_) => 7,
            Input::Tick(_) => 8,
            Input::Compact => 9,
        },
        Action::Tick(_) => 8,
    }
}

impl Taste {
    fn draw(random: &mut Random) -> Self {
        // Rare things must stay rare, or the bounds are used up before anything is decided.
        const LIKELIHOODS: [[usize; 4]; KINDS] = [
            [60, 80, 120, 200], // deliver
            [1, 2, 4, 8],       // elect
            [0, 4, 8, 16],      // renew
            [0, 4, 8, 16],      // submit
            [0, 1, 4, 8],       // read
            [0, 0, 1, 2],       // resign
            [20, 40, 80, 120],  // flush
            [0, 1, 2, 6],       // crash
            [0, 4, 12, 30],     // tick
            [0, 1, 4, 8],       // compact
        ];
        let weights = LIKELIHOODS.map(|choices| choices[random.below(choices.len())]);
        let parted = [None, Some(20), Some(60), Some(150)][random.below(4)];
        Self { weights, fresh: 7 + random.below(4), parted, side: (0, 0) }
    }

    /// Parts the network anew, or heals it, every now and then.
    fn weather(&mut self, random: &mut Random) {
        let Some(most) = self.parted else { return };
        self.side = match self.side {
            (_, 0) => (random.below(1 << SERVERS_MAX), random.below(most)),
            (servers, steps) => (servers, steps - 1),
        };
    }

    /// Whether a message can cross the network now.
    fn passes(&self, from: ServerId, to: ServerId) -> bool {
        let side = |server: ServerId| self.side.0 & (1 << server.0) != 0;
        side(from) == side(to)
    }

    /// One of the actions.
    fn choose(&self, actions: &[Action], delivered: &[bool], random: &mut Random) -> usize {
        let mut of_kind = [const { Vec::new() }; KINDS];
        let mut fresh = Vec::new();
        for (place, &action) in actions.iter().enumerate() {
            if let Action::At(to, Input::Deliver(message)) = action {
                if !self.passes(message.from, to) {
                    continue;
                }
                if !delivered.get(message.0.index).is_some_and(|&delivered| delivered) {
                    fresh.push(place);
                }
            }
            of_kind[kind(action)].push(place);
        }
        let weight = |kind: usize| if of_kind[kind].is_empty() { 0 } else { self.weights[kind] };
        let total: usize = (0..KINDS).map(weight).sum();
        let mut left = random.below(total);
        let chosen = (0..KINDS).find(|&kind| {
            let within = left < weight(kind);
            left = left.saturating_sub(weight(kind));
            within
        });
        let among = match chosen {
            Some(DELIVER) if !fresh.is_empty() && random.below(10) < self.fresh => &fresh,
            Some(kind) => &of_kind[kind],
            // Everything that this walk likes is used up, or on the other side.
            None => return random.below(actions.len()),
        };
        among[random.below(among.len())]
    }
}

impl Plan {
    /// A scope within these bounds; a walk leaves some of what they allow out altogether.
    fn draw(&self, random: &mut Random) -> Scope {
        let mut scope = self.scope.clone();
        scope.flush &= random.below(3) == 0;
        scope.forward &= random.below(2) == 0;
        scope.recovery &= random.below(4) == 0;
        if random.below(3) == 0 {
            (scope.updates, scope.slots, scope.retries) = (0, 0, 0);
        }
        scope.crashes = u8::try_from(random.below(usize::from(scope.crashes) + 1)).unwrap_or(0);
        if random.below(4) == 0 {
            (scope.lease, scope.rounds) = (None, scope.rounds.min(1));
        }
        scope
    }

    /// What is walked through in a scope of this plan.
    fn system(&self, scope: &Scope) -> System {
        System::new(scope, self.variant, self.reductions)
    }
}

/// Walk `number` of a plan.
pub fn walk(plan: &Plan, number: u64) -> Walk {
    let mut random = Random::new(plan.seed, number);
    let scope = plan.draw(&mut random);
    let system = plan.system(&scope);
    let mut taste = Taste::draw(&mut random);
    let mut state = system.init_states().remove(0);
    let (mut run, mut delivered): (Run, Vec<bool>) = (Vec::new(), Vec::new());
    let mut fell = None;
    while fell.is_none() && run.len() < plan.steps_max && !system.overflowed() {
        taste.weather(&mut random);
        let Some((action, next)) = step(&system, &state, &taste, &mut delivered, &mut random) else { break };
        run.push((state, Some(action)));
        state = next;
        let recovers = run.len().is_multiple_of(RECOVERY_STEPS);
        fell = first_broken(&system, &state, recovers);
    }
    let steps = run.len();
    run.push((state, None));
    Walk {
        steps,
        reached: system.probes().into_iter().filter(|&(_, reached)| reached).map(|(name, _)| name).collect(),
        overflowed: system.overflowed(),
        run,
        fell,
        scope,
    }
}

/// One step that changes something, if there is one.
fn step(
    system: &System,
    state: &State,
    taste: &Taste,
    delivered: &mut Vec<bool>,
    random: &mut Random,
) -> Option<(Action, State)> {
    let mut actions = Vec::new();
    system.actions(state, &mut actions);
    while !actions.is_empty() {
        let action = actions.swap_remove(taste.choose(&actions, delivered, random));
        if let Action::At(_, Input::Deliver(message)) = action {
            delivered.resize(delivered.len().max(message.0.index + 1), false);
            delivered[message.0.index] = true;
        }
        if let Some(next) = system.next_state(state, action) {
            return Some((action, next));
        }
    }
    None
}

/// Recoverability runs a whole schedule of its own, so it is judged after so many steps each.
const RECOVERY_STEPS: usize = 20;

/// The first property, in the order of the table, that a state breaks.
fn first_broken(system: &System, state: &State, recovers: bool) -> Option<&'static str> {
    let rules = PROPERTIES.iter().enumerate();
    let mut judged = rules.filter(|(_, rule)| recovers || rule.name != RECOVERABILITY);
    judged.find(|&(place, _)| !system.holds(place, state)).map(|(_, rule)| rule.name)
}

/// The actions of a run, each of which stands on its own.
fn acts(run: &Run) -> Vec<Act> {
    run.iter().filter_map(|(_, action)| action.map(Act::from)).collect()
}

/// Leaves out what a walk does not need in order to break `property` (delta debugging, Zeller and Hildebrandt 2002),
/// until no single action can be left out. What is returned still breaks it.
pub fn minimise(plan: &Plan, scope: &Scope, property: &str, run: &Run) -> (System, Run) {
    let fresh = || plan.system(scope);
    let mut minimiser = Minimiser { fresh: &fresh, property, system: fresh() };
    let mut best = acts(run);
    let mut size = best.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < best.len() {
            let without = [&best[..from], &best[(from + size).min(best.len())..]].concat();
            if let Some(found) = minimiser.breaks(&without) {
                best = found;
                shorter = true;
            } else {
                from += size;
            }
        }
        size = if shorter { size } else { size / 2 };
    }
    let system = fresh();
    let run = attempt(&system, property, &best).unwrap_or_else(|| run.clone());
    (system, run)
}

struct Minimiser<'a> {
    fresh: &'a dyn Fn() -> System,
    property: &'a str,
    /// Kept from attempt to attempt, for they have most states in common.
    system: System,
}

impl Minimiser<'_> {
    /// What these actions really do until they break the property, if they do.
    fn breaks(&mut self, some: &[Act]) -> Option<Vec<Act>> {
        let run = attempt(&self.system, self.property, some);
        if !self.system.overflowed() {
            return run.as_ref().map(acts);
        }
        // The messages of all attempts together are too many; those of one need not be.
        self.system = (self.fresh)();
        attempt(&self.system, self.property, some).as_ref().map(acts)
    }
}

/// Performs those actions that are possible; the run up to the state that breaks the property, if one does.
fn attempt(system: &System, property: &str, acts: &[Act]) -> Option<Run> {
    let place = PROPERTIES.iter().position(|rule| rule.name == property)?;
    let mut state = system.init_states().remove(0);
    let mut run = Vec::new();
    for act in acts {
        let exactly = perform(system, &state, act);
        let Some((action, next)) = exactly.or_else(|| alike(system, &state, act)) else { continue };
        run.push((state, Some(action)));
        state = next;
        if !system.holds(place, &state) {
            run.push((state, None));
            return Some(run);
        }
    }
    None
}

/// Delivers the latest message of the same kind on the same way: what was left out may have changed a number in it.
fn alike(system: &System, state: &State, act: &Act) -> Option<(Action, State)> {
    let Act::Deliver { from, to, message, .. } = act else { return None };
    let kind = std::mem::discriminant(message);
    let messages = system.in_flight(state).into_iter();
    let same = messages
        .filter(|sent| (sent.from, sent.to) == (*from, *to) && std::mem::discriminant(&sent.message) == kind);
    let action = Action::At(*to, Input::Deliver(same.max_by_key(|sent| sent.0.index)?));
    Some((action, system.next_state(state, action)?))
}

/// What became of several walks.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// How many.
    pub walks: u64,
    /// Their steps.
    pub steps: u64,
    /// The steps of the longest.
    pub longest: u64,
    /// How many ended because a state holds no more different messages.
    pub overflowed: u64,
    /// The probes that any came by.
    pub reached: BTreeSet<String>,
    /// The first walk that broke a property.
    pub failed: Option<u64>,
}

impl Batch {
    /// The walks of these numbers, up to the first that breaks a property.
    pub fn run(plan: &Plan, numbers: std::ops::Range<u64>) -> Self {
        let mut batch = Self::default();
        for number in numbers {
            let walk = walk(plan, number);
            batch.add(Self {
                walks: 1,
                steps: walk.steps as u64,
                longest: walk.steps as u64,
                overflowed: walk.overflowed.into(),
                reached: walk.reached.into_iter().map(String::from).collect(),
                failed: walk.fell.map(|_| number),
            });
            if batch.failed.is_some() {
                break;
            }
        }
        batch
    }

    /// Adds what became of others.
    pub fn add(&mut self, other: Self) {
        self.walks += other.walks;
        self.steps += other.steps;
        self.longest = self.longest.max(other.longest);
        self.overflowed += other.overflowed;
        self.reached.extend(other.reached);
        self.failed = [self.failed, other.failed].into_iter().flatten().min();
    }
}
