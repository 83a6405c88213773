//! What both formats say about files that are something else, and about names that are megabytes of noise.

/// What a file that is not the expected kind seems to be, by its first bytes, and what to do about it.
pub(crate) fn stranger(first: &[u8]) -> Option<(&'static str, &'static str)> {
    Some(match first.get(..4)? {
        b"vers" => ("this looks like a Git LFS pointer", "fetch the file itself: git lfs pull"),
        b"<htm" | b"<!DO" | b"<!do" => ("this looks like a web page", "download the file itself, not its page"),
        b"lmgg" | b"tjgg" | b"fmgg" | b"algg" => ("this is a model file from before GGUF", "convert it to GGUF"),
        b"GGUF" => ("this is a GGUF file", "choose a .safetensors file"),
        b"PK\x03\x04" | [0x80, 2..=5, ..] => (
            "this looks like a PyTorch checkpoint, which can run code when opened",
            "use the model's GGUF or safetensors file",
        ),
        _ => return None,
    })
}

/// A reader's own words, which may repeat what it read.
pub(crate) fn bounded(why: &str) -> String {
    why.chars().take(300).collect()
}

/// A name fit for a message.
pub(crate) fn shorten(name: &str) -> String {
    name.chars().take(80).collect()
}
