//! Jinja as Hugging Face renders chat templates: blocks trimmed, Python's string methods and its JSON, `raise_exception`,
//! `strftime_now`, `{% generation %}`.

use std::io::{self, Write};

use lantern_graph::{Error, Result};
use minijinja::value::Kwargs;
use minijinja::{Environment, ErrorKind, Value, context};
use serde::Serialize;
use serde_json::ser::Formatter;

use super::{Message, date};

/// Instructions a template may take: a hundred times what a long conversation needs.
const FUEL: u64 = 10_000_000;
/// Bytes it may write: more than any context holds.
const MOST_BYTES: usize = 16 << 20;

pub(super) struct Renderer {
    environment: Environment<'static>,
}

impl Renderer {
    pub fn new() -> Self {
        let now = date::now();
        let mut jinja = Environment::new();
        jinja.set_trim_blocks(true);
        jinja.set_lstrip_blocks(true);
        jinja.set_fuel(Some(FUEL));
        jinja.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        jinja.add_function("raise_exception", |message: String| -> std::result::Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        jinja.add_function("strftime_now", move |format: String| date::strftime(now, &format));
        jinja.add_filter("tojson", to_json);
        Self { environment: jinja }
    }

    /// # Errors
    /// `chat.template` with what the template said.
    pub fn render(&self, source: &str, tokens: &[(&str, String)], messages: &[Message]) -> Result<String> {
        let source = without_generation(source);
        let messages: Vec<Value> = messages.iter().map(|m| context! { role => m.role, content => m.content }).collect();
        let tokens: Value = tokens.iter().map(|(name, text)| (*name, text.clone())).collect();
        // Hugging Face hands these three over as None; `date_string` and such it leaves undefined.
        let none = Value::from(());
        let values = context! {
            messages,
            tools => none,
            documents => none,
            add_generation_prompt => true,
            ..tokens
        };
        let mut out = Bounded(Vec::new());
        let template = self.environment.template_from_str(&source).map_err(failed)?;
        template.render_captured_to(values, &mut out).map_err(failed)?;
        String::from_utf8(out.0).map_err(|e| failed(minijinja::Error::new(ErrorKind::WriteFailure, e.to_string())))
    }
}

fn failed(error: minijinja::Error) -> Error {
    let place = error.line().map_or(String::new(), |line| format!(" in line {line}"));
    let inner = std::error::Error::source(&error).map(ToString::to_string);
    let what = inner.or(error.detail().map(str::to_owned)).unwrap_or_else(|| error.kind().to_string());
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::new(
        "chat.template",
        format!("the file's chat template failed{place}: {what}"),
        "ask in another way, or give the prompt raw, without the template",
    )
}

/// A template in a loop must not fill the memory before its fuel is gone.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_BYTES {
            return Err(io::Error::other(format!("it writes more than {} MiB", MOST_BYTES >> 20)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `{% generation %}` marks an answer for training, and Jinja has no such tag: a block that is always taken stands there.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out += before;
        let sign = tag.len() - tag.trim_start_matches(['-', '+']).len();
        let inner = tag[sign..].trim_start();
        rest = tag;
        for (word, plain) in [("generation", " if true "), ("endgeneration", " endif ")] {
            let Some(after) = inner.strip_prefix(word) else { continue };
            let after = after.trim_start();
            if after.starts_with(['-', '+', '%']) {
                out += &tag[..sign];
                out += plain;
                rest = after;
            }
        }
    }
    out + rest
}

/// Python's `json.dumps` with `ensure_ascii=False`, which is Hugging Face's `tojson`: no escapes for HTML, and a space after
/// commas and colons.
fn to_json(value: &Value, indent: Option<usize>, options: Kwargs) -> std::result::Result<Value, minijinja::Error> {
    let indent = indent.or(options.get("indent")?);
    let separators: Option<Vec<String>> = options.get("separators")?;
    // Keys are in order here, and other characters as they are: the two other options change nothing.
    let _: (Option<bool>, Option<bool>) = (options.get("ensure_ascii")?, options.get("sort_keys")?);
    options.assert_all_used()?;
    let (comma, colon) = match separators.as_deref() {
        Some([comma, colon]) => (comma.clone(), colon.clone()),
        _ => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let mut out = Vec::new();
    let format = Python { comma, colon, indent, depth: 0, filled: false };
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut out, format))
        .map_err(|e| minijinja::Error::new(ErrorKind::InvalidOperation, format!("no JSON of it: {e}")))?;
    String::from_utf8(out)
        .map(Value::from)
        .map_err(|e| minijinja::Error::new(ErrorKind::InvalidOperation, format!("no JSON of it: {e}")))
}

