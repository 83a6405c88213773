//! Cutting a text into the words that merges stay within: a rule's stages one after the other, each within the pieces of
//! the one before.
//!
//! Most rules are regular expressions the `tokenizers` crate knows without a regex engine (there is none in the page);
//! the others are runs of one class of characters, and those are cut here.

use crate::vocab::unusable;
use bitcannon::classify::classify;
use lantern_graph::{Error, Result};
use tokenizers::pipeline::{PipelinePreTokenizer, PreTokenizer, PreTokenizerScratch, Span};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

pub(crate) struct Splitter {
    stages: Vec<Stage>,
}

pub(crate) enum Stage {
    Native(PipelinePreTokenizer),
    /// Every match is a piece, and so is what lies between two.
    Runs(Run),
    /// `\s+$`
    LastSpace,
}

/// A character with its class.
#[derive(Clone, Copy)]
pub(crate) struct Char {
    pub c: char,
    /// One of `bitcannon`'s atoms.
    pub tag: u8,
}

pub(crate) enum Class {
    Test(fn(Char) -> bool),
    /// In order, both ends included.
    Ranges(Vec<(char, char)>),
}

/// `lead?class{least,most}`, as many as there are.
pub(crate) struct Run {
    pub lead: fn(char) -> bool,
    pub class: Class,
    pub least: usize,
    pub most: usize,
}

impl Default for Run {
    fn default() -> Self {
        Self { lead: |_| false, class: Class::Test(|_| false), least: 1, most: usize::MAX }
    }
}

/// A regular expression that is cut without a regex engine.
pub(crate) fn native(pattern: &str) -> Result<PipelinePreTokenizer> {
    let pattern = SplitPattern::Regex(pattern.to_owned());
    let split = Split::native(pattern, SplitDelimiterBehavior::Isolated, false);
    split.map(PipelinePreTokenizer::Split).map_err(|e| unusable(e.to_string()))
}

impl Class {
    /// From what stands in a regular expression's brackets.
    pub fn ranges(brackets: &str) -> Self {
        let mut chars = brackets.chars().peekable();
        let mut ranges = Vec::new();
        while let Some(first) = chars.next() {
            let dash = chars.next_if_eq(&'-').is_some();
            ranges.push((first, if dash { chars.next().unwrap_or(first) } else { first }));
        }
        ranges.sort_unstable();
        Self::Ranges(ranges)
    }

    fn holds(&self, char: Char) -> bool {
        match self {
            Self::Test(test) => test(char),
            // Ranges may touch, and do not lie in each other.
            Self::Ranges(ranges) => {
                let next = ranges.partition_point(|range| range.0 <= char.c);
                next > 0 && char.c <= ranges[next - 1].1
            }
        }
    }
}

impl Run {
    pub fn of(class: fn(Char) -> bool) -> Self {
        Self { class: Class::Test(class), ..Self::default() }
    }

    /// Where a match that begins at `at` ends.
    fn matched(&self, text: &str, tags: &[u8], at: usize) -> Option<usize> {
        let mut chars = text[at..].char_indices().map(|(i, c)| (at + i, Char { c, tag: tags[at + i] })).peekable();
        let (_, first) = *chars.peek()?;
        let mut end = at;
        if (self.lead)(first.c) {
            let second = text[at..].chars().nth(1);
            let next = at + first.c.len_utf8();
            if second.is_some_and(|c| self.class.holds(Char { c, tag: tags[next] })) {
                chars.next();
                end = next;
            }
        }
        let mut count = 0;
        while count < self.most
            && let Some((i, char)) = chars.next_if(|(_, char)| self.class.holds(*char))
        {
            end = i + char.c.len_utf8();
            count += 1;
        }
        (count >= self.least).then_some(end)
    }

    /// Appends the pieces of `text`, which starts at `base`.
    fn cut(&self, text: &str, tags: &[u8], base: u32, out: &mut Vec<Span>) {
        let mut push = |start: usize, end: usize| {
            if start < end {
                out.push(Span::new(base + start as u32, base + end as u32));
            }
        };
        let (mut from, mut at) = (0, 0);
        while let Some(c) = text[at..].chars().next() {
            match self.matched(text, tags, at) {
                Some(end) => {
                    push(from, at);
                    push(at, end);
                    (from, at) = (end, end);
                }
                None => at += c.len_utf8(),
            }
        }
        push(from, text.len());
    }
}

impl Splitter {
    pub fn new(stages: Vec<Stage>) -> Self {
        Self { stages }
    }

    /// The words of `text` in order; together they are the text.
    ///
    /// # Errors
    /// `tokenizer.encode`
    pub fn split(&self, text: &str, scratch: &mut PreTokenizerScratch) -> Result<Vec<Span>> {
        let len = u32::try_from(text.len()).map_err(|_| failed("it is longer than 4 GiB"))?;
        let mut tags = Vec::new();
        if self.stages.iter().any(|stage| matches!(stage, Stage::Runs(_))) {
            tags.resize(text.len(), 0);
            classify(text.as_bytes(), &mut tags);
        }
        let mut spans = vec![Span::new(0, len)];
        let mut next = Vec::new();
        for stage in &self.stages {
            next.clear();
            for span in &spans {
                let part = &text[span.range()];
                match stage {
                    Stage::Native(split) => {
                        let from = next.len();
                        split.pre_tokenize(part, scratch, &mut next).map_err(|e| failed(&e.to_string()))?;
                        for piece in &mut next[from..] {
                            (piece.start, piece.end) = (piece.start + span.start, piece.end + span.start);
                        }
                    }
                    Stage::Runs(run) => run.cut(part, &tags[span.range()], span.start, &mut next),
                    Stage::LastSpace => {
                        let space = span.start + part.trim_end().len() as u32;
                        let pieces = [Span::new(span.start, space), Span::new(space, span.end)];
                        next.extend(pieces.into_iter().filter(|piece| piece.start < piece.end));
                    }
                }
            }
            std::mem::swap(&mut spans, &mut next);
        }
        Ok(spans)
    }
}

pub(crate) fn failed(why: &str) -> Error {
    Error::new("tokenizer.encode", format!("the text cannot be encoded: {why}"), "try a shorter or plainer text")
}
