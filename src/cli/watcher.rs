//! Shows what happens: the ladder on standard error while it happens, the summary at the end, and the log.

use super::args::Show;
use super::files;
use super::live::{self, HeldLog};
use super::plan::events_are_logged;
use super::quiz::Quizzer;
use super::step::Stepper;
use crate::engine::Command;
use crate::event::{self, Defect, Event, EventKind, FlowId};
use crate::fault::RuleSet;
use crate::sink::ladder::{Ladder, Options};
use crate::sink::metrics::{Metrics, Page};
use crate::sink::story::Depth;
use crate::sink::{Screen, Sink, defect, log as log_lines, summary};
use crate::sys::clock::Clock;
use crate::sys::http::{Bound, PageServer};
use crate::sys::pty::Pty;
use crate::sys::wait::{Waiter, Watch};
use crate::ui::{Live, Pane, Request};
use crate::view::View;
use crate::words::Lang;
use anyhow::Context;
use smoltcp::time::{Duration, Instant};
use std::collections::BTreeSet;
use std::env;
use std::io::{self, IsTerminal, PipeReader, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time;

pub(super) use crate::sink::log::TARGET as LOG_TARGET;

/// A terminal wider than that many columns is not made use of; what goes to a file is that wide.
const WIDTH: usize = 100;

/// Defects of so many places are reported.
const MOST_REPORTS: usize = 20;

/// What is written to files waits so long for more.
const WAITS: time::Duration = time::Duration::from_millis(50);

/// Whoever looks at a run.
pub(super) struct Watcher {
    view: View,
    ladder: Option<Ladder>,
    screen: Screen,
    lang: Lang,
    rules: RuleSet,
    whole: bool,
    logs: bool,
    /// What else is kept, with the name of each for people.
    sinks: Vec<(String, Box<dyn Sink>)>,
    /// When they should write what they hold back.
    due: Option<time::Instant>,
    /// Whether one of these draws both ends.
    draws: bool,
    /// Where the metrics will be served, and what.
    metrics: Option<(Bound, Page)>,
    /// Serves them while it lives.
    _server: Option<PageServer>,
    /// What is drawn and not yet written.
    drawn: Vec<u8>,
    /// Whether a capture is watched.
    is_capture: bool,
    /// Whether a live screen is asked for; it is there once the run has begun.
    wants_live: bool,
    live: Option<Live>,
    stepper: Option<Stepper>,
    /// Decides what the ladder shows, and when.
    quizzer: Option<Quizzer>,
    log: HeldLog,
    /// Whether there is a summary at the end.
    sums_up: bool,
    /// What is said last.
    hints: Vec<String>,
    /// How many defects have shown, and of which places they were reported.
    defects: (u64, BTreeSet<String>),
}

impl Watcher {
    /// `epoch` is what the calendar said at [`Instant::ZERO`], as time since 1970. `time_wait` is how long our TIME-WAIT
    /// lasts, where that is known.
    pub(super) fn new(
        show: &Show,
        epoch: time::Duration,
        time_wait: Option<Duration>,
    ) -> anyhow::Result<Watcher> {
        if show.tui {
            live::check()?;
        }
        let screen = screen();
        let options = Options {
            screen,
            verbose: show.verbose,
            // A learner is told why.
            explain: match show.quiz {
                true => show.depth().max(Depth::Normal),
                false => show.depth(),
            },
            lang: show.lang(),
            time_wait,
            keep: show.whole,
        };
        let quizzer = match show.quiz {
            true => Some(Quizzer::new(show.lang()).context("--quiz needs standard input")?),
            false => None,
        };
        let mut sinks = files::open(show, epoch)?;
        let metrics = show
            .metrics
            .map(|address| bind_metrics(address, show.quiet, &mut sinks))
            .transpose()?;
        let mut ladder = (!show.quiet && !show.tui).then(|| Ladder::new(options));
        if show.quiz
            && let Some(ladder) = &mut ladder
        {
            ladder.count_from_initial_numbers();
        }
        Ok(Watcher {
            view: View::new(),
            ladder,
            screen,
            lang: show.lang(),
            rules: RuleSet::new(),
            whole: show.whole,
            logs: events_are_logged() || log::log_enabled!(target: LOG_TARGET, log::Level::Warn),
            sinks,
            due: None,
            draws: !show.report.is_empty(),
            metrics,
            _server: None,
            drawn: Vec::new(),
            is_capture: false,
            wants_live: show.tui,
            live: None,
            stepper: None,
            quizzer,
            log: show.log.clone(),
            sums_up: !show.quiet,
            hints: Vec::new(),
            defects: Default::default(),
        })
    }

    /// The same for events of a capture.
    pub(super) fn of_capture(show: &Show, epoch: time::Duration) -> anyhow::Result<Watcher> {
        Ok(Watcher {
            view: View::of_capture(),
            is_capture: true,
            ..Watcher::new(show, epoch, None)?
        })
    }

    /// From now on somebody steps without a live screen.
    pub(super) fn step_by(&mut self, stepper: Option<Stepper>) {
        self.stepper = stepper;
    }

    /// Who steps without a live screen.
    pub(super) fn stepper(&mut self) -> Option<&mut Stepper> {
        self.stepper.as_mut()
    }

    /// How much it wants to be told.
    pub(super) fn wants(&self) -> event::Watch {
        if self.shows() || !self.sinks.is_empty() || events_are_logged() {
            event::Watch::Everything
        } else if self.logs {
            // Warnings are about limits.
            event::Watch::Transitions
        } else {
            event::Watch::Nothing
        }
    }

    /// Whether it is shown to somebody while it happens.
    fn shows(&self) -> bool {
        self.wants_live || self.ladder.is_some() || self.stepper.is_some()
    }

    /// Whether somebody looks on, or interferes, while it happens.
    pub(super) fn looks_on(&self) -> bool {
        self.asks() || self.stepper.is_some() || self.quizzer.is_some()
    }

    /// Whether somebody looks at the peer's end while it happens, or draws it. To ask a kernel costs more than the
    /// segment about which it is asked, so files that merely keep what happens don't make it worth while.
    pub(super) fn asks(&self) -> bool {
        // In a quiz, what a kernel says of its end would tell too much.
        let shows = self.wants_live || self.ladder.is_some() && self.quizzer.is_none();
        shows || events_are_logged() || self.draws
    }

    /// Packets will be interfered with by these rules.
    pub(super) fn know(&mut self, rules: &RuleSet) {
        self.rules = rules.clone();
        if let Some(ladder) = &mut self.ladder {
            ladder.rules_are(rules);
        }
        for (_, sink) in &mut self.sinks {
            sink.rules_are(rules);
        }
    }

    /// Peers' kernels will be asked about their ends.
    pub(super) fn peers_are_asked(&mut self) {
        if let Some(ladder) = &mut self.ladder {
            ladder.peers_are_asked();
        }
        for (_, sink) in &mut self.sinks {
            sink.peers_are_asked();
        }
    }

    /// Takes one event in.
    pub(super) fn event(&mut self, event: &Event) {
        if let EventKind::Defect(defect) = &event.kind {
            self.report(event.flow, defect);
        }
        if self.wants() == event::Watch::Nothing {
            return;
        }
        self.view.event(event);
        if let Some(quizzer) = &mut self.quizzer {
            quizzer.quiz.event(event);
        } else if let Some(ladder) = &mut self.ladder {
            // Writing into memory does not fail.
            let _ = ladder.event(&self.view, event, &mut self.drawn);
        }
        if let Some(live) = &mut self.live {
            live.event(event);
        }
        if let Some(stepper) = &mut self.stepper {
            stepper.event(&self.view, event);
        }
        // A defect has been reported on standard error already.
        if self.logs
            && !matches!(event.kind, EventKind::Defect(_))
            && let Some((level, line)) = log_lines::line(&self.view, event)
        {
            log::log!(target: LOG_TARGET, level, "{line}");
        }
        let view = &self.view;
        keep_working(&mut self.sinks, |sink| sink.event(view, event));
        if !self.sinks.is_empty() {
            self.due.get_or_insert_with(|| time::Instant::now() + WAITS);
        }
    }

    /// The quiz, if there is one.
    pub(super) fn quizzer(&mut self) -> Option<&mut Quizzer> {
        self.quizzer.as_mut()
    }

    /// Asks and shows what can be asked and shown just now, in a quiz. Answers with what the engine has to do first; then
    /// this is to be called again.
    pub(super) fn examine_once(&mut self) -> Option<Command> {
        let width = self.screen.width.min(WIDTH);
        let quizzer = self.quizzer.as_mut()?;
        let command = quizzer.go_on(self.ladder.as_mut(), width, &mut self.drawn);
        if command.is_none() {
            self.write();
        }
        command
    }

    /// Asks about and shows everything that has happened; nothing more happens during a question.
    pub(super) fn examine(&mut self) {
        loop {
            // In a simulation nothing waits in the link.
            while self.examine_once().is_some() {}
            match &mut self.quizzer {
                Some(quizzer) if quizzer.quiz.is_busy() => quizzer.read(),
                _ => return,
            }
        }
    }

    /// Reports a defect on standard error, whatever else is shown: of each place the first, and of only so many places.
    fn report(&mut self, flow: Option<FlowId>, defect: &Defect) {
        let (count, places) = &mut self.defects;
        *count += 1;
        let place = defect.site.as_ref().map(|site| &site.location);
        let place = place.unwrap_or(&defect.message);
        if places.len() >= MOST_REPORTS || !places.insert(place.clone()) {
            return;
        }
        let report = defect::report(self.lang, flow, defect, self.screen.unicode);
        self.say(&report);
    }

    /// Says how many defects there were, where they were not all reported.
    fn count_defects(&mut self) {
        let (count, places) = &self.defects;
        if *count > places.len() as u64 {
            let line = self.lang.more_defects(count);
            self.say(&format!("{line}\n"));
        }
    }

    /// Prints something on standard error, behind a live screen once that is closed.
    fn say(&mut self, text: &str) {
        if self.is_live() {
            // It is kept in memory.
            let _ = self.log.write_all(text.as_bytes());
            return;
        }
        if let Some(ladder) = &mut self.ladder {
            let _ = ladder.flush(&mut self.drawn);
        }
        self.drawn.extend_from_slice(text.as_bytes());
        self.write();
    }

    /// Shows what was taken in, and lets files wait for a moment, as to write each line by itself would cost a system call a
    /// segment. To be called when nothing more happens for now, and again [in some time](Watcher::flush_in).
    pub(super) fn refresh(&mut self) {
        let now = time::Instant::now();
        match self.due.is_some_and(|due| due <= now) {
            true => self.flush(),
            false => self.draw(),
        }
    }

    /// Shows what was taken in, in files too.
    pub(super) fn flush(&mut self) {
        self.due = None;
        keep_working(&mut self.sinks, |sink| sink.flush());
        self.draw();
    }

    fn draw(&mut self) {
        if let Some(live) = &mut self.live {
            live.resume(&self.view);
            if let Some(line) = self.log.newest() {
                live.note(&line);
            }
        }
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

    /// Whether anything has happened.
    pub(super) fn has_seen(&self) -> bool {
        !self.view.is_empty()
    }

    /// What to say at the end, if there is a summary.
    pub(super) fn hint(&mut self, text: String) {
        self.hints.push(text);
    }

    /// Shows the summary: the run is over `now`. Nothing else is to be called after that.
    pub(super) fn finish(&mut self, now: Instant) {
        if let Some(quizzer) = &mut self.quizzer {
            quizzer.quiz.end(now);
            while self.examine_once().is_some() {}
        }
        if let Some(ladder) = &mut self.ladder {
            let _ = ladder.finish(&mut self.drawn);
        }
        self.flush();
        self.view.advance(now);
        let view = &self.view;
        keep_working(&mut self.sinks, |sink| sink.finish(view));
        self.close_live();
        self.count_defects();
        if !self.sums_up {
            return;
        }
        if let Some(ladder) = &self.ladder
            && self.whole
            && self.view.flows().len() > 1
        {
            for flow in self.view.flows() {
                let _ = writeln!(self.drawn);
                let _ = ladder.whole(flow.id, &mut self.drawn);
            }
        }
        if self.view.is_empty() {
            let _ = writeln!(self.drawn, "{}", self.lang.nobody_came());
        } else {
            if self.ladder.is_some() {
                let _ = writeln!(self.drawn);
            }
            // In a quiz nothing is said of how packets waited.
            let quiz = self.quizzer.as_ref().map(|quizzer| &quizzer.quiz);
            let _ = summary::write(
                quiz.map_or(&self.view, |quiz| quiz.view()),
                &self.rules,
                self.lang,
                self.screen,
                &mut self.drawn,
            );
        }
        for hint in std::mem::take(&mut self.hints) {
            let _ = writeln!(self.drawn, "{hint}");
        }
        if let Some(quizzer) = &self.quizzer {
            self.drawn
                .extend_from_slice(quizzer.quiz.score().as_bytes());
        }
        self.write();
    }

    /// Begins to show the live screen and to serve metrics, where that is asked for. `program` runs in the screen's pane.
    /// Before this no thread is started.
    pub(super) fn show(
        &mut self,
        title: String,
        pane: Pane,
        program: Option<Pty>,
        clock: Option<Clock>,
    ) -> anyhow::Result<()> {
        if let Some((bound, page)) = self.metrics.take() {
            let server = bound.serve(move || page.text());
            self._server = Some(server.context("cannot serve metrics")?);
        }
        if self.wants_live {
            self.live = Some(live::open(
                title,
                pane,
                self.lang,
                &self.rules,
                program,
                clock,
                self.is_capture,
            )?);
            self.log.hold();
        }
        Ok(())
    }

    /// The language of what is shown.
    pub(super) fn lang(&self) -> Lang {
        self.lang
    }

    /// Whether a live screen is asked for.
    pub(super) fn wants_live(&self) -> bool {
        self.wants_live
    }

    /// Whether somebody looks at a live screen.
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Readable when there are [`requests`](Watcher::requests).
    pub(super) fn live_end(&self) -> Option<Arc<PipeReader>> {
        self.live.as_ref().map(Live::wake)
    }

    /// What the live screen asks for. To be called when its [end](Watcher::live_end) is readable.
    pub(super) fn requests(&mut self) -> Vec<Request> {
        let Some(live) = &mut self.live else {
            return Vec::new();
        };
        let requests = live.requests();
        if live.is_gone() {
            self.close_live();
        }
        requests
    }

    /// Waits at most `timeout` for the wish to leave: a key on the live screen, or a signal.
    ///
    /// # Errors
    /// When the kernel can't wait.
    pub(super) fn is_left(
        &mut self,
        waiter: &Waiter,
        timeout: Option<time::Duration>,
    ) -> io::Result<bool> {
        let screen = self.live_end();
        let watch = Watch {
            screen: screen.as_ref().map(AsFd::as_fd),
            ..Watch::default()
        };
        let ready = waiter.wait(watch, timeout)?;
        let by_key = ready.screen && self.requests().contains(&Request::Leave);
        Ok(by_key || !ready.signals.is_empty())
    }

    /// Leaves the live screen there until a key or a signal ends it.
    ///
    /// # Errors
    /// When the kernel can't wait.
    pub(super) fn stay(&mut self, waiter: &Waiter) -> io::Result<()> {
        while self.is_live() && !self.is_left(waiter, None)? {}
        Ok(())
    }

    /// In what time [`refresh`](Watcher::refresh) should be called again, if ever.
    pub(super) fn flush_in(&self) -> Option<time::Duration> {
        let files = self.due.map(|due| due - time::Instant::now());
        let screen = self.live.as_ref().and_then(Live::resume_in);
        [files, screen].into_iter().flatten().min()
    }

    /// Prints what a client program of ours says: on the live screen or on standard output.
    ///
    /// # Errors
    /// Those of standard output.
    pub(super) fn print(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(live) = &self.live {
            live.print(bytes);
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Tells the live screen, or a learner who still thinks, how the command has ended.
    pub(super) fn ended(&mut self, how: String) {
        if let Some(quizzer) = &mut self.quizzer {
            quizzer.quiz.interrupt(&how);
        }
        if let Some(live) = &self.live {
            live.ended(how);
        }
    }

    fn close_live(&mut self) {
        if let Some(live) = self.live.take()
            && let Err(error) = live.close()
        {
            log::error!("the live screen is disabled: {error}; continuing without it");
        }
        self.log.release();
    }

    fn write(&mut self) {
        if self.drawn.is_empty() {
            return;
        }
        if let Some(stepper) = &mut self.stepper {
            stepper.step_aside();
        }
        if io::stderr().lock().write_all(&self.drawn).is_err() {
            // Nobody can see it any more, and there is no other place to say so. The run goes on.
            self.ladder = None;
            self.sums_up = false;
        }
        self.drawn.clear();
    }
}

fn bind_metrics(
    address: SocketAddr,
    quiet: bool,
    sinks: &mut Vec<(String, Box<dyn Sink>)>,
) -> anyhow::Result<(Bound, Page)> {
    let metrics = Metrics::new();
    let page = metrics.page();
    let bound =
        Bound::new(address).with_context(|| format!("cannot serve metrics at {address}"))?;
    if !quiet {
        // Who can't read it knows the address that was asked for.
        let _ = writeln!(io::stderr(), "metrics: http://{}/metrics", bound.address());
    }
    sinks.push(("metrics".to_owned(), Box::new(metrics)));
    Ok((bound, page))
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
            log::error!("{name}: {error}; closed, the run continues");
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
