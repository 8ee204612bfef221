//! Copies before the protocol, with time: every interleaving of writers, of requests at a process that copies, and of a
//! reader elsewhere, over discrete ticks. Any step may take any number of ticks, which is how a process that is stopped
//! looks from outside; messages that end copies early may be lost or late; Redis may not answer, answer late, or lose
//! what it holds; writers die. The rules of the copies are the product's own, as is the protocol.

use portolan_authz::{
    cache::slots::{SlotReading, Slots},
    near::rule,
};
use stateright::{Checker, HasDiscoveries, Model, Property};

const KEY: &str = "user";

/// A rule that is missing, to show that the checker would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    /// A change waits one tick less.
    LastTick,
    /// The age of a copy counts from the end of its read.
    Beginning,
    /// Who waits for a read takes what it finds, however old.
    Judgment,
    /// The wait counts from the commit, not from the end by the strict protocol.
    Order,
}

#[derive(Clone, Debug)]
struct Copies {
    /// The time of a copy in ticks.
    near: u64,
    writers: usize,
    /// Of each of the two who ask at the process with copies.
    requests_max: [u8; 2],
    strictly: Strictly,
    without: Without,
}

/// What stands behind the copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strictly {
    /// The protocol itself, with a Redis that loses what it holds so often.
    Protocol { losses_max: u8 },
    /// What the model of the protocol alone shows of it: a read sees what had ended when it began, or anything newer.
    Contract,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    database: u8,
    /// The newest change that has ended by the strict protocol.
    ended: u8,
    /// The newest change that was answered.
    answered: u8,
    cache: Slots<u8>,
    writers: Vec<Writer>,
    copy: Option<Aged>,
    /// Whose read others may wait for.
    shared: Option<usize>,
    requests: [Request; 2],
    /// A reader at another process, which fills the shared cache.
    other: Read,
    has_other_read: bool,
    losses: u8,
    is_stale: bool,
}

/// A value and the ticks since its strict read began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Aged {
    version: u8,
    age: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    Announced,
    Committed {
        version: u8,
        waited: u8,
    },
    /// Has ended by the strict protocol.
    Ended {
        version: u8,
        waited: u8,
    },
    Answered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    made: u8,
    /// The newest change that was answered when it began.
    floor: u8,
    step: Step,
}

impl Request {
    /// What is over leaves nothing behind, so that states which differ in it only are one.
    fn end(&mut self) {
        *self = Self { made: self.made, floor: 0, step: Step::Idle };
    }

    fn waits_for(&self, i: usize) -> bool {
        matches!(self.step, Step::Waits { on, .. } if on == i)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Idle,
    /// Reads for itself and for those who wait.
    Reads {
        read: Read,
        age: u8,
    },
    Waits {
        on: usize,
        /// Whether the read had begun when this request came.
        came_later: bool,
    },
    /// What it waited for is there, and was not looked at yet.
    Told {
        found: Aged,
        came_later: bool,
    },
}

/// A strict read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Read {
    Begun,
    /// By the contract, with what had ended when it began.
    Asked {
        ended: u8,
    },
    Missed {
        nonce: Option<u64>,
    },
    Has {
        nonce: Option<u64>,
        version: u8,
    },
    Done {
        version: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Tick,
    Writer(usize),
    Request(usize),
    /// The same while Redis does not answer.
    RequestAlone(usize),
    /// A read by the contract sees this.
    See(usize, u8),
    /// The client is gone.
    Cancel(usize),
    Other,
    /// A message that a value changed.
    Message,
    LoseAll,
}

/// What a clock that is as slow as is allowed shows after so many ticks.
fn slow(ticks: u8) -> u64 {
    u64::from(ticks) * 100 / (100 + rule::RATE_ERROR_PERCENT)
}

impl Copies {
    fn wait(&self) -> u8 {
        let wait = rule::settled_after(self.near) as u8;
        if self.without == Without::LastTick { wait - 1 } else { wait }
    }

    fn begin_read(&self, state: &State) -> Read {
        match self.strictly {
            Strictly::Protocol { .. } => Read::Begun,
            Strictly::Contract => Read::Asked { ended: state.ended },
        }
    }

    fn ask(&self, state: &mut State, i: usize) {
        if let Some(copy) = state.copy
            && rule::may_serve(0, slow(copy.age), self.near)
        {
            return serve(state, i, copy.version);
        }
        state.requests[i].step = match state.shared {
            Some(on) => Step::Waits { on, came_later: true },
            None => {
                state.shared = Some(i);
                Step::Reads { read: self.begin_read(state), age: 0 }
            }
        };
    }

