//! Whole files: every type, every kind of tensor, in pieces.

mod common;

use std::cell::Cell;

use common::{gaussian, seeded, truncated_t};
use lantern_compress::cost::Charge;
use lantern_compress::distribution::Scan;
use lantern_compress::grid::Codes;
use lantern_compress::layers::{Entry, Report, Winner, compare_file};
use lantern_compress::prune::{Sparsity, magnitude};
use lantern_compress::theory::{BITS, Terms};
use lantern_graph::{Cancel, Result};
use lantern_weights::{
    ByteSource, GgmlType, Gguf, GgufWriter, MemorySource, SafeDtype, Safetensors, SafetensorsWriter, quantize,
};
use pollster::block_on;

/// More than a chunk, and no multiple of it.
const ROWS: usize = 300;
const COLUMNS: usize = 1024;

fn compare(source: &impl ByteSource, entries: Vec<Entry>, bits: &[u32], terms: Terms) -> Result<Report> {
    block_on(compare_file(source, entries, bits, terms, &mut |_, _| {}, &Cancel::new()))
}

fn gguf(tensors: &[(&str, &[usize], GgmlType, &[f32])]) -> (MemorySource, Vec<Entry>) {
    let mut writer = GgufWriter::new(3);
    for (name, shape, dtype, values) in tensors {
        writer.tensor(*name, shape, *dtype, quantize(*dtype, values).unwrap());
    }
    let source = MemorySource::new(writer.finish().unwrap());
    let file = block_on(Gguf::read(&source)).unwrap();
    (source, Entry::of_gguf(&file))
}

#[test]
fn every_type_of_a_file_is_compared_like_its_values() {
    let mut rng = seeded(31);
    let values: Vec<f32> = (0..ROWS * COLUMNS).map(|_| 0.05 * truncated_t(&mut rng, 4.0, 50.0) as f32).collect();
    let all: Vec<(String, GgmlType)> = GgmlType::READ.iter().map(|t| (format!("{t}.weight"), *t)).collect();
    let shape = [ROWS, COLUMNS];
    let tensors: Vec<_> = all.iter().map(|(name, t)| (name.as_str(), &shape[..], *t, &values[..])).collect();
    let (source, entries) = gguf(&tensors);
    let report = compare(&source, entries, &[2, 4, 8], Terms::default()).unwrap();
    assert_eq!((report.layers.len(), report.skipped.len()), (GgmlType::READ.len(), 0));
    for (layer, (name, dtype)) in report.layers.iter().zip(&all) {
        assert_eq!(
            (&layer.entry.name, &layer.entry.shape[..], layer.was_quantized),
            (name, &shape[..], dtype.is_quantized())
        );
        let mut decoded = vec![0f32; values.len()];
        lantern_weights::dequantize(*dtype, &quantize(*dtype, &values).unwrap(), &mut decoded).unwrap();
        let n = decoded.len() as f64;
        let energy = decoded.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n;
        for c in &layer.comparisons {
            let error = |step| Codes::Integer.grid(c.bits, step).squared_error(&decoded) / n;
            let exact = 10.0 * (energy / error(c.step)).log10();
            assert!((c.quant_snr_db - exact).abs() < 1e-3, "{name}, {} bits: {} or {exact}", c.bits, c.quant_snr_db);
            // No step nearby is better on the very values, by more than the histogram blurs.
            for factor in [0.9, 0.97, 1.03, 1.1] {
                let other = 10.0 * (energy / error(c.step * factor)).log10();
                assert!(other < c.quant_snr_db + 0.01, "{name}, {} bits: {other} dB at {factor} of the step", c.bits);
            }
            let pruned = magnitude(&decoded, 1, Sparsity::Share(c.sparsity)).unwrap().snr_db(&decoded);
            assert!((c.prune_snr_db - pruned).abs() < 5e-3, "{name}: {} or {pruned}", c.prune_snr_db);
        }
    }
}

