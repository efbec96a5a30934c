//! Reports: the files that `--report` writes are well formed, the same for the same seed, and drawn by a real browser.

use smoltcp::time::{Duration, Instant};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use tcplab::engine::{Config, Engine};
use tcplab::event::Event;
use tcplab::sim::{Side, Sim, random_loss};
use tcplab::sink::Sink;
use tcplab::sink::report::{Format, Report};
use tcplab::view::View;
use tcplab::words::Lang;

/// A directory of this test's own.
fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}"));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn tcplab(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(args: &[&str], dir: &Path) {
    let output = tcplab(args, dir);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tcplab {args:?}: {errors}");
}

/// What the right one of two engines tells of several connections over a wire that loses some percent of the packets.
fn lossy(connections: usize, bytes: usize, percent: u8) -> Vec<Event> {
    let engine = |prefix: &str| {
        let mut config = Config::new([prefix.parse().unwrap()]);
        config.seed = 7;
        Engine::new(config)
    };
    let mut server = engine("192.0.2.2/24");
    server.serve_standard("123");
    let mut sim = Sim::new(engine("192.0.2.1/24"), server, Duration::from_millis(5));
    sim.lose(random_loss(percent, 1));
    for _ in 0..connections {
        let now = sim.now();
        let peer = "192.0.2.2:7".parse().unwrap();
        let client = move |conn: tcplab::service::Connection| async move {
            conn.write_all(&vec![b'x'; bytes]).await?;
            let mut missing = bytes;
            while missing > 0 {
                missing -= conn.read_up_to(missing).await?.len();
            }
            conn.close().await?;
            conn.drain().await
        };
        let opened = sim.left().connect_tcp(now, "client", None, peer, client);
        opened.unwrap();
    }
    sim.run_until(Instant::from_secs(120));
    let events = std::iter::from_fn(|| sim.poll_event());
    events
        .filter(|(side, _)| *side == Side::Right)
        .map(|(_, event)| event)
        .collect()
}

fn written(events: &[Event], format: Format) -> String {
    let mut out = Vec::new();
    let mut report = Report::new(&mut out, format, Lang::En);
    let mut view = View::new();
    for event in events {
        view.event(event);
        report.event(&view, event).unwrap();
    }
    report.finish(&view).unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(text: &str) -> roxmltree::Document<'_> {
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    roxmltree::Document::parse_with_options(text, options).unwrap()
}

/// Every id once, every link inside leads somewhere, nothing is fetched and nothing runs.
#[track_caller]
fn is_self_contained(text: &str) {
    let document = parsed(text);
    let elements = || document.descendants().filter(|node| node.is_element());
    let mut ids: Vec<&str> = elements().filter_map(|node| node.attribute("id")).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands twice");
    for node in elements() {
        let name = node.tag_name().name();
        assert!(
            !matches!(name, "script" | "img" | "link" | "iframe"),
            "<{name}>"
        );
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on") && name != "src", "{name}={value}");
            if name == "href" {
                let target = value.strip_prefix('#').unwrap();
                assert!(ids.contains(&target), "{value} leads nowhere");
            }
            assert!(
                !value.contains("NaN") && !value.contains("inf,"),
                "{name}={value}"
            );
        }
    }
    assert!(!text.contains("url(") && !text.contains("@import"));
}

#[test]
fn in_a_lab_the_peers_kernel_is_asked() {
    let dir = dir("asked");
    let arguments = [
        "run", "--quiet", "--report", "a.html", "--report", "a.md", "--report", "a.svg", "--",
        "nc", "-4", "-z", "lab.test", "7",
    ];
    succeeds(&arguments, &dir);
    for name in ["a.html", "a.md", "a.svg"] {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        assert!(text.contains("peer (asked)"), "{name}: {text}");
        assert!(!text.contains("peer (inferred)"), "{name}: {text}");
        // The band of a state that is only inferred is paler.
        assert!(!text.contains(" inferred\""), "{name}: {text}");
    }
}

