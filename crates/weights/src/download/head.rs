//! What a server's answer means for a download that asks for a file from some byte on (RFC 9110, sections 13 and 14).

use super::Target;
use lantern_graph::Error;
use serde::{Deserialize, Serialize};

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    pub url: &'a str,
    /// Above 0: `Range: bytes=from-`.
    pub from: u64,
    /// `If-Range`: the rest only of the version that the beginning is of.
    pub if_range: Option<&'a str>,
}

/// An answer, before its bytes. Headers that the server hides from other sites' pages (CORS) are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub content_length: Option<u64>,
    pub content_range: Option<String>,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// Which version of a file: what a server tells one from another by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub etag: Option<String>,
    pub modified: Option<String>,
    pub bytes: Option<u64>,
}

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The bytes from `from` on follow.
    Bytes {
        from: u64,
        version: Version,
    },
    /// What is here cannot be gone on with: the file is another one by now, or the server will not say which it is.
    Again,
    /// The server cannot now.
    Later(Error),
    Refuse(Error),
}

impl Version {
    /// What `If-Range` may hold: a weak etag there never matches.
    pub fn if_range(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|etag| !etag.starts_with("W/"));
        strong.or(self.modified.as_deref())
    }

    /// Whether these are versions of the same bytes; `None` where both say too little.
    pub fn same(&self, other: &Version) -> Option<bool> {
        if let (Some(a), Some(b)) = (self.bytes, other.bytes)
            && a != b
        {
            return Some(false);
        }
        let both = |a: &Option<String>, b: &Option<String>| Some(a.as_deref()? == b.as_deref()?);
        both(&self.etag, &other.etag).or_else(|| both(&self.modified, &other.modified))
    }
}

/// `bytes from-to/total` → from, total.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, total.trim().parse().ok()))
}

impl Head {
    /// Bytes that this answer's body has: none of what was encoded on the way counts.
    fn length(&self) -> Option<u64> {
        let plain = self.content_encoding.as_deref().is_none_or(|encoding| matches!(encoding, "" | "identity"));
        self.content_length.filter(|_| plain)
    }

    fn version(&self, bytes: Option<u64>) -> Version {
        Version { etag: self.etag.clone(), modified: self.last_modified.clone(), bytes }
    }

    /// `known`: the version that what is stored is of.
    pub(super) fn judge(&self, ask: &Ask<'_>, known: &Version, target: &Target) -> Answer {
        match self.status {
            200 => self.judge_whole(target),
            206 if ask.from > 0 => self.judge_rest(ask, known, target),
            // The file is shorter than what is here of it.
            416 if ask.from > 0 => Answer::Again,
            408 | 425 | 429 | 500..=599 => Answer::Later(Error::new(
                "download.busy",
                format!("the server of {} answers {}", target.name, self.status),
                "try again later: what has come so far is kept",
            )),
            status => Answer::Refuse(refusal(status, target)),
        }
    }

    fn judge_whole(&self, target: &Target) -> Answer {
        if self.content_type.as_deref().is_some_and(|kind| kind.trim_start().starts_with("text/html")) {
            return Answer::Refuse(Error::new(
                "download.page",
                format!("at {} is a web page, not a model", target.url),
                "give the address of the file itself: on model sites that is the download link",
            ));
        }
        let bytes = self.length();
        match (bytes, target.bytes) {
            (Some(found), Some(expected)) if found != expected => Answer::Refuse(Error::new(
                "download.size",
                format!("the server's file has {found} bytes, and {} has {expected}", target.name),
                "the file at this address is another one: choose it by its address, or take another model",
            )),
            _ => Answer::Bytes { from: 0, version: self.version(bytes) },
        }
    }

    fn judge_rest(&self, ask: &Ask<'_>, known: &Version, target: &Target) -> Answer {
        let total = match self.content_range.as_deref().map(content_range) {
            // The range of something else, or no range at all.
            Some(None) => return Answer::Again,
            Some(Some((from, _))) if from != ask.from => return Answer::Again,
            Some(Some((_, total))) => total,
            None => self.length().map(|rest| ask.from.saturating_add(rest)),
        };
        if self.length().is_none() && self.content_length.is_some() {
            // A part of something packed is no part of the file.
            return Answer::Again;
        }
        let version = self.version(total);
        let same = known.same(&version);
        // Where the server keeps its versions to itself, the hash at the end is the only judge.
        let trusted = same == Some(true) || same.is_none() && (ask.if_range.is_some() || target.sha256.is_some());
        if !trusted {
            return Answer::Again;
        }
        let kept = Version {
            etag: version.etag.or_else(|| known.etag.clone()),
            modified: version.modified.or_else(|| known.modified.clone()),
            bytes: version.bytes.or(known.bytes),
        };
        Answer::Bytes { from: ask.from, version: kept }
    }
}

