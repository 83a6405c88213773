//! Llamas of random weights are files like any other, and answer with numbers.

use std::rc::Rc;

use lantern_bench::{Bare, ChatBench, LlamaShape, RandomLlama, chat_model, converse};
use lantern_cpu::{Cpu, Mode};
use lantern_demos::chat::Finish;
use lantern_weights::{ByteSource, GgmlType, Gguf, dequantize};
use pollster::block_on;

const SMALL: &str = "256/512/2/4:2/40";

fn llama(dtype: GgmlType) -> RandomLlama {
    RandomLlama::new(LlamaShape::parse(SMALL).expect("a shape"), dtype).expect("whole blocks")
}

#[test]
fn a_random_llama_of_every_type_loads_and_answers_to_the_last_token() {
    let bench = ChatBench { prompt_tokens: 5, tokens: 9, runs: 2 };
    for dtype in GgmlType::READ {
        let llama = llama(dtype);
        let answers = block_on(async {
            let model = chat_model(&Rc::new(Cpu::new(Mode::Fast)), &llama, &bench, &mut |_, _| {}).await?;
            converse(&model, &llama, &bench).await
        })
        .unwrap_or_else(|error| panic!("{dtype}: {error}"));
        assert_eq!(answers.len(), 2);
        for answer in &answers {
            assert_eq!((answer.tokens.len(), answer.decode_steps, answer.prompt_tokens), (9, 8, 5), "{dtype}");
            assert_eq!(answer.finish, Finish::MaxTokens, "{dtype}");
        }
        assert_eq!(answers[0].tokens, answers[1].tokens, "{dtype}");
    }
}

#[test]
fn weights_are_about_as_large_as_keeps_a_row_s_sum_as_large_as_what_goes_in() {
    for dtype in GgmlType::READ {
        let llama = llama(dtype);
        let gguf = block_on(Gguf::read(&llama)).expect("a file");
        let tensor = gguf.tensor("blk.1.ffn_gate.weight").expect("there");
        let mut bytes = vec![0; tensor.bytes as usize];
        block_on(llama.read(tensor.offset, &mut bytes)).expect("inside");
        let mut values = vec![0.0; tensor.elements() as usize];
        dequantize(dtype, &bytes, &mut values).expect("readable");
        let count = values.len() as f64;
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let spread = (values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / count).sqrt();
        // One over the root of 256 columns, or more where a half's smallest numbers forbid it.
        assert!((0.04..0.12).contains(&spread), "{dtype}: {spread}");
        assert!(mean.abs() < spread / 2.0, "{dtype}: {mean} of {spread}");
    }
}

#[test]
fn a_read_gives_the_file_s_bytes_wherever_it_begins() {
    let llama = llama(GgmlType::Q6K);
    let mut whole = Vec::new();
    llama.write(&mut whole).expect("memory takes it");
    assert_eq!(whole.len() as u64, llama.len());
    for (offset, len) in
        [(0, 100), (whole.len() - 7001, 7001), (whole.len() / 2, 333), (whole.len() / 3 + 1, 4099), (9, 0)]
    {
        let mut part = vec![0xff; len];
        block_on(llama.read(offset as u64, &mut part)).expect("inside");
        assert!(part == whole[offset..offset + len], "{len} bytes at {offset}");
    }
    let past_the_end = block_on(llama.read(llama.len(), &mut [0]));
    assert_eq!(past_the_end.map_err(|error| error.code), Err("source.short"));
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    for text in
        ["2b", "1/2/3", "0/8/1/1:1/40", "64/64/1/5/40", "64/64/1/4:3/40", "6/6/1/2:1/40", "64/64/1/4:4/3", "a/8/1/1/40"]
    {
        assert_eq!(LlamaShape::parse(text).map_err(|error| error.code), Err("bench.shape"), "{text}");
    }
    assert_eq!(LlamaShape::parse("64/64/1/4/40").map(|shape| shape.kv_heads).ok(), Some(4));
    let smallest = LlamaShape::parse("135M").expect("a name");
    assert_eq!(RandomLlama::new(smallest, GgmlType::Q4K).map(|_| ()).map_err(|error| error.code), Err("bench.shape"));
}

/// Counted by hand for 8 columns, 4 of them keys', 6 in the feed-forward, 10 tokens.
#[test]
fn operations_are_counted_as_they_are_done() {
    let shape = LlamaShape::parse("8/6/1/2:1/10").expect("a shape");
    let matrices = 2 * (2 * 8 * 8 + 2 * 4 * 8 + 3 * 8 * 6);
    assert_eq!(shape.flops(1, 0), matrices + 4 * 8 + 2 * 8 * 10);
    assert_eq!(shape.flops(3, 2), 3 * matrices + 4 * 8 * (3 + 4 + 5) + 2 * 8 * 10);
}

#[test]
fn the_last_chunk_of_a_prompt_has_more_than_one_row_and_ends_with_it() {
    let llama = llama(GgmlType::Q8_0);
    let bench = ChatBench { prompt_tokens: 200, tokens: 4, runs: 1 };
    block_on(async {
        let model = chat_model(&Rc::new(Cpu::new(Mode::Fast)), &llama, &bench, &mut |_, _| {}).await?;
        let mut bare = Bare::open(&model).await?;
        let chunk = model.prefill_chunk();
        for tokens in [2, chunk - 1, chunk, chunk + 1, chunk + 2, 200] {
            let (past, rows) = bare.last_chunk(tokens);
            assert!(
                rows > 1 && rows <= chunk && past + rows <= tokens && past + rows + 1 >= tokens,
                "{tokens}: {past}, {rows}"
            );
            bare.prefill_bindings(past, rows)?;
        }
        let now = std::cell::Cell::new(0.0);
        let clock = || now.replace(now.get() + 1.0);
        let host = bare.host(200, 3, &clock).await?;
        assert_eq!((host.run_ms, host.read_ms), (1.0, 1.0));
        Ok::<_, lantern_graph::Error>(())
    })
    .expect("it runs");
}