#[test]
fn the_demonstration_is_reported_in_every_format() {
    let dir = dir("demo");
    let args =
        "demo --simulate --seed 1 -q --report x.html --report x.svg --report x.md --report x.mmd";
    succeeds(&args.split(' ').collect::<Vec<_>>(), &dir);
    let read = |name| fs::read_to_string(dir.join(name)).unwrap();
    let (html, svg) = (read("x.html"), read("x.svg"));
    is_self_contained(&html);
    is_self_contained(&svg);
    for text in [
        "SYN-RECEIVED",
        "请输入密码",
        "S. 0:0(0) ack 1",
        "RTT, min / avg / max",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let markdown = read("x.md");
    assert!(
        markdown.contains("| SYN / FIN | 1 / 1 | 1 / 1 |"),
        "{markdown}"
    );
    assert!(
        markdown.contains("```mermaid\nsequenceDiagram\n"),
        "{markdown}"
    );
    assert!(read("x.mmd").starts_with("sequenceDiagram\n"));
}

#[test]
fn the_same_events_make_the_same_file() {
    for (_, format) in Format::ALL {
        let [one, other] = [(); 2].map(|()| written(&lossy(2, 20_000, 5), format));
        assert!(one == other, "{format:?} differs");
    }
}

#[test]
fn long_and_lossy_runs_are_well_formed() {
    let events = lossy(25, 30_000, 5);
    for format in [Format::Html, Format::Svg] {
        is_self_contained(&written(&events, format));
    }
    let mermaid = written(&events, Format::Mermaid);
    assert!(
        mermaid.len() < 50_000,
        "Mermaid refuses {} bytes",
        mermaid.len()
    );
}

#[test]
fn figures_agree_with_the_segments() {
    let markdown = written(&lossy(1, 100_000, 5), Format::Markdown);
    let row = |name: &str| -> Vec<&str> {
        let start = format!("| {name} | ");
        let line = markdown.lines().find_map(|line| line.strip_prefix(&start));
        let line = line.unwrap_or_else(|| panic!("no {name} in {markdown}"));
        line.trim_end_matches(" |").split(" | ").collect()
    };
    assert_eq!(row("unique bytes"), ["100000", "100000"]);
    assert_ne!(row("data segments retransmitted"), ["0", "0"]);
    assert_eq!(row("window scale option"), ["3 (× 8)", "3 (× 8)"]);
    // The wire takes 5 ms each way.
    assert!(
        row("RTT, min / avg / max")[1].starts_with("10.000 / "),
        "{markdown}"
    );
}

#[test]
fn an_unknown_suffix_is_refused_before_anything_happens() {
    let dir = dir("suffix");
    for name in ["x.pdf", "x"] {
        let output = tcplab(&["demo", "--simulate", "--report", name], &dir);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(".html, .svg, .md, .mmd"), "{errors}");
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    let output = tcplab(&["demo", "--simulate", "--report", "missing/x.md"], &dir);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("cannot create missing/x.md"), "{errors}");
}

#[test]
fn a_browser_draws_it_by_day_and_at_night() {
    let dir = dir("browser");
    fs::write(
        dir.join("x.html"),
        written(&lossy(2, 60_000, 5), Format::Html),
    )
    .unwrap();
    fs::write(
        dir.join("x.svg"),
        written(&lossy(2, 20_000, 5), Format::Svg),
    )
    .unwrap();
    for (page, scheme, background) in [
        ("x.html", "1", [0xff, 0xff, 0xff]),
        ("x.html", "0", [0x14, 0x17, 0x1a]),
        ("x.svg", "1", [0xff, 0xff, 0xff]),
    ] {
        let picture = browser(&dir, page, scheme);
        let (width, height, pixels) = png(&picture);
        assert_eq!((width, height), (900, 1600), "{page} {scheme}");
        let paper = pixels.iter().filter(|pixel| **pixel == background).count();
        let all = width * height;
        // Most of it is paper, but by far not all.
        assert!(paper > all / 2, "{page} {scheme}: {paper} of {all}");
        assert!(
            paper < all * 49 / 50,
            "{page} {scheme}: {paper} of {all} are blank"
        );
    }
}

