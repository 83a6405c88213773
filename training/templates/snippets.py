"""The templates of the table: what chat templates are written with, and what lies beside it."""

CONTEXT = {
    "s": "Hello, World",
    "sp": "  two  words \n",
    "ml": "one\ntwo\r\nthree\n\nfive",
    "uni": "Straße café ǆ ﬁ İ Σας ΑΣ 日本 🙂",
    "html": "<b>\"a\" & 'b'</b>",
    "empty": "",
    "n": 42,
    "neg": -7,
    "f": 2.5,
    "yes": True,
    "no": False,
    "nil": None,
    "l": [3, 1, 2],
    "words": ["pear", "Apple", "fig", "apple"],
    "mixed": [1, "a", None, 2.5, [1, 2], {"k": "v"}],
    "d": {"b": 1, "a": 2, "items": 3, "é": "ü"},
    "nested": {"x": {"y": [10, {"z": "deep"}]}},
    "people": [
        {"name": "Bo", "age": 30, "city": {"zip": 2}},
        {"name": "al", "age": 25, "city": {"zip": 1}},
        {"name": "Cy", "age": 30, "tags": ["a"]},
    ],
    "pairs": [["a", 1], ["b", 2]],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}],
    "messages": [{"role": "user", "content": "<think>\nHm.\n</think>\n\nHi </think> there"}],
    "bos_token": "<s>",
}

# String methods, by the texts they are tried on.
_TEXTS = ["s", "sp", "ml", "uni", "''", "'a,b,,c'", "'aXbXc'", "'Ab1_é'", "'-12'", "'+3'", "'\\tx\\ty'", "'xxabxx'"]
_METHODS = """upper() lower() title() capitalize() swapcase() casefold() strip() lstrip() rstrip() strip('x ') lstrip('H-')
rstrip('dx') split() split(',') split(',',1) split(None,1) split('X',maxsplit=1) split(sep='X') rsplit() rsplit(',',1)
rsplit(None,1) splitlines() splitlines(true) splitlines(keepends=True) partition(',') rpartition(',') partition('X')
replace('a','bb') replace('l','',1) replace('','-') replace('','-',2) startswith('H') startswith(('a','H')) endswith('d')
endswith(('d','c')) startswith('e',1) startswith('l',2,4) find('o') find('zz') rfind('o') find('o',5) count('l') count('')
find('') rfind('') center(20) center(21,'*') ljust(15)~'|' ljust(15,'.') rjust(15) rjust(15,'.') zfill(8) expandtabs()
expandtabs(4) isalnum() isalpha() isascii() isdecimal() isdigit() isnumeric() isspace() isidentifier() islower() isupper()
istitle() isprintable() removeprefix('He') removesuffix('ld') join(['1','2','3']) join('ab') index('o') rindex('l')
format(1) encode() split('') startswith(1) replace(1,2) strip(1) join([1]) nope() center('a') __len__() upper(1)""".split()

_FILTERS = """abs capitalize count e escape first float forceescape int last length list lower items min max reject reverse
round safe select sort string sum title trim unique upper urlencode wordcount tojson default('D') default('D',true) d
indent indent(2,true) indent('>>') indent(1,blank=true) truncate(9) truncate(9,true) truncate(8,false,'…',0) center(15)
join join(',') replace('l','L') replace('l','L',1) trim('H <') batch(2) slice(2) int(7) int(default=7) float(1.5) dictsort
format('x') filesizeformat tojson(indent=2) tojson(ensure_ascii=True) tojson(separators=(',',':')) tojson(sort_keys=true)
striptags wordwrap(6) wordwrap(6,false) attr('upper') groupby('age') map('upper') round(1) nofilter random pprint
xmlattr""".split()
_ON = ["s", "sp", "ml", "html", "''", "n", "neg", "f", "yes", "nil", "l", "words", "mixed", "d", "missing", "'3.7'", "' 12 '"]
_LISTING = {"items", "reject", "reverse", "select", "unique", "batch(2)", "slice(2)", "map('upper')"}

_TESTS = """defined undefined none boolean false true integer float string mapping number sequence iterable callable odd even
divisibleby(3) lower upper escaped sameas(none) eq(42) ne(42) gt(1) lt(1) ge(42) le(42) in([42,none]) equalto(42)
greaterthan(1) lessthan(1) filter test nothing""".split()
_TESTED = ["s", "''", "'abc'", "'ABC'", "n", "neg", "f", "yes", "no", "nil", "l", "d", "missing", "range(3)", "(1,)", "d.items()",
    "d.items", "namespace", "namespace(a=1)", "l|select", "s|e", "'upper'", "joiner()", "cycler(1)", "1.0"]

_VALUES = ["1", "0", "-3", "2.5", "true", "none", "'a'", "'b'", "[1]", "(1, 2)", "{'a': 1}", "missing", "range(2)"]
_OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]

