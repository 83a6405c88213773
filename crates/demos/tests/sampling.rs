//! What is drawn: distributions against a direct computation, and on every device the token that all logits would give.

mod common;

use std::rc::Rc;

use common::{Llama, SMALL, each_gpu, open, random_ids, random_model};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::sampler::{Ranked, Sampler, draw_whole, uniform};
use lantern_demos::chat::{GenerateOptions, LoadOptions};
use lantern_gpu::Kernel;
use lantern_graph::{Bindings, Cancel, Class, Executor, Result, Session, Value};
use lantern_models::sampling::{LOGITS, Pick, pick};
use pollster::block_on;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn warm(temperature: f32) -> GenerateOptions {
    GenerateOptions { temperature, repeat_last_n: 64, ..GenerateOptions::default() }
}

/// Every option alone, and together.
fn many_options() -> Vec<(&'static str, GenerateOptions)> {
    let penalty = GenerateOptions { repeat_penalty: 1.4, ..warm(1.0) };
    vec![
        ("temperature 0.5", warm(0.5)),
        ("temperature 1", warm(1.0)),
        ("temperature 2", warm(2.0)),
        ("top-k 5", GenerateOptions { top_k: 5, ..warm(1.0) }),
        ("top-k 100", GenerateOptions { top_k: 100, ..warm(1.5) }),
        ("top-p 0.8", GenerateOptions { top_p: 0.8, ..warm(1.3) }),
        ("min-p 0.05", GenerateOptions { min_p: 0.05, ..warm(1.0) }),
        ("penalty 1.4", penalty.clone()),
        ("penalty 0.8", GenerateOptions { repeat_penalty: 0.8, ..warm(1.0) }),
        ("top-k 40, top-p 0.95, min-p 0.05", GenerateOptions { top_k: 40, top_p: 0.95, min_p: 0.05, ..warm(0.8) }),
        ("top-k 90, top-p 0.9", GenerateOptions { top_k: 90, top_p: 0.9, ..warm(0.7) }),
        ("all of them", GenerateOptions { top_k: 30, top_p: 0.9, min_p: 0.02, temperature: 1.2, ..penalty.clone() }),
        ("penalty 1.4, greedy", GenerateOptions { temperature: 0.0, ..penalty }),
    ]
}

/// Logits of a shape that models give: normal, with a few far ahead; `kind` 1 has ties, 2 impossible tokens, 3 is flat.
fn logits(rng: &mut SmallRng, n: usize, kind: usize) -> Vec<f32> {
    let mut normal = || (0..12).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>();
    let mut logits: Vec<f32> = (0..n).map(|_| 2.0 * normal()).collect();
    for i in 0..n.min(9) {
        logits[i * 31 % n] += 5.0;
    }
    match kind {
        1 => logits.iter_mut().for_each(|l| *l = l.round()),
        // At least the first is possible.
        2 => {
            let least = logits[0].min(1.0);
            logits.iter_mut().filter(|l| **l < least).for_each(|l| *l = f32::NEG_INFINITY);
        }
        3 => logits.iter_mut().for_each(|l| *l *= 0.01),
        _ => {}
    }
    logits
}

