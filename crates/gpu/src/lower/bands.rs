//! Dispatches over a part of a tensor: where the whole is over the binding limit, or so much work that "stop" would not be
//! heard.

use super::Lowering;

impl Lowering<'_> {
    /// Elements that one binding can hold, wherever the run in it begins.
    pub fn bindable(&self) -> usize {
        (self.gpu.0.binding_limit / 4) as usize - 64
    }

    /// Rows a dispatch may take: each row has so many elements in each of its bindings, and costs so much. At least one: a
    /// row over the limit is found when it is bound.
    pub fn rows_at_once(&self, row_elements: &[usize], row_flops: u64) -> usize {
        let bindable = self.bindable();
        let by_size = row_elements.iter().map(|n| bindable / (*n).max(1)).min().unwrap_or(usize::MAX);
        let by_work = (self.gpu.slice_flops() / row_flops.max(1)) as usize;
        by_size.min(by_work).max(1)
    }
}

/// `0 .. total` in runs of at most `step`, about equally long, each beginning at a multiple of `unit`.
pub(crate) fn runs(total: usize, step: usize, unit: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = total.div_ceil(step.max(1)).max(1);
    let even = total.div_ceil(count).next_multiple_of(unit);
    let step = if count == 1 { total } else { even.min((step / unit).max(1) * unit) }.max(1);
    (0..total).step_by(step).map(move |first| (first, step.min(total - first)))
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn runs_cover_everything_once_and_begin_at_units() {
        for (total, step, unit) in
            [(0, 5, 1), (10, 3, 1), (100, 64, 64), (1000, 130, 64), (1000, 3, 64), (7, 100, 1), (71, 103, 64)]
        {
            let all: Vec<_> = runs(total, step, unit).collect();
            let mut next = 0;
            for (first, len) in all {
                assert_eq!(first, next);
                assert!(first % unit == 0 && len > 0 && len <= step.max(unit), "{total} {step} {unit}: {first}, {len}");
                next = first + len;
            }
            assert_eq!(next, total);
            assert!(total > step || total == 0 || runs(total, step, unit).count() == 1, "{total} is cut without need");
        }
    }
}
