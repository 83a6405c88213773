//! Prompts and answers with one model: what was said before is part of the next prompt, and runs no second time.

use std::rc::Rc;

use lantern_demos::chat::{ChatModel, ChatSession, Finish, GenerateOptions, Generation, Message, Overflow};
use lantern_graph::{Cancel, Description, Executor, Result};
use serde_json::{Value as Json, json};

use super::notes;
use crate::args::{Chat, WhenFull};
use crate::output::{self, Notes};
use crate::remedy::{self, Room};

pub struct Talk<'a, E: Executor> {
    args: &'a Chat,
    options: GenerateOptions,
    model: Rc<ChatModel<E>>,
    session: ChatSession<E>,
    device: Description,
    trained_context: usize,
    said: Said,
    /// Tokens at the beginning that the context has no room for any more.
    forgotten: usize,
    answers: u64,
    notes: Notes,
}

/// What was said before.
#[derive(Clone)]
enum Said {
    Turns(Vec<Message>),
    Text(String),
}

impl<'a, E: Executor> Talk<'a, E> {
    /// # Errors
    /// The executor's own.
    pub async fn new(
        args: &'a Chat,
        options: GenerateOptions,
        model: Rc<ChatModel<E>>,
        trained_context: usize,
        notes: Notes,
    ) -> Result<Self> {
        let session = model.session(&mut |_| {}, &Cancel::new()).await?;
        let device = model.executor().describe();
        let said = match args.raw {
            true => Said::Text(String::new()),
            false => Said::Turns(args.system.iter().map(|text| Message::new("system", text.as_str())).collect()),
        };
        Ok(Self { args, options, model, session, device, trained_context, said, forgotten: 0, answers: 0, notes })
    }

    /// Answers `prompt`, as text while it comes or as JSON when it is whole. A prompt that fails, or was stopped before it was
    /// answered, was not said.
    ///
    /// # Errors
    /// `chat.*`, the tokenizer's and the executor's own, `output.*`.
    pub async fn answer(&mut self, prompt: &str, cancel: &Cancel) -> Result<()> {
        let mut said = self.said.clone();
        let (ids, first) = match &mut said {
            Said::Text(text) => {
                text.push_str(prompt);
                (self.model.raw_prompt(text)?, usize::from(self.model.tokenizer().add_bos()))
            }
            Said::Turns(turns) => {
                turns.push(Message::new("user", prompt));
                // Finding the system prompt's end writes the conversation down several times: only where it is needed.
                let slides = self.args.overflow == WhenFull::Slide && self.args.keep.is_none();
                let first = if slides { self.model.system_prefix(turns)? } else { 0 };
                (self.model.chat_prompt(turns)?, first)
            }
        };
        let overflow = match self.args.overflow {
            WhenFull::Stop => Overflow::Stop,
            WhenFull::Slide => Overflow::Slide { keep: self.args.keep.unwrap_or(first) },
        };
        let room = Room {
            needed: ids.len(),
            answer: self.options.max_tokens,
            context: self.model.config().context_length,
            trained: self.trained_context,
        };
        let (rest, forgotten) = self.session.resume(&ids, overflow).map_err(|error| remedy::of_room(error, &room))?;
        self.tell_before(prompt, &said, forgotten, &room)?;

        let seed = self.options.seed.wrapping_add(self.answers);
        let options = GenerateOptions { overflow, seed, ..self.options.clone() };
        let generation = self.generate(&rest, &options, cancel).await?;
        let room = Room { needed: ids.len() + generation.tokens.len(), ..room };
        self.tell_after(&generation, &room);
        if self.args.json.json {
            output::json(&self.to_json(&generation, &options, ids.len() - forgotten, rest.len(), forgotten))?;
        }
        self.notes.clear();
        if generation.finish == Finish::Cancelled && generation.tokens.is_empty() {
            return Ok(());
        }
        match &mut said {
            Said::Text(text) => text.push_str(&generation.text),
            Said::Turns(turns) => turns.push(Message::new("assistant", generation.text)),
        }
        self.said = said;
        self.answers += 1;
        Ok(())
    }