EXPRESSIONS = [
    # Literals, and how they are written out.
    r"'\n\t\\\'\"\a\x41\u00e9\U0001F642\101\0|\q'", r"'a\
b'", "'é\\é'", "'a' 'b' \"c\"", r"'\x4'", r"'\N{DASH}'", r"'\u12'", r"'\ud800'", "0x1F", "0b101", "0o17", "1_000", "1e3",
    "1.5e-7", "1E+20", "1_0.5_0", "00", "007", "1.", ".5", "1.0", "1e16", "1e15", "123456789012345678", "1e-4", "1e-5", "0.1+0.2",
    "1e22", "1/3", "100/10", "-0.0", "1e308*10", "-1e308*10", "2**100", "2**-1", "10**20", "7//2", "-7//2", "7%-3", "-7%3",
    "7.5//2", "-7.5%2", "1e400-1e400", "3.0", "5e-324", "1.7976931348623157e308", "0.00001234", "12345.678", "True", "none",
    "[1, 'a', none, true, 2.0]", "(1,)", "()", "(1, 2)", "{}", "{'a': 1, 2: none}", "{1: 'a', true: 'b', 1.0: 'c'}", "mixed", "d",
    "'it\\'s'", "['it\\'s']", "['\"']", "['\\'\"']", "['\\n\\t\\\\é\\x07\\u200b\\xa0']", "[uni]", "[s|safe]", "[missing]", "d.keys()",
    "d.values()", "d.items()", "range(5)", "range(1, 10, 3)", "[range(3)]", "namespace(a=1)", "dict(a=1, b=[2])", "dict(pairs)",
    "dict({'x': 1}, y=2)", "range(100001)", "range(0)", "range(5, 0, -2)|list", "range('a')", "range(1, 2, 0)", "dict", "namespace",
    "[1, 2,]", "{'a': 1,}", "[[1, [2]], (3,)]", "{'a': {'b': []}}", "1,", "1, 2",
    # Precedence.
    "1 + 2 * 3", "(1 + 2) * 3", "2 ** 3 ** 2", "-2 ** 2", "2 ** -1", "1 ~ 2 + 3", "'a' ~ 1 + 2", "1 + 2 ~ 3", "2 * 3 ~ 4",
    "not 1 == 2", "not true and false", "1 if 0 else 2", "1 if 0", "(1 if 0) is defined", "1 if 1 else 2 if 1 else 3", "-1|abs",
    "(-1)|abs", "-5 % 3", "1 < 2 < 3", "1 < 3 < 2", "1 == 1.0 == true", "3 > 2 > 1 > 0", "1 in [1] == true", "not 1 in [2]",
    "1 not in [1, 2]", "'a' in 'abc'", "'' in ''", "1 in 'a'", "none in 'a'", "missing in 'a'", "1 in missing", "1 in 3",
    "'b' in d", "'b' in d.keys()", "1 in d.values()", "('b', 1) in d.items()", "[1] in d", "3 in l|sort", "2 in range(3)",
    "not not 1", "+1", "-'a'", "+true", "-true", "- - 1", "1 or 2", "0 or ''", "1 and 2", "[] and 1", "none or missing or 'x'",
    "true + true", "'a' * 3", "3 * 'ab'", "'a' * -1", "[1] * 2", "(1,) + (2,)", "[1] + [2]", "[1] + (2,)", "'a' + 1", "1 + 'a'",
    "'a' < 'b'", "'B' < 'a'", "[1, 2] < [1, 3]", "(1,) < (1, 0)", "1 < 'a'", "none < 1", "missing < 1", "missing == missing",
    "missing == none", "missing + 1", "missing.x", "missing['x']", "missing()", "missing ~ 'a'", "missing|length", "not missing",
    "s.nope", "s.nope is defined", "s.nope.x", "d.nope", "d['nope']", "d.nope.x", "nil.x", "nil.x.y", "n.x", "l.x", "l[9]",
    "l[9].x", "1 / 0", "1 // 0", "1 % 0", "1.0 / 0", "0 ** -1", "(-8) ** 0.5", "2 ** 0.5", "7 / 2", "1e3 // 7", "5 % 2.5",
    "{} == {}", "{'a': 1} == {'a': 1.0}", "[1] == (1,)", "'1' == 1", "true == 1", "none == false", "{[1]: 2}", "{(1, 2): 3}",
    # Attributes and items.
    "d.items", "d['items']", "d['b']", "d.b", "d.get('b')", "d.get('q')", "d.get('q', 5)", "d.get()", "d.é", "nested.x.y[1].z",
    "nested['x']['y'][-2]", "nested.x.y.1.z", "nested.x.y.0", "l.0", "l[-1]", "l['0']", "l[1.0]", "l[true]", "s[0]", "s[-1]",
    "s[99]", "s[1:4]", "s[::-1]", "s[-3:]", "s[:-3]", "s[::2]", "s[10:2:-3]", "s[5:2]", "l[1:]", "l[::-1]", "l[:99]", "s[::0]",
    "s['a':]", "(1, 2, 3)[1:]", "range(10)[2:8:2]", "range(10)[-1]", "d[1:]", "n[1:]", "uni[-1]", "uni[7:11]", "s[none:3]",
    "s[1, 2]", "s[true:3]", "s.upper", "s['upper']()", "messages[0].content.split('</think>')[-1].lstrip('\\n')",
    "messages[0]['content'].rsplit('</think>', 1)[-1]", "messages[-1].role", "d.__class__", "d.__class__ is defined",
    "s.__len__", "d._x", "d['__class__']", "l.append(1)", "l.append is defined", "l.append", "d.update({})", "d.pop('b')",
    "d.setdefault('b', 1)", "l.sort()", "l.copy()", "l.count(1)", "l.index(2)", "l.index(9)", "(1, 1).count(1)", "l.index(1, 0)",
    "n.real", "n.bit_length()", "f.is_integer()", "2.0.is_integer()", "n.numerator", "true.real", "range(5).start", "range(5).stop",
    "range(5).index(3)", "range(5).count(9)", "d.keys()|list", "d.items()|list", "d.values()|sum", "d|list", "d|length",
    "d.items()|first", "d.keys()[0]", "d|first", "d|last", "d.copy()", "s()", "n()", "l()", "d()", "none()", "'a'.upper.x",
    # Formats.
    "'%s' % 'a'", "'%s %s' % (1, 2)", "'%s' % l", "'%s' % (l,)", "'%d' % 3.7", "'%5d|%-5d|%05d|%+d|% d' % (1, 2, 3, 4, 5)", "'%x %X %o %#x' % (255, 255, 8, 255)",
    "'%.2f %e %g %G' % (3.14159, 12345.678, 1e-7, 1e20)", "'%5.1f|%-8.3f|%08.2f' % (2.25, 1.5, -1.5)", "'%%'", "'%%' % ()", "'%r' % 'a\\'b'",
    "'%(a)s %(b)05d' % {'a': 1, 'b': 2}", "'%s' % missing", "'%s' % none", "'%s %s' % 1", "'%s' % (1, 2)", "'a' % 1", "'%d' % 'a'", "'%c%c' % (65, 'z')",
    "'%*d' % (5, 3)", "'%.3s' % 'abcdef'", "'%10s|%-10s|' % ('a', 'b')", "'%z' % 1", "'%' % 1", "'%a' % 'é'", "'a' % {}", "'a' % []", "'%i' % true",
    "'%s' % {'a': 1}", "'%(a)s' % 1", "'%(q)s' % {}", "'%g' % 100000", "'%g' % 1000000", "'%g' % 0.0001", "'%#g' % 1", "'%.0f' % 0.5", "'%.0f' % 1.5", "'%f' % 1e400",
    "'{}'.format(1)", "'{} {}'.format(1, 2)", "'{1} {0}'.format('a', 'b')", "'{a} {b!r}'.format(a=1, b='x')", "'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')",
    "'{:05d} {:+d} {:,} {:_} {:x} {:#b}'.format(42, 42, 1234567, 1234567, 255, 5)", "'{:.2f} {:10.3e} {:g} {:%} {:.1%}'.format(3.14159, 12345.6, 0.5, 0.25, 0.125)",
    "'{0[a]} {0.b}'.format({'a': 1, 'b': 2})", "'{0[1]}'.format([1, 2])", "'{:{}}|'.format('a', 5)", "'{{}}'.format(1)", "'{'.format(1)", "'}'.format(1)", "'{} {0}'.format(1)",
    "'{}'.format()", "'{a}'.format()", "'{:d}'.format('a')", "'{:s}'.format(1)", "'{:5}|{:5}|'.format(1, 'a')", "'{!s:>4}'.format(1)", "'{!q}'.format(1)", "'{:.3}'.format('abcdef')",
    "'{:.3}'.format(3.14159)", "'{:5}'.format(none)", "'{}'.format(none)", "'{}'.format(l)", "'{:>3}'.format(true)", "'{:n}'.format(5)", "'{:e}'.format(5)", "'{:,.2f}'.format(12345.678)",
    "'{0.__class__}'.format(1)", "'{a}'.format_map({'a': 1})", "'{:010,d}'.format(1234)", "'{:<08}|'.format(3)", "'{:=+6}'.format(3)", "'%s and %s'|format('a', 'b')",
    "'%(x)s'|format(x=1)", "'%s'|format(1, x=2)", "'{:c}'.format(65)", "'{:.1f}'.format(0.25)", "'{:.0f}'.format(2.5)", "'{:g}'.format(1e10)", "'{}'.format(1e16)",
    # Filters with arguments.
    "people|map(attribute='name')|list", "people|map(attribute='city.zip')|list", "people|map(attribute='city.zip', default='-')|list", "people|map(attribute='tags.0')|list",
    "words|map('upper')|join(' ')", "words|map('replace', 'p', 'q')|list", "l|map('string')|list", "words|map('nofilter')|list", "words|map()|list", "words|map(attribute='x', y=1)|list",
    "people|selectattr('tags')|map(attribute='name')|list", "people|selectattr('age', 'equalto', 30)|map(attribute='name')|join", "people|rejectattr('age', '==', 30)|map(attribute='name')|join",
    "people|selectattr('tags', 'defined')|list|length", "people|selectattr('age', 'gt', 26)|list|count", "people|rejectattr('tags', 'undefined')|list|length", "people|selectattr()|list",
    "l|select('odd')|list", "l|reject('odd')|list", "l|select('gt', 1)|list", "mixed|select('string')|list", "mixed|reject('none')|list", "l|select('in', [1, 2])|list", "l|select('nope')|list",
    "words|sort", "words|sort(reverse=true)", "words|sort(case_sensitive=true)", "l|sort", "l|sort(true)", "mixed|sort", "people|sort(attribute='age')|map(attribute='name')|list",
    "people|sort(attribute='age,name')|map(attribute='name')|list", "people|sort(attribute='city.zip')|list", "words|unique|list", "words|unique(true)|list", "people|unique(attribute='age')|map(attribute='name')|list",
    "words|min", "words|max", "words|max(case_sensitive=true)", "people|max(attribute='age')", "people|min('age')", "[]|min", "[]|max is defined", "people|sum(attribute='age')", "l|sum(start=10)", "words|sum",
    "[[1], [2]]|sum(start=[])", "d|dictsort", "d|dictsort(true)", "d|dictsort(by='value')", "d|dictsort(reverse=true)", "{'b': 1, 'a': 2}|dictsort(false, 'value')", "d|dictsort(by='x')",
    "people|groupby('age')", "people|groupby('age')|map(attribute='grouper')|list", "people|groupby('city.zip', default=0)|map('first')|list", "words|groupby(0)|map(attribute='list')|list", "people|groupby('tags')",
    "range(7)|batch(3)|list", "range(7)|batch(3, 'x')|list", "range(7)|slice(3)|list", "range(7)|slice(3, 'x')|list", "range(3)|slice(0)|list", "[]|batch(2)|list", "l|first", "l|last", "[]|first", "[]|last", "''|first",
    "s|first", "s|last", "(l|select)|last", "l|reverse|list", "s|reverse", "d|reverse|list", "n|reverse", "(l|select)|reverse", "l|join", "l|join(', ')", "people|join(',', 'name')", "people|join(attribute='name')", "mixed|join('|')",
    "n|join", "nil|join", "d|join('-')", "42.55|round", "42.55|round(1, 'floor')", "42.55|round(1, 'ceil')", "42.55|round(1)", "2.5|round", "3.5|round", "-2.5|round", "1234.5|round(-2)", "15|round(-1)", "25|round(-1)", "42|round", "42|round(1)",
    "2.675|round(2)", "'a'|round", "1|round(method='x')", "0.5|round|int", "42.5|round(none)", "1e300|round(2)", "'42'|int", "'0x1f'|int(base=16)", "'1f'|int(0, 16)", "'0b11'|int(base=2)", "'abc'|int", "'abc'|int(-1)", "'1_000'|int", "' 7 '|int",
    "'4.9'|int", "4.9|int", "-4.9|int", "'inf'|int", "1e400|int", "none|int", "[]|int", "true|int", "'٣'|int", "'1e3'|int", "'1.5'|float", "'x'|float", "'x'|float(2)", "'nan'|float", "'-inf'|float", "'1e5'|float", "none|float", "3|float",
    "'  1.5 '|float", "'1__0'|float", "'1_0'|float", "0|filesizeformat", "1|filesizeformat", "999|filesizeformat", "1000|filesizeformat", "1500000|filesizeformat", "1024|filesizeformat(true)", "1048576|filesizeformat(true)", "'12000'|filesizeformat",
    "html|e", "html|e|e", "html|e|forceescape", "html|safe", "html|safe|e", "html|e ~ '<'", "html|e + '<'", "'<' + html|e", "(html|e).upper()", "html|e|upper", "'<%s>'|safe % '<'", "'%s' % html|e", "html|e is escaped", "html|striptags", "'<'|e * 2",
    "('<'|safe).join(['<', '>'])", "('a'|safe).replace('a', '<')", "('a'|safe)[0] + '<'", "'{}'|safe|upper", "('{}'|safe).format('<')", "['<'|e]", "s|safe|length", "s|urlencode", "'a b/ü?&='|urlencode", "{'a b': 'ü/', 'c': 1}|urlencode", "pairs|urlencode", "n|urlencode",
    "{'class': 'a\"b', 'id': none, 'x': missing}|xmlattr", "{'a': 1}|xmlattr(false)", "{'a b': 1}|xmlattr", "'foo bar baz qux'|truncate(9)", "'foo bar baz qux'|truncate(11, false, '...', 0)", "'foo bar'|truncate(2)", "'foobarbazqux'|truncate(6, leeway=0)",
    "'a b c d e f'|wordwrap(5)", "'abcdefghij'|wordwrap(4)", "'abcdefghij kl'|wordwrap(4, false)", "'a\\nb c'|wordwrap(3, wrapstring='|')", "'  lead  in  '|wordwrap(6)", "ml|indent", "ml|indent(2, true, true)", "''|indent", "'a\\n'|indent", "n|indent", "'a\\n\\nb'|indent(2, blank=true)",
    "'hello-world (foo) [bar] it\\'s'|title", "'hello-world it\\'s'.title()", "'éa ßb'|title", "'HELLO'|capitalize", "'a_b c-d'|wordcount", "''|wordcount", "none|upper", "42|upper", "none|trim", "l|upper", "missing|upper", "missing|trim", "missing|join", "missing|list", "missing|sum",
    "missing|first", "missing|last", "missing|int", "missing|float", "missing|tojson", "missing|default('x')", "missing|replace('a', 'b')", "missing|sort", "missing|unique|list", "missing|map('upper')|list", "missing|items|list", "missing|abs", "missing|round", "missing|reverse|list",
    "missing|string", "missing|e", "missing|truncate", "missing|indent", "missing|center(4)~'|'", "missing|groupby('x')", "missing|dictsort", "missing|batch(2)|list", "missing|urlencode", "missing|wordcount", "missing|min", "missing|attr('x')", "missing|format", "missing|length",
    "d|items|list", "l|items|list", "l|items|first", "d|attr('b')", "d|attr('items')", "s|attr('upper')", "d|attr('__class__')", "d|attr(1)", "''|default('x')", "''|default('x', true)", "none|default('x')", "none|default('x', boolean=true)", "missing|default", "missing|d('e')",
    # JSON.
    "d|tojson", "mixed|tojson", "nested|tojson(indent=2)", "mixed|tojson(indent=0)", "d|tojson(indent='\\t')", "d|tojson(ensure_ascii=true)", "uni|tojson(ensure_ascii=true)", "d|tojson(separators=(',', ':'))", "d|tojson(sort_keys=true)", "{2: 1, 'a': 2}|tojson(sort_keys=true)",
    "{1: 'a', none: 'b', true: 'c', 2.5: 'd'}|tojson", "{(1, 2): 3}|tojson", "html|tojson", "'\\x00\\x1f\\x7f\\u2028\\\\\"/'|tojson", "(1, 2)|tojson", "range(2)|tojson", "1e16|tojson", "1e400|tojson", "(1e400 - 1e400)|tojson", "[]|tojson(indent=4)", "{}|tojson(indent=4)",
    "[[], {}, [1]]|tojson(indent=1)", "d.items()|tojson", "namespace(a=1)|tojson", "nil|tojson", "s|tojson|tojson", "d|tojson(4)", "d|tojson(true)", "d|tojson(false, 2)", "d|tojson(nope=1)", "1.0|tojson", "0.1|tojson", "people|tojson", "d|tojson(separators=('|', '='), indent=1)",
    # Tests.
    "1 is odd", "2 is even", "9 is divisibleby 3", "9 is divisibleby(4)", "1 is not odd", "s is string and n is number", "n is none or true", "missing is not defined", "1 is sameas 1", "none is sameas none", "l is sameas l", "1 is in [1, 2]", "'a' is in 'abc'", "1 is not in [1]",
    "1 is eq 1", "1 is ==(1)", "2 is gt 1", "'upper' is filter", "'nope' is filter", "'odd' is test", "'x' is test", "s is nope", "'a' is odd", "s is lower", "'' is lower", "'A1' is upper", "1 is defined is true", "not 1 is odd", "(1 is odd) is true", "d is mapping and d is iterable",
    "namespace(a=1).a", "namespace(a=1)['a']", "namespace(a=1).b", "namespace({'a': 1}, b=2).b", "namespace(items=3).items", "'a' in namespace(a=1)", "namespace(a=1)|list", "cycler(1, 2).next()", "cycler(1, 2).current", "cycler()", "joiner('|')() ~ joiner('|')()", "joiner(1)",
    "raise_exception('no')", "raise_exception()", "strftime_now('%Y-%m-%d %H:%M:%S')", "strftime_now('%d %b %Y|%A, %B %-d|%j|%y|%I:%M %p|%e|%U|%W|%V|%u|%w|%D|%F|%T|%R|%c|%x|%X|%Z|%z|%%|%h|%C|%G|%n|%f')", "strftime_now(1)", "lipsum is defined", "self is defined", "caller is defined", "loop is defined",
    "{'a': 1}.a", "[1, 2][0]", "'abc'[1]", "(1, 2).0", "{'a': {'b': 2}}['a'].b", "'x'.join(['a', 'b'])", "['a', 'b']|join('x')", "[1, 2] is iterable", "' a '|trim|length", "'a'|upper|lower|capitalize", "(1, 2)|join", "'a' if s is string else 'b'", "['a' if 1 else 'b', 'c']", "s.split(', ')[1][::-1]",
    "dict(**{'a': 1})", "dict(*[pairs])", "range(*[1, 4])|list", "namespace(**d)", "dict(a=1, **{'a': 2})", "range(**{'stop': 2})", "s.upper(**{})", "s.split(*[','])", "dict(**1)", "dict(*1)", "'%s' % (missing,)", "{'a': missing}", "{missing: 1}", "[missing, missing]|unique|list|length",
]
EXPRESSIONS += [f"{text}.{method}" if "'" != text[0] else f"({text}).{method}" for text in _TEXTS for method in _METHODS]
EXPRESSIONS += [f"({on}|{f})|list" if f in _LISTING else f"({on})|{f}" for on in _ON for f in _FILTERS if f != "random"]
EXPRESSIONS += [f"({on}) is {test}" for on in _TESTED for test in _TESTS]
EXPRESSIONS += [f"{a} {op} {b}" for op in _OPERATORS for a in _VALUES for b in _VALUES]

