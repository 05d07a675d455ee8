//! Pieces of work for several threads; the results come out in the order in which the pieces went in.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Job<I, O> = (I, SyncSender<O>);

/// Threads for one kind of work. They end with this value, each behind the piece it is at.
pub(crate) struct Ordered<I, O> {
    jobs: Option<Sender<Job<I, O>>>,
    /// Without threads the work is done where it is handed in.
    here: Box<dyn FnMut(I) -> O + Send>,
    results: VecDeque<Pending<O>>,
    threads: usize,
}

enum Pending<O> {
    Done(O),
    Coming(Receiver<O>),
}

impl<I: Send + 'static, O: Send + 'static> Ordered<I, O> {
    /// `make` gives each thread its own worker. One thread is none: the caller does the work.
    pub(crate) fn new<W: FnMut(I) -> O + Send + 'static>(threads: usize, make: impl Fn() -> W) -> Self {
        let mut ordered = Self { jobs: None, here: Box::new(make()), results: VecDeque::new(), threads: 1 };
        if threads < 2 {
            return ordered;
        }
        let (sender, receiver) = channel::<Job<I, O>>();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut started = 0;
        for _ in 0..threads {
            let (receiver, mut worker) = (Arc::clone(&receiver), make());
            let body = move || {
                while let Some((piece, result)) = take(&receiver) {
                    // Nobody waits for it any more.
                    let _ = result.send(worker(piece));
                }
            };
            // Fewer threads are slower, nothing else.
            started += usize::from(thread::Builder::new().name("codec".to_owned()).spawn(body).is_ok());
        }
        if started > 0 {
            ordered.jobs = Some(sender);
            ordered.threads = started;
        }
        ordered
    }

    /// Hands in a piece.
    pub(crate) fn push(&mut self, piece: I) {
        let Some(jobs) = &self.jobs else {
            let done = (self.here)(piece);
            return self.results.push_back(Pending::Done(done));
        };
        let (sender, receiver) = sync_channel(1);
        // The threads live as long as the channel.
        let _ = jobs.send((piece, sender));
        self.results.push_back(Pending::Coming(receiver));
    }

    /// As much is under way as keeps all threads busy.
    pub(crate) fn is_full(&self) -> bool {
        let wanted = if self.jobs.is_some() { self.threads + 1 } else { 1 };
        self.results.len() >= wanted
    }

    /// Waits for the result of the earliest piece; `None` when there is none, or its thread has died.
    pub(crate) fn pop(&mut self) -> Option<O> {
        match self.results.pop_front()? {
            Pending::Done(done) => Some(done),
            Pending::Coming(receiver) => receiver.recv().ok(),
        }
    }

    /// Nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.results.is_empty()
    }
}

fn take<T>(receiver: &Mutex<Receiver<T>>) -> Option<T> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order() {
        for threads in [1, 2, 5] {
            let mut ordered = Ordered::new(threads, || {
                |number: u64| {
                    if number.is_multiple_of(7) {
                        thread::yield_now();
                    }
                    number * 2
                }
            });
            let mut out = Vec::new();
            for number in 0..100 {
                ordered.push(number);
                while ordered.is_full() {
                    out.extend(ordered.pop());
                }
            }
            while !ordered.is_empty() {
                out.extend(ordered.pop());
            }
            assert_eq!(out, (0..100).map(|number| number * 2).collect::<Vec<_>>());
            assert_eq!(ordered.pop(), None);
        }
    }
}
