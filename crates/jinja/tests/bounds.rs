//! What a template may not do: hang, fill the memory, or overflow the stack; and what is said of it.

use lantern_jinja::{Error, Kind, Rendered, Template, Value};

fn render(source: &str, context: &[(&'static str, Value)]) -> Result<Rendered, Error> {
    Template::parse(source)?.render(|| Ok(context.to_vec()), 0)
}

/// On a stack as small as a browser's.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn endless_and_huge_templates_are_errors() {
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(90) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s|replace('a', 'aaaaaaaaaa') %}{% endfor %}",
        "{% set ns = namespace(s='a', l=[]) %}{% for i in range(99999) %}{% set ns.l = ns.l + [ns.s * 100000] %}{% endfor %}",
        "{{ 'x' * 99999999999 }}",
        "{{ [1] * 99999999999 }}",
        "{{ 'x'|center(99999999999) }}",
        "{{ 'x'.ljust(9999999999) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '{:9999999999}'.format(1) }}",
        "{{ [0]|batch(9999999999, 1)|list }}",
        "{{ 'a\tb'.expandtabs(9999999999) }}{{ 'a' * 2 ** 126 }}",
        "{{ 2 ** 999999999 }}",
        "{{ '%.999999999f' % 1 }}",
    ] {
        let error = render(source, &[]).unwrap_err();
        assert!(matches!(error.kind, Kind::Limit | Kind::Overflow | Kind::Value), "{source}: {error}");
        assert_eq!(error.line, Some(1), "{source}");
    }
}

#[test]
fn deep_nesting_is_an_error_on_a_small_stack() {
    on_a_small_stack(|| {
        let nested = |open: &str, close: &str| format!("{}{}", open.repeat(5000), close.repeat(5000));
        for source in [
            format!("{{{{ {} }}}}", nested("(", ")")),
            format!("{{{{ {} }}}}", nested("[", "]")),
            format!("{{{{ {}1 }}}}", "-".repeat(5000)),
            format!("{{{{ {}1 }}}}", "not ".repeat(5000)),
            format!("{{{{ 1{} }}}}", " + 1".repeat(5000)),
            format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(5000)),
            format!("{{{{ x{} }}}}", ".x".repeat(5000)),
            format!("{{{{ x{} }}}}", "|upper".repeat(5000)),
            nested("{% if 1 %}", "{% endif %}"),
            nested("{% for x in [1] %}", "{% endfor %}"),
            nested("{% set x %}", "{% endset %}"),
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(),
            "{% macro m(x) %}{{ m([x]) }}{% endmacro %}{{ m(1) }}".into(),
            "{% macro m() %}{% if 1 %}{% for x in [1] %}{{ (m() ~ 'x')|upper }}{% endfor %}{% endif %}{% endmacro %}{{ m() }}".into(),
            "{% macro m() %}{{ caller is defined }}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}".into(),
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}".into(),
            "{% set ns = namespace(x=1) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}".into(),
            "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = ns.x|map('string') %}{% endfor %}{{ ns.x|list }}".into(),
        ] {
            let error = render(&source, &[]).unwrap_err();
            assert_eq!(error.kind, Kind::Limit, "{}: {error}", &source[..source.len().min(60)]);
        }
        // What is as deep as it may be works.
        let deep = |n: usize| format!("{{{{ {}1{} }}}}", "(".repeat(n), ")".repeat(n));
        assert_eq!(render(&deep(90), &[]).unwrap().text, "1");
        let deep = format!("{}x{}", "{% if 1 %}".repeat(90), "{% endif %}".repeat(90));
        assert_eq!(render(&deep, &[]).unwrap().text, "x");
    });
}

#[test]
fn namespaces_that_hold_each_other_are_let_go() {
    on_a_small_stack(|| {
        let chain =
            "{% set ns = namespace(x=1) %}{% for i in range(20000) %}{% set ns.x = namespace(x=ns.x) %}{% endfor %}ok";
        assert_eq!(render(chain, &[]).unwrap().text, "ok");
        assert_eq!(render("{% set ns = namespace() %}{% set ns.x = ns %}ok", &[]).unwrap().text, "ok");
        assert_eq!(
            render("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", &[]).unwrap_err().kind,
            Kind::Unsupported
        );
    });
}