/// On a telephone nothing runs off the page, columns stay wide enough to read, and drawings are scrolled, not shrunk.
#[test]
fn a_narrow_screen_shows_all_of_it() {
    let dir = dir("narrow");
    fs::write(
        dir.join("report.html"),
        written(&lossy(3, 60_000, 5), Format::Html),
    )
    .unwrap();
    // It hides its failures, which is not good.
    let curl = [
        "sh",
        "-c",
        "curl -4 -sS --max-time 2 http://{host}/ || true",
    ];
    let audit = [
        "audit",
        "-q",
        "--only",
        "refuse,synack-lost-1",
        "--html",
        "audit.html",
        "--",
    ];
    let output = tcplab(&[&audit[..], &curl].concat(), &dir);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(dir.join("audit.html").exists(), "{said}");
    // How far page and cells reach over the edge, the lines of the highest cell, and the scale of the smallest drawing.
    let script = "<script>addEventListener('load', () => {\
        const all = (what) => [...document.querySelectorAll(what)];\
        const box = (one) => one.getBoundingClientRect();\
        const page = document.documentElement;\
        const say = {\
            page: page.scrollWidth - innerWidth,\
            cells: Math.max(...all('td, th').map((one) => box(one).right)) - innerWidth,\
            lines: Math.max(...all('tr:not(.remark) td').map((one) => \
                box(one).height / parseFloat(getComputedStyle(one).fontSize) / 1.5)),\
            drawings: Math.min(1, ...all('svg').map((one) => box(one).width / one.viewBox.baseVal.width)),\
        };\
        page.setAttribute('data-measured', Object.values(say).map((one) => Math.floor(one)).join(' '));\
    });</script></body>";
    for page in ["report.html", "audit.html"] {
        let text = fs::read_to_string(dir.join(page)).unwrap();
        let measuring = format!("measured-{page}");
        fs::write(dir.join(&measuring), text.replace("</body>", script)).unwrap();
        let dom = String::from_utf8(chromium(
            &dir,
            &measuring,
            &["--window-size=400,1600", "--dump-dom"],
        ))
        .unwrap();
        let (_, rest) = dom
            .split_once("data-measured=\"")
            .unwrap_or_else(|| panic!("{dom}"));
        let measured = rest.split('"').next().unwrap();
        let numbers: Vec<i64> = measured
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        let [too_wide, cut_off, lines, scale] = numbers[..] else {
            panic!("{measured}")
        };
        assert!(too_wide <= 0, "{page} is {too_wide} pixels too wide");
        assert!(
            cut_off <= 0,
            "{page} has a cell that ends {cut_off} pixels too far"
        );
        assert!(lines <= 5, "{page} has a cell of {lines} lines");
        assert_eq!(scale, 1, "{page} has a drawing that is shrunk");
    }
}

/// How long a browser may take for one page on a machine that does much else.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What Chromium shows of `page`; it must find nothing to complain about. `scheme` is 0 for dark and 1 for light.
fn browser(dir: &Path, page: &str, scheme: &str) -> Vec<u8> {
    let picture = dir.join(format!("{page}-{scheme}.png"));
    chromium(
        dir,
        page,
        &[
            "--window-size=900,1600",
            &format!("--blink-settings=preferredColorScheme={scheme}"),
            &format!("--screenshot={}", picture.display()),
        ],
    );
    fs::read(&picture).unwrap_or_else(|error| panic!("no picture of {page}: {error}"))
}

/// Lets Chromium load `page`; answers what it prints.
fn chromium(dir: &Path, page: &str, options: &[&str]) -> Vec<u8> {
    let profile = dir.join("profile");
    let mut child = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--hide-scrollbars"])
        .args(options)
        .arg("--enable-logging=stderr")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", dir.join(page).display()))
        .stdout(fs::File::create(dir.join("stdout")).unwrap())
        .stderr(fs::File::create(dir.join("stderr")).unwrap())
        .spawn()
        .expect("chromium cannot be started; setup/test.sh installs it");
    let begun = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("chromium is still busy with {page} after {PATIENCE:?}");
        }
        sleep(std::time::Duration::from_millis(50));
    }
    let said = fs::read_to_string(dir.join("stderr")).unwrap();
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(complaints.is_empty(), "{page}: {complaints:#?}");
    fs::read(dir.join("stdout")).unwrap()
}

/// Width, height and the colours of the pixels.
fn png(picture: &[u8]) -> (usize, usize, Vec<[u8; 3]>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(picture));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let samples = info.color_type.samples();
    let pixels = bytes[..info.buffer_size()]
        .chunks_exact(samples)
        .map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect();
    (info.width as usize, info.height as usize, pixels)
}
