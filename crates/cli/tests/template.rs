//! `lantern template`, and another template in `lantern chat`.

mod common;

use common::{fails, json, lantern, path, tiny, write};
use lantern_weights::{GgmlType, Value};

const TURNS: &str = "{% for m in messages %}[{{ m.role }}] {{ m.content | upper }}\n{% endfor %}\
    {% if add_generation_prompt %}[assistant]{% endif %}";
const MESSAGES: &str =
    r#"[{"role": "system", "content": "be kind"}, {"role": "user", "content": "[hi]", "more": [1, {"b": null}]}]"#;
const WRITTEN: &str = "[system] BE KIND\n[user] [HI]\n[assistant]";

#[test]
fn messages_are_taken_from_the_command_line_a_file_or_standard_input() {
    let template = write("template_turns.jinja", TURNS.as_bytes());
    let file = write("template_messages.json", MESSAGES.as_bytes());
    for (given, input) in [(MESSAGES, ""), (path(&file), ""), ("-", MESSAGES)] {
        let output = lantern(&["template", "--template", path(&template), "--messages", given], input.as_bytes());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{WRITTEN}\n"), "{given}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{given}");
    }
    let args = ["template", "--template", path(&template), "--messages", MESSAGES, "--json"];
    let found = json(&args, b"");
    assert_eq!((found["text"].as_str(), found["source"].as_str()), (Some(WRITTEN), Some("--template")));
    let typed: Vec<&str> = found["typed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| &WRITTEN[range[0].as_u64().unwrap() as usize..range[1].as_u64().unwrap() as usize])
        .collect();
    assert_eq!(typed, ["BE KIND", "[HI]"]);
    assert!(found["ids"].is_null(), "{found}");
    let short = json(&[&args[..], &["--no-generation-prompt"]].concat(), b"");
    assert_eq!(short["text"], "[system] BE KIND\n[user] [HI]\n");
}

#[test]
fn tokens_that_templates_name_are_the_model_s_or_given() {
    let template = write("template_tokens.jinja", b"{{ bos_token }}{{ messages[0].content }}{{ eos_token }}");
    let messages = r#"[{"role": "user", "content": "ab"}]"#;
    let text = |more: &[&str]| {
        let args = ["template", "--template", path(&template), "--messages", messages, "--json"];
        json(&[&args[..], more].concat(), b"")
    };
    assert_eq!(text(&[])["text"], "<s>ab</s>");
    assert_eq!(text(&["--bos-token", "<b>", "--eos-token", ""])["text"], "<b>ab");
    let mut w = tiny(GgmlType::F32);
    w.metadata("tokenizer.chat_template", Value::String("{{ messages[0].content }}".into())).unwrap();
    let model = write("template_model.gguf", &w.finish().unwrap());
    let found = text(&["--model", path(&model)]);
    let pieces: Vec<&str> = found["pieces"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect();
    assert_eq!((pieces.first(), pieces.last()), (Some(&"<s>"), Some(&"</s>")), "{found}");
    assert_eq!(found["ids"].as_array().unwrap().len(), pieces.len());
    let own = json(&["template", "--model", path(&model), "--messages", messages, "--json"], b"");
    assert_eq!((own["text"].as_str(), own["source"].as_str()), (Some("ab"), Some("file")), "{own}");
}

#[test]
fn what_cannot_be_rendered_is_an_error() {
    let template = write("template_fails.jinja", b"{{ messages[0].content }}\n{{ messages[0].content.nothing() }}");
    let model = write("template_none.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let messages = r#"[{"role": "user", "content": "a"}]"#;
    let t = path(&template);
    fails(&["template", "--template", t, "--messages", messages], b"", "chat.template", "line 2");
    fails(&["template", "--template", t, "--messages", "[1]"], b"", "chat.messages", "message 1 of the list");
    fails(&["template", "--template", t, "--messages", "-"], b"{", "chat.messages", "no JSON");
    fails(&["template", "--template", t, "--messages", "nowhere.json"], b"", "chat.messages", "nowhere.json");
    fails(&["template", "--template", "nowhere.jinja", "--messages", messages], b"", "chat.template_file", "nowhere");
    fails(&["template", "--model", path(&model), "--messages", messages], b"", "chat.template", "no chat template");
}

#[test]
fn chat_takes_another_template() {
    let template = write("template_chat.jinja", b"{{ messages[0].content }}b");
    let model = write("template_chat.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let prompt = |more: &[&str]| {
        let args = ["chat", "--model", path(&model), "--prompt", "a", "--max-tokens", "1", "--device", "cpu", "--json"];
        json(&[&args[..], more].concat(), b"")["prompt_tokens"].as_u64().unwrap()
    };
    assert_eq!(prompt(&["--template", path(&template)]), prompt(&[]) + 1);
    fails(
        &["chat", "--model", path(&model), "--prompt", "a", "--template", "nowhere.jinja", "--device", "cpu"],
        b"",
        "chat.template_file",
        "nowhere",
    );
}