fn recent(rng: &mut SmallRng, logits: &[f32], options: &GenerateOptions) -> Vec<u32> {
    if options.repeat_penalty == 1.0 {
        return Vec::new();
    }
    // Likely ones among them, or the penalty would do nothing.
    let mut ids: Vec<u32> = (0..20).map(|_| rng.random_range(0..logits.len() as u32)).collect();
    let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32;
    ids.push(best);
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The probability of each token, as the definition reads: step by step over the whole vocabulary.
fn direct(logits: &[f32], recent: &[u32], options: &GenerateOptions) -> Vec<f64> {
    let penalty = options.repeat_penalty;
    let mut tokens: Vec<(f64, usize)> = Vec::new();
    for (id, logit) in logits.iter().enumerate() {
        let said = recent.contains(&(id as u32));
        let logit = if !said {
            *logit
        } else if *logit > 0.0 {
            *logit / penalty
        } else {
            *logit * penalty
        };
        tokens.push((f64::from(logit), id));
    }
    tokens.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
    let softmax = |tokens: &[(f64, usize)], temperature: f64| -> Vec<f64> {
        let weights: Vec<f64> = tokens.iter().map(|t| ((t.0 - tokens[0].0) / temperature).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| w / sum).collect()
    };
    if options.temperature == 0.0 {
        tokens.truncate(1);
    }
    if options.top_k > 0 {
        tokens.truncate(options.top_k);
    }
    let mut held = 0.0;
    let shares = softmax(&tokens, 1.0);
    let reached = shares.iter().position(|p| {
        held += p;
        held >= f64::from(options.top_p)
    });
    tokens.truncate(if options.top_p < 1.0 { reached.unwrap() + 1 } else { tokens.len() });
    let shares = softmax(&tokens, 1.0);
    let likely = shares.iter().filter(|p| **p >= f64::from(options.min_p) * shares[0]).count();
    tokens.truncate(likely);
    let mut all = vec![0.0; logits.len()];
    let temperature = if options.temperature == 0.0 { 1.0 } else { f64::from(options.temperature) };
    for ((_, id), p) in tokens.iter().zip(softmax(&tokens, temperature)) {
        all[*id] = p;
    }
    all
}

/// Pearson's chi-squared of counts against probabilities, and what it passes once in a thousand (Wilson and Hilferty 1931).
/// Bins that expect less than five draws are one.
fn chi_squared(counts: &[u32], probabilities: &[f64]) -> (f64, f64) {
    let draws = f64::from(counts.iter().sum::<u32>());
    let (mut chi, mut bins, mut few) = (0.0, 0, (0.0, 0.0));
    let term = |count: f64, expected: f64| (count - expected).powi(2) / expected;
    for (count, p) in counts.iter().zip(probabilities) {
        let (count, expected) = (f64::from(*count), p * draws);
        if expected >= 5.0 {
            chi += term(count, expected);
            bins += 1;
        } else {
            few = (few.0 + count, few.1 + expected);
        }
    }
    if few.1 > 0.5 {
        chi += term(few.0, few.1);
        bins += 1;
    }
    let freedom = f64::from((bins - 1).max(1));
    let spread = 2.0 / (9.0 * freedom);
    (chi, freedom * (1.0 - spread + 3.09 * spread.sqrt()).powi(3))
}

/// A session of nothing but logits.
fn session_of<E: Executor>(
    executor: &E,
    sampler: &mut Sampler<E>,
    options: &GenerateOptions,
    recent: &[u32],
    logits: &[f32],
) -> E::Session {
    let mut session = executor.session(Class::Token);
    // The state is there once a plan is.
    let cold = GenerateOptions { repeat_penalty: 1.1, ..options.clone() };
    block_on(sampler.prepare(&mut session, &cold, recent.len(), &Cancel::new())).unwrap();
    session.write_state("logits", &Value::F32(logits.to_vec())).unwrap();
    session
}

fn ranked<E: Executor>(executor: &E, options: &GenerateOptions, recent: &[u32], logits: &[f32]) -> Result<Ranked> {
    let mut sampler = Sampler::for_any_size(logits.len());
    let mut session = session_of(executor, &mut sampler, options, recent, logits);
    Ok(block_on(sampler.ranked(&mut session, options, recent, &Cancel::new()))?.expect("asked for at any size"))
}

fn distributions_are_as_computed<E: Executor>(executor: &E, draws: u64) {
    let seed = 61;
    println!("seed {seed}");
    let rng = &mut SmallRng::seed_from_u64(seed);
    for (name, options) in many_options() {
        for kind in [0, 2] {
            let logits = logits(rng, 300, kind);
            let recent = recent(rng, &logits, &options);
            let probabilities = direct(&logits, &recent, &options);
            let ranked = ranked(executor, &options, &recent, &logits).unwrap();
            let mut counts = vec![0u32; logits.len()];
            for step in 0..draws {
                let u = uniform(seed, step);
                let id = ranked.choose(&options, u);
                let id = id.unwrap_or_else(|| draw_whole(logits.clone(), &recent, &options, u).unwrap());
                counts[id as usize] += 1;
            }
            let impossible = counts.iter().zip(&probabilities).find(|(count, p)| **count > 0 && **p == 0.0);
            assert_eq!(impossible, None, "{name}, logits {kind}");
            let (chi, allowed) = chi_squared(&counts, &probabilities);
            assert!(chi < allowed, "{name}, logits {kind}: {chi:.1}, allowed {allowed:.1}");
        }
    }
}

#[test]
fn distributions_on_the_cpu() {
    distributions_are_as_computed(&Cpu::new(Mode::Exact), 20_000);
    distributions_are_as_computed(&Cpu::new(Mode::Fast), 5_000);
}

/// From all logits, without any candidates.
#[test]
fn distributions_from_all_logits() {
    let seed = 62;
    println!("seed {seed}");
    let rng = &mut SmallRng::seed_from_u64(seed);
    for (name, options) in many_options() {
        // More than are ranked first.
        let logits = logits(rng, 700, 1);
        let recent = recent(rng, &logits, &options);
        let probabilities = direct(&logits, &recent, &options);
        let mut counts = vec![0u32; logits.len()];
        for step in 0..4000 {
            counts[draw_whole(logits.clone(), &recent, &options, uniform(seed, step)).unwrap() as usize] += 1;
        }
        let (chi, allowed) = chi_squared(&counts, &probabilities);
        assert!(chi < allowed, "{name}: {chi:.1}, allowed {allowed:.1}");
    }
}

/// Whatever part of the logits is read, the token is the one that all of them give.
fn candidates_give_the_token_of_all<E: Executor>(executor: &E) {
    let seed = 63;
    println!("seed {seed}");
    let rng = &mut SmallRng::seed_from_u64(seed);
    for n in [1, 2, 63, 64, 65, 131, 700, 3001] {
        for (name, options) in many_options() {
            let (mut decided, mut draws) = (0, 0);
            for kind in 0..4 {
                let logits = logits(rng, n, kind);
                let recent = recent(rng, &logits, &options);
                let ranked = ranked(executor, &options, &recent, &logits).unwrap();
                for step in 0..if n > 700 { 8 } else { 40 } {
                    let u = uniform(seed, step);
                    draws += 1;
                    if let Some(id) = ranked.choose(&options, u) {
                        decided += 1;
                        let whole = draw_whole(logits.clone(), &recent, &options, u).unwrap();
                        assert_eq!(id, whole, "{name}, {n} logits {kind}, quantile {u}");
                    }
                }
            }
            // All of so few are candidates; of more, those that these options leave.
            let certain = n <= 64 || (1..=40).contains(&options.top_k) || options.temperature == 0.0;
            assert!(decided == draws || !certain, "{name}, {n} logits: {decided} of {draws} draws were decided");
        }
    }
}

#[test]
fn candidates_decide_as_all_logits_do_on_the_cpu() {
    candidates_give_the_token_of_all(&Cpu::new(Mode::Exact));
    candidates_give_the_token_of_all(&Cpu::new(Mode::Fast));
}

/// The sum of all weights is as near to the true one as the sampler takes it to be.
fn the_mass_is_within_its_bound<E: Executor>(executor: &E) {
    let seed = 65;
    println!("seed {seed}");
    let rng = &mut SmallRng::seed_from_u64(seed);
    let cancel = Cancel::new();
    for (n, kind, scale) in [(70, 0, 1.0f32), (256, 3, 2.0), (3001, 0, 0.3), (33_000, 3, 1.0), (33_000, 2, 5.0)] {
        let logits = logits(rng, n, kind);
        let wanted = Pick { vocab_size: n, candidates: 1, recent: 0, mass: true };
        let graph = pick(&wanted).unwrap();
        let picked = block_on(async {
            let mut session = executor.session(Class::Token);
            let plan = session.compile(&graph, &Rc::default(), &cancel).await?;
            session.write_state(LOGITS, &Value::F32(logits.clone()))?;
            let inputs = [("scale", Value::F32(vec![scale]))];
            session.run(&plan, &Bindings::new(&graph, &[])?, &inputs, &cancel).await?;
            session.read(&plan, "picked").await?.into_f32()
        })
        .unwrap();
        let exp = |l: &f32| ((f64::from(*l) - f64::from(picked[0])) * f64::from(scale)).exp();
        let mass: f64 = logits.iter().map(exp).sum();
        let error = (f64::from(picked[2]) - mass).abs() / mass;
        assert!(error < wanted.mass_error(), "{n} logits {kind}: off by {error:e}, {:e} allowed", wanted.mass_error());
    }
}

/// What is no number is an error wherever it is found, and nothing hangs.
fn what_is_no_number_is_told<E: Executor>(executor: &E) {
    let n = 1100;
    for (place, value) in [(0, f32::NAN), (1099, -f32::NAN), (500, f32::INFINITY)] {
        for (name, options) in many_options() {
            let mut logits = vec![0.5; n];
            logits[place] = value;
            let mut sampler = Sampler::new(n);
            let mut session = session_of(executor, &mut sampler, &options, &[7], &logits);
            let drawn = block_on(sampler.draw(&mut session, &options, &[7], 0.3, &Cancel::new()));
            assert_eq!(drawn.unwrap_err().code, "chat.logits", "{name}, {value} at {place}");
        }
    }
    let mut sampler = Sampler::new(n);
    let mut session = session_of(executor, &mut sampler, &warm(1.0), &[], &vec![f32::NAN; n]);
    let drawn = block_on(sampler.draw(&mut session, &warm(1.0), &[], 0.3, &Cancel::new()));
    assert_eq!(drawn.unwrap_err().code, "chat.logits");
}

#[test]
fn broken_logits_are_told() {
    what_is_no_number_is_told(&Cpu::new(Mode::Exact));
}

/// A vocabulary large enough that candidates are asked for.
const LARGE: Llama = Llama { vocab: 1103, hidden: 32, feed_forward: 64, layers: 1, ..SMALL };

/// Tokens drawn in a conversation are those that its logits give, one after another, and few bytes are read for them.
fn a_conversation_draws_from_its_logits<E: Executor>(executor: &Rc<E>) {
    let seed = 64;
    let bytes = random_model(LARGE, seed);
    let prompt = random_ids(LARGE.vocab, 7, seed);
    let (mut session, mut other) = {
        let open = || open(executor, &bytes, &LoadOptions::default()).unwrap();
        (open(), open())
    };
    let cancel = Cancel::new();
    for (name, options) in many_options() {
        // Sharper than random weights are by themselves.
        let options = GenerateOptions { max_tokens: 5, seed, temperature: options.temperature * 0.2, ..options };
        session.reset();
        let answer = block_on(session.generate(&prompt, &options, &cancel, &mut |_| {})).unwrap();
        other.reset();
        let mut logits = block_on(other.logits(&prompt, &cancel)).unwrap();
        for (step, id) in answer.tokens.iter().enumerate() {
            let mut recent = other.context();
            recent.sort_unstable();
            recent.dedup();
            let u = uniform(seed, step as u64);
            assert_eq!(*id, draw_whole(logits, &recent, &options, u).unwrap(), "{name}, token {step}");
            logits = block_on(other.logits(&[*id], &cancel)).unwrap();
        }
        let again = {
            session.reset();
            block_on(session.generate(&prompt, &options, &cancel, &mut |_| {})).unwrap().tokens
        };
        assert_eq!(again, answer.tokens, "{name}: the same seed, the same text");
        println!("{name}: {} bytes a token", answer.read_bytes_per_token);
        if (1..=40).contains(&options.top_k) || options.temperature == 0.0 {
            assert!(answer.read_bytes_per_token <= 1024.0, "{name}: {} bytes", answer.read_bytes_per_token);
        }
    }
    let greedy = GenerateOptions { max_tokens: 9, ..warm(0.0) };
    session.reset();
    let answer = block_on(session.generate(&prompt, &greedy, &cancel, &mut |_| {})).unwrap();
    assert_eq!(answer.read_bytes_per_token, 4.0);
    // A penalty so large that nothing is said twice, prompt and answer; without it a token is.
    let never = GenerateOptions { repeat_penalty: 1e6, repeat_last_n: usize::MAX, max_tokens: 24, ..greedy };
    session.reset();
    let answer = block_on(session.generate(&prompt, &never, &cancel, &mut |_| {})).unwrap();
    let mut said = [prompt.as_slice(), &answer.tokens].concat();
    said.sort_unstable();
    assert!(said.windows(2).all(|pair| pair[0] != pair[1]), "{said:?}");
    // One that looks back three tokens lets the fourth come again.
    let short = GenerateOptions { repeat_last_n: 3, ..never };
    session.reset();
    let answer = block_on(session.generate(&prompt, &short, &cancel, &mut |_| {})).unwrap().tokens;
    assert!(answer.windows(4).all(|four| !four[..3].contains(&four[3])), "{answer:?}");
}

#[test]
fn conversations_draw_from_their_logits_on_the_cpu() {
    a_conversation_draws_from_its_logits(&Rc::new(Cpu::new(Mode::Exact)));
    a_conversation_draws_from_its_logits(&Rc::new(Cpu::new(Mode::Fast)));
}

#[test]
fn the_mass_on_the_cpu() {
    the_mass_is_within_its_bound(&Cpu::new(Mode::Fast));
}

/// All of it on each adapter: one test, so that kernels are compiled once. Tiers that look for the largest in a way of their
/// own: the others take core's.
#[test]
fn all_of_it_on_a_gpu() {
    each_gpu(|gpu, tier| {
        if Kernel::TopK.is_written_for(tier) {
            distributions_are_as_computed(&**gpu, 5_000);
            candidates_give_the_token_of_all(&**gpu);
            the_mass_is_within_its_bound(&**gpu);
            what_is_no_number_is_told(&**gpu);
            a_conversation_draws_from_its_logits(gpu);
        }
    });
}
