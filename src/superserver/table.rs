//! Who is connected: which child serves which client, and how many each client has. Everything but [`Table::pids`] takes the
//! same time however many there are.

use crate::limits::CONNECTIONS;

/// A client: a user's number, or an IP address.
pub type Client = u128;

/// A child, and whom it serves. Numbers of entries are one more than where they are; 0 is none.
#[derive(Clone, Copy)]
struct Served {
    /// 0: this one is free.
    pid: i32,
    client: u16,
    /// The next one of the same bucket, or the next free one.
    next: u16,
}

/// A client that has connections.
#[derive(Clone, Copy)]
struct Known {
    /// Its two halves, which need less than a whole one would.
    client: [u64; 2],
    count: u16,
    next: u16,
}

/// Buckets of a table of so many entries: the chains are short.
const BUCKETS: usize = CONNECTIONS;

/// Entries of one kind: those that are in use in chains by bucket, the others in a chain of their own. What has never been
/// used is in none, and not touched.
struct Chains {
    first: [u16; BUCKETS],
    free: u16,
    used: u16,
}

/// The table. All zero when it is new, so that a static one costs no memory until it is used.
pub struct Table {
    served: [Served; CONNECTIONS],
    known: [Known; CONNECTIONS],
    by_pid: Chains,
    by_client: Chains,
    seed: u64,
    /// Buckets in use, less one.
    mask: usize,
    count: usize,
}

/// A connection that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Whose it was.
    pub client: Client,
    /// How many that client has left.
    pub left: u32,
}

fn halves(client: Client) -> [u64; 2] {
    [client as u64, (client >> 64) as u64]
}

impl Table {
    /// Nobody is connected.
    pub const fn new() -> Table {
        const CHAINS: Chains = Chains { first: [0; BUCKETS], free: 0, used: 0 };
        Table {
            served: [Served { pid: 0, client: 0, next: 0 }; CONNECTIONS],
            known: [Known { client: [0; 2], count: 0, next: 0 }; CONNECTIONS],
            by_pid: CHAINS,
            by_client: CHAINS,
            seed: 0,
            mask: 0,
            count: 0,
        }
    }

    /// Prepares an empty table for up to `most` connections (at most [`CONNECTIONS`]): so much memory is used. With a `seed`
    /// that others do not know nobody can choose addresses that make it slow.
    pub fn prepare(&mut self, most: usize, seed: u64) {
        self.mask = most.clamp(1, BUCKETS).next_power_of_two() - 1;
        self.seed = seed | 1;
    }

    /// How many are connected.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many connections this client has.
    pub fn of(&self, client: Client) -> u32 {
        let at = self.find_client(client);
        self.known.get(at.wrapping_sub(1)).map_or(0, |known| known.count.into())
    }

    /// `pid` (more than 0) serves this client from now on; answers how many connections that has, or `None` if the table
    /// is full.
    pub fn add(&mut self, pid: i32, client: Client) -> Option<u32> {
        let mut of = self.find_client(client);
        let place = self.by_pid.take(|at| self.served[at].next)?;
        if of == 0 {
            // There are as many places as for children, of which one is not ours yet.
            let new = self.by_client.take(|at| self.known[at].next)?;
            let bucket = self.client_bucket(client);
            self.known[new] = Known { client: halves(client), count: 0, next: self.by_client.first[bucket] };
            of = new + 1;
            self.by_client.first[bucket] = of as u16;
        }
        let bucket = self.pid_bucket(pid);
        self.served[place] = Served { pid, client: of as u16, next: self.by_pid.first[bucket] };
        self.by_pid.first[bucket] = place as u16 + 1;
        self.count += 1;
        self.known[of - 1].count += 1;
        Some(self.known[of - 1].count.into())
    }

    /// `pid` has ended. `None`: it served nobody.
    pub fn remove(&mut self, pid: i32) -> Option<Ended> {
        let bucket = self.pid_bucket(pid);
        let (mut before, mut at) = (0, usize::from(self.by_pid.first[bucket]));
        while at != 0 && self.served[at - 1].pid != pid {
            (before, at) = (at, self.served[at - 1].next.into());
        }
        let found = *self.served.get(at.wrapping_sub(1))?;
        match before {
            0 => self.by_pid.first[bucket] = found.next,
            before => self.served[before - 1].next = found.next,
        }
        self.served[at - 1] = Served { pid: 0, client: 0, next: self.by_pid.give_back(at) };
        self.count -= 1;
        Some(self.let_go(found.client.into()))
    }

    /// The client at `of` has one connection less.
    fn let_go(&mut self, of: usize) -> Ended {
        let known = &mut self.known[of - 1];
        known.count -= 1;
        let Known { client: [low, high], count, next } = *known;
        let client = Client::from(high) << 64 | Client::from(low);
        if count == 0 {
            let bucket = self.client_bucket(client);
            let (mut before, mut at) = (0, usize::from(self.by_client.first[bucket]));
            while at != of {
                (before, at) = (at, self.known[at - 1].next.into());
            }
            match before {
                0 => self.by_client.first[bucket] = next,
                before => self.known[before - 1].next = next,
            }
            self.known[of - 1].next = self.by_client.give_back(of);
        }
        Ended { client, left: count.into() }
    }

