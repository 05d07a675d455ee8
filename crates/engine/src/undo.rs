//! The undo list of a change in several steps: what was done is undone in reverse when a later step fails.

use crate::error::Error;

type Step = Box<dyn FnOnce() -> Result<(), Error> + Send>;

/// Steps that take back what was done so far. Dropping it armed runs them; [`Undo::disarm`] forgets them.
#[derive(Default)]
pub(crate) struct Undo {
    steps: Vec<Step>,
}

impl Undo {
    /// Remembers how to take back the step that has just succeeded.
    pub(crate) fn push(&mut self, step: impl FnOnce() -> Result<(), Error> + Send + 'static) {
        self.steps.push(Box::new(step));
    }

    /// The change is complete.
    pub(crate) fn disarm(mut self) {
        self.steps.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        while let Some(step) = self.steps.pop() {
            if let Err(error) = step() {
                // The failure that made us undo goes to the caller; this one has no other reader than the log.
                tracing::warn!(error = &error as &dyn std::error::Error, "undo step failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn runs_in_reverse_unless_disarmed() {
        let order = Arc::new(Mutex::new(Vec::new()));
        for disarmed in [true, false] {
            let mut undo = Undo::default();
            for step in 1..=3 {
                let order = Arc::clone(&order);
                undo.push(move || {
                    order.lock().expect("not poisoned").push(step);
                    Ok(())
                });
            }
            if disarmed {
                undo.disarm();
            }
        }
        assert_eq!(*order.lock().expect("not poisoned"), [3, 2, 1]);
    }
}
