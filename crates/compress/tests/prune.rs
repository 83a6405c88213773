//! Masks by magnitude.

mod common;

use common::{gaussian, laplace, seeded, summary};
use lantern_compress::prune::{RankSelect, Sparsity, Structure, global, magnitude, structured};
use lantern_compress::snr_db;
use lantern_compress::theory::pruning;

#[test]
fn magnitude_pruning_drops_exactly_the_smallest() {
    let mut rng = seeded(20);
    // Few distinct magnitudes: ties everywhere.
    let values: Vec<f32> = (0..5000).map(|_| (2.0 * laplace(&mut rng)).round() as f32 * 0.5).collect();
    for sparsity in [0.0, 0.1, 0.5, 0.9999, 1.0] {
        let mask = magnitude(&values, 1, Sparsity::Share(sparsity)).unwrap();
        let dropped = (sparsity * 5000.0).round() as usize;
        assert_eq!(mask.0.iter().filter(|k| !**k).count(), dropped, "{sparsity}");
        let largest_dropped =
            values.iter().zip(&mask.0).filter(|(_, k)| !**k).map(|(v, _)| v.abs()).fold(0.0, f32::max);
        let least_kept =
            values.iter().zip(&mask.0).filter(|(_, k)| **k).map(|(v, _)| v.abs()).fold(f32::INFINITY, f32::min);
        assert!(dropped == 0 || largest_dropped <= least_kept, "{sparsity}");
        // Theory on the exact histogram says the same to the last tie.
        let expected = pruning(&summary(&values).histogram, mask.sparsity());
        let energy = summary(&values).energy;
        let (a, b) = (mask.snr_db(&values), snr_db(energy, expected.error));
        assert!((a - b).abs() < 1e-6 || (a > 100.0 && b > 100.0), "{sparsity}: {a} or {b}");
    }
    let mut sorted: Vec<f32> = values.iter().map(|v| v.abs()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    for k in [0, 1, 2500, 4999] {
        let mut select = RankSelect::new(k as u64);
        select.add(&values);
        let mut select = select.refine();
        select.add(&values);
        assert_eq!(select.finish().magnitude, sorted[k]);
    }
}

#[test]
fn global_pruning_takes_from_where_weights_are_small() {
    let mut rng = seeded(21);
    let small: Vec<f32> = (0..4000).map(|_| 0.1 * gaussian(&mut rng) as f32).collect();
    let large: Vec<f32> = (0..6000).map(|_| gaussian(&mut rng) as f32).collect();
    let masks = global(&[&small, &large], 0.5).unwrap();
    let dropped = |i: usize| masks[i].0.iter().filter(|k| !**k).count();
    assert_eq!(dropped(0) + dropped(1), 5000);
    assert!(masks[0].sparsity() > 0.9 && masks[1].sparsity() < 0.3);
    assert_eq!(global(&[&small, &[]], 0.5).unwrap_err().code, "compress.empty");
    assert_eq!(magnitude(&small, 1, Sparsity::Share(1.1)).unwrap_err().code, "compress.sparsity");
    assert_eq!(magnitude(&small, 1, Sparsity::Share(f64::NAN)).unwrap_err().code, "compress.sparsity");
}

#[test]
fn patterns_and_structures() {
    let values = [0.1, -4.0, 3.0, 0.2, 5.0, 5.0, 5.0, 5.0, 1.0, -2.0, 0.5, 0.25, 9.0, 0.0];
    let mask = magnitude(&values, 7, Sparsity::NOfM { n: 2, m: 4 }).unwrap();
    // Rows of 7: a group of 4 and a rest of 3. Of equals the first stay.
    assert_eq!(mask.0.map_bits(), "01101101010110");
    let mut rng = seeded(22);
    let many: Vec<f32> = (0..64 * 128).map(|_| gaussian(&mut rng) as f32).collect();
    for (n, m) in [(2, 4), (4, 8), (1, 3), (3, 3)] {
        let mask = magnitude(&many, 96, Sparsity::NOfM { n, m }).unwrap_err();
        assert_eq!(mask.code, "compress.shape");
        let mask = magnitude(&many, 128, Sparsity::NOfM { n, m }).unwrap();
        for row in mask.0.chunks(128) {
            assert!(row.chunks(m).all(|g| g.iter().filter(|k| **k).count() == n.min(g.len())), "{n}:{m}");
        }
    }
    // 4:8 has all choices of 2:4 and more; free choice has them all.
    let snr = |n, m| magnitude(&many, 128, Sparsity::NOfM { n, m }).unwrap().snr_db(&many);
    assert!(snr(2, 4) < snr(4, 8) && snr(4, 8) < magnitude(&many, 1, Sparsity::Share(0.5)).unwrap().snr_db(&many));
    assert_eq!(magnitude(&many, 128, Sparsity::NOfM { n: 0, m: 4 }).unwrap_err().code, "compress.sparsity");
    assert_eq!(magnitude(&many, 128, Sparsity::NOfM { n: 5, m: 4 }).unwrap_err().code, "compress.sparsity");

    let matrix = [1.0, 0.0, 5.0, 0.5, 0.0, 0.1, 2.0, 0.0, -6.0];
    let rows = structured(&matrix, 3, Structure::Rows, 0.34).unwrap();
    assert_eq!(rows.0.map_bits(), "111000111");
    let columns = structured(&matrix, 3, Structure::Columns, 0.34).unwrap();
    assert_eq!(columns.0.map_bits(), "101101101");
}

trait Bits {
    fn map_bits(&self) -> String;
}

impl Bits for Vec<bool> {
    fn map_bits(&self) -> String {
        self.iter().map(|b| if *b { '1' } else { '0' }).collect()
    }
}
