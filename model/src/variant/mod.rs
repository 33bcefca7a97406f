//! Variants: one rule replaced, or one thing at the boundary of the handlers done wrong, and nothing else. Each
//! must break the property that it names; a check that no variant can fail would prove nothing. A few are
//! harmless on purpose: these *controls* must survive.
//!
//! - [`table`] describes them: what each does, who shipped it, which property falls and where.
//! - [`rules`] replaces functions of [`spec::Rules`].
//! - [`boundary`] does wrong what the handlers leave to others: effects, configuration, disk, clocks.
//! - [`snapshots`] does so with snapshots.
//! - [`scopes`] are small scopes for those that no default scope shows.

pub mod boundary;
pub mod rules;
pub mod scopes;
pub mod snapshots;
pub mod table;

use crate::system::Reductions;

/// Which Paxos is checked. What each one does is said in the [`table`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the table describes each of them, in public")]
pub enum Variant {
    /// The rules as they are meant.
    #[default]
    Correct,

    AcceptBeforeDurable,
    AcceptsBelowPromise,
    AcknowledgedWhenProposed,
    AppliedAcrossGap,
    ClockSetBack,
    ClockStops,
    CommittedForgotten,
    CommittedSlotIgnored,
    DoubtedGrantsCount,
    EvictedSessionApplied,
    FailedWrite,
    ForgottenTakenForHole,
    ForgottenUnreported,
    GrantForgotten,
    GrantFromEarlier,
    GrantIgnored,
    GrantShortened,
    GrantTermForgotten,
    GrantsOfOtherRounds,
    GrantsOfOtherViews,
    GrantsUncounted,
    HoleFilledWithAnything,
    HolesStayOpen,
    LastPromise,
    LateCopyExtends,
    LateRelease,
    LeaseBeforePhase1,
    LeaseFromAck,
    LeaseHeldAtItsEnd,
    LeaseOutlastsDoubt,
    LeaseResumed,
    LogReplayedTwice,
    LowestView,
    MarkOfAnyView,
    MinorityUnreported,
    MinorityVoteIgnored,
    NewUpdateInReportedSlot,
    NoDriftMargin,
    NoRetry,
    OlderSnapshotTruncates,
    OldIncarnationHeard,
    OldVotesKept,
    OneViewField,
    OwnVoteBeforeWrite,
    PrepareBeforeDurable,
    PromiseBeforeDurable,
    PromiseOffByOne,
    PromisesBelow,
    QuorumHalf,
    QuorumsMiss,
    ReadByRole,
    ReadWithEarlierTime,
    ReadsBeforeOlderViews,
    RecoversFromQuorum,
    RecoversWithoutWait,
    RefusalIsPromise,
    RefusalQuits,
    RefutedLeaderStays,
    RejectionRollsBack,
    ReleaseWithRenewal,
    ReportedVotesDropped,
    RequestKeepsRound,
    RetryExecutedTwice,
    RoundsOutlastDoubt,
    SnapshotForgetsPromise,
    SnapshotRefutesNobody,
    SnapshotWithoutSessions,
    StalePromise,
    StandsDespiteGrant,
    TermOverBound,
    TermUnchecked,
    TransferKeepsLease,
    UnfinishedSlots,
    UnsentTakenForHole,
    ViewBelowSeen,
    ViewFromClock,
    ViewTakenUpAgain,
    VotePromisesNothing,
    VoterCountedTwice,
    VotesExpire,
    VotesOfAnyView,
    VotesPassedOn,
    VotesWhileDamaged,
    VotesWhileRecovering,
    WipedDisk,
}

/// What a variant is called, where it was seen, and what must fall.
pub struct Description {
    /// Which one.
    pub variant: Variant,
    /// Its name on the command line; a literal reading of the thesis begins with `thesis-`.
    pub name: &'static str,
    /// A name that it had before.
    pub alias: Option<&'static str>,
    /// Its numbers in the list of known bugs of real systems; none for what was found elsewhere.
    pub rows: &'static [u8],
    /// What it does, in a line.
    pub deviation: &'static str,
    /// Where somebody made it.
    pub source: &'static str,
    /// The rule that it breaks, by its name in `spec::rules`, or what it does at the boundary.
    pub rule: &'static str,
    /// The scope that shows it.
    pub scope: &'static str,
    /// The property that must fall; none for a control.
    pub falls: Option<&'static str>,
    /// Why a control is harmless.
    pub harmless: Option<&'static str>,
    /// What the machine that is proved has against its first step that is none of the machine's: a guard, `ACTION.GUARD`,
    /// or what the machine takes for granted. If it has nothing against any: why, in brackets.
    pub refused: &'static str,
    /// The reductions that it leaves valid. What makes a message dead rests on durable state that never goes
    /// back and views that are never used again; what makes servers interchangeable, on rules that do not look at
    /// their order.
    pub reductions: Reductions,
}

impl Description {
    /// What most have in common.
    const BASE: Self = Self {
        variant: Variant::Correct,
        name: "",
        alias: None,
        rows: &[],
        deviation: "",
        source: "literature",
        rule: "",
        scope: "agreement",
        falls: None,
        harmless: None,
        refused: "",
        reductions: Reductions::ON,
    };

    /// What the machine that is proved has against it, if it has.
    pub fn refused_by(&self) -> Option<&'static str> {
        (!self.refused.starts_with('(')).then_some(self.refused)
    }

    /// Whether it goes by this name.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }
}

/// All of them, in the order of the [`table`].
pub fn all() -> impl Iterator<Item = &'static Description> {
    table::TABLES.iter().flat_map(|&part| part)
}

/// The variant of that name, or former name.
pub fn named(name: &str) -> Option<&'static Description> {
    all().find(|description| description.is_called(name))
}

impl Variant {
    /// The description of a variant; none for the correct rules.
    pub fn description(self) -> Option<&'static Description> {
        all().find(|description| description.variant == self)
    }

    /// The property that must fall; none for the correct rules and for controls, of which all must hold.
    pub fn falls(self) -> Option<&'static str> {
        self.description()?.falls
    }

    /// Of these reductions, those that the variant leaves valid.
    pub fn reductions(self, wanted: Reductions) -> Reductions {
        let valid = self.description().map_or(Reductions::ON, |description| description.reductions);
        Reductions {
            own_at_once: wanted.own_at_once && valid.own_at_once,
            drop_dead: wanted.drop_dead && valid.drop_dead,
            symmetric: wanted.symmetric && valid.symmetric,
        }
    }
}
