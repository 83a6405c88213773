//! The least value of a function of one number.

/// Where, and how little.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least {
    pub at: f64,
    pub value: f64,
}

/// Ratio of neighbouring points of a scan: mixtures of densities with edges have valleys 5% apart.
pub const RATIO: f64 = 1.02;
/// A scan goes as far as this factor to either side. Only tails that hardly have a variance get there.
const FAR: f64 = 1e10;
/// Local minima of the scan within this factor of the best are refined too.
const NEAR: f64 = 1.1;
/// Relative: steps are good to five digits, and errors to ten.
const TOLERANCE: f64 = 1e-6;

/// Of a function that may have several minima: scans from `start` in both directions, by `ratio`, while a smaller
/// (`lower_can`) or larger argument (`higher_can`) can still beat the best value found (their second argument), then refines.
pub fn minimize_log(
    f: &dyn Fn(f64) -> f64,
    start: f64,
    ratio: f64,
    lower_can: &dyn Fn(f64, f64) -> bool,
    higher_can: &dyn Fn(f64, f64) -> bool,
) -> Least {
    let mut down = vec![Least { at: start, value: f(start) }];
    let mut best = down[0].value;
    let mut up = Vec::new();
    let most_points = (FAR.ln() / ratio.ln()) as usize;
    for (points, ratio, can) in [(&mut up, ratio, higher_can), (&mut down, 1.0 / ratio, lower_can)] {
        let mut at = start;
        for _ in 0..most_points {
            at *= ratio;
            if !can(at, best) {
                break;
            }
            let value = f(at);
            best = best.min(value);
            points.push(Least { at, value });
        }
    }
    down.reverse();
    down.extend(up);
    let points = down;
    let mut least = points.iter().copied().min_by(|a, b| a.value.total_cmp(&b.value)).unwrap_or(points[0]);
    let limit = least.value * NEAR;
    for (i, point) in points.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| points[i]);
        let after = points.get(i + 1);
        let is_local = before.is_none_or(|b| b.value >= point.value) && after.is_none_or(|a| a.value >= point.value);
        if !is_local || point.value > limit {
            continue;
        }
        let (low, high) = (before.map_or(point.at / ratio, |b| b.at), after.map_or(point.at * ratio, |a| a.at));
        let refined = minimize(f, low, high, *point);
        if refined.value < least.value {
            least = refined;
        }
    }
    least
}

/// Between `low` and `high`, from a `start` in between: Brent's method (Algorithms for Minimization without Derivatives, 1973,
/// chapter 5), golden sections with parabolas where they help.
pub fn minimize(f: &dyn Fn(f64) -> f64, mut low: f64, mut high: f64, start: Least) -> Least {
    const GOLDEN: f64 = 0.381_966_011_250_105;
    let (mut x, mut w, mut v) = (start, start, start);
    let (mut step, mut before) = (0f64, 0f64);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let tolerance = TOLERANCE * x.at.abs() + f64::MIN_POSITIVE;
        if (x.at - middle).abs() <= 2.0 * tolerance - 0.5 * (high - low) {
            break;
        }
        let mut golden = true;
        if before.abs() > tolerance {
            let r = (x.at - w.at) * (x.value - v.value);
            let q = (x.at - v.at) * (x.value - w.value);
            let p = (x.at - v.at) * q - (x.at - w.at) * r;
            let q = 2.0 * (q - r);
            let (p, q) = if q > 0.0 { (-p, q) } else { (p, -q) };
            if p.abs() < (0.5 * q * before).abs() && p > q * (low - x.at) && p < q * (high - x.at) {
                (before, step) = (step, p / q);
                let at = x.at + step;
                if at - low < 2.0 * tolerance || high - at < 2.0 * tolerance {
                    step = tolerance.copysign(middle - x.at);
                }
                golden = false;
            }
        }
        if golden {
            before = if x.at < middle { high - x.at } else { low - x.at };
            step = GOLDEN * before;
        }
        let at = x.at + if step.abs() >= tolerance { step } else { tolerance.copysign(step) };
        let u = Least { at, value: f(at) };
        if u.value <= x.value {
            if u.at < x.at {
                high = x.at
            } else {
                low = x.at
            }
            (v, w, x) = (w, x, u);
        } else {
            if u.at < x.at {
                low = u.at
            } else {
                high = u.at
            }
            if u.value <= w.value || w.at == x.at {
                (v, w) = (w, u);
            } else if u.value <= v.value || v.at == x.at || v.at == w.at {
                v = u;
            }
        }
    }
    x
}
