//! Where a prompt comes from, a conversation at a terminal, and what is told of an answer that is not quite as asked.

mod common;

use common::{fails, json, lantern, path, tiny, write};
use lantern_weights::{GgmlType, Value};
use serde_json::Value as Json;

fn model(name: &str) -> String {
    let file = write(name, &tiny(GgmlType::F32).finish().unwrap());
    path(&file).to_owned()
}

fn said(args: &[&str], input: &[u8]) -> String {
    let output = lantern(args, input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

#[test]
fn standard_input_is_the_prompt_for_a_dash_and_where_none_is_given() {
    let file = model("prompt_stdin.gguf");
    let base = ["chat", "--model", &file, "--max-tokens", "1", "--device", "cpu", "--json"];
    let tokens = |more: &[&str], input: &[u8]| json(&[&base[..], more].concat(), input)["prompt_tokens"].clone();
    let named = tokens(&["--prompt", "abc"], b"");
    for input in [&b"abc"[..], b"abc\n", b"abc\r\n"] {
        assert_eq!(tokens(&["--prompt", "-"], input), named, "{input:?}");
        assert_eq!(tokens(&[], input), named, "{input:?}");
    }
    // All but the last line break is the prompt's.
    assert_ne!(tokens(&[], b"abc\n\n"), named);
    assert_eq!(tokens(&["--raw"], b""), 1);

    fails(&base, b"", "chat.empty_prompt", "nothing came on standard input");
    fails(&[&base[..], &["--prompt", "-"]].concat(), b"\n", "chat.empty_prompt", "nothing came");
    fails(&[&base[..], &["--prompt", "-"]].concat(), b"ab\xff", "input.utf8", "byte 2");
    let eval = ["eval", "perplexity", "--model", &file, "--text", "-", "--context", "8", "--device", "cpu", "--json"];
    assert_eq!(json(&eval, &[b'h'; 40])["scored_tokens"], 15);
    let diff = ["diff", "--model", &file, "--prompt", "-", "--device", "cpu", "--json"];
    assert_eq!(json(&diff, b"abc\n")["first"], Json::Null);
}

#[test]
fn a_flag_out_of_range_is_blamed_with_its_range_and_the_help_that_has_it() {
    let file = model("prompt_flags.gguf");
    let chat = ["chat", "--model", &file, "--prompt", "a", "--context", "0"];
    fails(&chat, b"", "usage", "--context <CONTEXT>': give a whole number from 1 on (see lantern chat --help)");
    let eval = ["eval", "perplexity", "--model", &file, "--text", "-", "--context", "3"];
    fails(&eval, b"", "usage", "from 4 on (see lantern eval perplexity --help)");
    fails(
        &["diff", "--model", &file, "--prompt", "a", "--bound", "NaN"],
        b"",
        "usage",
        "--bound <BOUND>': give a number",
    );
    for value in ["0", "-1", "inf", "NaN"] {
        let args = ["autoencode", "a.png", "b.png", "--scaling-factor", value];
        fails(&args, b"", "usage", "--scaling-factor <SCALING_FACTOR>': give a number above 0");
    }
}

#[test]
fn what_is_not_as_asked_is_told_on_standard_error_and_in_json() {
    let file = model("prompt_notes.gguf");
    let unbounded = ["chat", "--model", &file, "--device", "cpu"];
    let base = [&unbounded[..], &["--max-tokens", "2"]].concat();
    let told = |more: &[&str]| said(&[&base[..], more].concat(), b"");
    let plain = told(&["--raw", "--prompt", "abc"]);
    assert_eq!(plain, "");

    let pirate = told(&["--system", "you are a pirate", "--prompt", "abc"]);
    assert!(
        pirate.contains("warning: chat.no_template: no chat template is known") && pirate.contains("--system"),
        "{pirate}"
    );

    let long = "abcdefgh".repeat(5);
    let slide = ["--raw", "--prompt", &long, "--context", "16", "--overflow", "slide"];
    let slid = told(&slide);
    let found = json(&[&base[..], &slide, &["--json"]].concat(), b"");
    let dropped = found["dropped"].as_u64().unwrap();
    assert!(dropped >= 26, "{found}");
    assert!(
        slid.starts_with(&format!("warning: chat.forgotten: {dropped} tokens of the prompt were forgotten: it has 42")),
        "{slid}"
    );
    assert!(slid.contains("the context holds 16 (--context 44 holds it all"), "{slid}");
    assert_eq!(found["notes"][0]["code"], "chat.forgotten");
    assert_eq!(found["prompt_tokens"].as_u64().unwrap(), 42 - dropped);

    let full = said(&[&unbounded[..], &["--raw", "--prompt", "abcdef", "--context", "8"]].concat(), b"");
    assert!(full.contains("chat.context_full") && full.contains("--context"), "{full}");
    let greedy = told(&["--raw", "--prompt", "a", "--top-p", "0.9", "--seed", "3", "--keep", "2"]);
    assert!(greedy.contains("--top-p, --seed have an effect only above a --temperature of 0"), "{greedy}");
    assert!(greedy.contains("--keep has an effect only with --overflow slide"), "{greedy}");
    let accent = told(&["--raw", "--prompt", "né"]);
    assert!(accent.contains("tokenizer.spelling") && accent.contains("\"é\""), "{accent}");
    let unasked =
        said(&["chat", "--model", &file, "--raw", "--prompt", "a", "--overflow", "slide", "--device", "cpu"], b"");
    assert!(
        unasked.contains("chat.max_tokens: the answer was cut after 256 tokens") && unasked.contains("forgotten while"),
        "{unasked}"
    );
}

#[test]
fn a_family_s_template_and_one_that_leaves_the_system_prompt_out_are_told_of() {
    let with = |name: &str, key: &str, value: &str| {
        let mut w = tiny(GgmlType::F32);
        w.metadata(key, Value::String(value.into())).unwrap();
        let file = write(name, &w.finish().unwrap());
        said(
            &["chat", "--model", path(&file), "--system", "b", "--prompt", "a", "--max-tokens", "1", "--device", "cpu"],
            b"",
        )
    };
    let family = with("prompt_family.gguf", "general.name", "Llama 2 7B Chat");
    assert!(family.contains("chat.family_template") && family.contains("Llama 2"), "{family}");
    let deaf = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}";
    let ignored = with("prompt_deaf.gguf", "tokenizer.chat_template", deaf);
    assert!(ignored.contains("chat.system_ignored") && !ignored.contains("chat.no_template"), "{ignored}");
    let heard =
        with("prompt_heard.gguf", "tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}");
    assert_eq!(heard, "");
}

#[test]
fn what_a_perplexity_leaves_out_is_told() {
    let file = model("prompt_eval.gguf");
    let measure = |context: &str, letters: usize, more: &[&str]| {
        let args = ["eval", "perplexity", "--model", &file, "--text", "-", "--context", context, "--device", "cpu"];
        said(&[&args[..], more].concat(), "h".repeat(letters).as_bytes())
    };
    // A space comes before the text.
    assert_eq!(measure("8", 39, &[]), "");
    let tail = measure("8", 42, &[]);
    assert!(tail.contains("eval.left_out: the text's last 3 of 43 tokens"), "{tail}");
    assert_eq!(measure("8", 42, &["--pieces", "2"]), "");
    assert!(measure("512", 99, &[]).contains("eval.shorter: pieces have 64 tokens"));
}

#[cfg(unix)]
mod terminal {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A program at a terminal of its own: what is typed at it, and what it prints on standard output.
    struct Terminal {
        keys: File,
        child: Child,
        output: std::process::ChildStdout,
    }

    impl Terminal {
        fn open(args: &[&str]) -> Self {
            let (mut ours, mut theirs) = (0, 0);
            let none = std::ptr::null_mut();
            // SAFETY: both numbers are written before they are read; the rest is left out, as it may be.
            let opened = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, none, none.cast(), none.cast()) };
            assert_eq!(opened, 0, "no terminal");
            // SAFETY: they are ours alone.
            let (keys, stdin) = unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
            let mut child = Command::new(env!("CARGO_BIN_EXE_lantern"))
                .args(args)
                .stdin(Stdio::from(stdin))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let output = child.stdout.take().unwrap();
            Self { keys, child, output }
        }

        fn type_in(&mut self, text: &[u8]) {
            self.keys.write_all(text).unwrap();
        }

        fn line(&mut self) -> String {
            let (mut line, mut byte) = (Vec::new(), [0]);
            while self.output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
                line.push(byte[0]);
            }
            String::from_utf8(line).unwrap()
        }

        /// Its exit code.
        fn end(mut self) -> Option<i32> {
            self.child.wait().unwrap().code()
        }
    }

    const CTRL_D: &[u8] = b"\x04";

    #[test]
    fn without_a_prompt_there_is_a_conversation_that_goes_on_where_it_was() {
        let file = model("prompt_talk.gguf");
        let args = ["chat", "--model", &file, "--raw", "--max-tokens", "3", "--device", "cpu", "--json"];
        let mut terminal = Terminal::open(&args);
        terminal.type_in(b"abc\n");
        let first: Json = serde_json::from_str(&terminal.line()).unwrap();
        assert_eq!(
            (&first["text"], &first["prompt_tokens"], &first["reused_tokens"]),
            (&"hhh".into(), &5.into(), &0.into())
        );
        // An empty line asks nothing.
        terminal.type_in(b"\nde\n");
        let second: Json = serde_json::from_str(&terminal.line()).unwrap();
        // All that was said, of which the last token of the answer had not run.
        assert_eq!((&second["prompt_tokens"], &second["reused_tokens"]), (&10.into(), &7.into()));
        terminal.type_in(CTRL_D);
        assert_eq!((terminal.line().as_str(), terminal.end()), ("", Some(0)));
    }

    #[test]
    fn ctrl_c_stops_the_answer_and_not_the_conversation() {
        let file = model("prompt_stop.gguf");
        let args =
            ["chat", "--model", &file, "--raw", "--max-tokens", "1000000000", "--overflow", "slide", "--device", "cpu"];
        let mut terminal = Terminal::open(&args);
        let pid = terminal.child.id() as libc::pid_t;
        for _ in 0..2 {
            terminal.type_in(b"a\n");
            let mut begun = [0; 8];
            terminal.output.read_exact(&mut begun).unwrap();
            // SAFETY: a signal to a child that was not waited for.
            assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
            assert!(terminal.line().chars().all(|c| c == 'h'));
        }
        terminal.type_in(CTRL_D);
        assert_eq!(terminal.end(), Some(0));
    }
}
