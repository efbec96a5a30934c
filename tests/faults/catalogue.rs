//! Each fault of the catalogue does on the wire what it promises.

use super::wire::{Crossed, LIMIT, Rig, http, lines};
use smoltcp::time::Duration;
use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use tcplab::fault::RuleSet;
use tcplab::fault::catalogue::{self, Fault, Outcome};

/// A request over HTTP that meets a fault.
struct Request {
    rig: Rig,
    wire: Vec<Crossed>,
    /// How it ended for the client, and when.
    result: io::Result<()>,
    took: Duration,
}

impl Request {
    fn to(fault: &Fault, prefix: &str) -> Request {
        let mut config = Rig::server();
        catalogue::add_to(&mut config.rules, &config.addresses);
        let mut rig = Rig::with(config);
        let address = fault.address_in(prefix.parse().unwrap()).unwrap();
        let ended = Rc::new(RefCell::new(None));
        let report = ended.clone();
        let flow = rig.connect_to(address, 80, move |conn| async move {
            let task = conn.task().clone();
            let result = http(conn).await;
            *report.borrow_mut() = Some((result, task.now()));
            Ok(())
        });
        rig.run(LIMIT + 15);
        let wire = rig.run(0).to_vec();
        let ended = ended.borrow_mut().take();
        let (result, at) = ended.unwrap_or_else(|| {
            assert!(rig.sim.left().has_program(flow) || true);
            (Err(io::ErrorKind::NotConnected.into()), rig.sim.now())
        });
        Request {
            rig,
            wire,
            result,
            took: at - smoltcp::time::Instant::ZERO,
        }
    }
}

#[test]
fn dump() {
    for fault in catalogue::faults() {
        let request = Request::to(fault, "192.0.2.2/24");
        println!("=== {} {:?} {}", fault.name, request.result, request.took);
        let lines = lines(&request.wire);
        for line in lines.iter().take(22) {
            println!("  {line}");
        }
        if lines.len() > 22 {
            println!("  ... {} {}", lines.len(), lines.last().unwrap());
        }
    }
}