TEMPLATES = [
    # White space.
    "a\n{% if 1 %}\nb\n{% endif %}\nc\n", "a\n  {% if 1 %}  \n  b\n  {% endif %}\nc\n\n", "a {%- if 1 %} b {% endif -%} c", "a\n  {%+ if 1 %}\nb{% endif +%}\nc", "  {{ 1 }}  \n  {{- 2 -}}  \n 3", "{#- c -#} x {# y #}\nz\n  {# w #}\n  v", "{# a\n{{ b }} #}c",
    "a{% raw %} {{ x }} {% y %} {% endraw %}b", "a\n  {% raw %}\n  {{ x }}\n  {% endraw %}\nb", "a {%- raw -%} x {%- endraw -%} b", "{% raw -%}\n x\n{%- endraw %}", "x\r\ny\rz\n", "x\n\n", "\n", "\n\n", "", "{{ 1 }}\n", "{% set x = 1 %}\n\n{{ x }}", "{{ 'a\r\nb' }}", "{% if 1 -%}\n  a\n{%- endif %}\n b", "a\n\t {%- if 1 %}b{% endif %}",
    "{{-1}}", "{{+1}}", "{{- -1}}", "{%if 1%}a{%endif%}", "{% if 1 %}{{ {'a': {'b': 1}}.a.b }}{% endif %}", "{{ '}}' }}{{ '%}' }}", "{{ \"{{\" }}", "{ { } }", "{{ {} }}", "a{%\nif 1\n%}b{%\nendif\n%}c", "{% if 1 %}\n\n\na{% endif %}", "é{# ü #}ñ\n", "x{% print 1, 'a' %}y", "{% print 1 %}\n{% print %}z",
    # Mistakes.
    "{% if 1 %}", "{% endif %}", "{{ 1", "{% for x in %}{% endfor %}", "{{ }}", "{% if %}{% endif %}", "{% nope %}", "{{ 1 + }}", "{{ [1 }}", "{{ (1] }}", "{{ 'a }}", "{# a", "{% raw %}a", "{{ a b }}", "{% set %}", "{% set 1 = 2 %}", "{% set none = 2 %}", "{{ .x }}", "{{ $x }}", "{{ x! }}", "{% for x in l %}{% else %}{% else %}{% endfor %}", "{% macro %}{% endmacro %}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(a, a) %}{% endmacro %}", "{{ f(a=1, 2) }}", "{{ f(a=1, a=2) }}", "{{ f(**a, *b) }}", "{% break %}", "{% continue %}", "{% for loop in l %}{% endfor %}", "{% for x in l %}{% set loop = 1 %}{% endfor %}", "{% do 1 %}", "{% trans %}x{% endtrans %}", "{{ x|nope }}", "{% if 0 %}{{ x|nope }}{% endif %}ok", "{% if 1 %}{{ x|nope }}{% endif %}",
    "{{ 1 if 1 else x|nope }}", "{% if 0 %}{% for a in l %}{{ x|nope }}{% endfor %}{% endif %}", "{% filter nope %}{% endfilter %}", "{{ x is nope }}", "{% macro m() %}{{ x|nope }}{% endmacro %}", "{{ a..b }}", "{% call s %}{% endcall %}", "{% elif %}", "{% if 1 %}{% elif 1 %}{% else %}{% elif 1 %}{% endif %}", "{{ a.'b' }}", "{{ 1 is }}", "{{ 1 is odd is even }}", "{% set ns.x = 1 %}", "{% set s.x = 1 %}",
    # Conditions and assignments.
    "{% if 0 %}a{% elif '' %}b{% elif none %}c{% else %}d{% endif %}", "{% if missing %}a{% endif %}b", "{% set x = 1 %}{% if 1 %}{% set x = 2 %}{% endif %}{{ x }}", "{% if 0 %}{% set x = 2 %}{% endif %}{{ x is defined }}", "{% if 0 %}{% set n = 2 %}{% endif %}{{ n }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set (a, b), c = [1, 2], 3 %}{{ a }}{{ b }}{{ c }}", "{% set a, b = [1] %}",
    "{% set a, b = 'xyz' %}", "{% set a, b = 1 %}", "{% set a, b = missing %}", "{% set x %}a{{ n }}b{% endset %}[{{ x }}]", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}abc{% endset %}{{ x }}", "{% set x %}\n a \n{% endset %}[{{ x }}]", "{% set x %}{% set y = 1 %}{% endset %}{{ y is defined }}", "{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{% set ns.b = 3 %}{{ ns.a }}{{ ns.b }}{{ ns }}",
    "{% set ns = namespace() %}{% for x in l %}{% set ns.t = (ns.t or 0) + x %}{% endfor %}{{ ns.t }}", "{% set ns = namespace(a=0) %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace(a=0) %}{% set ns.a %}x{% endset %}{{ ns.a }}", "{% set x = 1 %}{% for i in l %}{% set x = i %}{% endfor %}{{ x }}", "{% set x = 0 %}{% for i in l %}{{ x }}{% set x = i %}{{ x }}{% endfor %}{{ x }}",
    "{% for i in l %}{{ y is defined }}{% set y = i %}{% endfor %}", "{% for i in range(3) %}{% if i == 1 %}{% set n = i %}{% endif %}{{ n }}{% endfor %}{{ n }}", "{% for i in range(2) %}{{ bos_token }}{% endfor %}{% set bos_token = 'x' %}{{ bos_token }}", "{{ n }}{% set n = 1 %}{{ n }}", "{% set n = n + 1 %}{{ n }}", "{% for i in range(2) %}{% set n = n + 1 %}{{ n }}{% endfor %}{{ n }}", "{% set x = x %}{{ x }}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}", "{% with a, b = pairs[0] %}{{ a }}{{ b }}{% endwith %}", "{% autoescape false %}{{ html }}{% set z = 1 %}{% endautoescape %}{{ z is defined }}", "{% filter upper %}a{{ s }}{% set q = 1 %}{% endfilter %}{{ q is defined }}",
    "{% filter replace('a', 'b')|upper %}banana{% endfilter %}", "{% filter trim %}  x  {% endfilter %}|", "{% set x = 1 if missing %}{{ x is defined }}[{{ x }}]", "{% set x = [1, 2] %}{% set x = x + [3] %}{{ x }}", "{% set x = 1, 2 %}{{ x }}", "{% if l %}y{% endif %}{% if not l %}n{% endif %}{% if l and d %}b{% endif %}", "{% if x is defined and x.y %}a{% else %}b{% endif %}", "{% if messages[0]['role'] == 'user' and messages|length > 0 %}ok{% endif %}",
    # Loops.
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}", "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }}{% endfor %}", "{% for x in l %}{{ loop.cycle() }}{% endfor %}", "{% for x in l %}{{ loop }}{% endfor %}", "{% for x in [] %}a{% else %}b{% endfor %}", "{% for x in missing %}a{% else %}b{% endfor %}", "{% for x in nil %}a{% else %}b{% endfor %}", "{% for x in n %}a{% endfor %}", "{% for x in 'abc' %}{{ x }}-{% endfor %}", "{% for k in d %}{{ k }} {% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }} {% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }} {% endfor %}", "{% for k, v in d|items %}{{ k }}={{ v }},{% endfor %}", "{% for a, b in l %}{% endfor %}", "{% for a, b in ['xy', 'zw'] %}{{ a }}{{ b }} {% endfor %}", "{% for (a, b), c in [[[1, 2], 3]] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.length }}{{ loop.last }} {% endfor %}", "{% for x in l if x > 9 %}a{% else %}none{% endfor %}",
    "{% for k, v in pairs if v > 1 %}{{ k }}{{ loop.previtem }}{% endfor %}", "{% for x in l if loop.first %}{% endfor %}", "{% set ns = namespace(s=[]) %}{% for x in [1, 1, 2, 1] if x not in ns.s %}{{ x }}{% set ns.s = ns.s + [x] %}{% endfor %}", "{% set ns = namespace(s=[]) %}{% for x in [1, 1, 2, 1] if x not in ns.s %}{{ x }}{{ loop.last }}{% set ns.s = ns.s + [x] %}{% endfor %}",
    "{% for x in range(6) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in [1] %}{% continue %}{% else %}e{% endfor %}", "{% for x in [1] %}{% break %}{% else %}e{% endfor %}", "{% for x in [1, 2] %}{% if x == 1 %}{% continue %}{% endif %}{% else %}e{% endfor %}", "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}", "{% for x in [] %}{% else %}{% break %}{% endfor %}",
    "{% for x in [1, 2] %}{% for y in [] %}{% else %}{% break %}{% endfor %}{{ x }}{% endfor %}", "{% for x in l %}{% set z %}{% break %}{% endset %}{% endfor %}ok", "{% for n in tree recursive %}{{ n.v }}{% if n.c %}({{ loop(n.c) }}){% endif %}{{ loop.depth }}{% endfor %}", "{% for n in tree recursive %}{{ n.v }}{{ loop(n.c) }}{% else %}e{% endfor %}", "{% for x in l %}{{ loop(l) }}{% endfor %}", "{% for x in l %}{{ x }}{% endfor %}{{ x is defined }}{{ loop is defined }}",
    "{% for x in l %}{% for y in 'ab' %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "{% for x in l %}{% set outer = loop %}{% for y in 'ab' %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{% for x in l|select %}{{ loop.length }}{{ loop.revindex }}{{ x }} {% endfor %}", "{% for x in l|map('string') %}{{ loop.last }}{{ loop.length }} {% endfor %}", "{% for g in people|groupby('age') %}{{ g.grouper }}:{{ g.list|length }} {% endfor %}", "{% for a, b in people|groupby('age') %}{{ a }}{{ b|length }}{% endfor %}",
    "{% for x in range(3)|reverse %}{{ x }}{% endfor %}", "{% for row in range(5)|batch(2) %}{{ row }}{% endfor %}", "{% for x in (1, 2), (3, 4) %}{{ x }}{% endfor %}", "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for x in l recursive %}{% endfor %}", "{% for x in [3, 1] + [2] %}{{ x }}{% endfor %}", "{% for x in l if x is odd and x > 1 %}{{ x }}{% endfor %}", "{% for x in (l if n else []) %}{{ x }}{% endfor %}", "{% for x in l %}{{ loop.nope is defined }}{{ loop['index'] }}{% endfor %}", "{% for message in messages[::-1] %}{{ message.role }}{% endfor %}",
    "{% set g = l|select %}{{ g|list }}{{ g|list }}", "{% set g = l|map('nofilter') %}ok", "{{ l|select }}", "{% set r = range(3) %}{{ r|list }}{{ r|list }}", "{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{% for x in l %}{{ loop.index }}{% if not loop.last %}, {% endif %}{% endfor %}",
    # Macros.
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m(x) %}[{{ caller() }}|{{ x }}]{% endmacro %}{% call m(1) %}body{{ n }}{% endcall %}", "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b=3, c=4) m() %}{{ a }}{{ b }}{{ c }}{% endcall %}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m(caller=none) %}{{ caller }}{% endmacro %}{{ m() }}", "{% macro m(caller) %}{{ caller }}{% endmacro %}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m() %}{{ n }}{% set n = 1 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}", "{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}", "{% macro m() %}{{ y }}{% endmacro %}{% set y = 2 %}{{ m() }}", "{% macro m() %}{% set z = 1 %}{% endmacro %}{{ m() }}{{ z is defined }}",
    "{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m() %}{{ bos_token }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "{% macro m(a, b='x') %}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}{{ m }}", "{% macro m() %}  a\n  b\n{% endmacro %}[{{ m() }}]", "{% macro m() %}{{ m.x }}{% endmacro %}{{ m() is string }}{{ m()|length }}", "{% macro m(a=[]) %}{{ a }}{% endmacro %}{{ m() }}{{ m(a=1) }}",
    "{% macro m(a) %}{% for x in a %}{{ loop.index }}{{ x }}{% endfor %}{% endmacro %}{{ m(l) }}", "{% for x in l %}{% call(y) m() %}{% endcall %}{% endfor %}", "{% macro m() %}{{ kwargs.a }}{{ kwargs.get('b', 2) }}{% endmacro %}{{ m(a=1) }}", "{% macro m(kwargs) %}{{ kwargs }}{% endmacro %}{{ m(1) }}", "{% macro m(x) %}{{ x|upper }}{% endmacro %}{{ ['a', 'b']|map('upper')|join }}{{ m('c') }}", "{% macro m() %}{% if loop is defined %}L{% else %}N{% endif %}{% endmacro %}{% for x in l %}{{ m() }}{% endfor %}",
    "{% generation %}a{{ n }}{% set q = 1 %}{% endgeneration %}{{ q is defined }}", "a\n{% generation %}\nb\n{% endgeneration %}\nc", "{% for x in l %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}", "{% for x in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}", "{% set ns = namespace(m=1) %}{% macro m() %}{% set ns.m = ns.m + 1 %}{% endmacro %}{{ m() }}{{ m() }}{{ ns.m }}", "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1], **{'b': 2}) }}",
]
