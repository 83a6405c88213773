//! What Jinja2 makes of thousands of small templates, and this crate too. training/templates/reference.py wrote the table.

use lantern_jinja::{Kind, Template, Value, from_json};
use serde_json::Value as Json;

/// 2026-11-27 09:05:03 UTC, as the table has it.
const NOW: u64 = 1_795_770_303;

const TABLE: &str = include_str!("reference.jsonl");

fn render(source: &str, context: &str) -> lantern_jinja::Result<String> {
    let template = Template::parse(source)?;
    let names = || {
        let Value::Dict(names) = from_json(context, false)? else { panic!("the context is an object") };
        let name = |key: &Value| match key {
            Value::Str(name) => &*name.to_string().leak(),
            _ => panic!("a name is a string"),
        };
        Ok(names.entries().iter().map(|(key, value)| (name(key), value.clone())).collect())
    };
    template.render(names, NOW).map(|rendered| rendered.text)
}

/// The context as it stands in the table's first line: read by this crate, which keeps the order of keys.
fn context() -> &'static str {
    let line = TABLE.lines().next().unwrap();
    line.strip_prefix("{\"context\": ").and_then(|rest| rest.strip_suffix('}')).unwrap()
}

#[test]
fn templates_render_as_jinja2_renders_them_or_fail() {
    let mut wrong = Vec::new();
    let mut refused = 0;
    let mut cases = 0;
    for line in TABLE.lines().skip(1) {
        let case: Json = serde_json::from_str(line).unwrap();
        let source = case["source"].as_str().unwrap();
        cases += 1;
        match (render(source, context()), case["text"].as_str()) {
            (Ok(got), Some(expected)) if got == expected => {}
            (Err(error), Some(_)) if error.kind == Kind::Unsupported => refused += 1,
            (Err(_), None) => {}
            (got, _) => wrong.push(format!("{source:?}: {got:?}, not {case}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(cases > 6000, "{cases}");
    // Addresses in memory, bytes, complex numbers and such.
    assert!(refused < 50, "{refused}");
}
