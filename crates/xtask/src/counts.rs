//! Passed and failed, read from the summaries that cargo and Node print.

use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl Counts {
    /// A check that is one test: a lint, a size limit, a build.
    pub fn gate(ok: bool) -> Counts {
        Counts { passed: ok.into(), failed: (!ok).into() }
    }

    /// A suite that failed without a failed test (it did not build, or crashed) counts as one failure.
    pub fn with_exit(mut self, ok: bool) -> Counts {
        if !ok && self.failed == 0 {
            self.failed = 1;
        }
        self
    }

    /// `test result: ok. 12 passed; 1 failed; 0 ignored; …`, one line for each test binary.
    pub fn add_cargo_line(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
        let Some((_, numbers)) = rest.split_once(". ") else { return };
        for part in numbers.split(';') {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse::<u64>().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse::<u64>().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// The end of a TAP stream: `# pass 12`, `# fail 1`, `# cancelled 0`.
    pub fn add_tap_line(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("# ") else { return };
        match rest.split_once(' ') {
            Some(("pass", number)) => self.passed += number.trim().parse::<u64>().unwrap_or(0),
            Some(("fail" | "cancelled", number)) => self.failed += number.trim().parse::<u64>().unwrap_or(0),
            _ => {}
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn cargo_and_tap_summaries_add_up() {
        let mut counts = Counts::default();
        counts.add_cargo_line("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        counts.add_cargo_line("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        counts.add_cargo_line("test ops::softmax ... ok");
        counts.add_tap_line("# pass 5");
        counts.add_tap_line("# fail 1");
        counts.add_tap_line("# cancelled 1");
        counts.add_tap_line("# duration_ms 99");
        assert_eq!(counts, Counts { passed: 20, failed: 4 });
    }

    #[test]
    fn a_suite_that_could_not_run_is_a_failure() {
        assert_eq!(Counts::default().with_exit(false), Counts { passed: 0, failed: 1 });
        assert_eq!(Counts { passed: 3, failed: 2 }.with_exit(false), Counts { passed: 3, failed: 2 });
        assert_eq!(Counts::default().with_exit(true), Counts::default());
    }
}
