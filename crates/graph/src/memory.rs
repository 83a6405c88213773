//! Who holds how much memory, and how much there may be.

use std::cell::Cell;
use std::rc::Rc;

use crate::{Error, Result};

/// Bytes that somebody holds: an executor, and in it each session and each set of weights. What a part holds, the whole
/// holds too. Clones are the same account.
#[derive(Debug, Clone, Default)]
pub struct Account(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bytes: Cell<u64>,
    limit: Cell<Option<u64>>,
    whole: Option<Account>,
}

impl Account {
    /// One of nothing, whose entries this one has too.
    pub fn part(&self) -> Account {
        Account(Rc::new(Inner { whole: Some(self.clone()), ..Inner::default() }))
    }

    pub fn bytes(&self) -> u64 {
        self.0.bytes.get()
    }

    /// Most bytes that it and its parts may hold together. What is there already stays.
    pub fn limit_to(&self, bytes: Option<u64>) {
        self.0.limit.set(bytes);
    }

    /// Counts bytes until the result is dropped. It does not refuse: [`Account::check`] does, before they are had.
    #[must_use = "they are counted while the result lives"]
    pub fn enter(&self, bytes: u64) -> Entry {
        for account in self.wholes() {
            account.0.bytes.set(account.bytes() + bytes);
        }
        Entry { account: self.clone(), bytes }
    }

    /// Whether so many bytes more may be had, of it and of all that it is a part of.
    ///
    /// # Errors
    /// `code`, with what there may be and what of it is held.
    pub fn check(&self, code: &'static str, what: &str, bytes: u64, remedy: &str) -> Result<()> {
        let full = |account: &&Account| {
            let limit = account.0.limit.get();
            limit.is_some_and(|limit| account.bytes().saturating_add(bytes) > limit)
        };
        let Some(account) = self.wholes().find(full) else { return Ok(()) };
        let (held, most) = (account.bytes(), account.0.limit.get().unwrap_or(0));
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        let cause = format!("{what} takes {} MB, and of {} MB {} are taken", mb(bytes), most / 1_000_000, mb(held));
        Err(Error::new(code, cause, remedy))
    }

    /// Itself, what it is a part of, and so on.
    fn wholes(&self) -> impl Iterator<Item = &Account> {
        std::iter::successors(Some(self), |account| account.0.whole.as_ref())
    }
}

/// Bytes in an account, for as long as it lives.
#[derive(Debug)]
pub struct Entry {
    account: Account,
    bytes: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        for account in self.account.wholes() {
            account.0.bytes.set(account.bytes() - self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_holds_what_its_parts_hold() {
        let executor = Account::default();
        let (session, weights) = (executor.part(), executor.part());
        let all = (session.enter(100), weights.enter(1000), executor.enter(1));
        assert_eq!((executor.bytes(), session.bytes(), weights.bytes()), (1101, 100, 1000));
        // Whoever keeps an entry keeps its account.
        drop(session);
        assert_eq!(executor.bytes(), 1101);
        drop(all);
        assert_eq!((executor.bytes(), weights.bytes()), (0, 0));
    }

    #[test]
    fn a_limit_counts_what_others_hold() {
        let executor = Account::default();
        let (first, second) = (executor.part(), executor.part());
        executor.limit_to(Some(10_000_000));
        let check = |account: &Account, bytes| account.check("gpu.memory", "a state", bytes, "close something");
        let held = first.enter(6_000_000);
        check(&second, 4_000_000).unwrap();
        let error = check(&second, 4_000_001).unwrap_err();
        assert_eq!((error.code, &*error.cause), ("gpu.memory", "a state takes 5 MB, and of 10 MB 6 are taken"));
        assert!(check(&second, u64::MAX).is_err());
        drop(held);
        check(&second, 10_000_000).unwrap();
        // A part's own limit holds for the part.
        first.limit_to(Some(1));
        assert!(check(&first, 2).is_err() && check(&second, 2).is_ok());
    }
}
