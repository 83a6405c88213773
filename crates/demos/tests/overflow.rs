//! What becomes of a conversation that is longer than its context.

mod common;

use std::rc::Rc;

use common::{Llama, SMALL, generate, open, random_ids, random_model};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{Finish, GenerateOptions, LoadOptions, Overflow, fit};
use lantern_gpu::Tier;
use lantern_graph::Executor;

const CONTEXT: usize = 24;
const KEEP: usize = 3;

fn sliding(max_tokens: usize, keep: usize) -> GenerateOptions {
    GenerateOptions { max_tokens, overflow: Overflow::Slide { keep }, ..GenerateOptions::default() }
}

fn file() -> (Vec<u8>, Vec<u32>) {
    let sizes = Llama { context: CONTEXT, ..SMALL };
    (random_model(sizes, 60), random_ids(sizes.vocab, 10, 61))
}

/// Each token is the one that a conversation which began with what is left would have had next.
fn slides_exactly<E: Executor>(executor: &Rc<E>, count: usize) {
    let (bytes, prompt) = file();
    let load = LoadOptions { prefill_chunk: Some(9), ..LoadOptions::default() };
    let mut session = open(executor, &bytes, &load).unwrap();
    let answer = generate(&mut session, &prompt, &sliding(count, KEEP)).unwrap();
    assert_eq!((answer.finish, answer.tokens.len()), (Finish::MaxTokens, count));
    let whole = [&prompt[..], &answer.tokens].concat();
    let mut fresh = open(executor, &bytes, &load).unwrap();
    // Before the first slide there is nothing to tell.
    for n in CONTEXT..whole.len() {
        let held = fit(&whole[..n], CONTEXT, KEEP).unwrap();
        fresh.reset();
        let next = generate(&mut fresh, &held, &GenerateOptions { max_tokens: 1, ..GenerateOptions::default() });
        assert_eq!(next.unwrap().tokens, whole[n..=n], "token {n} of {held:?}");
    }
    // What was told of it: each slide forgets half of what is not kept.
    let held = fit(&whole, CONTEXT, KEEP).unwrap();
    assert_eq!(session.context(), held);
    assert_eq!((answer.dropped, answer.slides), (whole.len() - held.len(), answer.dropped / ((CONTEXT - KEEP) / 2)));
    assert!(answer.slides >= 2, "{} slides", answer.slides);
}

#[test]
fn a_full_context_slides_and_goes_on() {
    slides_exactly(&Rc::new(Cpu::new(Mode::Exact)), 80);
    slides_exactly(&Rc::new(Cpu::new(Mode::Fast)), 80);
}

/// A slide is the same runs again, whatever the kernels.
#[test]
fn a_full_context_slides_on_a_gpu() {
    common::each_gpu(|gpu, tier| {
        if tier <= Tier::Core {
            slides_exactly(gpu, 28);
        }
    });
}

#[test]
fn a_prompt_that_is_too_long_is_cut_only_where_that_was_asked_for() {
    let (bytes, _) = file();
    let prompt = random_ids(SMALL.vocab, 100, 62);
    let cpu = Rc::new(Cpu::new(Mode::Exact));
    let mut session = open(&cpu, &bytes, &LoadOptions::default()).unwrap();
    let error = generate(&mut session, &prompt, &GenerateOptions::default()).unwrap_err();
    assert!(error.code == "chat.too_long" && error.cause.contains("100 tokens"), "{error}");
    let error = generate(&mut session, &prompt, &sliding(5, CONTEXT - 1)).unwrap_err();
    assert!(error.code == "chat.keep" && error.cause.contains("23"), "{error}");
    assert!(session.context().is_empty());

    let held = fit(&prompt, CONTEXT, KEEP).unwrap();
    let cut = generate(&mut session, &prompt, &sliding(5, KEEP)).unwrap();
    assert_eq!((cut.dropped, cut.prompt_tokens), (100 - held.len(), held.len()));
    let mut fresh = open(&cpu, &bytes, &LoadOptions::default()).unwrap();
    assert_eq!(generate(&mut fresh, &held, &sliding(5, KEEP)).unwrap().tokens, cut.tokens);

    // A context that is full because an answer stopped there goes on once it may slide.
    fresh.reset();
    let full = generate(&mut fresh, &held, &GenerateOptions::default()).unwrap();
    assert_eq!(full.finish, Finish::ContextFull);
    let more = generate(&mut fresh, &[9], &sliding(3, KEEP)).unwrap();
    assert_eq!((more.slides, more.tokens.len()), (1, 3));
}

/// A page that writes the whole conversation down for each turn pays for the new tokens alone, however often it slid.
#[test]
fn a_conversation_written_down_anew_shares_what_its_session_holds() {
    let (bytes, prompt) = file();
    let mut session = open(&Rc::new(Cpu::new(Mode::Exact)), &bytes, &LoadOptions::default()).unwrap();
    let mut whole = prompt;
    let (mut slides, mut forgotten, mut cheap) = (0, 0, 0);
    for turn in 0..12 {
        let held = session.fit(&whole, KEEP).unwrap();
        let shared = session.keep_prefix(&held[..held.len() - 1]);
        let answer = generate(&mut session, &held[shared..], &sliding(7, KEEP)).unwrap();
        // The visitor's three, and the answer's last, which had not run.
        if turn > 0 && whole.len() - held.len() == forgotten {
            assert_eq!(answer.prompt_tokens, 4, "turn {turn}");
            cheap += 1;
        }
        slides += answer.slides;
        whole.extend(&answer.tokens);
        let context = session.context();
        assert_eq!(context, session.fit(&whole, KEEP).unwrap(), "turn {turn}");
        forgotten = whole.len() - context.len();
        // What the visitor says next.
        whole.extend(random_ids(SMALL.vocab, 3, 70 + turn));
    }
    assert!(slides >= 5 && cheap >= 5, "{slides} slides, {cheap} turns that cost their own tokens alone");
}
