//! Saved counterexamples: a run that breaks a property, in a file that stands on its own.
//!
//! The file is JSON. It holds the bounds of the scope by value, the variant by name, the reductions, the property,
//! and each action with all that it says: the server, what happened to it, and the contents of a message. No number
//! in it is an index into something else, so a file outlives changes of the tables and of the order in which
//! actions are offered.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spec::{Incarnation, Message, ServerId};

use crate::check::Counterexample;
use crate::exit::{Exit, Failure};
use crate::passing::{Passing, Stray};
use crate::properties;
use crate::scope::{self, Scope};
use crate::state::{Envelope, Kept, Value, letter};
use crate::step::Input;
use crate::system::{Action, Reductions, System};
use crate::variant::{self, Variant};
use crate::words::members;

/// What the field `format` says.
pub const FORMAT: &str = "leasehold counterexample";
/// The version of the format.
pub const SCHEMA: u32 = 1;
/// A counterexample has tens of steps; a file of this size is none.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A run that breaks a property.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// [`SCHEMA`].
    pub schema: u32,
    /// [`FORMAT`].
    pub format: String,
    /// The bounds.
    pub scope: SavedScope,
    /// The variant by name; none for the correct rules.
    pub variant: Option<String>,
    /// Which messages are dropped and handled at once.
    pub reductions: Reductions,
    /// What falls.
    pub property: String,
    /// Why, in a sentence; for people only.
    pub why: String,
    /// What happened, in order.
    pub steps: Vec<SavedStep>,
}

/// A scope by value.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedScope {
    /// What it was called; only a label.
    pub name: String,
    /// Its bounds.
    pub bounds: Scope,
}

/// A step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedStep {
    /// What happened.
    pub action: Act,
    /// What came of it, a line each; for people only.
    #[serde(default)]
    pub words: Vec<String>,
}

/// An [`Action`] that stands on its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of each are named after what they are")]
pub enum Act {
    /// A message arrives.
    Deliver {
        from: ServerId,
        to: ServerId,
        #[serde(default, skip_serializing_if = "is_first")]
        incarnation: Incarnation,
        message: Message<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        snapshot: Option<Kept>,
    },
    /// An election timer runs out.
    Elect { server: ServerId },
    /// A renewal timer runs out.
    Renew { server: ServerId },
    /// A timer for repeating what was not answered runs out.
    Retry { server: ServerId },
    /// A timer for forwarding what waits runs out.
    Forward { server: ServerId },
    /// A client submits an update: `a`, `b`, `c`, ….
    Submit { server: ServerId, update: char },
    /// A client asks to read.
    Read { server: ServerId },
    /// A leader gives its leadership up.
    Resign { server: ServerId },
    /// A disk has written everything.
    Flush { server: ServerId },
    /// A server crashes, keeps so many of the records that were not durable yet, and restarts.
    Crash { server: ServerId, kept: u8 },
    /// One clock advances by so much.
    Clock { server: ServerId, advance: u8 },
    /// A server takes a snapshot of its state machine and forgets its log up to there.
    Compact { server: ServerId },
    /// A server loses its disk, and is started to recover with the next incarnation.
    Wipe { server: ServerId },
    /// A server restarts with a disk that has lost its snapshot and the votes above it, or else whatever it held but for the
    /// snapshot, and in both cases not what it promised.
    Damage { server: ServerId, snapshot: bool },
    /// From now on a server doubts these clocks, and no others.
    Doubt { server: ServerId, clocks: Vec<ServerId> },
    /// Every clock advances: those of these servers by the fast step, the others by the slow one, but for the one that goes
    /// astray.
    Tick {
        fast: Vec<ServerId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stray: Option<Stray>,
    },
}

impl From<Action> for Act {
    fn from(action: Action) -> Self {
        let (server, input) = match action {
            Action::At(server, input) => (server, input),
            Action::Tick(Passing { fast, stray }) => {
                let servers = (0..8).filter(|server| fast & (1 << server) != 0).map(ServerId);
                return Self::Tick { fast: servers.collect(), stray };
            }
        };
        match input {
            Input::Deliver(sent) => {
                let Envelope { from, incarnation, to, message, snapshot } = Envelope::clone(&sent);
                Self::Deliver { from, to, incarnation, message, snapshot }
            }
            Input::Elect => Self::Elect { server },
            Input::Renew => Self::Renew { server },
            Input::Retry => Self::Retry { server },
            Input::Forward => Self::Forward { server },
            Input::Submit(value) => Self::Submit { server, update: letter(value) },
            Input::Read => Self::Read { server },
            Input::Resign => Self::Resign { server },
            Input::Flush => Self::Flush { server },
            Input::Crash(kept) => Self::Crash { server, kept },
            Input::Tick(advance) => Self::Clock { server, advance },
            Input::Compact => Self::Compact { server },
            Input::Wipe => Self::Wipe { server },
            Input::Damage(snapshot) => Self::Damage { server, snapshot },
            Input::Doubt(clocks) => Self::Doubt { server, clocks: members(clocks).collect() },
        }
    }
}

impl Act {
    /// Whether this is that action.
    pub fn is(&self, action: Action) -> bool {
        match (self, action) {
            // Without a copy of the message: many are in flight.
            (
                Self::Deliver { from, to, incarnation, message, snapshot },
                Action::At(server, Input::Deliver(sent)),
            ) => {
                (*to, *from, *incarnation) == (server, sent.from, sent.incarnation)
                    && *message == sent.message
                    && *snapshot == sent.snapshot
            }
            (Self::Deliver { .. }, _) | (_, Action::At(_, Input::Deliver(_))) => false,
            _ => Self::from(action) == *self,
        }
    }
}

