//! A remedy can be followed by the one who reads it: every code of the house stands in a table, with the command that provokes it
//! and the command that its remedy proposes.

mod common;
#[path = "remedies/files.rs"]
mod files;
#[path = "../../web/src/remedy.rs"]
mod page;
#[path = "remedies/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::remedy_of;
use table::{Seen, TABLE};

fn run(args: &[&str]) -> Output {
    let (args, input) = match args {
        [args @ .., "<", "\u{fffd}"] => (args, &b"\xff"[..]),
        [args @ .., "<", input] => (args, input.as_bytes()),
        args => (args, &b""[..]),
    };
    let args: Vec<String> = args
        .iter()
        .map(|arg| match arg.strip_prefix('{').and_then(|arg| arg.strip_suffix('}')) {
            Some(file) => files::path(file),
            None => (*arg).to_owned(),
        })
        .collect();
    common::lantern(&args.iter().map(String::as_str).collect::<Vec<_>>(), input)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `--flag` as it is written in a sentence. Flags of another program stand after its name.
fn flags(remedy: &str) -> BTreeSet<String> {
    let words: Vec<&str> = remedy.split(|c: char| c.is_whitespace() || "`,;:()".contains(c)).collect();
    let ours = |at: &usize| *at == 0 || !words[at - 1].contains("llama-");
    (0..words.len()).filter(ours).map(|at| words[at]).filter(|w| w.starts_with("--")).map(str::to_owned).collect()
}

/// The words of a command that name it.
fn command<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let below = ["bench", "compress", "eval"].contains(&args[0]);
    args[..if below { 2 } else { 1 }].to_vec()
}

