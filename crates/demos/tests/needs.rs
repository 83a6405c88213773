//! The catalogue's numbers against the files and executors they speak of.

mod common;

use std::rc::Rc;

use common::{SMALL, Sizes, each_gpu, open, random_ids, random_model};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{
    Device, Fit, LoadOptions, Needs, Processor, catalogue, check, entry_needs, find_entry, memory_for_files, needs,
};
use lantern_gpu::Tier;
use lantern_graph::{Cancel, Executor};
use lantern_weights::download::sha256_hex;
use lantern_weights::{GgmlType, Gguf, MemorySource};
use pollster::block_on;

#[test]
fn the_embedded_model_is_the_first_and_as_the_catalogue_says() {
    let entries = catalogue().unwrap();
    let embedded = &entries[0];
    let bytes =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../www/models/lantern-chat.q8_0.gguf")).unwrap();
    assert_eq!((embedded.url.as_str(), embedded.exact), ("lantern-chat.q8_0.gguf", true));
    assert_eq!(embedded.bytes, bytes.len() as u64);
    assert_eq!(embedded.sha256.as_deref(), Some(sha256_hex(&bytes).as_str()));
    let gguf = block_on(Gguf::read(&MemorySource::new(bytes))).unwrap();
    let file = check(&gguf, &LoadOptions::default()).unwrap();
    let said = embedded.config(&LoadOptions { context_length: usize::MAX, ..LoadOptions::default() }).unwrap();
    // Rotary base and epsilon are not the catalogue's business.
    let said = lantern_models::llama::Config { rope: file.config.rope, rms_eps: file.config.rms_eps, ..said };
    assert_eq!(said, file.config);
    assert_eq!(embedded.parameters(), gguf.tensors.iter().map(|t| t.elements()).sum::<u64>());
}

#[test]
fn every_entry_is_sound() {
    let entries = catalogue().unwrap();
    assert!(entries.len() >= 9);
    for (at, entry) in entries.iter().enumerate() {
        assert!(
            entries[..at].iter().all(|other| other.id != entry.id && other.url != entry.url),
            "{} is there twice",
            entry.id
        );
        assert_eq!(find_entry(&entry.id).unwrap(), *entry);
        let id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(entry.id.chars().all(id) && !entry.id.ends_with(".gguf"), "{}", entry.id);
        if at > 0 {
            lantern_weights::download::check_address(&entry.url).unwrap();
            lantern_weights::download::check_address(&entry.licence.url).unwrap();
        }
        // The page's rounded size of the file against the weights that the numbers make: a wrong number shows. A file has a
        // vocabulary besides, up to 8 MB of them.
        let (file, weights) = (entry.bytes as f64, entry.weight_bytes(Processor::Cpu).unwrap() as f64);
        let vocabulary = file - weights;
        assert!(
            vocabulary > -0.02 * file && vocabulary < 0.02 * file + 8e6,
            "{}: {weights} in a file of {file}",
            entry.id
        );
        for processor in [Processor::Cpu, Processor::Gpu] {
            let needs = entry_needs(entry, &LoadOptions::default(), processor).unwrap();
            assert!(needs.cache > 0 && needs.work > 0 && needs.work < 200_000_000, "{}: {needs:?}", entry.id);
        }
    }
    let error = find_entry("nonsense").unwrap_err();
    assert!(error.code == "catalogue.unknown" && error.remedy.contains("tinyllama-1.1b-chat"), "{error}");
}

/// Weights dominate, as they do in real models.
const MEDIUM: Sizes =
    Sizes { vocab: 2000, hidden: 256, feed_forward: 704, layers: 4, heads: 8, kv_heads: 4, context: 256, ..SMALL };

fn held_and_needed<E: Executor>(executor: &Rc<E>, kind: GgmlType, processor: Processor) -> (u64, Needs) {
    let bytes = random_model(Sizes { matrices: kind, ..MEDIUM }, 40);
    let gguf = block_on(Gguf::read(&MemorySource::new(bytes.as_slice()))).unwrap();
    let options = LoadOptions::default();
    let checked = check(&gguf, &options).unwrap();
    let mut session = open(executor, &bytes, &options).unwrap();
    let ids = random_ids(MEDIUM.vocab, 65, 41);
    block_on(session.logits(&ids, &Cancel::new())).unwrap();
    (executor.memory_bytes(), needs(&checked.config, checked.weight_bytes, &options, processor))
}

/// What is left out (constants, parameter blocks, alignment) is a small part of a model where weights dominate.
const TOLERANCE: f64 = 0.05;

#[track_caller]
fn assert_near(what: &str, (held, needs): (u64, Needs)) {
    let (needed, part) = (needs.total(), (needs.total() as f64 - held as f64) / held as f64);
    println!("{what}: {held} held, {needed} computed ({:+.1} %), {needs:?}", 100.0 * part);
    assert!(part.abs() <= TOLERANCE, "{what}: {held} bytes are held, and {needed} were foretold");
}

const KINDS: [GgmlType; 4] = [GgmlType::F32, GgmlType::F16, GgmlType::Q8_0, GgmlType::Q4_0];

#[test]
fn the_processor_holds_what_was_foretold() {
    for kind in KINDS {
        let cpu = Rc::new(Cpu::new(Mode::Fast));
        assert_near(kind.name().as_str(), held_and_needed(&cpu, kind, Processor::Cpu));
    }
}

#[test]
fn the_gpu_holds_what_was_foretold() {
    each_gpu(|gpu, tier| {
        // Tiers differ in arithmetic and by a few KB.
        if tier == Tier::Core {
            assert_near(&format!("{tier}"), held_and_needed(gpu, GgmlType::Q8_0, Processor::Gpu));
        }
    });
}

#[test]
fn what_cannot_fit_is_said_with_its_numbers() {
    const MB: u64 = 1_000_000;
    let of = |weights: u64| Needs { weights: weights * MB, cache: 100 * MB, work: 10 * MB };
    let cpu = Device { ceiling: Some(1500 * MB), memory: Some(8 << 30), storage: Some(10_000 * MB) };
    let gpu = Device { ceiling: None, ..cpu };
    assert_eq!(cpu.fit(of(1400), 1400 * MB), Fit::Fits);
    let Fit::No(error) = cpu.fit(of(4000), 4000 * MB) else { panic!("it fits") };
    assert_eq!(
        (error.code, error.cause.as_str()),
        ("cpu.ceiling", "it needs 4.1 GB, and without a GPU at most 1.5 GB fit")
    );
    assert_eq!(gpu.fit(of(4000), 4000 * MB), Fit::Fits);
    assert!(matches!(gpu.fit(of(6000), 6000 * MB), Fit::Doubtful(error) if error.code == "memory.doubtful"));
    let small = Device { memory: Some(4 << 30), ..gpu };
    assert!(matches!(small.fit(of(4000), 4000 * MB), Fit::Doubtful(error) if error.code == "memory.doubtful"));
    // Where there is no room to keep it: in memory as long as it is of a moderate size.
    let full = Device { storage: Some(300 * MB), ..gpu };
    assert!(matches!(full.fit(of(1400), 1400 * MB), Fit::Doubtful(error) if error.code == "storage.full"));
    assert!(matches!(full.fit(of(3000), 3000 * MB), Fit::No(error) if error.code == "storage.full"));
    assert_eq!(full.fit(of(1400), 200 * MB), Fit::Fits, "most of it is here");
    assert_eq!((memory_for_files(None), memory_for_files(Some(16 << 30))), (1 << 30, 2 << 30));
}
