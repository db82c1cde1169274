//! The one thread that writes to a directory: a bounded queue of jobs, run in order (E3).
#![allow(
    clippy::disallowed_methods,
    reason = "the thread of the real disk is made here and nowhere else"
)]

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use crate::disk::stale_handle;

type Job = Box<dyn FnOnce() + Send>;

/// Jobs that may wait for the thread: enough for every lane and journal of a unit to have one in
/// flight, few enough that the newest waits for milliseconds.
const QUEUE_MAX: usize = 256;

struct Queue {
    jobs: Mutex<Jobs>,
    ready: Condvar,
    room: Semaphore,
}

struct Jobs {
    waiting: VecDeque<Job>,
    open: bool,
}

/// The sending side. Closing (also by drop) lets the thread end after what is queued.
pub(crate) struct Writer {
    queue: Arc<Queue>,
}

impl Writer {
    /// Starts the thread; it holds `lock` (the flock of the directory) until it ends.
    pub(crate) fn start(lock: Arc<File>) -> io::Result<Writer> {
        let jobs = Mutex::new(Jobs {
            waiting: VecDeque::new(),
            open: true,
        });
        let room = Semaphore::new(QUEUE_MAX);
        let queue = Arc::new(Queue {
            jobs,
            ready: Condvar::new(),
            room,
        });
        let served = queue.clone();
        std::thread::Builder::new()
            .name("disk-writer".into())
            .spawn(move || {
                serve(&served);
                drop(lock);
            })?;
        Ok(Writer { queue })
    }

    /// Runs `f` on the thread after everything queued before it.
    pub(crate) async fn run<T, F>(&self, f: F) -> io::Result<T>
    where
        F: FnOnce() -> io::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let Ok(room) = self.queue.room.acquire().await else {
            return Err(stale_handle());
        };
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || drop(reply.send(f())));
        {
            let mut jobs = self.queue.jobs.lock();
            if !jobs.open {
                return Err(stale_handle());
            }
            room.forget();
            jobs.waiting.push_back(job);
        }
        self.queue.ready.notify_one();
        answer.await.unwrap_or_else(|_| Err(stale_handle()))
    }

    /// Takes no more jobs; the thread ends after those that are queued.
    pub(crate) fn close(&self) {
        self.queue.jobs.lock().open = false;
        self.queue.room.close();
        self.queue.ready.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(queue: &Queue) {
    loop {
        let job = {
            let mut jobs = queue.jobs.lock();
            loop {
                if let Some(job) = jobs.waiting.pop_front() {
                    break job;
                }
                if !jobs.open {
                    return;
                }
                queue.ready.wait(&mut jobs);
            }
        };
        job();
        queue.room.add_permits(1);
    }
}