fn help(command: &[&str]) -> String {
    let output = run(&[command, &["--help"]].concat());
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What is no matter of this program: a reader at the command line has none of it.
const OF_PAGES: [&str; 6] = ["reload", "browser", "other tabs", "WebGPU", "this page", "?device"];

/// That `args` say `code`, with a remedy that can be followed: by `followed`, if there are any.
fn check(code: &str, args: &[&str], followed: &[&str]) -> Result<(), String> {
    let output = run(args);
    // What `inspect` finds is its result.
    let said = stderr(&output) + String::from_utf8_lossy(&output.stdout).as_ref();
    let remedy = remedy_of(&said, code).ok_or_else(|| format!("{args:?} says {said}"))?;
    let help = help(&command(args));
    if let Some(flag) = flags(&remedy).iter().find(|flag| !help.contains(*flag)) {
        return Err(format!("{args:?} has no {flag}: {remedy}"));
    }
    for (at, named) in remedy.match_indices("`lantern ") {
        let command = remedy[at + named.len()..].split('`').next().unwrap();
        if !run(&[command, "--help"]).status.success() {
            return Err(format!("there is no `lantern {command}`"));
        }
    }
    if OF_PAGES.iter().any(|word| remedy.contains(word)) {
        return Err(format!("of a page: {remedy}"));
    }
    if followed.is_empty() {
        return Ok(());
    }
    let output = run(followed);
    let said = stderr(&output);
    match output.status.success() && remedy_of(&said, code).is_none() {
        true => Ok(()),
        false => Err(format!("{followed:?}: {said}")),
    }
}

#[test]
fn what_a_remedy_proposes_works() {
    let wrong = TABLE.iter().filter_map(|(code, seen)| match seen {
        Seen::Here(args, followed) => check(code, args, followed).err().map(|why| format!("{code}: {why}")),
        Seen::Elsewhere(_) => None,
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_context_that_a_remedy_names_is_enough() {
    let long = "a".repeat(20);
    let base = ["chat", "--model", "{tiny}", "--raw", "--prompt", &long, "--max-tokens", "5", "--device", "cpu"];
    let said = stderr(&run(&[&base[..], &["--context", "8"]].concat()));
    let remedy = remedy_of(&said, "chat.too_long").unwrap();
    let number = remedy.strip_prefix("--context ").unwrap().split_whitespace().next().unwrap();
    let output = run(&[&base[..], &["--context", number]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "--context {number}: {}", stderr(&output));
}

fn sources(folder: &Path, ending: &str, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn is_code(text: &str) -> bool {
    let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    text.split_once('.').is_some_and(|(family, name)| word(family) && word(name))
}

/// The literals that begin right after `before`.
fn after<'a>(text: &'a str, before: &str, quote: char) -> Vec<Option<&'a str>> {
    let begun = text.match_indices(before).map(|(at, _)| text[at + before.len()..].trim_start());
    begun.map(|rest| rest.strip_prefix(quote).and_then(|rest| rest.split(quote).next())).collect()
}

/// Every code that the sources make an error of.
fn codes() -> BTreeSet<String> {
    let (mut rust, mut scripts) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path().join("src");
        // What builds and serves has errors of its own.
        if folder.is_dir() && !folder.starts_with(root().join("crates/xtask")) {
            sources(&folder, "rs", &mut rust);
        }
    }
    sources(&root().join("www/lantern"), "js", &mut scripts);
    let mut codes = BTreeSet::new();
    for (path, text) in &rust {
        let text = text.split("\n#[cfg(test)]").next().unwrap();
        let mut named = [after(text, "Error::new(", '"'), after(text, "Self::new(", '"')].concat();
        // Of a text file that is not there; each command has a code of its own.
        named.extend(text.match_indices("input::file(").map(|(at, _)| text[at..].split('"').nth(1)));
        codes.extend(named.iter().flatten().filter(|code| is_code(code)).map(|code| (*code).to_owned()));
        // A code that is handed in stands elsewhere in the file.
        let folder = path.parent().unwrap().file_name().unwrap();
        if named.contains(&None) || folder == "weights" {
            let families =
                ["chat", "compress", "download", "output", "quantize", "source", "tensor", "weights", "safetensors"];
            let literals = text.split('"').skip(1).step_by(2).filter(|literal| is_code(literal));
            let of_family = literals.filter(|literal| families.contains(&literal.split('.').next().unwrap()));
            // `output.weight` and the like are tensors.
            codes.extend(of_family.filter(|name| !name.ends_with(".weight")).map(str::to_owned));
        }
    }
    for (_, text) in &scripts {
        let named = [after(text, "code:", '\''), after(text, "failure(", '\'')].concat();
        codes.extend(named.iter().flatten().filter(|code| is_code(code)).map(|code| (*code).to_owned()));
    }
    codes
}

#[test]
fn every_code_of_the_house_is_in_the_table() {
    let listed: BTreeSet<String> = TABLE.iter().map(|(code, _)| (*code).to_owned()).collect();
    let codes = codes();
    let new: Vec<_> = codes.difference(&listed).collect();
    assert!(new.is_empty(), "say in tests/remedies/table.rs how these come about: {new:?}");
    let gone: Vec<_> = listed.difference(&codes).collect();
    assert!(gone.is_empty(), "no source has these any more: {gone:?}");
}

#[test]
fn reasons_name_files_that_are_there() {
    for (code, seen) in TABLE {
        let Seen::Elsewhere(why) = seen else { continue };
        for named in why.split_whitespace().filter(|word| word.starts_with("crates/")) {
            assert!(root().join(named).exists(), "{code}: {named}");
        }
    }
}

#[test]
fn the_page_s_ways_are_of_codes_there_are_and_name_no_flag() {
    for (code, way) in page::WAYS {
        assert!(TABLE.iter().any(|(known, _)| known == code), "{code}");
        assert!(flags(way).is_empty(), "{code}: {way}");
        assert_eq!(page::here(code, "another"), *way);
    }
    assert_eq!(page::here("source.open", "another"), "another");
}

/// The rooms below the edges do not know which edge tells their errors.
#[test]
fn no_crate_below_the_command_line_names_a_flag_or_a_page() {
    let mut rust = Vec::new();
    for room in ["graph", "gpu", "cpu", "weights", "tokenizer", "models", "compress"] {
        sources(&root().join("crates").join(room).join("src"), "rs", &mut rust);
    }
    for (path, text) in rust {
        let text = text.split("\n#[cfg(test)]").next().unwrap();
        for (at, _) in text.match_indices("Error::new(") {
            let call: String = text[at..].split_inclusive(')').take(4).collect();
            let literals: Vec<&str> = call.split('"').skip(1).step_by(2).collect();
            for literal in literals {
                assert!(flags(literal).is_empty(), "{}: {literal}", path.display());
                let of_page = OF_PAGES.iter().find(|word| literal.contains(**word));
                assert_eq!(of_page, None, "{}: {literal}", path.display());
            }
        }
    }
}
