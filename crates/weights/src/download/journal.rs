//! What is known of a part: a line that says what it is of, and a line for every stretch of bytes that is stored.
//!
//! Lines are only ever added, so that a tab closed while it writes spoils at most the last one, and that one is not believed.
//! Who takes a part up begins a new line first.

use super::{Target, Version};
use serde::{Deserialize, Serialize};

/// Of this layout. A journal of another one is as good as none.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    pub url: String,
    pub name: String,
    pub sha256: Option<String>,
    pub part_of: Option<PartOf>,
    /// Which version of the file the bytes are of.
    pub version: Version,
    /// Bytes that are stored for certain.
    pub stored: u64,
    /// All of it is here, and was verified.
    pub whole: bool,
}

/// The model that a file is one of several of: together they are one to whoever lists or removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    /// The addresses it was asked for by, with spaces between.
    pub address: String,
    pub name: String,
    /// Files it has in all, as far as that was known.
    pub files: usize,
}

#[derive(Serialize, Deserialize)]
struct First {
    lantern: u32,
    url: String,
    name: String,
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part_of: Option<PartOf>,
    version: Version,
}

#[derive(Serialize, Deserialize)]
struct Note {
    stored: u64,
    #[serde(default)]
    whole: bool,
}

impl Journal {
    pub fn new(target: &Target, version: Version) -> Self {
        let Target { url, name, sha256, part_of, .. } = target.clone();
        Self { url, name, sha256, part_of, version, stored: 0, whole: false }
    }

    /// `None` for what is no journal of this format.
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let First { lantern, url, name, sha256, part_of, version } = serde_json::from_str(lines.next()?).ok()?;
        if lantern != FORMAT {
            return None;
        }
        // A line that was cut off while it was written does not close its brace.
        let last = lines.rev().find_map(|line| serde_json::from_str::<Note>(line).ok());
        let (stored, whole) = last.map_or((0, false), |note| (note.stored, note.whole));
        Some(Self { url, name, sha256, part_of, version, stored, whole })
    }

    /// The journal from its beginning.
    pub fn text(&self) -> String {
        let Self { url, name, sha256, part_of, version, .. } = self.clone();
        line(&First { lantern: FORMAT, url, name, sha256, part_of, version })
            + &if self.stored > 0 { self.note() } else { String::new() }
    }

    /// The line that says how far it is.
    pub fn note(&self) -> String {
        line(&Note { stored: self.stored, whole: self.whole })
    }

    /// What its contents are told by from all others: their hash, or the address with the version that its server named.
    /// `None` for a part, and where nobody said.
    pub fn origin(&self) -> Option<String> {
        let version = || self.version.if_range().map(|version| format!("{} {version}", self.url));
        let said = self.sha256.as_ref().map(|sha256| format!("sha256 {sha256}")).or_else(version);
        said.filter(|_| self.whole)
    }

    /// Bytes of the file, as far as anybody said.
    pub fn total(&self) -> Option<u64> {
        if self.whole { Some(self.stored) } else { self.version.bytes }
    }
}

fn line(value: &impl Serialize) -> String {
    // Texts and numbers always serialize.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let target = Target { url: "https://a.example/m.gguf".into(), name: "M\nodel".into(), ..Target::default() };
        Journal::new(&target, Version { etag: Some("\"x\"".into()), modified: None, bytes: Some(900) })
    }

    #[test]
    fn the_last_whole_line_is_believed() {
        let mut journal = journal();
        let mut text = journal.text();
        for stored in [100, 250, 700] {
            journal.stored = stored;
            text += &journal.note();
        }
        assert_eq!(Journal::read(&text).as_ref(), Some(&journal));
        // Wherever the writing was cut off, what is read was true at some time.
        let known = [0, 100, 250, 700];
        for cut in 0..text.len() {
            match Journal::read(&text[..cut]) {
                Some(read) => {
                    assert!(known.contains(&read.stored) && read.url == journal.url && !read.whole, "cut at {cut}")
                }
                None => assert!(cut < journal.text().len(), "cut at {cut}"),
            }
        }
        let torn = Journal::read(&text[..text.len() - 2]).unwrap();
        assert_eq!(torn.stored, 250, "a line without its brace is not believed");
    }

    #[test]
    fn a_journal_says_which_model_a_file_is_a_part_of_and_one_of_an_earlier_version_does_not() {
        let part_of = PartOf { address: "https://a.example/m.index.json".into(), name: "M".into(), files: 3 };
        let target = Target { url: "https://a.example/1".into(), part_of: Some(part_of.clone()), ..Target::default() };
        let journal = Journal::new(&target, Version::default());
        assert_eq!(Journal::read(&journal.text()).and_then(|read| read.part_of), Some(part_of));
        let earlier = "{\"lantern\":1,\"url\":\"u\",\"name\":\"n\",\"sha256\":null,\"version\":{}}\n{\"stored\":7}\n";
        let earlier = Journal::read(earlier).unwrap();
        assert_eq!((earlier.stored, earlier.part_of), (7, None));
    }

    #[test]
    fn a_whole_file_is_told_by_its_hash_or_its_version() {
        let part = journal();
        assert_eq!(part.origin(), None);
        let whole = Journal { whole: true, ..part };
        let origin = whole.origin().unwrap();
        let other = Version { etag: Some("\"y\"".into()), ..whole.version.clone() };
        assert_ne!(Journal { version: other, ..whole.clone() }.origin().unwrap(), origin);
        assert_ne!(Journal { url: "https://b.example/m.gguf".into(), ..whole.clone() }.origin().unwrap(), origin);
        assert_eq!(Journal { version: Version::default(), ..whole.clone() }.origin(), None);
        // Wherever the same contents lie.
        let hashed = |url: &str| Journal { url: url.into(), sha256: Some("ab".into()), ..whole.clone() };
        assert_eq!(hashed("https://a.example/1").origin(), hashed("https://b.example/2").origin());
    }

    #[test]
    fn noise_and_other_formats_are_no_journals() {
        for text in
            ["", "\n", "{}", "GGUF\u{3}", "{\"lantern\":2,\"url\":\"\",\"name\":\"\",\"sha256\":null,\"version\":{}}\n"]
        {
            assert_eq!(Journal::read(text), None, "{text:?}");
        }
    }
}
