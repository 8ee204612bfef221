//! Every interleaving of two writers and two readers over the pure protocol, with crashes at any step, commands that
//! arrive late, expiry of any key and loss of all of them. The protocol itself is checked, not a copy of it.

use portolan_authz::cache::slots::{Slot, SlotReading, Slots};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// A grant, and the role that it rests on.
const KEYS: [&str; 2] = ["user", "role"];
/// Keys or everything may be lost this often, unless `PORTOLAN_TEST_LOSSES` says otherwise: two take minutes.
const LOSSES_MAX: u8 = 1;
/// Reads of each reader.
const READS_MAX: u8 = 2;

/// A protocol that lacks one of its rules, to show that the checker would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    /// A change is not announced.
    Tombstone,
    /// A reader fills whether or not its lease is its own.
    Lease,
    /// A change removes its tombstone, but not what stands in its place.
    Cleaning,
    /// A value does not rest on its role.
    Basis,
}

#[derive(Clone, Debug)]
struct Protocol {
    /// The key that each writer changes.
    writers: [usize; 2],
    without: Without,
    losses_max: u8,
}

impl Protocol {
    fn new(writers: [usize; 2], without: Without) -> Self {
        let losses = std::env::var("PORTOLAN_TEST_LOSSES").ok().and_then(|text| text.parse().ok());
        Self { writers, without, losses_max: losses.unwrap_or(LOSSES_MAX) }
    }
}

