"""Checkpoint to GGUF: Q8_0 matrices and F32 norms (what ships), and an F16 master of the same weights in `training/masters`.

    python export_gguf.py ../../www/models/lantern-stories.q8_0.gguf

A quantized file says nothing about quantization: `lantern compress` is given the master, which no visitor loads.
"""
import argparse, hashlib
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
import torch

from data import BOS, EOS
from gguf_model import Vocabulary

MASTERS = Path(__file__).parent.parent / "masters"
TYPES = {"q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
         "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
         "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--run", type=Path, default=Path(__file__).parent.parent / "runs" / "stories")
    arguments.add_argument("--type", choices=TYPES, default="q8_0")
    options = arguments.parse_args()

    state = torch.load(options.run / "checkpoint.pt", map_location="cpu", weights_only=True)
    export(options.out, options.type, options.run, state)
    if options.type == "q8_0":
        name = options.out.name.removesuffix(".gguf").removesuffix(".q8_0")
        MASTERS.mkdir(exist_ok=True)
        export(MASTERS / f"{name}.f16.gguf", "f16", options.run, state)


def export(out, kind, run, state):
    shape = state["shape"]
    matrix_type, file_type = TYPES[kind]
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name("Lantern Stories")
    writer.add_version("2")
    writer.add_description("Continues a children's story in plain English. Trained from scratch on a CPU.")
    writer.add_license("MIT OR Apache-2.0")
    writer.add_languages(["en"])
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["dim"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["hidden"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_layer_norm_rms_eps(shape["norm_eps"])
    writer.add_rope_dimension_count(shape["dim"] // shape["heads"])
    writer.add_rope_freq_base(shape["rope_base"])
    writer.add_vocab_size(shape["vocab"])

    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(run / "tokenizer.model"))
    piece_kind = lambda i: (gguf.TokenType.UNKNOWN if tokenizer.is_unknown(i) else gguf.TokenType.CONTROL if tokenizer.is_control(i)
                            else gguf.TokenType.BYTE if tokenizer.is_byte(i) else gguf.TokenType.NORMAL)
    every = range(tokenizer.vocab_size())
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([tokenizer.id_to_piece(i).encode() for i in every])
    writer.add_token_scores([tokenizer.get_score(i) for i in every])
    writer.add_token_types([piece_kind(i) for i in every])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(False)

    for name, tensor in state["model"].items():
        values = tensor.float().numpy()
        if values.ndim == 1 or kind == "f32":
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quantize(values, matrix_type), raw_dtype=matrix_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    # The file's own vocabulary must cut text exactly as the tokenizer the model was trained with.
    vocabulary = Vocabulary(gguf.GGUFReader(out).fields)
    held = np.fromfile(run / "val.bin", "<u2")[:20000].tolist()
    for line in tokenizer.decode(held).split("\n") + ["", " two  spaces ", "Straße, 日本, \t tab", "1984"]:
        if vocabulary.encode(line) != tokenizer.encode(line):
            raise SystemExit(f"the vocabulary in the file cuts this text differently: {line!r}")
    loss = state["validation"]
    print(f"{out.name}: {out.stat().st_size} bytes, sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}, "
          f"step {state['step']}, {state['tokens']} tokens, last validation loss {loss if loss is None else round(loss, 4)}")


if __name__ == "__main__":
    main()