    fn step_request(&self, state: &mut State, i: usize, answers: bool) {
        match state.requests[i].step {
            Step::Idle => {
                state.requests[i].floor = state.answered;
                state.requests[i].made += 1;
                self.ask(state, i);
            }
            Step::Reads { read: Read::Done { version }, age } => self.land(state, i, Aged { version, age }),
            Step::Reads { read, age } => {
                let nonce = 10 + 10 * i as u64 + u64::from(state.requests[i].made);
                let read = step_read(state, read, nonce, answers);
                state.requests[i].step = Step::Reads { read, age };
            }
            Step::Waits { .. } => {}
            Step::Told { found, came_later } => {
                // The moments in the order in which they were: the read's beginning and the request's.
                let (began, arrived) = if came_later { (0, 1) } else { (1, 0) };
                let takes = self.without == Without::Judgment
                    || rule::may_share(began, arrived, began + slow(found.age), self.near);
                if takes {
                    serve(state, i, found.version);
                } else {
                    state.copy = None;
                    self.ask(state, i);
                }
            }
        }
    }

    /// The read of a request has ended.
    fn land(&self, state: &mut State, i: usize, found: Aged) {
        let kept = if self.without == Without::Beginning { Aged { age: 0, ..found } } else { found };
        if state.shared == Some(i) {
            state.shared = None;
            state.copy = Some(kept);
        }
        for request in &mut state.requests {
            if let Step::Waits { on, came_later } = request.step
                && on == i
            {
                request.step = Step::Told { found: kept, came_later };
            }
        }
        serve(state, i, found.version);
    }

    fn cancel(&self, state: &mut State, i: usize) {
        state.requests[i].end();
        if state.shared != Some(i) {
            return;
        }
        // The next who waits reads, and so began after it had come.
        state.shared = state.requests.iter().position(|request| request.waits_for(i));
        if let Some(next) = state.shared {
            state.requests[next].step = Step::Reads { read: self.begin_read(state), age: 0 };
        }
    }

