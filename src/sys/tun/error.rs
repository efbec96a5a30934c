//! Why a TUN could not be had, and what mends it.

use std::fmt;

use nix::errno::Errno;
use smoltcp::wire::IpCidr;

use super::DEVICE;

/// Why a TUN could not be had. The text says what was tried and, on a second line, what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunError {
    /// There is no `/dev/net/tun`, or no driver behind it (ENOENT, ENODEV, ENXIO).
    NoDevice,
    /// `/dev/net/tun` may not be opened: EACCES by its mode, EPERM in a container that was not given it.
    DeviceForbidden {
        /// EACCES or EPERM.
        errno: Errno,
    },
    /// `/dev/net/tun` can't be opened for another reason.
    DeviceFailed {
        /// As open(2) gave it.
        errno: Errno,
    },
    /// No interface can have this name.
    BadName {
        /// The name asked for.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another process has this TUN open.
    Busy {
        /// The interface.
        name: String,
    },
    /// It has to be made, which takes CAP_NET_ADMIN, or it belongs to another user.
    Forbidden {
        /// The interface.
        name: String,
    },
    /// There is an interface of that name, and it is no TUN.
    NotATun {
        /// The interface.
        name: String,
    },
    /// It exists, is down, and we may not bring it up.
    Down {
        /// The interface.
        name: String,
    },
    /// Another interface has an address in the same network: what goes there would go to the TUN instead.
    Overlap {
        /// The network that was asked for.
        network: IpCidr,
        /// The other interface.
        interface: String,
        /// Its address.
        address: IpCidr,
    },
    /// Offload was asked for, and the driver knows no IFF_VNET_HDR.
    NoOffload,
    /// Something else failed.
    Os {
        /// What was under way: `configure`, …
        what: &'static str,
        /// The interface.
        name: String,
        /// The kernel's answer.
        errno: Errno,
    },
}

impl TunError {
    /// Opening the device failed.
    pub(in crate::sys) fn device(errno: Errno) -> TunError {
        match errno {
            Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => TunError::NoDevice,
            Errno::EACCES | Errno::EPERM => TunError::DeviceForbidden { errno },
            _ => TunError::DeviceFailed { errno },
        }
    }

    /// Making the interface, or attaching to it, failed (TUNSETIFF).
    pub(in crate::sys) fn interface(name: &str, errno: Errno) -> TunError {
        let name = name.into();
        match errno {
            Errno::EBUSY => TunError::Busy { name },
            Errno::EPERM => TunError::Forbidden { name },
            // The name was checked before, so it's the existing interface that doesn't fit.
            Errno::EINVAL => TunError::NotATun { name },
            _ => TunError::Os {
                what: "open",
                name,
                errno,
            },
        }
    }

    /// What went wrong, in one line.
    pub fn what(&self) -> String {
        match self {
            TunError::NoDevice => format!("{DEVICE} is missing"),
            TunError::DeviceForbidden { errno } | TunError::DeviceFailed { errno } => {
                format!("cannot open {DEVICE}: {}", errno.desc())
            }
            TunError::BadName { name, why } => format!("no TUN can be named {name:?}: {why}"),
            TunError::Busy { name } => format!("the TUN {name} is in use by another process"),
            TunError::Forbidden { name } => format!(
                "cannot open the TUN {name}: making one needs CAP_NET_ADMIN, \
                 and one that exists must belong to this user"
            ),
            TunError::NotATun { name } => format!("the interface {name} exists and is not a TUN"),
            TunError::Down { name } => format!("the TUN {name} is down"),
            TunError::Overlap {
                network,
                interface,
                address,
            } => format!("the network of {network} is in use here: {interface} has {address}"),
            TunError::NoOffload => format!("{DEVICE} does not support offload (IFF_VNET_HDR)"),
            TunError::Os { what, name, errno } => {
                format!("cannot {what} the TUN {name}: {}", errno.desc())
            }
        }
    }

    /// What the user can do about it.
    pub fn mend(&self) -> Option<String> {
        Some(match self {
            TunError::NoDevice => format!(
                "load the driver with `sudo modprobe tun`; if that doesn't make the file, \
                 `sudo mkdir -p /dev/net && sudo mknod -m 0666 {DEVICE} c 10 200`; \
                 in a container, start it with `--device {DEVICE}`"
            ),
            TunError::DeviceForbidden {
                errno: Errno::EPERM,
            } => format!("in a container, start it with `--device {DEVICE}`"),
            TunError::Overlap { .. } => "choose another network with --addr ADDRESS/PREFIX, \
                 or use `tcplab run`, whose network is private"
                .into(),
            TunError::DeviceForbidden { .. } => format!("`sudo chmod 0666 {DEVICE}`"),
            TunError::BadName { .. } => "choose another name, such as tcplab0".into(),
            TunError::Busy { .. } => {
                "end the process that has it open, or choose another name".into()
            }
            TunError::Forbidden { name } => format!(
                "make it once for this user with `sudo setup/tun.sh up {name}`, \
                 or use `tcplab run`, which needs no privilege"
            ),
            TunError::NotATun { .. } => "choose another name".into(),
            TunError::NoOffload => "leave --offload out".into(),
            TunError::Down { name } => format!("`sudo ip link set {name} up`"),
            TunError::DeviceFailed { .. } | TunError::Os { .. } => return None,
        })
    }
}

impl fmt::Display for TunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        self.mend()
            .map_or(Ok(()), |mend| write!(f, "\n  to mend it: {mend}"))
    }
}

impl std::error::Error for TunError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_words_and_mend() {
        #[track_caller]
        fn check(error: TunError, what: &str, mend: &str) {
            let text = error.to_string();
            assert!(text.contains(what), "{text}");
            assert!(text.contains(mend), "{text}");
        }
        check(TunError::device(Errno::ENOENT), "missing", "modprobe tun");
        check(TunError::device(Errno::ENODEV), "missing", "mknod");
        check(TunError::device(Errno::EACCES), "denied", "chmod 0666");
        check(TunError::device(Errno::EPERM), "not permitted", "--device");
        check(TunError::device(Errno::EMFILE), "open files", "");
        check(
            TunError::interface("t0", Errno::EBUSY),
            "t0",
            "another name",
        );
        check(
            TunError::interface("t0", Errno::EPERM),
            "CAP_NET_ADMIN",
            "setup/tun.sh up t0",
        );
        check(TunError::interface("lo", Errno::EINVAL), "lo", "not a TUN");
        check(TunError::NoOffload, "IFF_VNET_HDR", "--offload");
        check(
            TunError::Down { name: "t0".into() },
            "is down",
            "ip link set t0 up",
        );
    }
}
