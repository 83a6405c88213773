"""What Jinja2 makes of small templates: the table that crates/jinja is held against.

    python3 training/templates/reference.py crates/jinja/tests/reference.jsonl

Needs Jinja2 3.1 (training/requirements.txt). The environment is Hugging Face's apply_chat_template's. The first line of the
table holds the context, each other one a template with its text, or with the exception that it raises.
"""

import copy
import datetime
import json
import sys

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from snippets import CONTEXT, EXPRESSIONS, TEMPLATES


class Generation(Extension):
    """`{% generation %}`: a call block whose function writes its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_write"), [], [], body).set_lineno(line)

    def _write(self, caller):
        return caller()


def raise_exception(message):
    raise TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime(2026, 11, 27, 9, 5, 3).strftime(f)
    return env


def render(env, source):
    try:
        # A copy: `a_list|indent` appends to the list before it fails.
        text = env.from_string(source).render(**copy.deepcopy(CONTEXT))
        text.encode()
        return {"text": text}
    except Exception as error:
        return {"error": type(error).__name__}


def main():
    env = environment()
    sources = ["{{ " + e + " }}" for e in EXPRESSIONS] + TEMPLATES
    with open(sys.argv[1], "w", encoding="utf8") as out:
        out.write(json.dumps({"context": CONTEXT}, ensure_ascii=False) + "\n")
        for source in dict.fromkeys(sources):
            out.write(json.dumps({"source": source, **render(env, source)}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
