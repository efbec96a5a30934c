//! Shows what happens: the ladder on standard error while it happens, the summary at the end, and the log.

use super::args::Show;
use super::files;
use super::plan::events_are_logged;
use crate::event::{Event, Watch};
use crate::sink::ladder::{Ladder, Options};
use crate::sink::metrics::Metrics;
use crate::sink::{Screen, Sink, log as log_lines, summary};
use crate::sys::http::PageServer;
use crate::view::View;
use crate::words::Lang;
use anyhow::Context;
use smoltcp::time::{Duration, Instant};
use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;

pub(super) use crate::sink::log::TARGET as LOG_TARGET;

/// A terminal wider than that many columns is not made use of; what goes to a file is that wide.
const WIDTH: usize = 100;

/// Whoever looks at a run.
pub(super) struct Watcher {
    view: View,
    ladder: Option<Ladder>,
    screen: Screen,
    lang: Lang,
    whole: bool,
    logs: bool,
    /// What else is kept, with the name of each for people.
    sinks: Vec<(String, Box<dyn Sink>)>,
    /// Serves the metrics while it lives.
    _metrics: Option<PageServer>,
    /// What is drawn and not yet written.
    drawn: Vec<u8>,
}

impl Watcher {
    /// `epoch` is what the calendar said at [`Instant::ZERO`], as time since 1970. `time_wait` is how long our TIME-WAIT
    /// lasts, where that is known.
    pub(super) fn new(
        show: &Show,
        epoch: std::time::Duration,
        time_wait: Option<Duration>,
    ) -> anyhow::Result<Watcher> {
        let screen = screen();
        let options = Options {
            screen,
            verbose: show.verbose,
            explain: show.depth(),
            lang: show.lang(),
            time_wait,
            keep: show.whole,
        };
        let mut sinks = files::open(show, epoch)?;
        let metrics = show
            .metrics
            .map(|address| serve_metrics(address, show.quiet, &mut sinks))
            .transpose()?;
        Ok(Watcher {
            view: View::new(),
            ladder: (!show.quiet).then(|| Ladder::new(options)),
            screen,
            lang: show.lang(),
            whole: show.whole,
            logs: events_are_logged() || log::log_enabled!(target: LOG_TARGET, log::Level::Warn),
            sinks,
            _metrics: metrics,
            drawn: Vec::new(),
        })
    }

    /// The same for events of a capture.
    pub(super) fn of_capture(show: &Show, epoch: std::time::Duration) -> anyhow::Result<Watcher> {
        Ok(Watcher {
            view: View::of_capture(),
            ..Watcher::new(show, epoch, None)?
        })
    }

    /// How much it wants to be told.
    pub(super) fn wants(&self) -> Watch {
        if self.ladder.is_some() || events_are_logged() || !self.sinks.is_empty() {
            Watch::Everything
        } else {
            // Quiet runs still need to know when a client program of ours is done.
            Watch::Transitions
        }
    }

    /// Peers' kernels will be asked about their ends.
    pub(super) fn peers_are_asked(&mut self) {
        if let Some(ladder) = &mut self.ladder {
            ladder.peers_are_asked();
        }
    }

    /// Takes one event in.
    pub(super) fn event(&mut self, event: &Event) {
        if self.ladder.is_none() && !self.logs && self.sinks.is_empty() {
            return;
        }
        self.view.event(event);
        if let Some(ladder) = &mut self.ladder {
            // Writing into memory does not fail.
            let _ = ladder.event(&self.view, event, &mut self.drawn);
        }
        if self.logs
            && let Some((level, line)) = log_lines::line(&self.view, event)
        {
            log::log!(target: LOG_TARGET, level, "{line}");
        }
        let view = &self.view;
        keep_working(&mut self.sinks, |sink| sink.event(view, event));
    }

    /// Shows what was taken in: to be called when nothing more happens for now.
    pub(super) fn flush(&mut self) {
        keep_working(&mut self.sinks, |sink| sink.flush());
        let Some(ladder) = &mut self.ladder else {
            return;
        };
        let _ = ladder.flush(&mut self.drawn);
        self.write();
    }

    /// The time of the newest event.
    pub(super) fn now(&self) -> Instant {
        self.view.now()
    }

    /// Shows the summary: the run is over `now`.
    pub(super) fn finish(mut self, now: Instant) {
        self.flush();
        self.view.advance(now);
        let view = &self.view;
        keep_working(&mut self.sinks, |sink| sink.finish(view));
        let Some(ladder) = &self.ladder else { return };
        if self.whole && self.view.flows().len() > 1 {
            for flow in self.view.flows() {
                let _ = writeln!(self.drawn);
                let _ = ladder.whole(flow.id, &mut self.drawn);
            }
        }
        if self.view.is_empty() {
            let _ = writeln!(self.drawn, "{}", self.lang.nobody_came());
            return self.write();
        }
        let _ = writeln!(self.drawn);
        let _ = summary::write(&self.view, self.lang, self.screen, &mut self.drawn);
        self.write();
    }

    fn write(&mut self) {
        if self.drawn.is_empty() {
            return;
        }
        if io::stderr().lock().write_all(&self.drawn).is_err() {
            // Nobody can see it any more, and there is no other place to say so. The run goes on.
            self.ladder = None;
        }
        self.drawn.clear();
    }
}

fn serve_metrics(
    address: SocketAddr,
    quiet: bool,
    sinks: &mut Vec<(String, Box<dyn Sink>)>,
) -> anyhow::Result<PageServer> {
    let metrics = Metrics::new();
    let page = metrics.page();
    let server = PageServer::start(address, move || page.text())
        .with_context(|| format!("cannot serve metrics at {address}"))?;
    if !quiet {
        // Who can't read it knows the address that was asked for.
        let _ = writeln!(io::stderr(), "metrics: http://{}/metrics", server.address());
    }
    sinks.push(("metrics".to_owned(), Box::new(metrics)));
    Ok(server)
}

/// Lets every sink do something, and takes out those that can't any more.
fn keep_working(
    sinks: &mut Vec<(String, Box<dyn Sink>)>,
    mut work: impl FnMut(&mut dyn Sink) -> io::Result<()>,
) {
    sinks.retain_mut(|(name, sink)| match work(sink.as_mut()) {
        Ok(()) => true,
        // Whoever reads from a pipe may have seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => false,
        Err(error) => {
            log::error!("{name}: {error}; it is given up, the run goes on");
            false
        }
    });
}

/// What standard error can show.
pub(super) fn screen() -> Screen {
    let terminal = io::stderr().is_terminal();
    let width =
        terminal_size::terminal_size_of(io::stderr()).map_or(WIDTH, |(width, _)| width.0.into());
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    Screen {
        width,
        // https://no-color.org: any value that is not empty.
        colour: terminal
            && set("NO_COLOR").is_none()
            && env::var_os("TERM").is_none_or(|term| term != "dumb"),
        // locale(7): the first of these that is set decides about characters.
        unicode: ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| set(name))
            .is_none_or(|locale| {
                let locale = locale.to_string_lossy().to_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            }),
    }
}

/// Sets the log up: `RUST_LOG` decides, and where it is not set, warnings are shown; quiet runs only show errors.
pub(super) fn start_log(show: &Show) {
    let default = match (show.quiet, show.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        // The ladder shows them all.
        (false, _) => "warn,tcplab::event=off",
    };
    let env = env_logger::Env::default().default_filter_or(default);
    env_logger::Builder::from_env(env)
        .format_timestamp_micros()
        .init();
}