#[test]
fn a_bad_tensor_is_named_and_the_rest_compared() {
    let mut rng = seeded(32);
    let good: Vec<f32> = (0..4096).map(|_| gaussian(&mut rng) as f32).collect();
    let heavy: Vec<f32> = (0..4096).map(|_| truncated_t(&mut rng, 1.0, 1e4) as f32).collect();
    let mut writer = SafetensorsWriter::new();
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut bad = good.clone();
    (bad[7], bad[9]) = (f32::NAN, f32::INFINITY);
    let mut put = |name: &str, shape: &[usize], dtype: SafeDtype, data: Vec<u8>| {
        writer.tensor(name, shape, &dtype, &data);
    };
    put("good", &[64, 64], SafeDtype::F32, bytes(&good));
    put("nothing", &[0, 64], SafeDtype::F32, Vec::new());
    put("constant", &[64, 64], SafeDtype::F32, bytes(&[0.7; 4096]));
    put("zero", &[64, 64], SafeDtype::F16, vec![0; 8192]);
    put("nan", &[64, 64], SafeDtype::F32, bytes(&bad));
    put("ids", &[64], SafeDtype::Other("I64".into()), vec![1; 512]);
    put("heavy", &[64, 64], SafeDtype::F32, bytes(&heavy));
    put("bias", &[4096], SafeDtype::F32, bytes(&heavy));
    let source = MemorySource::new(writer.finish());
    let file = block_on(Safetensors::read(&source)).unwrap();
    let report = compare(&source, Entry::of_safetensors(&file), &[2, 4], Terms::default()).unwrap();
    let mut skipped: Vec<(&str, &str)> = report.skipped.iter().map(|(e, why)| (e.name.as_str(), why.code)).collect();
    skipped.sort_unstable();
    assert_eq!(
        skipped,
        [
            ("constant", "compress.constant"),
            ("ids", "safetensors.type"),
            ("nan", "compress.not_a_number"),
            ("nothing", "compress.empty"),
            ("zero", "compress.all_zero"),
        ]
    );
    let nan = &report.skipped.iter().find(|(e, _)| e.name == "nan").unwrap().1;
    assert!(nan.cause.contains("2 of its 4096"), "{nan}");
    let winner = |name: &str| Winner::of(&report.layers.iter().find(|l| l.entry.name == name).unwrap().comparisons[1]);
    assert_eq!(
        (winner("good"), winner("heavy"), winner("bias")),
        (Winner::Quantization, Winner::Pruning, Winner::Pruning)
    );
    // The vector is compared, but does not count.
    let rate = report.win_rate(4);
    assert_eq!((rate.compared, rate.quantization, rate.pruning, rate.rate), (2, 1, 1, Some(0.5)));
    assert_eq!(report.win_rate(7).rate, None);
}

/// An honest charge makes pruning worse, and the correction for zeros more so.
#[test]
fn terms_reach_the_layers() {
    let mut rng = seeded(33);
    let values: Vec<f32> = (0..8192).map(|_| truncated_t(&mut rng, 2.0, 100.0) as f32).collect();
    let (source, entries) = gguf(&[("w", &[64, 128], GgmlType::F32, &values)]);
    let prune = |charge, natural_zeros| {
        let terms = Terms { charge, natural_zeros, ..Terms::default() };
        compare(&source, entries.clone(), &[3], terms).unwrap().layers[0].comparisons[0].prune_snr_db
    };
    let free = prune(Charge::Free, false);
    assert!(free > prune(Charge::Entropy, false) && prune(Charge::Entropy, false) > prune(Charge::Bitmap, false));
    assert!(free > prune(Charge::Free, true));
    assert_eq!(compare(&source, entries, &[4, 1], Terms::default()).unwrap_err().code, "compress.bits");
}

/// Our own network, as it was trained: the master of the model in the page.
#[test]
fn quantization_wins_on_our_own_weights() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../training/masters/lantern-chat.f16.gguf");
    let source = MemorySource::new(std::fs::read(file).unwrap());
    let entries = Entry::of_gguf(&block_on(Gguf::read(&source)).unwrap());
    let report = compare(&source, entries, &BITS.collect::<Vec<_>>(), Terms::default()).unwrap();
    assert!(report.skipped.is_empty() && report.layers.iter().all(|layer| !layer.was_quantized), "{report:?}");
    for bits in BITS {
        let rate = report.win_rate(bits);
        println!("{rate:?}");
        assert_eq!(rate.compared, 57, "eight blocks of seven, and the embedding");
        assert!(bits < 4 || rate.rate >= Some(0.9), "{rate:?}");
    }
}

