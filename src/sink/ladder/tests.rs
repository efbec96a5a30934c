use super::*;
use crate::event::{Discard, Timer, UserCall};
use crate::view::script::Script;

const OPTIONS: Options = Options {
    width: 100,
    colour: false,
    unicode: true,
    verbose: 0,
    explain: true,
    keep: true,
};

fn draw(options: Options, script: &Script) -> String {
    let mut view = View::new();
    let mut ladder = Ladder::new(options);
    let mut out = Vec::new();
    for event in &script.events {
        view.event(event);
        ladder.event(&view, event, &mut out).unwrap();
    }
    ladder.flush(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_peer_closes_first() {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    insta::assert_snapshot!(draw(OPTIONS, &script));
}

#[test]
fn eighty_columns() {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    let options = Options {
        width: 80,
        ..OPTIONS
    };
    insta::assert_snapshot!(draw(options, &script));
}
