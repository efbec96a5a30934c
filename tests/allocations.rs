//! Nothing is allocated for a packet of an established connection while nobody watches packets.
//!
//! Two engines talk to each other in memory. What they allocate is counted from the moment at which everything has its
//! size: buffers that grow with the first packets have grown then.
#![allow(unsafe_code)]

use smoltcp::time::{Duration, Instant};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use tcplab::engine::{Config, Engine};
use tcplab::event::Watch;
use tcplab::service::Connection;

/// The system's allocator, counting.
struct Counting;

thread_local! {
    /// How often this thread has asked for memory.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller has promised.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MTU: usize = 1500;

/// Two engines and the packets between them.
struct Pair {
    engines: [Engine; 2],
    /// What is under way to each, in places that are used again.
    under_way: [VecDeque<(usize, Box<[u8]>)>; 2],
    unused: Vec<Box<[u8]>>,
    now: Instant,
}

impl Pair {
    fn new<F, Fut>(watch: Watch, port: u16, client: F) -> Pair
    where
        F: FnOnce(Connection) -> Fut + 'static,
        Fut: Future<Output = io::Result<()>> + 'static,
    {
        let engine = |address: &str| {
            let mut config = Config::new([address.parse().unwrap()]);
            config.watch = watch;
            config.mtu = MTU;
            Engine::new(config)
        };
        let mut server = engine("192.0.2.2/24");
        server.serve_standard("");
        let mut one = engine("192.0.2.1/24");
        let peer = format!("192.0.2.2:{port}").parse().unwrap();
        one.connect_tcp(Instant::ZERO, "test", None, peer, client)
            .unwrap();
        Pair {
            engines: [one, server],
            under_way: [VecDeque::with_capacity(4096), VecDeque::with_capacity(4096)],
            unused: (0..8192).map(|_| vec![0; MTU].into()).collect(),
            now: Instant::ZERO,
        }
    }

    /// Lets at least so many packets arrive, and says how many there were.
    fn carry(&mut self, least: usize) -> usize {
        let mut carried = 0;
        while carried < least {
            let before = carried;
            for side in 0..2 {
                self.drain(side);
                while let Some((len, mut packet)) = self.under_way[side].pop_front() {
                    self.engines[side].handle_packet(self.now, &mut packet[..len]);
                    self.unused.push(packet);
                    self.drain(side);
                    carried += 1;
                }
            }
            // Whoever waits for a delayed acknowledgment gets it.
            self.now += Duration::from_millis(if carried == before { 5 } else { 1 });
            for engine in &mut self.engines {
                engine.handle_timeout(self.now);
            }
        }
        carried
    }

    fn drain(&mut self, side: usize) {
        loop {
            let mut packet = self.unused.pop().expect("windows are smaller than that");
            let Some(sent) = self.engines[side].poll_transmit(self.now, &mut packet) else {
                self.unused.push(packet);
                while self.engines[side].poll_event().is_some() {}
                return;
            };
            self.under_way[1 - side].push_back((sent.len, packet));
        }
    }
}

/// How often memory is asked for, and for how many packets, when everything has its size.
fn allocations<F, Fut>(watch: Watch, port: u16, client: F) -> (usize, usize)
where
    F: FnOnce(Connection) -> Fut + 'static,
    Fut: Future<Output = io::Result<()>> + 'static,
{
    let mut pair = Pair::new(watch, port, client);
    pair.carry(5_000);
    let before = ASKED.get();
    let carried = pair.carry(20_000);
    (ASKED.get() - before, carried)
}

#[track_caller]
fn check<F, Fut>(port: u16, client: F)
where
    F: FnOnce(Connection) -> Fut + Clone + 'static,
    Fut: Future<Output = io::Result<()>> + 'static,
{
    for watch in [Watch::Nothing, Watch::Transitions] {
        let (asked, carried) = allocations(watch, port, client.clone());
        assert_eq!(asked, 0, "allocations for {carried} packets, {watch:?}");
    }
}

#[test]
fn allocations_for_those_who_watch_are_counted() {
    let client = |conn: Connection| async move { conn.drain().await };
    let (asked, carried) = allocations(Watch::Everything, 19, client);
    assert!(
        asked >= carried,
        "{asked} allocations for {carried} packets"
    );
}

#[test]
fn a_byte_there_and_back() {
    check(7, |conn| async move {
        loop {
            conn.write_all(b"x").await?;
            conn.read(&mut [0]).await?;
        }
    });
}

#[test]
fn bulk_that_arrives() {
    check(9, |conn| async move {
        let data = [b'x'; 4096];
        loop {
            conn.write_all(&data).await?;
        }
    });
}

#[test]
fn bulk_that_leaves() {
    check(19, |conn| async move { conn.drain().await });
}
