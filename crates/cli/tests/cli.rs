//! The binary itself: what it prints, what it refuses, and how it ends.

mod common;

use std::process::{Command, Stdio};

use common::{fails, json, lantern, path, tiny, write};
use lantern_weights::{GgmlType, GgufWriter, SafeDtype, SafetensorsWriter, Value};
use serde_json::Value as Json;

#[test]
fn chat_answers_in_text_and_in_json() {
    let file = write("chat.gguf", &tiny(GgmlType::Q8_0).finish().unwrap());
    let base = ["chat", "--model", path(&file), "--raw", "--prompt", "abc", "--max-tokens", "5", "--device", "cpu"];
    let output = lantern(&base, b"");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hhhhh\n");
    for tier in ["exact", "fast"] {
        let answer = json(&[&base[..], &["--tier", tier, "--json"]].concat(), b"");
        assert_eq!(answer["tokens"], serde_json::json!([11, 11, 11, 11, 11]));
        assert_eq!(answer["text"], "hhhhh");
        assert_eq!((answer["device"].as_str(), answer["tier"].as_str()), (Some("cpu"), Some(tier)));
        // The first token, the space before a text, three letters.
        assert_eq!(answer["prompt_tokens"], 5);
        assert!(answer["weight_bytes"].as_u64() > Some(0) && answer["work_bytes"].as_u64() > Some(0), "{answer}");
        for key in ["prefill_ms", "decode_ms", "tokens_per_s", "dispatches_per_token", "bytes_per_token"] {
            assert!(answer[key].as_f64().unwrap() > 0.0, "{key}: {answer}");
        }
        assert_eq!(answer["finish"], "max_tokens");
    }
    // An empty prompt is the first token alone.
    let empty =
        ["chat", "--model", path(&file), "--raw", "--prompt", "", "--max-tokens", "1", "--device", "cpu", "--json"];
    assert_eq!(json(&empty, b"")["prompt_tokens"], 1);
}

#[test]
fn a_seed_repeats_its_text_and_another_seed_another() {
    // Every token is equally likely.
    let mut w = tiny(GgmlType::F32);
    w.metadata("test.note", Value::Bool(true)).unwrap();
    let file = write("seed.gguf", &w.finish().unwrap());
    let say = |seed: &str| {
        let args = [
            "chat",
            "--model",
            path(&file),
            "--prompt",
            "a",
            "--temperature",
            "50",
            "--seed",
            seed,
            "--device",
            "cpu",
            "--json",
        ];
        json(&args, b"")["tokens"].clone()
    };
    assert_eq!(say("7"), say("7"));
    assert_ne!(say("7"), say("8"));
}

