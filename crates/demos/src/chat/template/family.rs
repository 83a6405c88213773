//! Templates for files that bring none: the family is known by the tokens its conversations are written with, or by the
//! model's name where they are written in words. A model of neither kind continues texts.

use lantern_tokenizer::Tokenizer;

const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}\
    {{ '<|im_start|>assistant\\n' }}";

const LLAMA_3: &str = "{{ bos_token }}{% for message in messages %}\
    {{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}{% endfor %}\
    {{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}";

const PHI_3: &str = "{% for message in messages %}{{ '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}{% endfor %}\
    {{ '<|assistant|>\\n' }}";

/// TinyLlama's and Zephyr's.
const ZEPHYR: &str = "{% for message in messages %}{{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}{% endfor %}\
    {{ '<|assistant|>\\n' }}";

/// The system prompt goes into the first question, in brackets of its own.
const LLAMA_2: &str = "{% set ns = namespace(system='') %}{% for message in messages %}\
    {% if message.role == 'system' %}{% set ns.system = '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' %}\
    {% elif message.role == 'user' %}{{ bos_token + '[INST] ' + (ns.system + message.content) | trim + ' [/INST]' }}{% set ns.system = '' %}\
    {% else %}{{ ' ' + message.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}";

const MISTRAL: &str = "{% set ns = namespace(system='') %}{{ bos_token }}{% for message in messages %}\
    {% if message.role == 'system' %}{% set ns.system = message.content + '\\n\\n' %}\
    {% elif message.role == 'user' %}{{ '[INST] ' + ns.system + message.content + ' [/INST]' }}{% set ns.system = '' %}\
    {% else %}{{ ' ' + message.content + eos_token }}{% endif %}{% endfor %}";

/// The family's name and its template. `name`: the file's `general.name`.
pub(super) fn template(tokenizer: &Tokenizer, name: &str) -> Option<(&'static str, &'static str)> {
    let has = |token: &str| tokenizer.guarded(token).is_some();
    if has("<|im_start|>") && has("<|im_end|>") {
        return Some(("ChatML", CHATML));
    }
    if has("<|start_header_id|>") && has("<|eot_id|>") {
        return Some(("Llama 3", LLAMA_3));
    }
    if has("<|user|>") && has("<|assistant|>") {
        return Some(if has("<|end|>") { ("Phi 3", PHI_3) } else { ("Zephyr", ZEPHYR) });
    }
    if has("[INST]") && has("[/INST]") {
        return Some(("Mistral", MISTRAL));
    }
    // "Llama 2 7B Chat", "llama-2-7b-chat", "TinyLlama_v1.1 Chat": words alone, whatever stands between them.
    let name = name.to_lowercase();
    let says = |word: &str| name.contains(word);
    if says("zephyr") || (says("tinyllama") && says("chat")) {
        return Some(("Zephyr", ZEPHYR));
    }
    if says("mistral") && says("instruct") {
        return Some(("Mistral", MISTRAL));
    }
    if says("llama") && says("chat") {
        return Some(("Llama 2", LLAMA_2));
    }
    None
}
