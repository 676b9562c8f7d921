//! Requests wait here for the one thread that owns the model, and whatever waits is answered in one go.
//!
//! There is no timer: a lone request is answered at once, and while the model works the next batch gathers by itself.
//! A large request takes turns with the others, [`BATCH_ROWS`] rows at a time, so that it does not hold them up.

use crate::metrics::Metrics;
use crate::refusal::Problem;
use serde_json::Value;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;

/// Rows asked of the model at once.
pub(crate) const BATCH_ROWS: usize = 256;
/// Requests that may wait.
pub(crate) const WAITING: usize = 1024;
/// Problems kept of one request; the rest is counted.
pub(crate) const MAX_PROBLEMS: usize = 10_000;

/// Answers, one for each row, or what keeps the model from it.
pub(crate) type Answer = Result<Vec<Value>, Failure>;

/// Rows that are not answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// Values that the model does not take; `more` of them are counted only.
    Rows { problems: Vec<Problem>, more: usize },
    /// The model failed.
    Other(String),
    /// The model's code panicked.
    Panicked,
    /// Too many requests wait.
    Busy,
}

/// The way to the model.
pub(crate) struct Queue {
    sender: Sender<Job>,
}

impl Queue {
    /// Starts the thread that owns the model; it ends with the queue.
    pub fn start(
        answer: impl FnMut(&[Value]) -> Answer + Send + 'static,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let worker = Worker { answer, receiver, waiting: VecDeque::new(), metrics };
        // The thread is worker 0 of a pool of its own: work that is cut into parts then starts here at once, where a
        // hand-over to another pool would cost more than a small batch takes.
        thread::Builder::new().name("model".to_owned()).spawn(move || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
            match pool.use_current_thread().build() {
                Ok(pool) => pool.install(|| worker.run()),
                Err(_) => worker.run(),
            }
        })?;
        Ok(Self { sender })
    }

    /// Answers at least one row.
    pub async fn ask(&self, rows: Vec<Value>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            rows: rows.into_iter(),
            asked: 0,
            answers: Vec::new(),
            problems: Vec::new(),
            more: 0,
            reply,
        };
        self.sender.try_send(job).map_err(|_| Failure::Busy)?;
        answer.await.unwrap_or(Err(Failure::Panicked))
    }
}

/// A request on its way.
struct Job {
    rows: std::vec::IntoIter<Value>,
    /// Rows asked so far.
    asked: usize,
    answers: Vec<Value>,
    problems: Vec<Problem>,
    more: usize,
    reply: oneshot::Sender<Answer>,
}

impl Job {
    /// Takes in what the model says of the next rows; says what failed where nothing can follow.
    fn take_in(&mut self, rows: usize, answer: Answer) -> Result<(), Failure> {
        match answer {
            Ok(answers) => self.answers.extend(answers),
            Err(Failure::Rows { problems, more }) => {
                let room = MAX_PROBLEMS - self.problems.len();
                self.more += more + problems.len().saturating_sub(room);
                let asked = self.asked;
                let moved = |found: Problem| Problem { row: found.row + asked, ..found };
                self.problems.extend(problems.into_iter().take(room).map(moved));
            }
            Err(failure) => return Err(failure),
        }
        self.asked += rows;
        Ok(())
    }

    fn finish(self) {
        let Self { answers, problems, more, reply, .. } = self;
        // Whoever asked may have left.
        let _ =
            reply.send(if problems.is_empty() { Ok(answers) } else { Err(Failure::Rows { problems, more }) });
    }
}

struct Worker<F> {
    answer: F,
    receiver: Receiver<Job>,
    waiting: VecDeque<Job>,
    metrics: Arc<Metrics>,
}

impl<F: FnMut(&[Value]) -> Answer> Worker<F> {
    fn run(mut self) {
        while self.gather() {
            self.answer_batch();
        }
    }

    /// Takes over what waits; false at the end of the queue.
    fn gather(&mut self) -> bool {
        if self.waiting.is_empty() {
            match self.receiver.blocking_recv() {
                Some(job) => self.waiting.push_back(job),
                None => return false,
            }
        }
        while self.waiting.len() < BATCH_ROWS {
            let Ok(job) = self.receiver.try_recv() else { break };
            self.waiting.push_back(job);
        }
        // Whoever gave up or left is not worked for.
        self.waiting.retain(|job| !job.reply.is_closed());
        true
    }

    /// Asks the model for one batch and hands out what it says.
    fn answer_batch(&mut self) {
        let mut rows = Vec::new();
        let mut batch = Vec::new();
        while rows.len() < BATCH_ROWS
            && let Some(mut job) = self.waiting.pop_front()
        {
            let before = rows.len();
            rows.extend(job.rows.by_ref().take(BATCH_ROWS - before));
            batch.push((job, before..rows.len()));
        }
        if batch.is_empty() {
            return;
        }
        let shared = batch.len() > 1;
        let mut answers = self.ask(&rows);
        for (job, range) in batch {
            let answer = match &mut answers {
                Ok(answers) => Ok(answers.drain(..range.len()).collect()),
                // One faulty request must not spoil the others: each is asked alone.
                Err(_) if shared => self.ask(&rows[range.clone()]),
                Err(failure) => Err(failure.clone()),
            };
            self.hand_out(job, range.len(), answer);
        }
    }

