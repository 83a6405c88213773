"""SentencePiece BPE in plain Python: what GGUF files describe, and what the machine that trains has no library for.

    Vocabulary.read("tokenizer.json")     # pieces, scores, types: what pack.py writes

Encoding joins the two neighbours whose union has the best score, the leftmost first, until no union is a piece. No piece
crosses the space before a word, so each word is cut on its own and remembered: millions of tokens a second.
"""

import json
import re

SPACE = "▁"  # SentencePiece's word boundary
UNKNOWN, BOS, EOS, USER, ASSISTANT, END, SYSTEM = range(7)
# Control pieces after <unk>, <s>, </s>. Version 3 has no <|system|>.
ROLES = {"user": "<|user|>", "assistant": "<|assistant|>", "end": "<|end|>", "system": "<|system|>"}
NORMAL, CONTROL, BYTE = 1, 3, 6  # GGUF's token types
WORD = re.compile(f"{SPACE}*[^{SPACE}]*")


class Vocabulary:
    def __init__(self, pieces, scores, types):
        """pieces: str, scores: float, types: GGUF token types; one each per id."""
        self.pieces, self.scores, self.types = list(pieces), list(scores), list(types)
        self.ids = {piece: i for i, (piece, kind) in enumerate(zip(self.pieces, self.types)) if kind == NORMAL}
        self.byte_ids = {int(p[3:5], 16): i for i, (p, kind) in enumerate(zip(self.pieces, self.types)) if kind == BYTE}
        self.control = {piece: i for i, (piece, kind) in enumerate(zip(self.pieces, self.types)) if kind == CONTROL}
        self.bos, self.eos = BOS, EOS
        self.words = {}
        # The header's claim: a piece has no space after its first letter.
        if any(SPACE in p.lstrip(SPACE) for p in self.ids):
            raise ValueError("a piece of this vocabulary holds a space inside; words cannot be cut one by one")

    @classmethod
    def read(cls, path):
        with open(path, encoding="utf8") as file:
            return cls(**json.load(file))

    def write(self, path):
        with open(path, "w", encoding="utf8") as file:
            json.dump({"pieces": self.pieces, "scores": self.scores, "types": self.types}, file)

    def __len__(self):
        return len(self.pieces)

    def encode(self, text):
        """Ids of `text`, without the leading bos. Text in is text out: nothing is normalised."""
        ids = []
        if text:
            for word in WORD.findall(SPACE + text.replace(" ", SPACE)):
                found = self.words.get(word)
                if found is None:
                    found = self._cut(word)
                    if len(self.words) < 500_000:
                        self.words[word] = found
                ids += found
        return ids

    def _cut(self, word):
        parts = list(word)
        while True:
            joins = [(self.scores[self.ids[a + b]], -i) for i, (a, b) in enumerate(zip(parts, parts[1:])) if a + b in self.ids]
            if not joins:
                break
            at = -max(joins)[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        ids = []
        for part in parts:
            ids += [self.ids[part]] if part in self.ids else [self.byte_ids[b] for b in part.encode("utf8")]
        return ids

    def decode(self, ids):
        out = bytearray()
        for i in ids:
            if self.types[i] == BYTE:
                out.append(int(self.pieces[i][3:5], 16))
            elif self.types[i] == NORMAL:
                out += self.pieces[i].replace(SPACE, " ").encode("utf8")
        return out.decode("utf8", "replace").removeprefix(" ")

    def turn(self, role, text):
        """Ids of one turn, as the chat template renders it; a system turn is dropped where the vocabulary has none."""
        if ROLES[role] not in self.control:
            return []
        return [self.control[ROLES[role]], *self.encode(text.strip()), self.control[ROLES["end"]]]

    def prompt(self, turns, system=None):
        """Ids of a conversation [user, assistant, …, user] that the model is to answer."""
        ids = [self.bos] + (self.turn("system", system) if system else [])
        for i, text in enumerate(turns):
            ids += self.turn("assistant" if i % 2 else "user", text)
        return ids + [self.control[ROLES["assistant"]]]


def train(texts, vocabulary_size, folder):
    """Trains with SentencePiece -> Vocabulary; leaves folder/tokenizer.model. `texts`: strings, newlines allowed."""
    import sentencepiece

    lines = folder / "tokenizer.txt"
    lines.write_text("\n".join(texts), encoding="utf8")
    # Newlines and anything outside the alphabet are byte pieces. `identity`: text in is text out. Digits stand alone.
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines), model_prefix=str(folder / "tokenizer"), model_type="bpe", vocab_size=vocabulary_size, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=True,
        split_digits=True, max_sentence_length=1 << 20, unk_id=UNKNOWN, bos_id=BOS, eos_id=EOS, pad_id=-1, num_threads=2,
        minloglevel=1, control_symbols=list(ROLES.values()))
    lines.unlink()
    (folder / "tokenizer.vocab").unlink()
    library = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    kind = lambda i: (2 if library.is_unknown(i) else CONTROL if library.is_control(i) else BYTE if library.is_byte(i) else NORMAL)
    every = range(library.vocab_size())
    vocabulary = Vocabulary([library.id_to_piece(i) for i in every], [library.get_score(i) for i in every], [kind(i) for i in every])
    check = [*texts[:: max(1, len(texts) // 2000)], "", " ", " two  spaces ", "Straße, 日本, \t tab", "1984", "12 + 7 = 19.\nOK"]
    for text in check:
        if vocabulary.encode(text) != library.encode(text):
            raise SystemExit(f"SentencePiece cuts this text differently: {text!r}")
    return vocabulary
