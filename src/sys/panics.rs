//! Panics that an engine [contains](crate::engine::Config::contain_defects): it is told where they were, and standard error
//! stays free for its report.
//!
//! The hook of the standard library prints each panic before anybody can say that it is contained. So while a thread has
//! [tamed](tame) its panics, the hook notes where one was and prints nothing; one that nobody contains is printed when it
//! gets out. Other threads print theirs as ever.

use crate::event::PanicSite;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::thread;

thread_local! {
    /// How many have tamed this thread's panics.
    static TAMED: Cell<u32> = const { Cell::new(0) };
    /// The last panic.
    static LAST: RefCell<Option<(PanicSite, String)>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// As long as this lives, panics of its thread are noted and not printed.
#[derive(Debug)]
#[must_use = "dropping it ends it"]
pub struct Tamed {
    /// It belongs to its thread.
    thread: PhantomData<*const ()>,
}

/// Gets ready to [tame] panics. With `RUST_BACKTRACE` this reads the names of all functions, which takes tens of
/// milliseconds: call it before anything begins whose time counts, and before no file may be opened any more.
pub fn prepare() {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                before(info);
            }
        }));
        drop(backtrace());
    });
}

/// Lets the panics of this thread be noted. The hook that was there before prints those of others.
pub fn tame() -> Tamed {
    prepare();
    TAMED.set(TAMED.get() + 1);
    Tamed {
        thread: PhantomData,
    }
}

impl Drop for Tamed {
    fn drop(&mut self) {
        TAMED.set(TAMED.get() - 1);
        if thread::panicking()
            && TAMED.get() == 0
            && let Some((site, message)) = LAST.take()
        {
            let current = thread::current();
            let name = current.name().unwrap_or("<unnamed>");
            let backtrace = site.backtrace.unwrap_or_default();
            eprintln!(
                "thread '{name}' panicked at {}:\n{message}\n{backtrace}",
                site.location
            );
        }
    }
}

/// Where the last panic of this thread was, if it was noted. It is told once.
pub fn take_site() -> Option<PanicSite> {
    LAST.take().map(|(site, _)| site)
}

/// Notes a panic, if this thread's are tamed. Nothing here panics.
fn note(info: &PanicHookInfo<'_>) -> bool {
    if TAMED.try_with(Cell::get).unwrap_or(0) == 0 {
        return false;
    }
    let payload = info.payload();
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref()) {
        (Some(&text), _) => text.to_owned(),
        (None, Some(text)) => String::clone(text),
        (None, None) => String::new(),
    };
    let site = PanicSite {
        location: info.location().map(ToString::to_string).unwrap_or_default(),
        backtrace: backtrace(),
    };
    let noted = LAST.try_with(|last| match last.try_borrow_mut() {
        Ok(mut last) => *last = Some((site, message)),
        Err(_) => drop(site),
    });
    noted.is_ok()
}

/// The calls that have led here, where they are asked for (`RUST_BACKTRACE`).
fn backtrace() -> Option<String> {
    let backtrace = Backtrace::capture();
    (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contained_panic_is_noted_once() {
        let tamed = tame();
        let line = line!() + 1;
        let caught = panic::catch_unwind(|| panic!("number {}", 7));
        assert!(caught.is_err());
        let site = take_site().unwrap();
        assert!(
            site.location.contains(&format!("panics.rs:{line}:")),
            "{site:?}"
        );
        assert_eq!(take_site(), None);
        drop(tamed);
        let elsewhere = panic::catch_unwind(|| panic!("printed"));
        assert!(elsewhere.is_err() && take_site().is_none());
    }
}