fn refusal(status: u16, target: &Target) -> Error {
    let remedy = match status {
        401 | 403 => "its owner asks for a login: download it in the browser, then open the file from disk",
        404 | 410 => "check the address, or choose another model",
        _ => "try again later, or choose another model",
    };
    Error::new("download.status", format!("the server of {} answers {status} to {}", target.name, target.url), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask<'_> = Ask { url: "https://a.example/m.gguf", from: 400, if_range: Some("\"one\"") };

    fn target() -> Target {
        Target { url: ASK.url.into(), name: "M".into(), ..Target::default() }
    }

    fn known() -> Version {
        Version { etag: Some("\"one\"".into()), modified: None, bytes: Some(1000) }
    }

    fn rest(range: &str, etag: Option<&str>) -> Head {
        Head {
            status: 206,
            content_length: Some(600),
            content_range: Some(range.into()),
            etag: etag.map(str::to_owned),
            ..Head::default()
        }
    }

    #[test]
    fn the_rest_is_taken_only_of_the_same_version() {
        let cases = [
            (rest("bytes 400-999/1000", Some("\"one\"")), true),
            (rest("bytes 400-999/*", Some("\"one\"")), true),
            (rest("bytes 400-999/1000", None), true),
            (rest("bytes 400-999/1000", Some("\"two\"")), false),
            (rest("bytes 400-1099/1100", Some("\"one\"")), false),
            (rest("bytes 0-999/1000", Some("\"one\"")), false),
            (rest("bytes 401-999/1000", Some("\"one\"")), false),
            (rest("lines 400-999/1000", Some("\"one\"")), false),
            (Head { content_encoding: Some("gzip".into()), ..rest("bytes 400-999/1000", Some("\"one\"")) }, false),
            (Head { content_range: None, ..rest("", Some("\"one\"")) }, true),
            (Head { content_range: None, content_length: Some(601), ..rest("", Some("\"one\"")) }, false),
            (Head { status: 416, ..Head::default() }, false),
        ];
        for (head, taken) in cases {
            let answer = head.judge(&ASK, &known(), &target());
            assert_eq!(matches!(answer, Answer::Bytes { from: 400, .. }), taken, "{head:?}: {answer:?}");
            assert!(taken || answer == Answer::Again, "{head:?}: {answer:?}");
        }
    }

    #[test]
    fn without_if_range_and_version_only_a_hash_makes_the_rest_trustworthy() {
        let ask = Ask { if_range: None, ..ASK };
        let head = rest("bytes 400-999/1000", None);
        assert_eq!(head.judge(&ask, &known(), &target()), Answer::Again);
        let hashed = Target { sha256: Some("0".repeat(64)), ..target() };
        assert!(matches!(head.judge(&ask, &known(), &hashed), Answer::Bytes { from: 400, .. }));
    }

    #[test]
    fn weak_etags_compare_and_are_not_sent() {
        let weak = Version { etag: Some("W/\"one\"".into()), modified: Some("yesterday".into()), bytes: None };
        assert_eq!(weak.if_range(), Some("yesterday"));
        assert_eq!(weak.same(&weak), Some(true));
        assert_eq!(Version { modified: None, ..weak }.if_range(), None);
    }

    #[test]
    fn statuses_are_refused_or_waited_for() {
        let first = Ask { from: 0, if_range: None, ..ASK };
        let judge = |status| Head { status, ..Head::default() }.judge(&first, &Version::default(), &target());
        for status in [204, 206, 301, 400, 401, 403, 404, 410, 416] {
            assert!(matches!(judge(status), Answer::Refuse(error) if error.code == "download.status"), "{status}");
        }
        for status in [408, 429, 500, 503] {
            assert!(matches!(judge(status), Answer::Later(error) if error.code == "download.busy"), "{status}");
        }
    }

    #[test]
    fn a_page_and_a_file_of_another_size_are_refused_before_a_byte() {
        let first = Ask { from: 0, if_range: None, ..ASK };
        let page = Head { status: 200, content_type: Some("text/html; charset=utf-8".into()), ..Head::default() };
        assert!(
            matches!(page.judge(&first, &Version::default(), &target()), Answer::Refuse(e) if e.code == "download.page")
        );
        let sized = Target { bytes: Some(1000), ..target() };
        let other = Head { status: 200, content_length: Some(999), ..Head::default() };
        assert!(
            matches!(other.judge(&first, &Version::default(), &sized), Answer::Refuse(e) if e.code == "download.size")
        );
        // Packed on the way, the length is of other bytes.
        let packed = Head { content_encoding: Some("gzip".into()), ..other };
        let answer = packed.judge(&first, &Version::default(), &sized);
        assert!(matches!(answer, Answer::Bytes { from: 0, version: Version { bytes: None, .. } }), "{answer:?}");
    }
}