    fn hand_out(&mut self, mut job: Job, rows: usize, answer: Answer) {
        match job.take_in(rows, answer) {
            Err(failure) => {
                let _ = job.reply.send(Err(failure));
            }
            Ok(()) if job.rows.len() == 0 => job.finish(),
            Ok(()) => self.waiting.push_back(job),
        }
    }

    fn ask(&mut self, rows: &[Value]) -> Answer {
        let answer = &mut self.answer;
        let answer = catch_unwind(AssertUnwindSafe(|| answer(rows))).unwrap_or(Err(Failure::Panicked))?;
        if answer.len() != rows.len() {
            return Err(Failure::Other(format!("{} answers to {} rows", answer.len(), rows.len())));
        }
        self.metrics.answered(&answer);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Mutex;
    use std::sync::mpsc as blocking;

    /// Repeats each row; a row `"bad"` is a problem, a row `"panic"` a panic.
    fn echo(rows: &[Value]) -> Answer {
        assert!(!rows.contains(&json!("panic")), "asked to panic");
        let problem = |row| Problem { row, column: None, problem: "bad".to_owned(), hint: None };
        let problems: Vec<_> = (0..rows.len()).filter(|row| rows[*row] == "bad").map(problem).collect();
        if problems.is_empty() { Ok(rows.to_vec()) } else { Err(Failure::Rows { problems, more: 0 }) }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// A queue whose model waits for a word before each batch, and the sizes of its batches.
    fn held(go: blocking::Receiver<()>) -> (Queue, Arc<Mutex<Vec<usize>>>) {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&sizes);
        let answer = move |rows: &[Value]| {
            noted.lock().unwrap().push(rows.len());
            let _ = go.recv();
            echo(rows)
        };
        (Queue::start(answer, Arc::default()).unwrap(), sizes)
    }

    #[test]
    fn a_lone_request_is_answered() {
        let queue = Queue::start(echo, Arc::default()).unwrap();
        assert_eq!(block_on(queue.ask(vec![json!(1), json!(2)])), Ok(vec![json!(1), json!(2)]));
    }

    #[test]
    fn what_waits_is_answered_in_one_go_and_a_faulty_request_spoils_no_other() {
        let (go, gate) = blocking::channel();
        let (queue, sizes) = held(gate);
        let answers = block_on(async {
            let first = queue.ask(vec![json!(0)]);
            let others = async {
                tokio::task::yield_now().await;
                while sizes.lock().unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
                let all = async {
                    tokio::join!(
                        queue.ask(vec![json!(1), json!(2)]),
                        queue.ask(vec![json!(3), json!("bad")]),
                        queue.ask(vec![json!("panic")]),
                        async { drop(go) },
                    )
                };
                all.await
            };
            tokio::join!(first, others)
        });
        let bad = Problem { row: 1, column: None, problem: "bad".to_owned(), hint: None };
        assert_eq!(answers.0, Ok(vec![json!(0)]));
        assert_eq!(answers.1.0, Ok(vec![json!(1), json!(2)]));
        assert_eq!(answers.1.1, Err(Failure::Rows { problems: vec![bad], more: 0 }));
        assert_eq!(answers.1.2, Err(Failure::Panicked));
        // Alone, then all three together, then each of the three.
        assert_eq!(*sizes.lock().unwrap(), [1, 5, 2, 2, 1]);
        assert_eq!(block_on(queue.ask(vec![json!(7)])), Ok(vec![json!(7)]));
    }

    #[test]
    fn a_large_request_takes_turns_and_keeps_its_row_numbers() {
        let queue = Queue::start(echo, Arc::default()).unwrap();
        let mut rows: Vec<Value> = (0..1000).map(|row| json!(row)).collect();
        assert_eq!(block_on(queue.ask(rows.clone())), Ok(rows.clone()));
        rows[3] = json!("bad");
        rows[999] = json!("bad");
        let Err(Failure::Rows { problems, .. }) = block_on(queue.ask(rows)) else {
            panic!("no problem found")
        };
        assert_eq!(problems.iter().map(|problem| problem.row).collect::<Vec<_>>(), [3, 999]);
    }

    #[test]
    fn more_than_may_wait_are_sent_away_and_those_who_left_are_not_worked_for() {
        let (go, gate) = blocking::channel();
        let (queue, sizes) = held(gate);
        block_on(async {
            // One is being answered, the others wait.
            let mut asked: Vec<_> = vec![Box::pin(queue.ask(vec![json!(0)]))];
            assert!(futures_pending(&mut asked[0]).await);
            while sizes.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            for row in 0..WAITING {
                asked.push(Box::pin(queue.ask(vec![json!(row)])));
                assert!(futures_pending(asked.last_mut().unwrap()).await);
            }
            assert_eq!(queue.ask(vec![json!(1)]).await, Err(Failure::Busy));
            drop(asked.split_off(1));
            drop(go);
            assert_eq!(asked.remove(0).await, Ok(vec![json!(0)]));
            // Those who left hold their places until the model's thread looks at the queue again.
            let mut answer = Err(Failure::Busy);
            while answer == Err(Failure::Busy) {
                tokio::task::yield_now().await;
                answer = queue.ask(vec![json!(1)]).await;
            }
            assert_eq!(answer, Ok(vec![json!(1)]));
        });
        assert_eq!(*sizes.lock().unwrap(), [1, 1]);
    }

    /// Asks a future once whether it is done, and tells whether it is not.
    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
        })
        .await
    }
}
