//! One run of a script, quickly or thoroughly.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use sieve::{Message, Outcome, Run, RunError};
use tokio::runtime::Handle;

use super::super::limits::{QUICK, QUICK_SIZE, SLICE, TIME, rows};
use super::answers::Answers;
use super::trial::Trial;

impl Trial {
    /// The run from its beginning to its end. One that is long, or that must wait for an answer, is made again elsewhere: it has changed
    /// nothing until then.
    pub async fn run(self: Arc<Self>) -> Outcome {
        if self.mail.size() <= QUICK_SIZE
            && let Some(outcome) = self.quickly()
        {
            return outcome;
        }
        let (trial, handle) = (self, Handle::current());
        match tokio::task::spawn_blocking(move || trial.thoroughly(handle)).await {
            Ok(outcome) => outcome,
            Err(error) => broken(error),
        }
    }

    fn quickly(&self) -> Option<Outcome> {
        let mut answers = Answers::new(self, None);
        // A fault of ours is this recipient's alone.
        let ran = catch_unwind(AssertUnwindSafe(|| self.begin().go(&mut answers, QUICK)));
        match ran {
            Ok(outcome) => outcome.filter(|_| !answers.unanswered),
            Err(_) => Some(broken("it panicked")),
        }
    }

    fn thoroughly(&self, handle: Handle) -> Outcome {
        let (mut answers, mut run) = (Answers::new(self, Some(handle)), self.begin());
        let began = Instant::now();
        loop {
            if let Some(outcome) = run.go(&mut answers, SLICE) {
                return outcome;
            }
            if began.elapsed() > TIME {
                let limit = &rows::TIME;
                let error = RunError { limit: Some(limit), ..RunError::new("it takes too long") };
                return Outcome { error: Some(error), ..Outcome::default() };
            }
        }
    }

    fn begin(&self) -> Run<'_> {
        Run::new(self.program.clone(), &*self.mail, self.envelope.clone(), self.limits.clone())
    }
}

fn broken(why: impl std::fmt::Display) -> Outcome {
    Outcome { error: Some(RunError::new(format!("the run broke off: {why}"))), ..Outcome::default() }
}
