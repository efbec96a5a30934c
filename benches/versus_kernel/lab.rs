//! The namespaces, the servers in them, and the connections that are held open.

use crate::options::Options;
use crate::{Result, client, server};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A process may hold 20,000 descriptors on machines with usual limits.
const PER_HOLDER: usize = 15_000;
/// So long after the last idle connection its server's memory is looked at.
const SETTLES: Duration = Duration::from_secs(8);

/// Everything that runs while it is measured.
pub(crate) struct Lab {
    pub(crate) servers: Vec<Server>,
}

/// A server that is measured.
pub(crate) struct Server {
    pub(crate) name: String,
    /// The interface through which it is reached.
    interface: String,
    /// It answers at host 2 and the hosts 100 to 254 of this network of 256 addresses.
    pub(crate) network: Ipv4Addr,
    /// How many bytes of resident memory each of its idle connections costs.
    pub(crate) idle_bytes: Option<f64>,
    process: Process,
    /// Keep idle connections.
    _holders: Vec<Process>,
}

impl Lab {
    /// Makes the network of this namespace, starts all servers and opens all idle connections.
    pub(crate) fn open(options: &Options) -> Result<Lab> {
        ip("link set lo up")?;
        // A client that closes first keeps the port for a minute; many of them are needed here.
        set("ip_local_port_range", "1024 65535")?;
        set("tcp_max_tw_buckets", "2000000")?;
        let mut servers = vec![Server::kernel()?];
        servers.push(Server::tcplab(options, "tcplab", 1, &[])?);
        if options.has_variant("tuntap") {
            make_tun(6)?;
            servers.push(Server::tcplab(options, "tuntap", 6, &[])?);
        }
        if let Some(program) = &options.other {
            let mut other = options.clone();
            other.tcplab.clone_from(program);
            servers.push(Server::tcplab(&other, "other", 7, &[])?);
            if options.has_variant("tuntap") {
                make_tun(8)?;
                servers.push(Server::tcplab(&other, "other-tuntap", 8, &[])?);
            }
        }
        if options.has_variant("json") {
            let json = ["--json", "/dev/shm/tcplab-versus-kernel.json"];
            servers.push(Server::tcplab(options, "json", 2, &json)?);
            // It is written to all the same, and its memory is given back at the end.
            let _ = fs::remove_file(json[1]);
        }
        if options.has_variant("transitions") {
            servers.push(Server::own(options, "transitions", server::TRANSITIONS, 3)?);
        }
        if options.has_variant("rules") {
            // They are asked about every packet, and about none.
            let rules = [
                "port 4: drop in data",
                "drop out SYN-ACK #1000",
                "delay 1s in FIN #1000",
            ];
            let rules: Vec<&str> = rules.iter().flat_map(|rule| ["--rule", rule]).collect();
            servers.push(Server::tcplab(options, "rules", 4, &rules)?);
        }
        if options.has_variant("floor") {
            servers.push(Server::own(options, "floor", server::FLOOR, 5)?);
        }
        for (index, idle) in options.idle().into_iter().enumerate() {
            let name = format!("idle-{idle}");
            let mut server = Server::tcplab(options, &name, 10 + index as u8, &[])?;
            server.hold(idle)?;
            servers.push(server);
        }
        Ok(Lab { servers })
    }
}

impl Server {
    fn kernel() -> Result<Server> {
        let mut command = Command::new("unshare");
        command.args(["--net"]).arg(env::current_exe()?);
        let process = Process::start(command.arg(server::KERNEL))?;
        let peer = process.child.id();
        ip(&format!(
            "link add veth0 type veth peer name veth1 netns {peer}"
        ))?;
        ip("addr add 198.18.0.1/24 dev veth0")?;
        ip("link set veth0 up")?;
        ip("route add 198.19.0.0/24 via 198.18.0.2")?;
        for line in [
            "link set lo up",
            "addr add 198.18.0.2/24 dev veth1",
            "link set veth1 up",
            "route add local 198.19.0.0/24 dev lo",
        ] {
            let mut inside = Command::new("nsenter");
            let namespace = format!("--net=/proc/{peer}/ns/net");
            succeed(inside.arg(namespace).arg("ip").args(line.split(' ')))?;
        }
        Ok(Server {
            name: "kernel".into(),
            interface: "veth0".into(),
            network: Ipv4Addr::new(198, 19, 0, 0),
            idle_bytes: None,
            process,
            _holders: Vec::new(),
        })
    }

