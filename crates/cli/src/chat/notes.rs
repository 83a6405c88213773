//! What is told of an answer that is not quite what was asked for.

use lantern_graph::Error;

use crate::args::{Chat, WhenFull};
use crate::remedy::Room;

/// Options that change nothing beside others.
pub fn without_effect(args: &Chat) -> Vec<Error> {
    let sampling = &args.sampling;
    let drawn = [
        ("--top-k", sampling.top_k != 0),
        ("--top-p", sampling.top_p != 1.0),
        ("--min-p", sampling.min_p != 0.0),
        ("--seed", sampling.seed != 0),
    ];
    let groups = [
        (args.temperature == 0.0, &drawn[..], "above a --temperature of 0"),
        (
            sampling.repeat_penalty == 1.0,
            &[("--repeat-last-n", sampling.repeat_last_n != 64)],
            "with a --repeat-penalty",
        ),
        (args.overflow == WhenFull::Stop, &[("--keep", args.keep.is_some())], "with --overflow slide"),
    ];
    let idle = groups.into_iter().filter(|(is_idle, ..)| *is_idle).filter_map(|(_, options, when)| {
        let flags: Vec<&str> = options.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag).collect();
        let (verb, them) = if flags.len() == 1 { ("has", "it") } else { ("have", "them") };
        let cause = format!("{} {verb} an effect only {when}", flags.join(", "));
        let note = || Error::new("chat.no_effect", cause, format!("give that too, or leave {them} out"));
        (!flags.is_empty()).then(note)
    });
    idle.collect()
}

/// At the beginning of a prompt.
pub fn forgotten(tokens: usize, room: &Room) -> Error {
    let cause = format!(
        "{tokens} tokens of the prompt were forgotten: it has {}, and the context holds {}",
        room.needed, room.context
    );
    Error::new("chat.forgotten", cause, room.remedy())
}

/// While the answer was written.
pub fn forgotten_meanwhile(tokens: usize, room: &Room) -> Error {
    let cause =
        format!("{tokens} tokens were forgotten while the answer was written: the context holds {}", room.context);
    Error::new("chat.forgotten", cause, room.remedy())
}

pub fn context_full(room: &Room) -> Error {
    let cause = format!("the answer ended early: the context of {} tokens is full", room.context);
    Error::new(
        "chat.context_full",
        cause,
        format!("{}; --overflow slide goes on and forgets the oldest", room.remedy()),
    )
}

pub fn default_length(tokens: usize) -> Error {
    let cause =
        format!("the answer was cut after {tokens} tokens, the most that an answer has unless more are asked for");
    Error::new("chat.max_tokens", cause, "give --max-tokens more")
}
