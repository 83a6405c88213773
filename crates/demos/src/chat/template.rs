//! The chat template out of the file: how a conversation is written down for this model.
//!
//! Templates are Jinja as Hugging Face renders it: blocks trimmed, Python's string methods, `raise_exception`.

use lantern_graph::{Error, Result};
use lantern_tokenizer::Tokenizer;
use lantern_weights::Metadata;
use minijinja::{Environment, ErrorKind, Value, context};

/// Instructions a template may take: a hundred times what a long conversation needs.
const FUEL: u64 = 10_000_000;

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

pub struct ChatTemplate {
    source: Option<String>,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// # Errors
    /// `gguf.metadata` when the template is no string.
    pub fn from_gguf(m: &Metadata, tokenizer: &Tokenizer) -> Result<Self> {
        let piece = |id: Option<u32>| id.and_then(|id| tokenizer.piece(id)).unwrap_or_default().to_owned();
        Ok(Self {
            source: m.find_str("tokenizer.chat_template")?.map(str::to_owned),
            bos_token: piece(tokenizer.bos()),
            eos_token: piece(tokenizer.eos()),
        })
    }

    pub fn is_some(&self) -> bool {
        self.source.is_some()
    }

    /// The conversation up to where the model goes on; `None` when the file has no template.
    ///
    /// # Errors
    /// `chat.template` with what the template said.
    pub fn render(&self, messages: &[Message]) -> Result<Option<String>> {
        let Some(source) = &self.source else { return Ok(None) };
        let mut jinja = Environment::new();
        jinja.set_trim_blocks(true);
        jinja.set_lstrip_blocks(true);
        jinja.set_fuel(Some(FUEL));
        jinja.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        jinja.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        let messages: Vec<Value> = messages.iter().map(|m| context! { role => m.role, content => m.content }).collect();
        let values = context! {
            messages,
            bos_token => self.bos_token,
            eos_token => self.eos_token,
            add_generation_prompt => true,
        };
        jinja.render_str(source, values).map(Some).map_err(|error| {
            let place = error.line().map_or(String::new(), |line| format!(" in line {line}"));
            let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            Error::new(
                "chat.template",
                format!("the file's chat template failed{place}: {what}"),
                "ask in another way, or give the prompt raw, without the template",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, messages: &[Message]) -> Result<Option<String>> {
        let template = ChatTemplate { source: Some(source.into()), bos_token: "<s>".into(), eos_token: "</s>".into() };
        template.render(messages)
    }

    fn hello() -> [Message; 2] {
        [Message::new("system", "Be brief."), Message::new("user", " Hello \"you\" ")]
    }

    #[test]
    fn llama_2_chat() {
        // The template of Llama-2-7b-chat-hf's kind: system folded into the first turn, .strip(), raise_exception.
        let source = "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
            {% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}\
            {% set system_message = false %}{% endif %}{% for message in loop_messages %}\
            {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
            {{ raise_exception('roles must alternate') }}{% endif %}\
            {% if loop.index0 == 0 and system_message != false %}\
            {% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
            {% else %}{% set content = message['content'] %}{% endif %}\
            {% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}\
            {% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}";
        let text = render(source, &hello()).unwrap().unwrap();
        assert_eq!(text, "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hello \"you\" [/INST]");
        let error = render(source, &[Message::new("assistant", "no")]).unwrap_err();
        assert!(error.code == "chat.template" && error.cause.contains("roles must alternate"), "{error}");
    }

    #[test]
    fn blocks_on_their_own_lines_leave_no_trace() {
        let source = "{% for m in messages %}\n    {% if m.role == 'user' %}\n<|user|>\n{{ m.content | trim }}{{ eos_token }}\n    \
            {% endif %}\n{% endfor %}\n{% if add_generation_prompt %}\n<|assistant|>\n{% endif %}\n";
        let text = render(source, &hello()).unwrap().unwrap();
        assert_eq!(text, "<|user|>\nHello \"you\"</s>\n<|assistant|>\n");
        let json = render("{{ messages[1].content | tojson }}", &hello()).unwrap().unwrap();
        assert_eq!(json, r#"" Hello \"you\" ""#);
    }

    #[test]
    fn broken_and_endless_templates_are_errors() {
        let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}";
        for source in ["{% for %}", "{{ nothing.at.all }}", "{{ strftime_now('%Y') }}", endless] {
            let error = render(source, &hello()).unwrap_err();
            assert!(error.code == "chat.template" && !error.cause.contains('\n'), "{error}");
        }
    }
}
