//! What is stored, file by file, and as the models that people know.

use super::Journal;

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub key: String,
    /// `None` for bytes nobody vouches for.
    pub journal: Option<Journal>,
    pub bytes: u64,
}

impl Kept {
    pub fn is_whole(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.whole && journal.stored == self.bytes)
    }

    /// Bytes that can be gone on with.
    pub fn stored(&self) -> u64 {
        self.journal.as_ref().map_or(0, |journal| journal.stored.min(self.bytes))
    }
}

/// A model of one file or several, of which something is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptModel {
    /// Of all its files that are here: removing these removes it.
    pub keys: Vec<String>,
    /// What it is asked for by; `None` for what nobody knows any more.
    pub address: Option<String>,
    pub name: Option<String>,
    /// Bytes of it that are here, vouched for or not.
    pub bytes: u64,
    /// Bytes of all its files, where they are known.
    pub total: Option<u64>,
    /// Every file is here, to its last byte.
    pub whole: bool,
}

impl KeptModel {
    /// One for each model, in the order of their first files; files that know of no model are one each.
    pub fn of(kept: &[Kept]) -> Vec<Self> {
        let mut models: Vec<(Self, usize, usize)> = Vec::new();
        for file in kept {
            let journal = file.journal.as_ref();
            let part_of = journal.and_then(|journal| journal.part_of.as_ref());
            let total = journal.and_then(Journal::total);
            let known = models
                .iter_mut()
                .find(|(model, ..)| part_of.is_some_and(|of| model.address.as_ref() == Some(&of.address)));
            match (known, part_of) {
                (Some((model, here, files)), Some(of)) => {
                    model.keys.push(file.key.clone());
                    model.bytes += file.bytes;
                    model.total = model.total.zip(total).map(|(a, b)| a + b);
                    model.whole &= file.is_whole();
                    *here += 1;
                    *files = (*files).max(of.files);
                }
                _ => {
                    let model = Self {
                        keys: vec![file.key.clone()],
                        address: part_of.map(|of| &of.address).or(journal.map(|journal| &journal.url)).cloned(),
                        name: part_of.map(|of| &of.name).or(journal.map(|journal| &journal.name)).cloned(),
                        bytes: file.bytes,
                        total,
                        whole: file.is_whole(),
                    };
                    models.push((model, 1, part_of.map_or(1, |of| of.files)));
                }
            }
        }
        let whole = |(mut model, here, files): (Self, usize, usize)| {
            if here < files {
                // Of a file that is not here nobody knows how long it is.
                (model.whole, model.total) = (false, None);
            }
            model
        };
        models.into_iter().map(whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PartOf, Target, Version};
    use super::*;

    fn kept(url: &str, part_of: Option<(&str, usize)>, stored: u64, total: u64) -> Kept {
        let part_of = part_of.map(|(name, files)| PartOf { address: format!("of {name}"), name: name.into(), files });
        let target = Target { url: url.into(), name: url.into(), part_of, ..Target::default() };
        let version = Version { bytes: Some(total), ..Version::default() };
        let journal = Journal { stored, whole: stored == total, ..Journal::new(&target, version) };
        Kept { key: target.key(), journal: Some(journal), bytes: stored }
    }

    #[test]
    fn files_of_one_model_are_one_row_and_whole_together() {
        let files = [
            kept("list", Some(("m", 1)), 10, 10),
            kept("alone", None, 5, 5),
            kept("one", Some(("m", 3)), 100, 100),
            kept("two", Some(("m", 3)), 40, 200),
        ];
        let models = KeptModel::of(&files);
        assert_eq!(models.len(), 2);
        let m = &models[0];
        assert_eq!((m.keys.len(), m.bytes, m.total, m.whole), (3, 150, Some(310), false));
        assert_eq!((m.address.as_deref(), m.name.as_deref()), (Some("of m"), Some("m")));
        assert_eq!((models[1].total, models[1].whole, models[1].name.as_deref()), (Some(5), true, Some("alone")));

        let mut all = files.to_vec();
        all[3] = kept("two", Some(("m", 3)), 200, 200);
        assert!(KeptModel::of(&all)[0].whole);
        // A file that never began is missing.
        let models = KeptModel::of(&all[..3]);
        assert_eq!((models[0].whole, models[0].total, models[0].bytes), (false, None, 110));
        let stranger = Kept { key: "x".into(), journal: None, bytes: 7 };
        let models = KeptModel::of(&[stranger.clone(), stranger]);
        assert_eq!((models.len(), models[0].address.as_ref(), models[0].bytes, models[0].whole), (2, None, 7, false));
    }
}
