//! `--metrics`: what Prometheus would read while a command runs in its lab.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The address and the path that the first line on standard error names.
fn page_of(tcplab: &mut Child) -> (String, String) {
    let mut first = String::new();
    BufReader::new(tcplab.stderr.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let url = first
        .trim()
        .strip_prefix("metrics: http://")
        .unwrap_or_else(|| panic!("{first}"));
    let (address, path) = url.split_once('/').unwrap();
    (address.to_owned(), path.to_owned())
}

#[test]
fn counters_can_be_read_while_a_command_runs() {
    // The command waits for its standard input to end, so that there is time to look.
    let mut tcplab = Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(["run", "--metrics", "0", "--", "sh", "-c"])
        .arg("curl -sS -o /dev/null http://lab.test/ && echo done && cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (address, path) = page_of(&mut tcplab);
    let mut done = String::new();
    BufReader::new(tcplab.stdout.take().unwrap())
        .read_line(&mut done)
        .unwrap();
    assert_eq!(done, "done\n");

    let page = get(&address, &format!("/{path}"));
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(
        page.contains("tcplab_handshakes_total{result=\"completed\"} 1\n"),
        "{page}"
    );
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(get(&address, "/").starts_with("HTTP/1.1 404"));

    drop(tcplab.stdin.take());
    assert!(tcplab.wait().unwrap().success());
    assert!(
        TcpStream::connect(&address).is_err(),
        "nothing is served after the end"
    );
}

/// Silent connections, and ones that never finish their request, keep nobody out.
#[test]
fn silent_connections_make_room() {
    let mut tcplab = Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(["run", "--metrics", "0", "--", "cat"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (address, _) = page_of(&mut tcplab);
    let silent: Vec<TcpStream> = (0..40)
        .map(|number| {
            let mut stream = TcpStream::connect(&address).unwrap();
            if number % 2 == 1 {
                // Half a request is none. One that was closed already can't take it.
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
            }
            stream
        })
        .collect();
    for _ in 0..20 {
        let page = get(&address, "/metrics");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    }
    // All of them are closed at last, without a word.
    for mut stream in silent {
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        match stream.read(&mut [0; 16]) {
            Ok(len) => assert_eq!(len, 0),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
    drop(tcplab.stdin.take());
    assert!(tcplab.wait().unwrap().success());
}

#[test]
fn an_address_that_is_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(["run", "--metrics", &port, "--", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(&format!(
            "cannot serve metrics at 127.0.0.1:{port}: Address already in use"
        )),
        "{said}"
    );
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}