    fn tcplab(options: &Options, name: &str, index: u8, more: &[&str]) -> Result<Server> {
        let network = Ipv4Addr::new(198, 18, index, 0);
        let mut command = Command::new(&options.tcplab);
        command.args(["serve", "--quiet", "--tun", &format!("tun{index}")]);
        command.args(["--addr", &format!("{}/24", host(network, 2))]);
        command.args(more).args(&options.serve);
        if options.offload {
            command.arg("--offload");
        }
        Ok(Server {
            name: name.into(),
            interface: format!("tun{index}"),
            network,
            idle_bytes: None,
            process: Process::start(&mut command)?,
            _holders: Vec::new(),
        })
    }

    /// One that this program is itself, in a role.
    fn own(options: &Options, name: &str, role: &str, index: u8) -> Result<Server> {
        let network = Ipv4Addr::new(198, 18, index, 0);
        let mut command = Command::new(env::current_exe()?);
        command.args([role, &format!("tun{index}")]);
        command.args([host(network, 2).to_string(), options.offload.to_string()]);
        Ok(Server {
            name: name.into(),
            interface: format!("tun{index}"),
            network,
            idle_bytes: None,
            process: Process::start(&mut command)?,
            _holders: Vec::new(),
        })
    }

    /// Opens idle connections, with the help of as many processes as it takes.
    fn hold(&mut self, count: usize) -> Result<()> {
        let before = self.process.resident()?;
        let mut left = count;
        while left > 0 {
            let some = left.min(PER_HOLDER);
            let mut command = Command::new(env::current_exe()?);
            command.args([
                client::ROLE,
                "hold",
                &self.network.to_string(),
                &some.to_string(),
            ]);
            self._holders.push(Process::start(&mut command)?);
            left -= some;
        }
        thread::sleep(SETTLES);
        let grown = self.process.resident()?.saturating_sub(before);
        self.idle_bytes = Some(grown as f64 / count as f64);
        Ok(())
    }

    /// Puts it on one CPU.
    pub(crate) fn pin(&self, cpu: usize) -> Result<()> {
        pin(Pid::from_raw(self.process.child.id() as i32), cpu)
    }

    /// How many packets on their way to it were dropped at its interface so far.
    pub(crate) fn dropped(&self) -> Result<f64> {
        // Behind the name eight columns of what is received, and four of what is sent.
        const DROPPED: usize = 11;
        let table = fs::read_to_string("/proc/self/net/dev")?;
        let mut lines = table.lines().filter_map(|line| line.split_once(':'));
        let (_, columns) = lines
            .find(|(name, _)| name.trim() == self.interface)
            .ok_or("no such interface")?;
        let dropped = columns.split_whitespace().nth(DROPPED).unwrap_or_default();
        Ok(dropped.parse()?)
    }

    /// Seconds of CPU that its process has used so far.
    pub(crate) fn cpu_time(&self) -> Result<f64> {
        cpu_time(self.process.child.id())
    }
}

/// A process that says in one line when it is ready, and does not outlive us.
struct Process {
    child: Child,
}

impl Process {
    fn start(command: &mut Command) -> Result<Process> {
        let what = format!("{command:?}");
        command.stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process {
            child: command.spawn()?,
        };
        let stderr = process.child.stderr.take().expect("it is a pipe");
        let mut said = BufReader::new(stderr);
        let mut line = String::new();
        said.read_line(&mut line)?;
        if !line.starts_with("ready") {
            said.read_to_string(&mut line)?;
            return Err(format!("{what}: {line}").into());
        }
        // What is said later is read and thrown away, so that nobody waits.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Ok(process)
    }

    /// Resident memory in bytes.
    fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mut words = status
            .split_whitespace()
            .skip_while(|word| *word != "VmRSS:");
        let kilobytes: u64 = words.nth(1).ok_or("no VmRSS")?.parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of CPU that the first thread of a process has used so far.
pub(crate) fn cpu_time(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat"))?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}

/// A host of a network of 256 addresses.
pub(crate) fn host(network: Ipv4Addr, number: u8) -> Ipv4Addr {
    let [a, b, c, _] = network.octets();
    Ipv4Addr::new(a, b, c, number)
}

/// Puts a process on one CPU; where there is only one, there it is.
pub(crate) fn pin(process: Pid, cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    match sched_setaffinity(process, &set) {
        Err(nix::errno::Errno::EINVAL) if cpu > 0 => pin(process, 0),
        result => Ok(result?),
    }
}

fn ip(arguments: &str) -> Result<()> {
    succeed(Command::new("ip").args(arguments.split(' ')))
}

/// Makes a TUN as people do, with the kernel's own queue of 500 packets.
fn make_tun(index: u8) -> Result<()> {
    ip(&format!("tuntap add tun{index} mode tun"))?;
    ip(&format!("addr add 198.18.{index}.1/24 dev tun{index}"))?;
    ip(&format!("link set tun{index} up"))
}

fn set(name: &str, value: &str) -> Result<()> {
    Ok(fs::write(
        Path::new("/proc/sys/net/ipv4").join(name),
        value,
    )?)
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {said}").into())
}