/// The versions of both keys: a value of the cache, and the state of the database.
type Versions = [u8; 2];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    database: Versions,
    cache: Slots<Versions>,
    /// The newest change of each key that was answered.
    answered: Versions,
    writers: [Writer; 2],
    readers: [Reader; 2],
    losses: u8,
    stale: Option<Stale>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stale {
    /// A read that began after an answer saw what was before it.
    AfterAnswer,
    /// The same after a commit, although no key was lost.
    AfterCommit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    Announced,
    Committed {
        version: u8,
    },
    Answered,
    /// Died, or was told that Redis does not answer; the command under way may still arrive.
    Dead {
        late: Option<Late>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Late {
    Begin,
    Finish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reader {
    reads: u8,
    /// What the read under way must see at least: answered, and committed when it began.
    floor: [Versions; 2],
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Idle,
    /// Has missed, perhaps with a lease.
    Missed {
        nonce: Option<u64>,
    },
    /// Has read the first key from the database.
    ReadUser {
        nonce: Option<u64>,
        user: u8,
    },
    /// Has served, and fills now or later.
    Filling {
        nonce: u64,
        value: Versions,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Writer(usize),
    CrashWriter(usize),
    Late(usize),
    Reader(usize),
    CrashReader(usize),
    Lose(usize),
    LoseAll,
}

impl Protocol {
    fn begin(&self, cache: &mut Slots<Versions>, writer: usize) {
        if self.without != Without::Tombstone {
            cache.begin(KEYS[self.writers[writer]], writer as u64, 0);
        }
    }

    fn finish(&self, cache: &mut Slots<Versions>, writer: usize) {
        let key = KEYS[self.writers[writer]];
        let own = matches!(cache.at(key, 0), Some(Slot::Tombstone(changes)) if changes.iter().any(|(nonce, _)| *nonce == writer as u64));
        if own || self.without != Without::Cleaning {
            cache.finish(key, writer as u64, 0);
        }
    }

    fn get(&self, cache: &mut Slots<Versions>, nonce: u64) -> SlotReading<Versions> {
        let basis = (self.without != Without::Basis).then_some(KEYS[1]);
        cache.get(KEYS[0], basis, nonce, 0)
    }

    fn fill(&self, cache: &mut Slots<Versions>, mut nonce: u64, value: Versions) {
        if self.without == Without::Lease {
            cache.lose(KEYS[0]);
            nonce += 100;
            self.get(cache, nonce);
        }
        cache.fill(KEYS[0], nonce, value, 0);
    }

    fn step_reader(&self, state: &mut State, i: usize) {
        let reader = &mut state.readers[i];
        match reader.step {
            Step::Idle => {
                reader.floor = [state.answered, state.database];
                let nonce = 10 + 10 * i as u64 + u64::from(reader.reads);
                reader.reads += 1;
                match self.get(&mut state.cache, nonce) {
                    SlotReading::Hit(value) => serve(state, i, value),
                    SlotReading::Miss => reader.step = Step::Missed { nonce: None },
                    SlotReading::Leased(_) => reader.step = Step::Missed { nonce: Some(nonce) },
                }
            }
            // The two keys are read one after the other: another transaction may commit between them.
            Step::Missed { nonce } => reader.step = Step::ReadUser { nonce, user: state.database[0] },
            Step::ReadUser { nonce, user } => {
                let value = [user, state.database[1]];
                reader.step = nonce.map_or(Step::Idle, |nonce| Step::Filling { nonce, value });
                serve(state, i, value);
            }
            Step::Filling { nonce, value } => {
                reader.step = Step::Idle;
                self.fill(&mut state.cache, nonce, value);
            }
        }
    }
}

fn serve(state: &mut State, reader: usize, value: Versions) {
    let older = |floor: Versions| value[0] < floor[0] || value[1] < floor[1];
    let [answered, committed] = state.readers[reader].floor;
    if older(answered) {
        state.stale = Some(Stale::AfterAnswer);
    } else if older(committed) && state.losses == 0 && state.stale.is_none() {
        state.stale = Some(Stale::AfterCommit);
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let reader = Reader { reads: 0, floor: [[0; 2]; 2], step: Step::Idle };
        vec![State {
            database: [0; 2],
            cache: Slots::default(),
            answered: [0; 2],
            writers: [Writer::Idle; 2],
            readers: [reader; 2],
            losses: 0,
            stale: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.stale.is_some() {
            return;
        }
        for i in 0..2 {
            match state.writers[i] {
                Writer::Idle | Writer::Announced | Writer::Committed { .. } => {
                    actions.extend([Action::Writer(i), Action::CrashWriter(i)]);
                }
                Writer::Dead { late: Some(_) } => actions.push(Action::Late(i)),
                Writer::Dead { late: None } | Writer::Answered => {}
            }
            let reader = state.readers[i];
            if reader.step != Step::Idle {
                actions.extend([Action::Reader(i), Action::CrashReader(i)]);
            } else if reader.reads < READS_MAX {
                actions.push(Action::Reader(i));
            }
        }
        if state.losses < self.losses_max && !state.cache.is_empty() {
            actions.extend((0..2).filter(|key| state.cache.at(KEYS[*key], 0).is_some()).map(Action::Lose));
            actions.push(Action::LoseAll);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Writer(i) => {
                let key = self.writers[i];
                state.writers[i] = match state.writers[i] {
                    Writer::Idle => {
                        self.begin(&mut state.cache, i);
                        Writer::Announced
                    }
                    Writer::Announced => {
                        state.database[key] += 1;
                        Writer::Committed { version: state.database[key] }
                    }
                    Writer::Committed { version } => {
                        self.finish(&mut state.cache, i);
                        state.answered[key] = state.answered[key].max(version);
                        Writer::Answered
                    }
                    ended => ended,
                };
            }
            Action::CrashWriter(i) => {
                let late = match state.writers[i] {
                    Writer::Idle => Some(Late::Begin),
                    Writer::Committed { .. } => Some(Late::Finish),
                    _ => None,
                };
                state.writers[i] = Writer::Dead { late };
            }
            Action::Late(i) => {
                match state.writers[i] {
                    Writer::Dead { late: Some(Late::Begin) } => self.begin(&mut state.cache, i),
                    Writer::Dead { late: Some(Late::Finish) } => self.finish(&mut state.cache, i),
                    _ => {}
                }
                state.writers[i] = Writer::Dead { late: None };
            }
            Action::Reader(i) => self.step_reader(&mut state, i),
            Action::CrashReader(i) => state.readers[i].step = Step::Idle,
            Action::Lose(key) => {
                state.cache.lose(KEYS[key]);
                state.losses += 1;
            }
            Action::LoseAll => {
                state.cache = Slots::default();
                state.losses += 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing stale after an answer", |_, state: &State| {
                state.stale != Some(Stale::AfterAnswer)
            }),
            Property::always("nothing stale after a commit unless keys are lost", |_, state: &State| {
                state.stale != Some(Stale::AfterCommit)
            }),
            // Without these the two above would hold of a cache that never serves and of writers that never write.
            Property::sometimes("a value is served from the cache after two answers", |_, state: &State| {
                state.writers == [Writer::Answered; 2]
                    && matches!(state.cache.at(KEYS[0], 0), Some(Slot::Value { value, .. }) if *value == state.database)
                    && state.readers[0].reads == READS_MAX
                    && state.readers[0].step == Step::Idle
            }),
        ]
    }
}

const WRITERS: [[usize; 2]; 3] = [[0, 0], [0, 1], [1, 1]];

pub fn no_interleaving_serves_a_stale_grant() {
    for writers in WRITERS {
        let names = writers.map(|key| KEYS[key]);
        let checker = Protocol::new(writers, Without::Nothing).checker().threads(2).spawn_bfs().join();
        println!("changes of {names:?}: {} states, depth {}", checker.unique_state_count(), checker.max_depth());
        checker.assert_properties();
    }
}

pub fn without_any_one_rule_a_stale_grant_is_found() {
    for without in [Without::Tombstone, Without::Lease, Without::Cleaning, Without::Basis] {
        let found = WRITERS.iter().find_map(|writers| {
            let checker = Protocol::new(*writers, without).checker();
            let checker = checker.finish_when(HasDiscoveries::AnyFailures).threads(2).spawn_bfs().join();
            let discoveries = checker.discoveries();
            let path = discoveries.iter().find(|(name, _)| name.starts_with("nothing stale"))?;
            Some((*path.0, path.1.clone().into_actions().len()))
        });
        let (property, steps) = found.unwrap_or_else(|| panic!("without {without:?} nothing was found"));
        println!("without {without:?}: \"{property}\" fails after {steps} steps");
    }
}