#[test]
fn errors_say_what_and_where() {
    for (source, kind, line, what) in [
        ("a\n{{ x.y.z }}", Kind::Undefined, 2, "'x' is undefined"),
        ("a\n{% for %}", Kind::Syntax, 2, "assign"),
        ("{{ 1 }}\n\n{{ 'a' + 1 }}", Kind::Type, 3, "concatenate str"),
        ("{% if 1 %}\n{{ raise_exception('roles must\n alternate') }}{% endif %}", Kind::Raised, 2, "roles must"),
        ("{{ 1|nope }}", Kind::Syntax, 1, "no filter named 'nope'"),
        ("{{ 1 is nope }}", Kind::Syntax, 1, "no test named 'nope'"),
        ("\n{% include 'x' %}", Kind::Unsupported, 2, "'include'"),
        ("\n{% if 1 %}\n", Kind::Syntax, 2, "to close 'if'"),
        ("{{ [].append(1) }}", Kind::Security, 1, "'append'"),
        ("{{ 'a'.encode() }}", Kind::Unsupported, 1, "str.encode"),
        ("{{ lipsum() }}", Kind::Unsupported, 1, "lipsum"),
        ("{{ '\\N{DASH}' }}", Kind::Unsupported, 1, "by its name"),
    ] {
        let error = render(source, &[]).unwrap_err();
        assert!(error.kind == kind && error.line == Some(line) && error.message.contains(what), "{source}: {error:?}");
    }
}

#[test]
fn what_was_typed_is_known_whatever_becomes_of_it() {
    let typed = |source: &str| {
        let rendered = render(source, &[("q", Value::typed("Ab c")), ("r", Value::text("role"))]).unwrap();
        rendered.typed.iter().map(|range| rendered.text[range.clone()].to_owned()).collect::<Vec<_>>()
    };
    for (source, expected) in [
        ("<{{ q }}>", &["Ab c"][..]),
        ("{{ r ~ q ~ r }}", &["Ab c"]),
        ("{{ q.upper() }}{{ q|lower }}{{ q.title() }}{{ q.swapcase() }}", &["AB Cab cAb CaB C"]),
        ("{{ q[1:] }}|{{ q[::-1] }}|{{ q[0] }}", &["b c", "c bA", "A"]),
        ("{{ q.split() }}", &["Ab", "c"]),
        ("{{ q|tojson }}", &["Ab c"]),
        ("{{ ('\"' ~ q)|tojson(ensure_ascii=true) }}", &["Ab c"]),
        ("{{ '%s|%5s' % (q, q) }}", &["Ab c", "Ab c"]),
        ("{{ '<{:>6}>'.format(q) }}", &["Ab c"]),
        ("{{ q.replace('b', r) }}", &["A", " c"]),
        ("{{ r.replace('o', q) }}", &["Ab c"]),
        ("{{ [q, q]|join('-') }}", &["Ab c", "Ab c"]),
        ("{% for c in q %}{{ c }}.{% endfor %}", &["A", "b", " ", "c"]),
        ("{{ q|length }}{{ q == 'Ab c' }}{{ 'x' if q else 'y' }}", &[]),
        ("{% set x %}({{ q }}){% endset %}{{ x|trim }}", &["Ab c"]),
        ("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(q) }}", &["Ab c"]),
        ("{{ {'k': q} }}{{ {q: 1} }}", &["Ab c", "Ab c"]),
        ("{{ q|e }}{{ q|urlencode }}{{ q|indent(2, true) }}", &["Ab cAb%20c", "Ab c"]),
        ("{{ q|truncate(3, true, '…', 0) }}{{ q|wordwrap(2) }}", &["Ab", "Ab", "c"]),
    ] {
        assert_eq!(typed(source), expected, "{source}");
    }
}