    /// Text is written as it comes.
    async fn generate(&mut self, rest: &[u32], options: &GenerateOptions, cancel: &Cancel) -> Result<Generation> {
        let (json, mut written, mut shown) = (self.args.json.json, Ok(()), 0);
        let generation = self
            .session
            .generate(rest, options, cancel, &mut |token| {
                if json {
                    return;
                }
                shown += token.text.len();
                written = output::text(&token.text);
                if written.is_err() {
                    cancel.cancel();
                }
            })
            .await?;
        written?;
        if !json {
            // A last half character, and the end of the line.
            output::line(generation.text.get(shown..).unwrap_or_default())?;
        }
        Ok(generation)
    }

    /// What is not as it was asked for, once it is sure that there will be an answer.
    fn tell_before(&mut self, prompt: &str, said: &Said, forgotten: usize, room: &Room) -> Result<()> {
        let mut told = Vec::new();
        if self.answers == 0 {
            told.extend_from_slice(self.model.notices());
            if let Said::Turns(turns) = said {
                // Whoever told it something first hears before the answer what became of that.
                told.extend(self.args.system.as_ref().and_then(|_| self.model.template_notice()));
                told.extend(self.model.chat_notices(turns));
            }
            told.extend(notes::without_effect(self.args));
            told.extend(
                self.args
                    .system
                    .iter()
                    .map(|text| self.model.tokenizer().notice_of(text))
                    .find_map(Result::transpose)
                    .transpose()?,
            );
        }
        told.extend(self.model.tokenizer().notice_of(prompt)?);
        if forgotten > self.forgotten {
            told.push(notes::forgotten(forgotten, room));
        }
        self.forgotten = forgotten;
        told.into_iter().for_each(|note| self.notes.tell(note));
        Ok(())
    }

    fn tell_after(&mut self, generation: &Generation, room: &Room) {
        let is_first_of_turns = self.answers == 0 && !self.args.raw && self.args.system.is_none();
        let told = [
            if is_first_of_turns { self.model.template_notice() } else { None },
            (generation.dropped > 0).then(|| notes::forgotten_meanwhile(generation.dropped, room)),
            match generation.finish {
                Finish::ContextFull => Some(notes::context_full(room)),
                // Who says how long an answer may be knows it.
                Finish::MaxTokens if self.args.max_tokens.is_none() => Some(notes::default_length(room.answer)),
                _ => None,
            },
        ];
        told.into_iter().flatten().for_each(|note| self.notes.tell(note));
    }

    /// `held`: tokens of the prompt that the context holds, of which `ran` had to run.
    fn to_json(
        &self,
        generation: &Generation,
        options: &GenerateOptions,
        held: usize,
        ran: usize,
        forgotten: usize,
    ) -> Json {
        json!({
            "tokens": generation.tokens,
            "text": generation.text,
            "finish": finish_name(generation.finish),
            "prompt_tokens": held,
            "reused_tokens": held - ran,
            "slides": generation.slides + usize::from(forgotten > 0),
            "dropped": generation.dropped + forgotten,
            "prefill_ms": generation.prefill_ms,
            "decode_ms": generation.decode_ms,
            "tokens_per_s": generation.tokens_per_s(),
            "device": self.device.device,
            "tier": self.device.tier,
            "adapter": self.device.adapter,
            "dispatches_per_token": generation.dispatches_per_token,
            "bytes_per_token": generation.bytes_per_token,
            "read_bytes_per_token": generation.read_bytes_per_token,
            "sampling": {
                "temperature": options.temperature,
                "top_k": options.top_k,
                "top_p": options.top_p,
                "min_p": options.min_p,
                "repeat_penalty": options.repeat_penalty,
                "repeat_last_n": self.args.sampling.repeat_last_n,
                "seed": options.seed,
                "stop": options.stop,
            },
            "weight_bytes": self.model.weight_bytes(),
            "work_bytes": self.session.account().bytes(),
            "notes": self.notes.to_json(),
        })
    }
}

fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::EndOfText => "end_of_text",
        Finish::StopString => "stop_string",
        Finish::MaxTokens => "max_tokens",
        Finish::ContextFull => "context_full",
        Finish::Cancelled => "cancelled",
    }
}
