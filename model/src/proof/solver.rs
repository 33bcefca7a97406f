//! The solvers: which there are on this machine, and how one is asked.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::sexpr::{self, Form};

/// The solvers that are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Z3, of Microsoft Research.
    Z3,
    /// cvc5, of Stanford and Iowa.
    Cvc5,
}

impl Kind {
    /// The program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Z3 => "z3",
            Self::Cvc5 => "cvc5",
        }
    }

    /// What to do where it is missing.
    pub fn install(self) -> &'static str {
        match self {
            Self::Z3 => "apt install z3, or pip install z3-solver",
            Self::Cvc5 => "apt install cvc5, or a release from https://cvc5.github.io on the PATH",
        }
    }

    /// How it reads a question from standard input. Quantifiers want more effort of cvc5 than it makes by itself.
    fn options(self, finite: bool) -> &'static [&'static str] {
        match (self, finite) {
            (Self::Z3, _) => &["-smt2", "-in"],
            (Self::Cvc5, false) => &["--lang=smt2.6", "--full-saturate-quant"],
            (Self::Cvc5, true) => &["--lang=smt2.6"],
        }
    }
}

/// A solver of this machine.
#[derive(Clone, Debug)]
pub struct Solver {
    /// Which one.
    pub kind: Kind,
    /// Its program.
    pub program: PathBuf,
}

/// What a solver says.
#[derive(Debug)]
pub enum Answer {
    /// No counterexample exists.
    Unsat,
    /// One exists; of a finite instance, the values that were asked for.
    Sat(Vec<Form>),
    /// Neither, and why.
    Unknown(String),
}

/// How long an answer may take, and whether it is still wanted.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// When it must be there.
    pub until: Instant,
    /// No answer is wanted any more.
    pub stop: &'a AtomicBool,
}

impl Patience<'_> {
    /// The same, but no longer than this from now on.
    pub fn at_most(self, limit: Duration) -> Self {
        Self { until: self.until.min(Instant::now() + limit), ..self }
    }

    /// Why there is none left.
    pub fn over(&self) -> Option<&'static str> {
        if self.stop.load(Ordering::Relaxed) {
            return Some("interrupted");
        }
        (Instant::now() >= self.until).then_some("out of time")
    }
}

impl Solver {
    /// Looks for a solver on the PATH.
    pub fn find(kind: Kind) -> Option<Self> {
        let name = format!("{}{}", kind.name(), std::env::consts::EXE_SUFFIX);
        let path = std::env::var_os("PATH")?;
        let program =
            std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|it| it.is_file())?;
        Some(Self { kind, program })
    }

    /// Asks one question; `finite`: of a finite instance. The solver does not outlive the patience.
    pub fn ask(&self, question: &str, finite: bool, patience: Patience<'_>) -> Answer {
        self.tell(question, finite, patience).map_or_else(Answer::Unknown, |said| self.understand(&said))
    }

    /// Asks several questions about a finite instance in one go: whether each has a counterexample.
    ///
    /// # Errors
    /// If one of the answers is neither yes nor no, and why.
    pub fn ask_all(&self, questions: &str, patience: Patience<'_>) -> Result<Vec<bool>, String> {
        let said = self.tell(questions, true, patience)?;
        let answer = |line: &str| match line.trim() {
            "sat" => Ok(true),
            "unsat" => Ok(false),
            other => Err(format!("{} says: {other}", self.program.display())),
        };
        said.lines().map(answer).collect()
    }

    /// What the solver says to this.
    fn tell(&self, text: &str, finite: bool, patience: Patience<'_>) -> Result<String, String> {
        let started = Command::new(&self.program)
            .args(self.kind.options(finite))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child =
            started.map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        let said = wait(&converse(&mut child, text), patience);
        // Whether it has ended already or not; a solver has nothing to lose.
        let _ = child.kill();
        let _ = child.wait();
        said.map_err(Into::into)
    }

    fn understand(&self, said: &str) -> Answer {
        let (first, rest) = said.trim_start().split_once('\n').unwrap_or((said, ""));
        match first.trim() {
            "unsat" => Answer::Unsat,
            "sat" => match sexpr::read(rest) {
                Ok(values) => Answer::Sat(values),
                Err((_, why)) => {
                    Answer::Unknown(format!("{} found a counterexample, and {why}", self.kind.name()))
                }
            },
            "unknown" => Answer::Unknown("it gave up".into()),
            other => Answer::Unknown(format!("{} says: {other}", self.program.display())),
        }
    }
}

/// Writes the question and reads what is said to it, at the same time, as pipes hold only so much.
fn converse(child: &mut Child, question: &str) -> Receiver<String> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let question = question.to_string();
    // A solver that ends early does not read on; what it said counts.
    std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(question.as_bytes())));
    let (sender, said) = channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stdout) = stdout {
            let _ = stdout.read_to_end(&mut text);
        }
        let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
    });
    said
}

fn wait(said: &Receiver<String>, patience: Patience<'_>) -> Result<String, &'static str> {
    const LOOK_AGAIN: Duration = Duration::from_millis(50);
    loop {
        match said.recv_timeout(LOOK_AGAIN) {
            Ok(said) => return Ok(said),
            Err(RecvTimeoutError::Disconnected) => return Err("it said nothing"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(why) = patience.over() {
            return Err(why);
        }
    }
}

/// What is wrong where a solver is missing, and what to do.
pub fn missing(kind: Kind) -> String {
    format!(
        "there is no {} on the PATH, and without it nothing is proved; install it: {}",
        kind.name(),
        kind.install()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solver() -> Solver {
        Solver { kind: Kind::Z3, program: "z3".into() }
    }

    #[test]
    fn what_a_solver_says_is_told_apart() {
        assert!(matches!(solver().understand("unsat\n(error \"no model\")\n"), Answer::Unsat));
        let Answer::Sat(values) = solver().understand("sat\n((n server_0)\n (v view_1))\n") else { panic!() };
        assert_eq!(values[0].list().map(<[Form]>::len), Some(2));
        for (said, told) in
            [("unknown\n", "gave up"), ("(error \"line 3\")\nunsat\n", "line 3"), ("", "says")]
        {
            let Answer::Unknown(why) = solver().understand(said) else { panic!("{said}") };
            assert!(why.contains(told), "{why}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_no_answer() {
        let stop = AtomicBool::new(false);
        let patience = Patience { until: Instant::now() + Duration::from_secs(9), stop: &stop };
        let solver = Solver { kind: Kind::Z3, program: "/nowhere/z3".into() };
        let Answer::Unknown(why) = solver.ask("(check-sat)", false, patience) else { panic!() };
        assert!(why.contains("cannot start /nowhere/z3"), "{why}");
    }
}