#[test]
fn perplexity_of_a_model_that_always_says_h() {
    let file = write("eval.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let measure = |text: &str| {
        let text = write("eval.txt", text.as_bytes());
        let args = ["eval", "perplexity", "--model", path(&file), "--text", path(&text), "--device", "cpu", "--json"];
        json(&[&args[..], &["--context", "16"]].concat(), b"")
    };
    // Its logits are 32 / √(1 + ε) for "h", after a norm with ε = 1e-5, and 0 for the 39 others.
    let sure = measure(&"h".repeat(64));
    assert!((sure["perplexity"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{sure}");
    assert_eq!((&sure["pieces"], &sure["context"], &sure["scored_tokens"]), (&4.into(), &16.into(), &28.into()));
    let wrong = measure(&"a".repeat(64));
    assert!((wrong["nll"].as_f64().unwrap() - 32.0 / 1.00001f64.sqrt()).abs() < 1e-5, "{wrong}");
}

#[test]
fn a_full_context_stops_or_slides_as_asked() {
    let file = write("overflow.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let base = ["chat", "--model", path(&file), "--raw", "--prompt", "abc", "--max-tokens", "40", "--context", "16"];
    let say = |more: &[&str]| json(&[&base[..], more, &["--device", "cpu", "--json"]].concat(), b"");
    let stopped = say(&[]);
    // Five of the prompt; the last is drawn from the last position.
    assert_eq!((stopped["finish"].as_str(), stopped["tokens"].as_array().unwrap().len()), (Some("context_full"), 12));
    assert_eq!((&stopped["slides"], &stopped["dropped"]), (&Json::from(0), &Json::from(0)));
    for (keep, step) in [(vec![], 7), (vec!["--keep", "6"], 5)] {
        let slid = say(&[&["--overflow", "slide"], &keep[..]].concat());
        assert_eq!((slid["finish"].as_str(), slid["tokens"].as_array().unwrap().len()), (Some("max_tokens"), 40));
        let slides = slid["slides"].as_u64().unwrap();
        assert!(slides >= 3 && slid["dropped"] == slides * step, "{slid}");
    }
    let chat = [&base[..], &["--device", "cpu"]].concat();
    fails(&[&chat[..], &["--overflow", "slide", "--keep", "15"]].concat(), b"", "chat.keep", "first 15 tokens");
    fails(&[&chat[..], &["--overflow", "spill"]].concat(), b"", "usage", "spill");
    let beyond = ["chat", "--model", path(&file), "--prompt", "a", "--context", "65", "--device", "cpu"];
    fails(&beyond, b"", "llama.context", "trained for 64");
}

#[test]
fn sampling_flags_are_used_and_told() {
    // Row 11 of the output is "h", every other token is as likely as the next.
    let file = write("sampling.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let say = |more: &[&str]| {
        let base = [
            "chat",
            "--model",
            path(&file),
            "--raw",
            "--prompt",
            "a",
            "--max-tokens",
            "6",
            "--device",
            "cpu",
            "--json",
        ];
        json(&[&base[..], more].concat(), b"")
    };
    let greedy = say(&[]);
    assert_eq!(greedy["read_bytes_per_token"], 4.0);
    assert_eq!((greedy["text"].as_str(), greedy["sampling"]["top_p"].as_f64()), (Some("hhhhhh"), Some(1.0)));
    // Hot, and cut to the likeliest again.
    let hot = ["--temperature", "1000", "--seed", "3"];
    assert_ne!(say(&hot)["text"], greedy["text"]);
    for cut in [["--top-k", "1"], ["--top-p", "0.5"], ["--min-p", "0.5"]] {
        let answer = say(&[&hot[..], &cut].concat());
        assert_eq!(answer["text"], greedy["text"], "{cut:?}");
        let told = &answer["sampling"][cut[0].trim_start_matches("--").replace('-', "_")];
        assert_eq!(told.as_f64(), cut[1].parse().ok(), "{cut:?}");
    }
    // The answer is nothing but the stop string.
    let stopped = say(&["--stop", "zz", "--stop", "hhh"]);
    assert_eq!((stopped["text"].as_str(), stopped["finish"].as_str()), (Some(""), Some("stop_string")));
    assert_eq!(stopped["tokens"], serde_json::json!([]));
    assert_eq!(stopped["sampling"]["stop"], serde_json::json!(["zz", "hhh"]));
    // So dear that the one token that was ahead, once said, is as likely as the others.
    let cool = ["--temperature", "1", "--min-p", "0.5"];
    assert_eq!(say(&cool)["text"], greedy["text"]);
    let penalised = say(&[&cool[..], &["--repeat-penalty", "1e30", "--repeat-last-n", "-1"]].concat());
    assert_eq!((&penalised["tokens"][0], &penalised["sampling"]["repeat_last_n"]), (&11.into(), &(-1).into()));
    assert_ne!(penalised["text"], greedy["text"]);
}

#[test]
fn what_cannot_be_done_is_one_clear_line() {
    let good = write("errors.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let good = path(&good);
    let noise = write("noise.gguf", b"<html><body>404</body></html>");
    let noise = path(&noise);
    let mut w = tiny(GgmlType::F32);
    w.tensor("blk.1.attn_q.weight", &[2, 256], GgmlType::Iq4Xs, vec![0; 272]);
    let iq4 = write("iq4.gguf", &w.finish().unwrap());
    let iq4 = path(&iq4);
    let whole = tiny(GgmlType::F32).finish().unwrap();
    let cut = write("cut.gguf", &whole[..whole.len() / 2]);
    let cut = path(&cut);
    // The last value of the last tensor.
    let nan = write("nan.gguf", &[&whole[..whole.len() - 4], &f32::NAN.to_le_bytes()].concat());
    let nan = path(&nan);

    fails(&["chat", "--model", "/nowhere/a.gguf", "--prompt", "a"], b"", "source.open", "/nowhere/a.gguf");
    fails(&["chat", "--model", noise, "--prompt", "a"], b"", "gguf.magic", "web page");
    fails(
        &["chat", "--model", iq4, "--prompt", "a", "--device", "cpu"],
        b"",
        "gguf.type",
        "blk.1.attn_q.weight is IQ4_XS",
    );
    fails(&["chat", "--model", cut, "--prompt", "a"], b"", "gguf.tensor", "end");
    let chat_nan = ["chat", "--model", nan, "--prompt", "a", "--device", "cpu"];
    fails(&chat_nan, b"", "weights.not_a_number", "output.weight: a value in row 39");
    fails(&["chat", "--model", good, "--prompt", "", "--device", "cpu"], b"", "chat.empty_prompt", "empty");
    let long = "a".repeat(70);
    fails(&["chat", "--model", good, "--prompt", &long, "--device", "cpu"], b"", "chat.too_long", "64");
    let chat = ["chat", "--model", good, "--prompt", "a"];
    fails(&[&chat[..], &["--device", "cpu", "--tier", "dot"]].concat(), b"", "device.tier", "\"dot\"");
    fails(&[&chat[..], &["--device", "gpu", "--tier", "exact"]].concat(), b"", "device.tier", "\"exact\"");
    fails(&[&chat[..], &["--tier", "warp"]].concat(), b"", "device.tier", "\"warp\"");
    fails(&[&chat[..], &["--device", "cpu", "--temperature=-1"]].concat(), b"", "chat.temperature", "-1");
    for (flag, value, code) in [
        ("--temperature", "NaN", "chat.temperature"),
        ("--top-p", "0", "chat.top_p"),
        ("--top-p", "1.5", "chat.top_p"),
        ("--min-p", "-0.5", "chat.min_p"),
        ("--repeat-penalty", "0", "chat.repeat_penalty"),
        ("--repeat-last-n", "-2", "chat.repeat_last_n"),
        ("--stop", "", "chat.stop"),
        ("--top-k", "many", "usage"),
    ] {
        fails(
            &[&chat[..], &["--device", "cpu", flag, value]].concat(),
            b"",
            code,
            if value.is_empty() { "empty" } else { value },
        );
    }
    fails(&[&chat[..], &["--device", "tpu"]].concat(), b"", "usage", "tpu");
    fails(&["chat", "--prompt", "a"], b"", "usage", "required");
    // By name, and with what is possible.
    fails(&["compress", "theory", "--json"], b"", "usage", "--dist <DIST>");
    fails(&["compress", "theory", "--dist", "cauchy"], b"", "usage", "student-t");
    let eval = ["eval", "perplexity", "--device", "cpu", "--model", good, "--text"];
    fails(&[&eval[..], &["/nowhere/a.txt"]].concat(), b"", "eval.text", "/nowhere/a.txt");
    let short = write("short.txt", b"a");
    fails(&[&eval[..], &[path(&short)]].concat(), b"", "eval.too_short", "2 tokens");
    fails(&["inspect", noise], b"", "gguf.magic", "web page");
    fails(&["inspect", "/nowhere/a.gguf", "--json"], b"", "source.open", "/nowhere");
    fails(&["tokenize", "--model", good], b"abc\xff", "input.utf8", "byte 3");
    fails(&[], b"", "usage", "lantern needs a command");
    fails(&["compress"], b"", "usage", "lantern compress needs a command");
}

#[test]
fn inspect_lists_what_is_there_and_whether_it_runs() {
    let file = write("inspect.gguf", &tiny(GgmlType::Q4_0).finish().unwrap());
    let found = json(&["inspect", path(&file), "--json"], b"");
    assert_eq!((&found["version"], &found["runs"], &found["error"]), (&Json::from(3), &Json::Bool(true), &Json::Null));
    assert_eq!(found["metadata"]["llama.embedding_length"], 32);
    assert_eq!(found["metadata"]["tokenizer.ggml.tokens"]["length"], 40);
    let tensors = found["tensors"].as_array().unwrap();
    assert_eq!(found["totals"]["tensors"].as_u64().unwrap() as usize, tensors.len());
    let up = tensors.iter().find(|t| t["name"] == "blk.0.ffn_up.weight").unwrap();
    assert_eq!(
        up,
        &serde_json::json!({"name": "blk.0.ffn_up.weight", "type": "Q4_0", "shape": [64, 32], "bytes": 1152})
    );
    let total: u64 = tensors.iter().map(|t| t["bytes"].as_u64().unwrap()).sum();
    assert_eq!(found["totals"]["bytes"], total);

    let mut w = tiny(GgmlType::F32);
    w.tensor("blk.1.attn_q.weight", &[2, 256], GgmlType::Iq4Xs, vec![0; 272]);
    let file = write("inspect_iq4.gguf", &w.finish().unwrap());
    let found = json(&["inspect", path(&file), "--json"], b"");
    assert_eq!((&found["runs"], &found["error"]["code"]), (&Json::Bool(false), &Json::from("gguf.type")));
    let text = String::from_utf8(lantern(&["inspect", path(&file)], b"").stdout).unwrap();
    assert!(text.contains("IQ4_XS") && text.contains("cannot run it: gguf.type"), "{text}");
}

/// Never that it should be converted again, which helps nobody.
#[test]
fn a_part_of_a_split_model_is_called_that_by_every_command() {
    let mut w = tiny(GgmlType::F32);
    w.metadata("split.no", Value::U16(0)).unwrap().metadata("split.count", Value::I32(2)).unwrap();
    let first = write("split-00001-of-00002.gguf", &w.finish().unwrap());
    // All but the first have no metadata of their own.
    let mut w = GgufWriter::default();
    w.metadata("split.no", Value::U16(1)).unwrap().metadata("split.count", Value::U16(2)).unwrap();
    w.tensor_f32("blk.0.ffn_up.weight", &[64, 32], GgmlType::F32, &[0.5; 64 * 32]).unwrap();
    let second = write("split-00002-of-00002.gguf", &w.finish().unwrap());
    let (text, out) = (write("split.txt", b"a text"), write("split_out.gguf", b""));
    for (file, says) in [(&first, "part 1 of 2"), (&second, "part 2 of 2")] {
        let file = path(file);
        for args in [
            &["chat", "--device", "cpu", "--model", file, "--prompt", "hi"][..],
            &["tokenize", "--model", file],
            &["eval", "perplexity", "--device", "cpu", "--model", file, "--text", path(&text)],
            &["compress", "layers", file],
            &["compress", "bounds", file, "--tensor", "blk.0.ffn_up.weight"],
            &["compress", "apply", file, path(&out), "--method", "rtn"],
            &["quantize", file, path(&out), "--type", "q8_0"],
            &["diff", "--device", "cpu", "--model", file, "--prompt", "hi"],
        ] {
            fails(args, b"hi", "gguf.split", says);
            fails(args, b"hi", "gguf.split", "--merge split-00001-of-00002.gguf split.gguf");
        }
        let found = json(&["inspect", file, "--json"], b"");
        assert_eq!((&found["runs"], &found["error"]["code"]), (&Json::Bool(false), &Json::from("gguf.split")));
        assert!(found["error"]["cause"].as_str().unwrap().contains(says));
    }
    // Of safetensors only names tell, and each tensor is whole.
    let mut w = SafetensorsWriter::new();
    w.tensor_f32("layer.weight", &[2, 32], &SafeDtype::F32, &[0.5; 64]).unwrap();
    let file = write("model-00002-of-00003.safetensors", &w.finish());
    for args in [&["compress", "layers", path(&file)][..], &["inspect", path(&file)]] {
        let output = lantern(args, b"");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && said.contains("part 2 of 3 of a split model"), "{said}");
    }
}

/// What `inspect` says is what `chat` says.
#[test]
fn inspect_says_of_notices_and_refusals_what_chat_says() {
    let mut w = tiny(GgmlType::F32);
    w.metadata("tokenizer.ggml.eot_token_id", Value::U32(128_009)).unwrap();
    w.metadata("tokenizer.chat_template", Value::String("{{ messages[0].content }}".into())).unwrap();
    w.metadata("tokenizer.chat_template.tool_use", Value::String("tools".into())).unwrap();
    let file = write("notices.gguf", &w.finish().unwrap());
    let found = json(&["inspect", path(&file), "--json"], b"");
    let notice = found["notices"][0]["cause"].as_str().unwrap();
    assert!(found["runs"] == true && found["notices"].as_array().unwrap().len() == 1, "{found}");
    assert!(notice.contains("eot_token_id") && notice.contains("128009"), "{notice}");
    assert_eq!(found["other_chat_templates"], serde_json::json!(["tool_use"]));
    let chat = |file| lantern(&["chat", "--device", "cpu", "--model", file, "--prompt", "h", "--max-tokens", "1"], b"");
    let output = chat(path(&file));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("warning: gguf.skipped") && said.contains(notice), "{said}");
    let text = String::from_utf8(lantern(&["inspect", path(&file)], b"").stdout).unwrap();
    assert!(
        text.contains(notice) && text.contains("tool_use") && text.ends_with("this version can run it\n"),
        "{text}"
    );

    let mut w = tiny(GgmlType::F32);
    w.metadata("tokenizer.chat_template", Value::String("{{ if .System }}{{ end }}".into())).unwrap();
    let file = write("go_template.gguf", &w.finish().unwrap());
    let found = json(&["inspect", path(&file), "--json"], b"");
    let (code, cause) = (&found["error"]["code"], found["error"]["cause"].as_str().unwrap());
    assert!(found["runs"] == false && code == "chat.template", "{found}");
    let said = String::from_utf8(chat(path(&file)).stderr).unwrap();
    assert!(said.starts_with("error: chat.template") && said.contains(cause), "{said}");
}

#[test]
fn inspect_lists_safetensors_by_name_or_by_content() {
    let mut w = SafetensorsWriter::new();
    w.metadata("format", "pt");
    w.tensor_f32("conv.weight", &[2, 3, 1, 1], &SafeDtype::BF16, &[0.5; 6]).unwrap();
    w.tensor("steps", &[1], &SafeDtype::Other("I64".into()), &[0; 8]);
    let bytes = w.finish();
    for name in ["inspect.safetensors", "inspect_named_otherwise.bin"] {
        let file = write(name, &bytes);
        let found = json(&["inspect", path(&file), "--json"], b"");
        assert_eq!((&found["format"], &found["metadata"]["format"]), (&Json::from("safetensors"), &Json::from("pt")));
        assert_eq!(found["totals"], serde_json::json!({"tensors": 2, "bytes": 20, "parameters": 7}));
        let conv = serde_json::json!({"name": "conv.weight", "type": "BF16", "shape": [2, 3, 1, 1], "bytes": 12});
        assert_eq!(found["tensors"][0], conv);
        let text = String::from_utf8(lantern(&["inspect", path(&file)], b"").stdout).unwrap();
        for says in ["format = \"pt\"", "conv.weight", "BF16  [2, 3, 1, 1]", "I64", "2 tensors, 7 parameters, 20 bytes"]
        {
            assert!(text.contains(says), "{says}: {text}");
        }
    }
    let cut = write("inspect_cut.safetensors", &bytes[..bytes.len() - 1]);
    fails(&["inspect", path(&cut)], b"", "safetensors.truncated", "tensor \"steps\"");
    let page = write("inspect_page.safetensors", b"<!DOCTYPE html><title>404</title>");
    fails(&["inspect", path(&page), "--json"], b"", "safetensors.header", "web page");
}

#[test]
fn tokenize_takes_its_input_as_it_is() {
    let file = write("tokenize.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let ids =
        |input: &str, more: &[&str]| json(&[&["tokenize", "--model", path(&file)], more].concat(), input.as_bytes());
    assert_eq!(ids("ab", &[]), serde_json::json!({"ids": [3, 4, 5]}));
    assert_eq!(ids("ab", &["--json"]), serde_json::json!({"ids": [3, 4, 5]}));
    assert_eq!(ids("", &[]), serde_json::json!({"ids": []}));
    assert_eq!(ids("</s>", &[]), serde_json::json!({"ids": [2]}));
    let plain = ids("</s>", &["--no-special"]);
    assert!(plain["ids"].as_array().unwrap().len() > 1, "{plain}");
    // The line's end is part of the text.
    assert_ne!(ids("ab\n", &[]), ids("ab", &[]));
}

#[test]
fn devices_name_the_processor_first() {
    let all = json(&["devices", "--json"], b"");
    let first = &all.as_array().unwrap()[0];
    assert_eq!((&first["device"], &first["tiers"]), (&Json::from("cpu"), &serde_json::json!(["exact", "fast"])));
    for gpu in &all.as_array().unwrap()[1..] {
        assert!(gpu["max_binding_bytes"].as_u64().unwrap() > 0 && gpu["tiers"].is_array(), "{gpu}");
    }
    let text = String::from_utf8(lantern(&["devices"], b"").stdout).unwrap();
    assert!(text.starts_with("cpu ") && text.contains("exact, fast"), "{text}");
}

#[test]
fn diff_finds_no_difference_where_there_is_none_and_says_where_there_is_one() {
    let file = write("diff.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let base = ["diff", "--model", path(&file), "--prompt", "abc", "--device", "cpu", "--tier", "fast"];
    let found = json(&[&base[..], &["--json"]].concat(), b"");
    assert_eq!(found["first"], Json::Null);
    assert!(found["operations"].as_u64().unwrap() > 20, "{found}");
    let text = String::from_utf8(lantern(&base, b"").stdout).unwrap();
    assert!(text.contains("they do not part") && text.contains("prefill"), "{text}");

    // Activations rounded to int8 cannot hold a bound of nothing.
    let file = write("diff_q8.gguf", &tiny(GgmlType::Q4_0).finish().unwrap());
    let args = ["diff", "--model", path(&file), "--prompt", "abc", "--tier", "fast", "--bound=-1", "--json"];
    let output = lantern(&args, b"");
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.starts_with("error: diff.parted: ") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!((&found["first"]["phase"], &found["first"]["scope"]), (&Json::from("prefill"), &Json::from("embed")));
}

#[test]
fn shaders_are_listed_with_their_text() {
    let all = json(&["shaders", "--json"], b"");
    let all = all.as_array().unwrap();
    assert!(!all.is_empty());
    for shader in all {
        let wgsl = shader["wgsl"].as_str().unwrap();
        assert!(wgsl.contains("@compute") && shader["subgroups"].is_boolean());
    }
}

/// One run over a small working set: the figures mean nothing, their presence does.
#[test]
fn bench_kernels_gives_every_figure() {
    let adapters = json(&["devices", "--json"], b"");
    if adapters.as_array().unwrap().len() == 1 {
        return fails(&["bench", "kernels"], b"", "gpu.adapter", "");
    }
    let report = json(&["bench", "kernels", "--working-set-mib", "1", "--runs", "1", "--json"], b"");
    let above_zero = |limit: &&str| report["limits"][limit].as_f64().unwrap() > 0.0;
    assert!(["copy_gb_per_s", "fma_gflop_per_s", "dispatch_us"].iter().all(above_zero), "{}", report["limits"]);
    let kernels = report["kernels"].as_array().unwrap();
    assert!(kernels.len() >= 8);
    for kernel in kernels {
        assert!(
            kernel["gb_per_s"].as_f64().unwrap() > 0.0 && kernel["gflop_per_s"].as_f64().unwrap() > 0.0,
            "{kernel}"
        );
    }
    fails(&["bench", "kernels", "--runs", "0"], b"", "bench.options", "0 runs");
}

#[test]
fn bench_conv_gives_every_figure_of_the_stacks_it_was_asked_for() {
    let stack = "segment-depthwise";
    let report = json(&["bench", "conv", stack, "--device", "cpu", "--runs", "1", "--json"], b"");
    assert_eq!(report["device"], "cpu");
    let stacks = report["stacks"].as_array().unwrap();
    assert_eq!(stacks.len(), 1, "{report}");
    let figures = &stacks[0];
    assert_eq!(figures["name"], stack);
    assert!(
        ["ms", "mflop", "gflop_per_s", "dispatches"].iter().all(|f| figures[f].as_f64().unwrap() > 0.0),
        "{report}"
    );
    assert_eq!(figures["runs_ms"].as_array().unwrap().len(), 1);
    fails(&["bench", "conv", "nothing"], b"", "bench.stack", "nothing");
    fails(&["bench", "conv", "--large", stack], b"", "bench.stack", stack);
    fails(&["bench", "conv", "--runs", "0"], b"", "bench.options", "0 runs");
}

const BENCH_CHAT: [&str; 9] =
    ["bench", "chat", "--shape", "64/128/2/4:2/300", "--prompt-tokens", "70", "--tokens", "4", "--json"];

#[test]
fn bench_chat_gives_prompt_and_answer_from_end_to_end() {
    let report = json(&[&BENCH_CHAT[..], &["--device", "cpu", "--runs", "2"]].concat(), b"");
    let positive = |of: &str, fields: &[&str]| {
        for field in fields {
            assert!(report[of][field].as_f64().unwrap() > 0.0, "{of}.{field}: {report}");
        }
        assert_eq!(report[of]["runs_ms"].as_array().unwrap().len(), 2, "{report}");
    };
    positive("prefill", &["ms", "tokens_per_s", "chunk", "flops", "gflop_per_s"]);
    positive("decode", &["ms", "tokens_per_s", "dispatches", "bytes", "gb_per_s"]);
    assert_eq!((&report["device"], &report["tier"], &report["type"]), (&"cpu".into(), &"fast".into(), &"q4_0".into()));
    assert_eq!((&report["shape"]["layers"], &report["shape"]["kv_heads"]), (&2.into(), &2.into()));
    assert!(report["profile"].is_null() && report["limits"].is_null(), "{report}");
    for nothing in [["--runs", "0"], ["--tokens", "1"], ["--prompt-tokens", "1"]] {
        fails(&[&["bench", "chat", "--device", "cpu"], &nothing[..]].concat(), b"", "bench.options", nothing[1]);
    }
    fails(&["bench", "chat", "--shape", "9b"], b"", "bench.shape", "9b");
    fails(&["bench", "chat", "--type", "q6_k"], b"", "bench.shape", "576");
}

/// Where there is no GPU the processor's report is all there is.
#[test]
fn bench_chat_takes_a_gpu_s_time_apart_into_shares_of_one_whole() {
    if json(&["devices", "--json"], b"").as_array().unwrap().len() == 1 {
        return;
    }
    let report = json(&[&BENCH_CHAT[..], &["--device", "gpu", "--tier", "software", "--runs", "1"]].concat(), b"");
    let number = |value: &Json| value.as_f64().unwrap();
    assert!(number(&report["limits"]["dispatch_us"]) > 0.0 && report["clock"].is_string(), "{report}");
    assert!(report["shader_checks"].is_string(), "{report}");
    assert!(number(&report["decode"]["host"]["run_ms"]) > 0.0 && number(&report["decode"]["of_bandwidth"]) > 0.0);
    for phase in ["decode", "prefill"] {
        let profile = &report["profile"][phase];
        let operations = profile["operations"].as_array().unwrap();
        let sum = |field: &str| operations.iter().map(|o| number(&o[field])).sum::<f64>();
        assert!((sum("share") - 1.0).abs() < 1e-9, "{profile}");
        assert!((sum("ms") / number(&profile["ms"]) - 1.0).abs() < 1e-9, "{profile}");
        assert_eq!(sum("count"), number(&profile["dispatches"]), "{profile}");
        for o in operations {
            let limit = number(&o["bytes_ms"]).max(number(&o["flops_ms"])) + number(&o["dispatch_ms"]);
            assert!((limit - number(&o["limit_ms"])).abs() < 1e-9, "{o}");
            assert!(number(&o["workgroups"]) > 0.0 && number(&o["bytes"]) > 0.0, "{o}");
        }
    }
    // Some may have nothing to do in a short conversation.
    let [seen, planned] =
        ["/profile/decode/dispatches", "/decode/dispatches"].map(|at| number(report.pointer(at).unwrap()));
    assert!(seen > planned / 2.0 && seen <= planned, "{seen} of {planned}");
    // What a token reads of its weights is the greater part of what all of its dispatches read and write.
    let decode = report["profile"]["decode"]["operations"].as_array().unwrap();
    let products = decode.iter().filter(|o| o["operation"].as_str().unwrap().contains("linear"));
    let (read, bytes) = (products.map(|o| number(&o["bytes"])).sum::<f64>(), number(&report["decode"]["bytes"]));
    assert!((0.8..1.5).contains(&(read / bytes)), "{read} of {bytes}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let file = write("pipe.gguf", &tiny(GgmlType::F32).finish().unwrap());
    let args = ["chat", "--model", path(&file), "--prompt", "a", "--device", "cpu", "--max-tokens", "50"];
    for args in [&args[..], &["--help"], &["inspect", path(&file)]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lantern"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{args:?}: {said}");
    }
}
