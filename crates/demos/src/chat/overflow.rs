//! What happens when a conversation is longer than its context: it stops, or the oldest of it is forgotten.

use lantern_graph::{Error, Result};

/// What a visitor wants where the context is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The answer ends there, and a longer prompt is refused.
    #[default]
    Stop,
    /// All but the first `keep` tokens (a system prompt, with the file's first token) slides: [`fit`].
    Slide { keep: usize },
}

impl Overflow {
    /// A conversation as the context will hold it.
    ///
    /// # Errors
    /// `chat.keep` as [`fit`]'s. With `Stop` a longer conversation stays as it is.
    pub fn fit(self, ids: &[u32], context: usize) -> Result<Vec<u32>> {
        match self {
            Overflow::Stop => Ok(ids.to_vec()),
            Overflow::Slide { keep } => fit(ids, context, keep),
        }
    }
}

/// What a context of `context` positions keeps of a conversation: the first `keep` tokens, and the latest of the others.
///
/// What is forgotten is a multiple of half of what is not kept. So a conversation that grew forgets the same tokens again
/// until it has grown by that much, caches of it stay good, and a conversation of which the oldest was forgotten already
/// gives the same as the whole of it.
///
/// # Errors
/// `chat.keep` when `keep` leaves no room for anything else.
pub fn fit(ids: &[u32], context: usize, keep: usize) -> Result<Vec<u32>> {
    let room = context.saturating_sub(keep);
    if room < 2 {
        return Err(Error::new(
            "chat.keep",
            format!("the first {keep} tokens are to be kept, and the context has {context} positions"),
            "shorten the system prompt, or ask for a longer context",
        ));
    }
    let over = ids.len().saturating_sub(context);
    let step = room / 2;
    let forgotten = over.div_ceil(step) * step;
    let mut kept = ids[..keep.min(ids.len())].to_vec();
    kept.extend(ids.iter().skip(keep + forgotten));
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_not_kept_goes_and_the_rest_stays_in_order() {
        let ids: Vec<u32> = (0..100).collect();
        assert_eq!(fit(&ids[..20], 20, 4).unwrap(), ids[..20]);
        assert_eq!(fit(&ids[..21], 20, 4).unwrap(), [&ids[..4], &ids[12..21]].concat());
        assert_eq!(fit(&ids[..28], 20, 4).unwrap(), [&ids[..4], &ids[12..28]].concat());
        assert_eq!(fit(&ids[..29], 20, 4).unwrap(), [&ids[..4], &ids[20..29]].concat());
        assert_eq!(fit(&ids[..3], 20, 4).unwrap(), ids[..3]);
        for keep in [19, 20, usize::MAX] {
            assert_eq!(fit(&ids, 20, keep).unwrap_err().code, "chat.keep");
        }
    }

    #[test]
    fn what_was_fitted_and_grew_is_as_the_whole_fitted() {
        let ids: Vec<u32> = (0..500).map(|i| i * 7 % 101).collect();
        for (context, keep) in [(32, 0), (32, 5), (31, 1), (9, 7)] {
            let mut held: Vec<u32> = Vec::new();
            for (n, id) in ids.iter().enumerate() {
                held.push(*id);
                held = fit(&held, context, keep).unwrap();
                assert_eq!(held, fit(&ids[..=n], context, keep).unwrap(), "{n} tokens, {context} and {keep}");
                assert!(held.len() <= context);
            }
        }
    }
}
