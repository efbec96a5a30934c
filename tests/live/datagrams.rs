//! UDP and ICMP.

use crate::rig::{run, run_python};

const CLIENT: &str = "import socket, sys
server, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((server, port))
data = bytes(i * 7 % 251 for i in range(size))
s.send(data)
try: print(s.recv(65536) == data)
except ConnectionRefusedError: print('refused')
";

#[test]
fn echoed_whole_in_fragments_too() {
    for server in ["192.0.2.2", "2001:db8::2"] {
        for size in ["0", "1", "1400", "1472", "1473", "5000", "65000"] {
            run_python(&["-q"], CLIENT, &[server, "7", size]).expect(0, "True\n");
        }
    }
}

#[test]
fn a_closed_port_is_told() {
    for server in ["192.0.2.2", "2001:db8::2"] {
        let said = run_python(&["-v"], CLIENT, &[server, "4", "10"]).expect(0, "refused\n");
        said.shows(&["in udp (10)", "out icmp"]);
    }
}

#[test]
fn pings_are_answered() {
    for version in ["-4", "-6"] {
        for size in ["56", "3000"] {
            let line = format!("ping {version} -n -c 2 -i 0.2 -W 5 -s {size} lab.test");
            let said = run(&["-v"], &line);
            assert_eq!(said.code, 0, "{said:?}");
            assert!(
                said.text().contains(" 2 received, 0% packet loss"),
                "{}",
                said.text()
            );
            assert!(!said.text().contains("wrong"), "{}", said.text());
            said.shows(&["in icmp", "echo request", "out icmp", "echo reply"]);
        }
    }
}