/// Where neither loses anything, rounding decides nothing; and the smallest floats are weights like others.
#[test]
fn lossless_tensors_are_a_tie_and_tiny_ones_count() {
    let mut rng = seeded(35);
    // 85% zeros, three values, more of them than a scan keeps.
    let ternary: Vec<f32> = (0..200 * 100).map(|i| [0.37, -0.37][i % 2] * f32::from(u8::from(i % 20 < 3))).collect();
    // On a grid of eight bits, in f32: it is found to be.
    let eight: Vec<f32> =
        (0..200 * 100).map(|_| 0.0371 * f32::from(rand::Rng::random_range(&mut rng, -128..=127i8))).collect();
    let (source, entries) = gguf(&[("eight", &[200, 100], GgmlType::F32, &eight)]);
    let found = compare(&source, entries, &[8], Terms::default()).unwrap().layers.remove(0).comparisons[0];
    assert!(found.quant_snr_db > 100.0, "{found:?}");
    let tiny: Vec<f32> = (0..200 * 100).map(|_| (2e-40 * gaussian(&mut rng)) as f32).collect();
    let large: Vec<f32> = (0..200 * 100).map(|_| (2e37 * gaussian(&mut rng)) as f32).collect();
    for dtype in [GgmlType::F32, GgmlType::F16, GgmlType::BF16] {
        let (source, entries) = gguf(&[("ternary", &[200, 100], dtype, &ternary)]);
        let report = compare(&source, entries, &[4], Terms::default()).unwrap();
        assert_eq!(Winner::of(&report.layers[0].comparisons[0]), Winner::Tie, "{dtype}: {report:?}");
    }
    let tensors = [("tiny", &[200, 100][..], GgmlType::F32, &tiny[..]), ("large", &[200, 100], GgmlType::F32, &large)];
    let (source, entries) = gguf(&tensors);
    let report = compare(&source, entries, &[4], Terms::default()).unwrap();
    for layer in &report.layers {
        let c = &layer.comparisons[0];
        // 20,000 draws of a Gaussian: 19.26 and 5.58 dB in the mean.
        assert!((c.quant_snr_db - 19.26).abs() < 0.2 && (c.prune_snr_db - 5.58).abs() < 0.2, "{layer:?}");
    }
}

#[test]
fn rows_are_read_alone() {
    let values: Vec<f32> = (0..4 * 64).map(|i| if i == 70 { f32::NAN } else { i as f32 }).collect();
    let mut writer = SafetensorsWriter::new();
    writer.tensor_f32("w", &[4, 2, 32], &SafeDtype::F32, &values).unwrap();
    let source = MemorySource::new(writer.finish());
    let entries = Entry::of_safetensors(&block_on(Safetensors::read(&source)).unwrap());
    assert_eq!(block_on(entries[0].row(&source, 3)).unwrap(), &values[192..]);
    assert_eq!(block_on(entries[0].row(&source, 1)).unwrap_err().code, "compress.not_a_number");
    assert_eq!(block_on(entries[0].row(&source, 4)).unwrap_err().code, "compress.size");
}

/// Reads what is asked for in pieces of a megabyte, whatever the tensor's size, and remembers the largest.
struct Watched {
    file: MemorySource,
    largest: Cell<usize>,
}

impl ByteSource for Watched {
    fn len(&self) -> u64 {
        self.file.len()
    }

    async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.largest.set(self.largest.get().max(buf.len()));
        self.file.read(offset, buf).await
    }
}

#[test]
fn a_tensor_is_never_read_whole() {
    let mut rng = seeded(34);
    let values: Vec<f32> = (0..2048 * 1024).map(|_| rng_value(&mut rng)).collect();
    let (file, entries) = gguf(&[("large", &[2048, 1024], GgmlType::F32, &values)]);
    let source = Watched { file, largest: Cell::new(0) };
    let report = compare(&source, entries.clone(), &BITS.collect::<Vec<_>>(), Terms::default()).unwrap();
    assert_eq!(report.layers.len(), 1);
    assert!(source.largest.get() <= 1 << 20, "{} bytes at once", source.largest.get());
    let cancel = Cancel::new();
    cancel.cancel();
    let mut silent = |_, _| {};
    let stopped = block_on(compare_file(&source, entries, &[4], Terms::default(), &mut silent, &cancel));
    assert!(stopped.unwrap_err().is_cancelled());
}

fn rng_value(rng: &mut rand::rngs::SmallRng) -> f32 {
    use rand::Rng;
    rng.random::<f32>() - rng.random::<f32>()
}

/// A file that ends early fails as a whole: that is no property of one tensor.
#[test]
fn a_source_that_fails_ends_the_work() {
    struct Broken(MemorySource);
    impl ByteSource for Broken {
        fn len(&self) -> u64 {
            self.0.len()
        }
        async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            if offset > 2000 {
                return Err(lantern_graph::Error::new("source.read", "the disk is gone", "look"));
            }
            self.0.read(offset, buf).await
        }
    }
    let (file, entries) =
        gguf(&[("a", &[64, 64], GgmlType::F32, &[0.5; 4096]), ("b", &[64, 64], GgmlType::F32, &[0.5; 4096])]);
    let error = compare(&Broken(file), entries, &[4], Terms::default()).unwrap_err();
    assert_eq!(error.code, "source.read");
    // And a scan can be used again after anything.
    assert_eq!(Scan::default().finish().unwrap_err().code, "compress.empty");
}
