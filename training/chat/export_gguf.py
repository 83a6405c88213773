"""Trained weights to GGUF: Q8_0 matrices and F32 norms (what ships), and an F16 master of the same weights.

    python export_gguf.py ../../www/models/lantern-chat.q8_0.gguf --weights OUT --pack PACK

OUT is the folder that train.py filled, PACK the one that pack.py filled (its tokenizer.model). A quantized file says nothing
about quantization: `lantern compress` is given the master, which no visitor loads.
"""

import argparse
import hashlib
from pathlib import Path

import gguf
import sentencepiece

import weights
from gguf_model import load
from tokenizer import BOS, END, EOS, UNKNOWN, Vocabulary

HERE = Path(__file__).resolve().parent
MASTERS = HERE.parent / "masters"
TEMPLATE = (HERE / "chat_template.jinja").read_text().strip()
TYPES = {"q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
         "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--weights", type=Path, required=True)
    arguments.add_argument("--pack", type=Path, required=True)
    arguments.add_argument("--masters", type=Path, default=MASTERS, help="folder for the F16 file")
    options = arguments.parse_args()
    state, note = weights.read(options.weights)
    vocabulary = Vocabulary.read(options.pack / "tokenizer.json")
    options.masters.mkdir(parents=True, exist_ok=True)
    name = options.out.name.removesuffix(".gguf").removesuffix(".q8_0")
    for path, kind in ((options.out, "q8_0"), (options.masters / f"{name}.f16.gguf", "f16")):
        export(path, kind, state, note, vocabulary)
        check_vocabulary(path, options.pack / "tokenizer.model")
        print(f"{path.name}: {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}, "
              f"step {note['step']}, {note['tokens']} tokens, validation loss {note['validation']}")


def export(out, kind, state, note, vocabulary):
    shape = note["shape"]
    matrix_type, file_type = TYPES[kind]
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name("Lantern Chat")
    writer.add_version("4")
    writer.add_description("Tells short children's stories, talks a little and does small sums, in simple English. Trained from scratch.")
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
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece.encode() for piece in vocabulary.pieces])
    writer.add_token_scores(vocabulary.scores)
    writer.add_token_types(vocabulary.types)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_eot_token_id(END)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(False)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in state.items():
        values = tensor.numpy()
        if values.ndim == 1:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quantize(values, matrix_type), raw_dtype=matrix_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check_vocabulary(path, model_file):
    """The file's own vocabulary must cut text exactly as SentencePiece does."""
    library, (_, vocabulary) = sentencepiece.SentencePieceProcessor(model_file=str(model_file)), load(path)
    texts = ["Once upon a time, there was 12 + 7 = 19.\nOK", "", " two  spaces ", "Straße, 日本, \t tab", "1984", 'He said, "Meow."', (HERE / "generate.py").read_text()]
    for text in texts:
        if vocabulary.encode(text) != library.encode(text):
            raise SystemExit(f"the vocabulary in {path.name} cuts this text differently: {text[:60]!r}")


if __name__ == "__main__":
    main()
