//! Where an answer ends before a text, and what a conversation holds then.

mod common;

use std::rc::Rc;

use common::{SMALL, open, random_ids, random_model};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::{ChatSession, Finish, GenerateOptions, Generation, LoadOptions, Token};
use lantern_graph::Cancel;
use pollster::block_on;

const SEED: u64 = 71;

fn session() -> ChatSession<Cpu> {
    open(&Rc::new(Cpu::new(Mode::Exact)), &random_model(SMALL, SEED), &LoadOptions::default()).unwrap()
}

fn prompt() -> Vec<u32> {
    random_ids(SMALL.vocab, 6, SEED)
}

fn options(stop: &[&str]) -> GenerateOptions {
    GenerateOptions { max_tokens: 12, stop: stop.iter().map(|s| s.to_string()).collect(), ..GenerateOptions::default() }
}

/// The answer, and the tokens as they were given out.
fn ask(session: &mut ChatSession<Cpu>, prompt: &[u32], options: &GenerateOptions) -> (Generation, Vec<Token>) {
    let mut given = Vec::new();
    let answer = block_on(session.generate(prompt, options, &Cancel::new(), &mut |t| given.push(t.clone()))).unwrap();
    let text: String = given.iter().map(|token| token.text.as_str()).collect();
    let ids: Vec<u32> = given.iter().map(|token| token.id).collect();
    assert_eq!((&text, &ids), (&answer.text, &answer.tokens), "what was given out is the answer");
    (answer, given)
}

/// Twelve tokens, each of which spells " t" and a number.
fn plain() -> Vec<Token> {
    let (answer, given) = ask(&mut session(), &prompt(), &options(&[]));
    assert_eq!((answer.finish, given.len()), (Finish::MaxTokens, 12));
    given
}

fn text(tokens: &[Token]) -> String {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

#[test]
fn a_stop_string_over_many_tokens_ends_the_answer_before_it() {
    let whole = plain();
    // From within the fourth token to within the seventh.
    let stop = text(&whole[3..7]);
    let stop = &stop[1..stop.len() - 1];
    let all = text(&whole);
    let cut = all.find(stop).unwrap();
    let mut session = session();
    let (answer, given) = ask(&mut session, &prompt(), &options(&["never", stop]));
    assert_eq!((answer.finish, answer.text.as_str()), (Finish::StopString, &all[..cut]));
    // The fourth token spells a space that is seen: it stays, whole.
    assert_eq!((given.len(), given[3].text.as_str()), (4, " "));
    let held: Vec<u32> = whole[..4].iter().map(|token| token.id).collect();
    assert_eq!(session.context(), [prompt(), held].concat());

    // The conversation goes on from there as one that was told the same.
    let more = random_ids(SMALL.vocab, 3, 5);
    let told = session.context();
    let (next, _) = ask(&mut session, &more, &options(&[]));
    let mut fresh = self::session();
    assert_eq!(next.tokens, ask(&mut fresh, &[told, more].concat(), &options(&[])).0.tokens);
}

#[test]
fn a_stop_string_of_whole_tokens_leaves_none_of_them() {
    let whole = plain();
    let stop = text(&whole[3..5]);
    let at = text(&whole).find(&stop).unwrap();
    let before = whole
        .iter()
        .scan(0, |sum, t| {
            *sum += t.text.len();
            Some(*sum)
        })
        .filter(|end| *end <= at)
        .count();
    let mut session = session();
    let (answer, _) = ask(&mut session, &prompt(), &options(&[&stop]));
    assert_eq!((answer.finish, answer.tokens.len()), (Finish::StopString, before));
    assert_eq!(session.context().len(), prompt().len() + before);
    // With nothing more to say the same comes again, and stops again.
    let (again, _) = ask(&mut session, &[], &options(&[&stop]));
    assert_eq!((again.finish, again.text.as_str()), (Finish::StopString, ""));
}

#[test]
fn what_only_began_like_a_stop_string_is_given_out_after_all() {
    let whole = plain();
    // Begins with what the last three tokens spell, and goes on.
    let stop = text(&whole[9..]) + "…";
    let mut session = session();
    let (answer, given) = ask(&mut session, &prompt(), &options(&[&stop]));
    assert_eq!((answer.finish, given), (Finish::MaxTokens, whole.clone()));
    assert_eq!(session.context().len(), prompt().len() + 12);
}

#[test]
fn a_replayed_journal_finds_the_stop_string_that_was_begun() {
    let warm = |stop: &[&str]| GenerateOptions { temperature: 1.0, seed: 4, ..options(stop) };
    let (_, whole) = ask(&mut session(), &prompt(), &warm(&[]));
    let stop = text(&whole[5..8]);
    let (answer, given) = ask(&mut session(), &prompt(), &warm(&[&stop]));
    assert_eq!(answer.finish, Finish::StopString);
    // The journal has what was given out; tokens that were held back are drawn again.
    for kept in 0..given.len() {
        let told: Vec<u32> = prompt().into_iter().chain(given[..kept].iter().map(|token| token.id)).collect();
        let rest = GenerateOptions { first_step: kept as u64, max_tokens: 12 - kept, ..warm(&[&stop]) };
        let (rest, _) = ask(&mut session(), &told, &rest);
        assert_eq!((rest.finish, rest.text), (Finish::StopString, text(&given[kept..])), "after {kept} tokens");
    }
}
