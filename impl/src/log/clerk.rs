//! A thread that writes snapshots, and removes what they let go, beside the one that writes the log: what takes long and
//! holds nobody up. Without the thread the same is done at once.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use super::snapshots::{self, Marks};
use super::writer::Wake;
use super::{Identity, LogError};
use crate::disk::WrittenSnapshot;
use crate::snapshot::Content;

/// Where the clerk works, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) dir: PathBuf,
    pub(super) identity: Identity,
}

/// What there is to do.
enum Job {
    Write(u16, Content),
    /// Remove what comes before these marks.
    Trim(Marks),
}

/// What was done.
enum Done {
    Written(WrittenSnapshot),
    Trimmed(Result<(), LogError>),
}

impl Home {
    fn write(&self, group: u16, content: Content) -> WrittenSnapshot {
        let result = snapshots::write(self, group, content.slot(), &content.encode());
        WrittenSnapshot { group, content, result: result.map_err(|error| error.to_string()) }
    }

    fn carry_out(&self, job: Job) -> Done {
        match job {
            Job::Write(group, content) => Done::Written(self.write(group, content)),
            Job::Trim(marks) => Done::Trimmed(snapshots::trim(&self.dir, &marks)),
        }
    }
}

/// The thread, or what does its work at once. It does one thing at a time, in order.
pub(super) struct Clerk {
    home: Home,
    /// What was written at once.
    written: VecDeque<WrittenSnapshot>,
    desk: Option<Desk>,
}

impl Clerk {
    /// One that does everything at once.
    pub(super) fn new(home: Home) -> Self {
        Self { home, written: VecDeque::new(), desk: None }
    }

    /// From now on a thread does the work, and calls `wake` when some of it is done.
    pub(super) fn start(&mut self, wake: Wake) -> io::Result<()> {
        self.desk = Some(Desk::start(self.home.clone(), wake)?);
        Ok(())
    }

    /// Has a snapshot written.
    pub(super) fn write(&mut self, group: u16, content: Content) {
        match &self.desk {
            Some(desk) => desk.hand_over(Job::Write(group, content)),
            None => self.written.push_back(self.home.write(group, content)),
        }
    }

    /// Has removed what comes before these marks. An error of the thread's is told by [`Self::next`].
    pub(super) fn trim(&mut self, marks: Marks) -> Result<(), LogError> {
        match &self.desk {
            Some(desk) => desk.hand_over(Job::Trim(marks)),
            None => snapshots::trim(&self.home.dir, &marks)?,
        }
        Ok(())
    }

    /// The next snapshot whose writing is over.
    ///
    /// # Errors
    /// If something could not be removed.
    pub(super) fn next(&mut self) -> Result<Option<WrittenSnapshot>, LogError> {
        if let Some(written) = self.written.pop_front() {
            return Ok(Some(written));
        }
        while let Some(done) = self.desk.as_ref().and_then(Desk::look) {
            match done {
                Done::Written(written) => return Ok(Some(written)),
                Done::Trimmed(trimmed) => trimmed?,
            }
        }
        Ok(None)
    }
}

/// What goes to the thread and comes from it. Dropping this waits for what the thread is at; what waits for its turn is not
/// done any more.
struct Desk {
    /// None only while it is dropped: the thread ends when nobody can send any more.
    jobs: Option<Sender<Job>>,
    /// None only while it is dropped: the thread ends as well when nobody wants to know.
    done: Option<Receiver<Done>>,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    fn start(home: Home, wake: Wake) -> io::Result<Self> {
        let (jobs, to_do) = mpsc::channel();
        let (tell, done) = mpsc::channel();
        let run = move || {
            for job in to_do {
                if tell.send(home.carry_out(job)).is_err() {
                    return;
                }
                wake();
            }
        };
        let thread = thread::Builder::new().name("snapshots".into()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), done: Some(done), thread: Some(thread) })
    }

    fn hand_over(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // It fails only if the thread has panicked, which `look` tells.
            let _ = jobs.send(job);
        }
    }

    /// What was done next; none if nothing was yet.
    ///
    /// # Panics
    /// If the thread has.
    fn look(&self) -> Option<Done> {
        match self.done.as_ref()?.try_recv() {
            Ok(done) => Some(done),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the thread that writes snapshots has panicked"),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        (self.jobs, self.done) = (None, None);
        if let Some(thread) = self.thread.take() {
            // A panic of its own is of no consequence any more: what it wrote has another name until it is whole.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").field("home", &self.home).finish_non_exhaustive()
    }
}