    fn step_writer(&self, state: &mut State, i: usize) {
        state.writers[i] = match state.writers[i] {
            Writer::Idle if self.strictly != Strictly::Contract => {
                state.cache.begin(KEY, i as u64, 0);
                Writer::Announced
            }
            Writer::Idle | Writer::Announced => {
                state.database += 1;
                Writer::Committed { version: state.database, waited: 0 }
            }
            Writer::Committed { version, waited } => {
                state.cache.finish(KEY, i as u64, 0);
                state.ended = state.ended.max(version);
                Writer::Ended { version, waited: if self.without == Without::Order { waited } else { 0 } }
            }
            Writer::Ended { version, waited } if waited >= self.wait() => {
                state.answered = state.answered.max(version);
                Writer::Answered
            }
            same => same,
        };
    }
}

fn step_read(state: &mut State, read: Read, nonce: u64, answers: bool) -> Read {
    match read {
        Read::Begun if !answers => Read::Missed { nonce: None },
        Read::Begun => match state.cache.get(KEY, None, nonce, 0) {
            SlotReading::Hit(version) => Read::Done { version },
            SlotReading::Miss => Read::Missed { nonce: None },
            SlotReading::Leased(_) => Read::Missed { nonce: Some(nonce) },
        },
        Read::Missed { nonce } => Read::Has { nonce, version: state.database },
        Read::Has { nonce, version } => {
            if let Some(nonce) = nonce.filter(|_| answers) {
                state.cache.fill(KEY, nonce, version, 0);
            }
            Read::Done { version }
        }
        same @ (Read::Asked { .. } | Read::Done { .. }) => same,
    }
}

fn serve(state: &mut State, i: usize, version: u8) {
    state.is_stale |= version < state.requests[i].floor;
    state.requests[i].end();
}

fn tick(state: &mut State, near: u64, wait: u8, without: Without) {
    // Ages are told apart until nothing may serve.
    let older = |age: &mut u8| *age = (*age + 1).min(near as u8 + 2);
    if let Some(copy) = &mut state.copy {
        older(&mut copy.age);
        if !rule::may_serve(0, slow(copy.age), near) {
            // As good as none: states that differ in it only are one.
            state.copy = None;
        }
    }
    for request in &mut state.requests {
        match &mut request.step {
            Step::Reads { age, .. } => older(age),
            Step::Told { found, .. } => older(&mut found.age),
            Step::Idle | Step::Waits { .. } => {}
        }
    }
    for writer in &mut state.writers {
        match writer {
            Writer::Ended { waited, .. } => *waited = (*waited + 1).min(wait),
            Writer::Committed { waited, .. } if without == Without::Order => *waited = (*waited + 1).min(wait),
            _ => {}
        }
    }
}

impl Model for Copies {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            database: 0,
            ended: 0,
            answered: 0,
            cache: Slots::default(),
            writers: vec![Writer::Idle; self.writers],
            copy: None,
            shared: None,
            requests: [Request { made: 0, floor: 0, step: Step::Idle }; 2],
            other: Read::Begun,
            has_other_read: false,
            losses: 0,
            is_stale: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.is_stale {
            return;
        }
        actions.push(Action::Tick);
        for (i, writer) in state.writers.iter().enumerate() {
            match writer {
                Writer::Ended { waited, .. } if *waited < self.wait() => {}
                Writer::Answered => {}
                _ => actions.push(Action::Writer(i)),
            }
        }
        for (i, request) in state.requests.iter().enumerate() {
            if matches!(request.step, Step::Reads { .. }) && state.requests.iter().any(|other| other.waits_for(i)) {
                actions.push(Action::Cancel(i));
            }
            match request.step {
                Step::Idle if request.made < self.requests_max[i] => actions.push(Action::Request(i)),
                Step::Idle | Step::Waits { .. } => {}
                Step::Reads { read: Read::Asked { ended }, .. } => {
                    actions.extend((ended..=state.database).map(|version| Action::See(i, version)));
                }
                Step::Reads { read, .. } => {
                    actions.push(Action::Request(i));
                    if read == Read::Begun {
                        actions.push(Action::RequestAlone(i));
                    }
                }
                Step::Told { .. } => actions.push(Action::Request(i)),
            }
        }
        if let Strictly::Protocol { losses_max } = self.strictly {
            if !state.has_other_read {
                actions.push(Action::Other);
            }
            if state.losses < losses_max && !state.cache.is_empty() {
                actions.push(Action::LoseAll);
            }
        }
        let has_ended = |writer: &Writer| matches!(writer, Writer::Ended { .. } | Writer::Answered);
        if (state.copy.is_some() || state.shared.is_some()) && state.writers.iter().any(has_ended) {
            actions.push(Action::Message);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => tick(&mut state, self.near, self.wait(), self.without),
            Action::Writer(i) => self.step_writer(&mut state, i),
            Action::Request(i) => self.step_request(&mut state, i, true),
            Action::RequestAlone(i) => self.step_request(&mut state, i, false),
            Action::See(i, version) => {
                if let Step::Reads { read, .. } = &mut state.requests[i].step {
                    *read = Read::Done { version };
                }
            }
            Action::Cancel(i) => self.cancel(&mut state, i),
            Action::Other => {
                let read = state.other;
                state.other = step_read(&mut state, read, 90, true);
                if let Read::Done { .. } = state.other {
                    (state.other, state.has_other_read) = (Read::Begun, true);
                }
            }
            Action::Message => (state.copy, state.shared) = (None, None),
            Action::LoseAll => {
                state.cache = Slots::default();
                state.losses += 1;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing stale after an answer", |_, state: &State| !state.is_stale),
            // Without these the above would hold of a process that copies nothing, and of changes that need no wait.
            Property::sometimes("a copy is older than the database", |_, state: &State| {
                state.copy.is_some_and(|copy| copy.version < state.database)
            }),
            Property::sometimes("a copy serves what was answered", |_, state: &State| {
                state.answered > 0 && state.copy.is_some_and(|copy| copy.version == state.answered)
            }),
            Property::sometimes("who waited is told something too old", |model: &Self, state: &State| {
                let told = |request: &Request| matches!(request.step, Step::Told { found, came_later: true } if !rule::may_serve(0, slow(found.age), model.near));
                state.requests.iter().any(told)
            }),
        ]
    }
}

/// The sizes that are checked: the protocol itself with few ticks, and many ticks over what is known of it. A tick is the
/// least by which clocks differ here, so few ticks allow them more than the 5 % of [`rule::RATE_ERROR_PERCENT`].
fn sizes(without: Without) -> [Copies; 2] {
    let few =
        Copies { near: 2, writers: 1, requests_max: [1, 1], strictly: Strictly::Protocol { losses_max: 1 }, without };
    [few, Copies { near: 20, writers: 1, requests_max: [2, 1], strictly: Strictly::Contract, without }]
}

pub fn no_copy_serves_what_was_before_an_answer() {
    for model in sizes(Without::Nothing) {
        let size = format!("{model:?}");
        let checker = model.checker().threads(2).spawn_bfs().join();
        println!("{size}: {} states, depth {}", checker.unique_state_count(), checker.max_depth());
        checker.assert_properties();
    }
}

pub fn without_any_one_rule_of_copies_a_stale_one_serves() {
    for without in [Without::LastTick, Without::Beginning, Without::Judgment, Without::Order] {
        let found = sizes(without).into_iter().find_map(|model| {
            let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).threads(2).spawn_bfs().join();
            let path = checker.discovery("nothing stale after an answer")?;
            Some((path.into_actions().len(), checker.unique_state_count()))
        });
        let (steps, states) = found.unwrap_or_else(|| panic!("without {without:?} nothing was found"));
        println!("without {without:?}: a stale copy serves after {steps} steps, found among {states} states");
    }
}
