//! What a running router is told to do: the orders of signals and of whoever controls it.
//!
//! All orders go to the main thread, which carries them out one after another. So no two changes of the
//! router ever overlap, and none runs on a thread that serves somebody. Who gives an order may wait for
//! its outcome; a signal does not.

pub mod audit;
pub mod signals;

use std::{
    cell::RefCell,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    time::Duration,
};

use audit::{Audit, By};

/// Something the main thread does to the whole router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Read the configuration again and apply what differs.
    Reload,
    /// Hand everything to a new process of the program as it is on disk now.
    Upgrade,
    /// Open the log files again by their names, after somebody renamed them.
    ReopenLogs,
    /// Accept nothing new, let what is under way finish, then end. A second one cuts the rest.
    Drain,
    /// End at once.
    Stop,
}

impl Order {
    /// The word of the control socket and of the audit log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
            Self::ReopenLogs => "reopen-logs",
            Self::Drain => "quit",
            Self::Stop => "stop",
        }
    }
}

/// What became of an order, in a sentence for people: done, or why not.
pub type Outcome = Result<String, String>;

/// An order on its way to the main thread.
pub struct Request {
    /// What is to be done.
    pub order: Order,
    /// Who gave it, and where that is recorded; `None` if nobody did.
    by: Option<(By, Audit)>,
    reply: Option<SyncSender<Outcome>>,
}

impl Request {
    /// Records what became of it and tells who asked. Who did not wait is not told.
    pub fn answer(self, outcome: Outcome) {
        if let Some((by, audit)) = self.by {
            audit.record(by, self.order.as_str(), None, &outcome);
        }
        if let Some(reply) = self.reply {
            let _ = reply.try_send(outcome);
        }
    }
}

/// Gives orders to the main thread.
#[derive(Clone, Debug)]
pub struct Orders {
    requests: Sender<Request>,
    audit: Audit,
}

/// Where the main thread takes them.
pub struct Inbox {
    receiver: Receiver<Request>,
    /// Taken and not carried out.
    put_back: RefCell<Vec<Request>>,
}

/// Both ends; what becomes of each order is recorded in `audit`.
#[must_use]
pub fn channel(audit: Audit) -> (Orders, Inbox) {
    let (requests, take) = mpsc::channel();
    let inbox = Inbox { receiver: take, put_back: RefCell::default() };
    (Orders { requests, audit }, inbox)
}

impl Orders {
    /// Gives an order and does not wait.
    pub fn give(&self, order: Order, by: By) {
        let by = Some((by, self.audit.clone()));
        let _ = self.requests.send(Request { order, by, reply: None });
    }

    /// Gives an order and waits at most `limit` for its outcome.
    ///
    /// # Errors
    /// Why it was not carried out, or that nobody answered in time; it may still be carried out then.
    pub fn ask(&self, order: Order, by: By, limit: Duration) -> Outcome {
        let (reply, answer) = mpsc::sync_channel(1);
        let by = Some((by, self.audit.clone()));
        let request = Request { order, by, reply: Some(reply) };
        self.requests.send(request).map_err(|_| "the router is ending".to_owned())?;
        answer.recv_timeout(limit).unwrap_or_else(|why| match why {
            RecvTimeoutError::Timeout => Err(format!("no outcome within {} s", limit.as_secs())),
            RecvTimeoutError::Disconnected => Err("the router is ending".to_owned()),
        })
    }
}

impl Inbox {
    /// Waits for the next order. If nobody is left who could give one, that is an order to drain.
    #[must_use]
    pub fn wait(&self) -> Request {
        let first = self.put_back.borrow_mut().pop();
        let next = first.or_else(|| self.receiver.recv().ok());
        next.unwrap_or(Request { order: Order::Drain, by: None, reply: None })
    }

    /// The next order within `limit`, if there is one.
    #[must_use]
    pub fn wait_for(&self, limit: Duration) -> Option<Request> {
        let first = self.put_back.borrow_mut().pop();
        first.or_else(|| self.receiver.recv_timeout(limit).ok())
    }

    /// Makes `request` the next one again.
    pub fn put_back(&self, request: Request) {
        self.put_back.borrow_mut().push(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUP: By = By::Signal { signal: "SIGHUP" };
    const ROOT: By = By::Ctl { uid: 0, pid: 1 };

    #[test]
    fn who_asks_is_told_and_who_gives_does_not_wait() {
        let audit = Audit::default();
        let (orders, inbox) = channel(audit.clone());
        orders.give(Order::ReopenLogs, HUP);
        let asked =
            std::thread::spawn(move || orders.ask(Order::Reload, ROOT, Duration::from_secs(5)));
        let first = inbox.wait();
        assert_eq!(first.order, Order::ReopenLogs);
        first.answer(Ok(String::new()));
        let second = inbox.wait();
        assert_eq!(second.order, Order::Reload);
        second.answer(Err("line 3".to_owned()));
        assert_eq!(asked.join().unwrap(), Err("line 3".to_owned()));
        let last = inbox.wait();
        assert_eq!(last.order, Order::Drain, "nobody is left");
        last.answer(Ok(String::new()));
        let recorded: Vec<_> = audit.entries(None).into_iter().map(|e| (e.by, e.change)).collect();
        assert_eq!(recorded, [(HUP, "reopen-logs".to_owned()), (ROOT, "reload".to_owned())]);
    }

    #[test]
    fn a_router_that_does_not_answer_is_told_apart_from_one_that_is_gone() {
        let (orders, inbox) = channel(Audit::default());
        let late = orders.ask(Order::Reload, ROOT, Duration::from_millis(1)).unwrap_err();
        assert!(late.contains("no outcome"), "{late}");
        drop(inbox);
        let gone = orders.ask(Order::Reload, ROOT, Duration::from_secs(1)).unwrap_err();
        assert!(gone.contains("ending"), "{gone}");
    }
}