    /// The children.
    pub fn pids(&self) -> impl Iterator<Item = i32> {
        let used = usize::from(self.by_pid.used);
        self.served.iter().take(used).map(|served| served.pid).filter(|pid| *pid != 0)
    }

    fn find_client(&self, client: Client) -> usize {
        let mut at = usize::from(self.by_client.first[self.client_bucket(client)]);
        while at != 0 && self.known[at - 1].client != halves(client) {
            at = self.known[at - 1].next.into();
        }
        at
    }

    fn pid_bucket(&self, pid: i32) -> usize {
        // The kernel counts them up: they spread by themselves.
        pid.unsigned_abs() as usize & self.mask
    }

    fn client_bucket(&self, client: Client) -> usize {
        let [low, high] = halves(client).map(|half| half ^ self.seed);
        let mixed = u128::from(low.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15) * u128::from(high | 1);
        let mixed = u128::from(mixed as u64 ^ (mixed >> 64) as u64 ^ low) * u128::from(self.seed);
        (mixed as u64 ^ (mixed >> 64) as u64) as usize & self.mask
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Chains {
    /// A place for an entry; `next` tells what follows a free one. `None`: there is none left.
    fn take(&mut self, next: impl Fn(usize) -> u16) -> Option<usize> {
        match self.free {
            0 if usize::from(self.used) == CONNECTIONS => None,
            0 => {
                self.used += 1;
                Some(usize::from(self.used) - 1)
            }
            free => {
                let place = usize::from(free) - 1;
                self.free = next(place);
                Some(place)
            }
        }
    }

    /// The entry of this number is free; answers which free one follows it.
    fn give_back(&mut self, number: usize) -> u16 {
        core::mem::replace(&mut self.free, number as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn table(most: usize) -> Box<Table> {
        let mut table = Box::new(Table::new());
        table.prepare(most, 0x1234_5678_9abc_def1);
        table
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(i32, Client),
        Remove(i32),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few different ones, some in the same bucket, so that all that can happen to a chain does.
        let pid = (1..40i32, 0..3i32).prop_map(|(low, high)| low + high * 4096);
        let client = prop_oneof![(0..12u128), (0..12u128).prop_map(|host| host << 64 | 0xffff), Just(Client::MAX),];
        prop_oneof![(pid.clone(), client).prop_map(|(pid, client)| Step::Add(pid, client)), pid.prop_map(Step::Remove)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn it_knows_what_a_simple_map_knows(steps in proptest::collection::vec(step(), 1..300), most in 1..64usize) {
            let mut table = table(most);
            let mut model = HashMap::new();
            let count = |model: &HashMap<i32, Client>, client| model.values().filter(|of| **of == client).count() as u32;
            for step in steps {
                match step {
                    Step::Add(pid, client) if !model.contains_key(&pid) => {
                        model.insert(pid, client);
                        prop_assert_eq!(table.add(pid, client), Some(count(&model, client)));
                    }
                    Step::Add(_, client) => prop_assert_eq!(table.of(client), count(&model, client)),
                    Step::Remove(pid) => {
                        let client = model.remove(&pid);
                        let ended = client.map(|client| Ended { client, left: count(&model, client) });
                        prop_assert_eq!(table.remove(pid), ended);
                    }
                }
                prop_assert_eq!(table.count(), model.len());
            }
            let (mut all, mut known): (Vec<_>, Vec<_>) = (table.pids().collect(), model.keys().copied().collect());
            all.sort_unstable();
            known.sort_unstable();
            prop_assert_eq!(all, known);
            for pid in model.into_keys() {
                prop_assert!(table.remove(pid).is_some());
            }
            prop_assert_eq!((table.count(), table.pids().count()), (0, 0));
        }
    }

    #[test]
    fn it_is_full_after_so_many_and_has_room_again_when_one_has_ended() {
        let mut table = table(CONNECTIONS);
        for round in 0..2 {
            for i in 0..CONNECTIONS {
                assert_eq!(table.add(i as i32 + 1, (i as Client) << 80 | round), Some(1));
            }
            assert_eq!(table.add(100_000, 5), None);
            assert_eq!((table.count(), table.of(5)), (CONNECTIONS, 0));
            assert_eq!(table.remove(7), Some(Ended { client: 6 << 80 | round, left: 0 }));
            assert_eq!(table.add(100_000, 5), Some(1));
            assert_eq!(table.remove(7), None);
            for pid in table.pids().collect::<Vec<_>>() {
                assert!(table.remove(pid).is_some());
            }
        }
    }

    #[test]
    fn addresses_of_one_network_are_spread() {
        let table = table(4096);
        for shift in [0, 64, 96] {
            let mut lengths = vec![0; 4096];
            (0..4096u128).for_each(|host| lengths[table.client_bucket(0x2001_0db8 << 96 ^ host << shift)] += 1);
            let longest = lengths.into_iter().max().unwrap();
            assert!(longest < 20, "{longest} of 4096 in one of 4096 buckets");
        }
    }
}