struct Python {
    comma: String,
    colon: String,
    indent: Option<usize>,
    depth: usize,
    /// Whether the list or map that ends has something in it.
    filled: bool,
}

impl Python {
    fn open<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        (self.depth, self.filled) = (self.depth + 1, false);
        out.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.filled {
            self.line(out)?;
        }
        self.filled = true;
        out.write_all(bracket)
    }

    fn item<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(self.comma.as_bytes())?;
        }
        self.line(out)
    }

    fn line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        let Some(indent) = self.indent else { return Ok(()) };
        out.write_all(b"\n")?;
        (0..indent.min(16) * self.depth).try_for_each(|_| out.write_all(b" "))
    }
}

impl Formatter for Python {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _out: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(self.colon.as_bytes())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _out: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String> {
        let tokens = [("bos_token", "<s>".to_owned()), ("eos_token", "</s>".to_owned())];
        let messages = [Message::new("system", "Be brief."), Message::new("user", " Hello \"you\" <b>ü & 'me'</b> ")];
        Renderer::new().render(source, &tokens, &messages)
    }

    #[test]
    fn blocks_on_their_own_lines_leave_no_trace() {
        let source = "{% for m in messages %}\n    {% if m.role == 'user' %}\n<|user|>\n{{ m.content | trim }}{{ eos_token }}\n    \
            {% endif %}\n{% endfor %}\n{% if add_generation_prompt %}\n<|assistant|>\n{% endif %}\n";
        let text = render(source).unwrap();
        assert_eq!(text, "<|user|>\nHello \"you\" <b>ü & 'me'</b></s>\n<|assistant|>\n");
    }

    #[test]
    fn json_is_pythons() {
        // Each as `json.dumps(…, ensure_ascii=False)` writes it.
        for (source, expected) in [
            ("{{ messages[1].content | tojson }}", r#"" Hello \"you\" <b>ü & 'me'</b> ""#),
            ("{{ {'a': [1, 2.5, true, none], 'b': {}} | tojson }}", r#"{"a": [1, 2.5, true, null], "b": {}}"#),
            (
                "{{ {'a': [1, {'b': []}], 'c': 'd'} | tojson(indent=2) }}",
                "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": \"d\"\n}",
            ),
            ("{{ {'a': [1, 2]} | tojson(separators=(',', ':')) }}", r#"{"a":[1,2]}"#),
            ("{{ [] | tojson(indent=4) }}", "[]"),
        ] {
            assert_eq!(render(source).unwrap(), expected);
        }
    }

    #[test]
    fn what_hugging_face_offers_is_there() {
        for (source, expected) in [
            ("{{ tools is none and documents is none and date_string is not defined }}", "True"),
            ("{{ strftime_now('%Y') | int > 2023 }}", "True"),
            (
                "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
                "02",
            ),
            (
                "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
                "2",
            ),
            (
                "{% for m in messages %}{%- generation -%}\n {{ m.role }}\n {%- endgeneration %};{% endfor %}",
                "system;user;",
            ),
            (
                "{{ 'a</think>b'.split('</think>')[-1].strip() ~ messages[1:][0]['role'] ~ messages[-1].role.upper() }}",
                "buserUSER",
            ),
            ("{{ 'tool_calls' in messages[0] or messages[0].tool_calls is defined }}", "False"),
            ("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(bos_token) }}", "[<s>]"),
        ] {
            assert_eq!(render(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn broken_and_endless_templates_are_errors() {
        let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}";
        let long = "{% set s = 'x' * 100000 %}{% for a in range(1000) %}{{ s }}{% endfor %}";
        let raised = "{{ raise_exception('Conversation roles\n must alternate') }}";
        for (source, said) in [
            ("{% for %}", ""),
            ("{{ nothing.at.all }}", ""),
            ("{{ unheard_of('%Y') }}", ""),
            (endless, "fuel"),
            (long, "16 MiB"),
            (raised, "roles must alternate"),
        ] {
            let error = render(source).unwrap_err();
            assert!(error.code == "chat.template" && !error.cause.contains('\n'), "{error}");
            assert!(error.cause.contains(said), "{source}: {error}");
        }
    }
}