/// Whether a sender has the disk that it began with, as almost all have.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(incarnation: &Incarnation) -> bool {
    *incarnation == 0
}

/// Why a file cannot be used.
#[derive(Debug)]
pub enum Error {
    /// It cannot be read or written.
    Io(PathBuf, std::io::Error),
    /// It holds no counterexample, or not the whole of one.
    Damaged(PathBuf, String),
    /// It names something that this build does not have.
    Unknown(PathBuf, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Damaged(path, what) => write!(
                f,
                "{}: {what}; this is no whole counterexample of schema {SCHEMA}. Save it again: model check … --save FILE",
                path.display()
            ),
            Self::Unknown(path, what) => write!(
                f,
                "{}: {what}; it was saved by another build. Use that one, or find the counterexample again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = if matches!(error, Error::Damaged(..)) { Exit::DamagedData } else { Exit::Runtime };
        Self::new(exit, error)
    }
}

impl Saved {
    /// A run that breaks `property`. The scope is that which was asked for, before the variant changed it.
    pub fn new(
        (scope, variant, reductions): (&Scope, Variant, Reductions),
        property: &str,
        found: &Counterexample,
    ) -> Self {
        let actions = found.path.iter().filter_map(|(_, action)| *action).map(Act::from);
        let words = found.steps.iter().map(|step| step.lines().map(|line| line.trim().into()).collect());
        Self {
            schema: SCHEMA,
            format: FORMAT.into(),
            scope: SavedScope { name: scope.name.into(), bounds: scope.unnamed() },
            variant: variant.description().map(|description| description.name.into()),
            reductions,
            property: property.into(),
            why: found.why.clone(),
            steps: actions.zip(words).map(|(action, words)| SavedStep { action, words }).collect(),
        }
    }

    /// A file name that tells such counterexamples apart.
    pub fn file_name(&self) -> String {
        let variant = self.variant.as_deref().unwrap_or("correct");
        let name = format!("{}-{variant}-{}", self.scope.name, self.property);
        let safe = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        format!("{}.json", name.chars().map(safe).collect::<String>())
    }

    /// Writes the file, whole or not at all, and the directories above it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).expect("it has string keys only") + "\n";
        write_whole(path, &text).map_err(|error| Error::Io(path.into(), error))
    }

    /// Reads a file, and checks all that can be checked without performing the steps.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or names what this build does not have.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let io = |error| Error::Io(path.into(), error);
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        let damaged = |what: String| Error::Damaged(path.into(), what);
        if bytes > FILE_BYTES_MAX {
            return Err(damaged(format!("it has {bytes} bytes, and {FILE_BYTES_MAX} are the most")));
        }
        let text = std::fs::read(path).map_err(io)?;
        let version: Version = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if version.format != FORMAT {
            return Err(damaged(format!("its format is '{}', not '{FORMAT}'", version.format)));
        }
        if version.schema != SCHEMA {
            let what = format!("its schema is {}, and this build reads {SCHEMA}", version.schema);
            return Err(Error::Unknown(path.into(), what));
        }
        let saved: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let variant = saved.variant().map_err(|what| Error::Unknown(path.into(), what))?;
        saved.check_scope(variant).map_err(|what| damaged(format!("its scope cannot be: {what}")))?;
        if properties::named(&saved.property).is_none() {
            let what = format!("no property is called '{}'", saved.property);
            return Err(Error::Unknown(path.into(), what));
        }
        Ok(saved)
    }

    /// The variant.
    fn variant(&self) -> Result<Variant, String> {
        let Some(name) = &self.variant else { return Ok(Variant::Correct) };
        variant::named(name)
            .map(|description| description.variant)
            .ok_or_else(|| format!("no variant is called '{name}'"))
    }

    /// The bounds that were saved, under the name of today's scope if there is one.
    pub fn scope(&self) -> Scope {
        let name = scope::named(&self.scope.name).map_or(Scope::custom().name, |scope| scope.name);
        Scope { name, ..self.scope.bounds.clone() }
    }

    fn check_scope(&self, variant: Variant) -> Result<(), String> {
        let scope = &self.scope.bounds;
        scope.validate()?;
        let scope = variant.scope(scope);
        let servers = (0..scope.servers).map(ServerId);
        servers
            .flat_map(|server| [scope.config(server), scope.restart_config(server)])
            .try_for_each(|config| variant.config(config).validate())
            .map_err(|error| error.to_string())
    }

    /// The system in which the run was found; or, with a variant of one's own choice, another.
    ///
    /// # Errors
    /// In words, if the bounds and the variant do not go together.
    pub fn system(&self, variant: Option<Variant>) -> Result<System, String> {
        let variant = variant.map_or_else(|| self.variant(), Ok)?;
        self.check_scope(variant)?;
        Ok(System::new(&self.scope(), variant, self.reductions))
    }
}

/// What every version of the format begins with.
#[derive(Deserialize)]
struct Version {
    schema: u32,
    format: String,
}

/// Writes beside the file first, so that nobody finds half of one.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, path))
        .inspect_err(|_| drop(std::fs::remove_file(&beside)))
}
