//! What was right, wrong, or left to be shown.

use crate::words::Lang;

/// So many mistakes are listed at the end.
const LISTED: usize = 50;

#[derive(Debug, Default)]
pub(super) struct Score {
    right: usize,
    shown: usize,
    all: usize,
    mistakes: Vec<String>,
}

/// What became of one answer.
#[derive(Debug)]
pub(super) struct Mark {
    /// What is right.
    pub(super) is: String,
    /// Whether that was said; `None`: it was left to be shown.
    pub(super) right: Option<bool>,
    /// What was said.
    pub(super) said: String,
}

impl Score {
    /// Counts the answers to one question. Answers with the verdict; mistakes are remembered as `place` words them.
    pub(super) fn count(
        &mut self,
        lang: Lang,
        marks: &[Mark],
        place: impl Fn(&str) -> String,
    ) -> String {
        let of = |kind: Option<bool>| {
            let marks = marks.iter().filter(move |mark| mark.right == kind);
            marks.map(|mark| mark.is.clone()).collect::<Vec<_>>()
        };
        let (right, shown) = (of(Some(true)), of(None));
        let wrong = marks.iter().filter(|mark| mark.right == Some(false));
        let wrong: Vec<String> = wrong
            .map(|mark| lang.quiz_instead(&mark.is, &mark.said))
            .collect();
        self.right += right.len();
        self.shown += shown.len();
        self.all += marks.len();
        let room = LISTED - self.mistakes.len();
        let listed = wrong.iter().take(room).map(|what| place(what));
        self.mistakes.extend(listed);

        let right = (!right.is_empty()).then(|| lang.quiz_right(right.join(" ")));
        let wrong = wrong.iter().map(|what| lang.quiz_wrong(what));
        let shown = (!shown.is_empty()).then(|| lang.quiz_shown(shown.join(" ")));
        let verdicts = right.into_iter().chain(wrong).chain(shown);
        let verdicts = verdicts.reduce(|all, one| all + &lang.furthermore(one));
        verdicts.unwrap_or_default()
    }

    /// How many answers were right, and which were not, in lines.
    pub(super) fn told(&self, lang: Lang) -> String {
        if self.all == 0 {
            return lang.quiz_score_none() + "\n";
        }
        let mut text = lang.quiz_score(self.right, self.all);
        if self.shown > 0 {
            text += &lang.also(lang.quiz_score_shown(self.shown));
        }
        text.push('\n');
        for mistake in &self.mistakes {
            text += &format!("  {mistake}\n");
        }
        text
    }
}
