//! A defect of tcplab costs the flow in which it shows: the others go on, and it is reported.

use crate::rig::{in_order, run, run_python, start, unshared};

/// Two hundred connections to echo, one of which meets a defect instead, and as many datagrams.
const ONE_OF_200: &str = r#"
import socket, sys
host, bad = sys.argv[1], sys.argv[2] != "0"
conns = [socket.create_connection((host, 66 if n == 99 and bad else 7)) for n in range(200)]
said = [bytes((n + at) % 256 for at in range(20000)).replace(b"!", b"?") for n in range(200)]

def hear(conn, count):
    heard = b""
    while len(heard) < count:
        more = conn.recv(count - len(heard))
        if not more:
            break
        heard += more
    return heard

for conn, text in zip(conns, said):
    conn.sendall(text[:10000])
if bad:
    conns[99].sendall(b"!")
lost = []
for n, (conn, text) in enumerate(zip(conns, said)):
    try:
        assert hear(conn, 10000) == text[:10000], n
        conn.sendall(text[10000:])
        assert hear(conn, 10000) == text[10000:], n
        conn.close()
    except ConnectionError as error:
        lost.append((n, type(error).__name__))
print(lost)
for n in range(2):
    datagram = socket.socket(type=socket.SOCK_DGRAM)
    datagram.settimeout(10)
    datagram.connect((host, 66))
    if bad:
        datagram.send(b"!")
    datagram.send(b"after it")
    print(datagram.recv(100).decode())
"#;

#[test]
fn one_of_200_connections_is_lost_and_reported() {
    let options = ["-q", "--defect-at", "66"];
    let said = run_python(&options, ONE_OF_200, &["192.0.2.2", "1"])
        .expect(70, "[(99, 'ConnectionResetError')]\nafter it\nafter it\n");
    // Of TCP one, of UDP one for two in the same place, and no word of the standard library's.
    said.shows(&[
        "tcplab: defect 1: a panic has cost the flow #100, tcp 192.0.2.2:66 <> 192.0.2.1:",
        "  at src/service/defect.rs:",
        ": a defect that was asked for\n",
        "  while the flow was being driven\n",
        "the last packets before it (text2pcap reads these lines)",
        "\n0000  45 00 ",
        "\nPlease report this",
        "tcplab: defect 2: a panic has cost the flow #",
        ", udp 192.0.2.2:66 <>",
        "\nPlease report this",
        "tcplab: 3 defects in all; of each place the first is printed above\n",
    ]);
    assert_eq!(said.stderr.matches("Please report").count(), 2, "{said:?}");
    assert!(!said.stderr.contains("panicked"), "{said:?}");

    // Without one, nothing is said.
    let said =
        run_python(&options, ONE_OF_200, &["192.0.2.2", "0"]).expect(0, "[]\nafter it\nafter it\n");
    assert_eq!(said.stderr, "");
}

#[test]
fn the_code_of_the_command_counts_first() {
    let line = "echo '!' | nc -N lab.test 66; exit 3";
    let said = run(&["--defect-at", "66"], line).expect_code(3);
    said.shows(&[
        "tcplab: defect 1: a panic has cost the flow #1, tcp",
        "a defect in tcplab ends it: a defect that was asked for",
        "ESTABLISHED → CLOSED (ABORT)",
        "defects in tcplab: 1",
    ]);
    let said = run(
        &["--lang", "zh", "-q", "--defect-at", "66"],
        "echo '!' | nc -N lab.test 66; true",
    );
    said.expect_code(70)
        .shows(&["tcplab：第 1 处缺陷：", "请把以上各行连同版本号"]);
}

#[test]
fn a_server_goes_on_counts_and_says_so_at_the_end() {
    let line = r#"
        PATH=$PATH:/usr/sbin:/sbin
        ip link set lo up
        mount -t tmpfs none /mnt
        "$TCPLAB" serve --quiet --defect-at 66 --metrics 127.0.0.1:9 2> /mnt/said &
        until grep -q ^ready /mnt/said; do kill -0 $! || exit 9; sleep 0.05; done
        for round in 1 2 3; do
            echo '!' | nc -N 192.0.2.2 66
            echo "round $round" | nc -N 192.0.2.2 7
        done
        curl -sS http://127.0.0.1:9/metrics | grep defects_total
        kill -TERM $!
        wait $!
        echo "code $?"
        cat /mnt/said
    "#;
    let said = start(&mut unshared(&["--mount", "--net"], line))
        .finish()
        .expect_code(0);
    in_order(
        said.text(),
        &[
            "round 1\nround 2\nround 3\ntcplab_defects_total 3\ncode 70\nready: ",
            "tcplab: defect 1: a panic has cost the flow #1, tcp",
            "Please report",
            "tcplab: 3 defects in all",
        ],
    );
}
