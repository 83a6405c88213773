//! Parts of split models. A part is no damaged file, and converting it again helps nobody: it is called what it is.
//!
//! `llama-gguf-split` makes GGUF files of their own, with `split.*` entries, the metadata in the first alone. Others cut a file
//! in pieces of bytes. Of both, and of safetensors, the names tell: `NAME-00001-of-00003.gguf`, `NAME.gguf.part1of2`,
//! `NAME.gguf-split-a`.

use crate::{Gguf, Value};
use lantern_graph::{Error, Result};

/// Which part a file is. Counted from 1; `None` where nobody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    number: Option<u64>,
    count: Option<u64>,
}

impl Part {
    /// `None` for a whole model.
    fn new(number: Option<u64>, count: u64) -> Option<Self> {
        let number = number.filter(|number| (1..=count).contains(number));
        (count > 1).then_some(Self { number, count: Some(count) })
    }

    /// "part 2 of 3".
    fn said(self) -> String {
        match (self.number, self.count) {
            (Some(number), Some(count)) => format!("part {number} of {count}"),
            (Some(number), None) => format!("part {number}"),
            (None, Some(count)) => format!("one of {count} parts"),
            (None, None) => "a part".into(),
        }
    }
}

impl Gguf {
    /// # Errors
    /// `gguf.split` for a part of a split model, by what its metadata say.
    pub fn check_whole(&self) -> Result<()> {
        match self.part() {
            None => Ok(()),
            Some(part) => Err(self.is_part(part)),
        }
    }

    /// What `error`, which says that something is missing in the file, comes from: where by its name the file is a part, from
    /// that.
    pub fn unless_part(&self, error: Error) -> Error {
        let part = self.file_name.as_deref().and_then(numbered).map(|(_, part)| part);
        part.map_or(error, |part| self.is_part(part))
    }

    fn part(&self) -> Option<Part> {
        let number = |key: &str| self.metadata.get(key).and_then(Value::as_u64);
        if let Some(count) = number("split.count") {
            let number = number("split.no").and_then(|no| no.checked_add(1));
            return Part::new(number.or_else(|| self.named_number()), count);
        }
        let tensors = number("split.tensors.count")?;
        (tensors > self.tensors.len() as u64).then_some(Part { number: self.named_number(), count: None })
    }

    fn named_number(&self) -> Option<u64> {
        numbered(self.file_name.as_deref()?)?.1.number
    }

    fn is_part(&self, part: Part) -> Error {
        let named = self.file_name.as_deref().and_then(numbered);
        let remedy = match (named, part.count) {
            (Some((stem, Part { count: Some(count), .. })), _) => {
                format!(
                    "merge the parts into one file: llama-gguf-split --merge {stem}-00001-of-{count:05}.gguf {stem}.gguf"
                )
            }
            (None, Some(count)) => format!(
                "merge the parts into one file: llama-gguf-split --merge FIRST OUT, where FIRST is the part whose name ends in \
                 -00001-of-{count:05}.gguf"
            ),
            _ => "merge the parts into one file: llama-gguf-split --merge FIRST OUT".into(),
        };
        Error::new("gguf.split", format!("the file is {} of a split model", part.said()), remedy)
    }
}

/// What a file that could not be read is, by its name: a piece that was cut off somewhere, or the list of a model's parts.
pub(crate) fn piece_by_name(name: Option<&str>) -> Option<Error> {
    let name = name?;
    if name.ends_with(".index.json") {
        return Some(Error::new(
            "gguf.split",
            "the file is the list of a split model's parts, and holds no weights",
            "use a file that holds the whole model in GGUF",
        ));
    }
    let (whole, part) = cut(name)?;
    let remedy = format!("put the pieces together, in their order: cat {whole}* > WHOLE, or on Windows copy /b");
    Some(Error::new("gguf.split", format!("the file is {} of a file that was cut into pieces", part.said()), remedy))
}

/// Of a safetensors file that by its name is a part: what to say of it.
pub fn safetensors_part(name: &str) -> Option<Error> {
    let (_, part) = numbered(name)?;
    Some(Error::new(
        "safetensors.split",
        format!("{name} is {} of a split model", part.said()),
        "give all parts together, or their list (NAME.safetensors.index.json) with them",
    ))
}

/// Where all parts of the model that `names[at]` is a part of are, in their order; `None` where it is none, or where one is missing
/// or there twice.
pub(crate) fn all_parts(at: usize, names: &[String]) -> Option<Vec<usize>> {
    let (stem, Part { count, .. }) = numbered(&names[at])?;
    let mut found = Vec::new();
    for number in 1..=count? {
        let mut there = names.iter().enumerate().filter(|(_, name)| {
            numbered(name).is_some_and(|(of, part)| of == stem && part == Part { number: Some(number), count })
        });
        let (at, _) = there.next()?;
        if there.next().is_some() {
            return None;
        }
        found.push(at);
    }
    Some(found)
}

/// `NAME-00001-of-00003.gguf`: the name before, and the part.
fn numbered(name: &str) -> Option<(&str, Part)> {
    let (stem, _) = name.rsplit_once('.')?;
    let (before, count) = stem.rsplit_once("-of-")?;
    let (stem, number) = before.rsplit_once('-')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    Some((stem, Part::new(Some(digits(number)?), digits(count)?)?))
}

/// `NAME.gguf.part1of2`, `NAME.gguf-split-a`: what all pieces' names begin with, and the part.
fn cut(name: &str) -> Option<(&str, Part)> {
    if let Some((whole, part)) = name.rsplit_once(".part") {
        let (number, count) = part.split_once("of").unwrap_or((part, ""));
        let part = Part { number: Some(number.parse().ok()?), count: count.parse().ok() };
        return Some((&name[..whole.len() + ".part".len()], part));
    }
    let (whole, letter) = name.rsplit_once("-split-")?;
    let [letter @ b'a'..=b'z'] = letter.as_bytes() else { return None };
    let part = Part { number: Some(u64::from(letter - b'a') + 1), count: None };
    Some((&name[..whole.len() + "-split-".len()], part))
}
