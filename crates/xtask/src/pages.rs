//! The site's pages, expanded into `www/`: `pages/` has what each of them says, one frame around all, and one list of the demos, from
//! which come the navigation, the front page's cards and every head. It is done at build: a page is whole for crawlers, for
//! visitors without scripts and in the first paint.

use crate::root;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::Path;

const LIST: &str = "demos.json";
const THEME: &str = "lantern/core/tokens.css";
const NOSCRIPT: &str = "<noscript><p>The model runs in this page's scripts, and scripts are switched off here. Allow them for this page \
                        and reload it.</p></noscript>";
/// Numbers as words, as far as a heading needs them.
const COUNTS: [&str; 13] =
    ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve"];

/// One entry of `demos.json`. The demo's page is `<page>` in `pages/`, its module `lantern/<stem of page>.js` in `www/`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Demo {
    name: String,
    page: String,
    /// A file in `pages/`: an SVG, drawn in the colours of the text around it.
    picture: String,
    /// What it does, for its card and for search engines.
    sentence: String,
    /// What a visitor's line and disk have to do with it.
    size: String,
    /// A visitor may choose a model at any address, and model sites send their files from hosts of many names. Only models come that
    /// way: the engine asks with GET, without a body, and a test watches that nothing typed goes out.
    #[serde(default)]
    any_host: bool,
}

impl Demo {
    fn stem(&self) -> &str {
        self.page.trim_end_matches(".html")
    }
}

/// Brings the pages in `www/` up to date.
pub fn write() -> Result<()> {
    let www = root().join("www");
    for (name, html) in expand(&root())? {
        let path = www.join(name);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&html) {
            std::fs::write(&path, html).with_context(|| format!("could not write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Names and texts of all pages.
fn expand(root: &Path) -> Result<Vec<(String, String)>> {
    let folder = root.join("pages");
    let list = read(&folder.join(LIST))?;
    let demos: Vec<Demo> = serde_json::from_str(&list).with_context(|| format!("pages/{LIST} is no list of demos"))?;
    let mut pages = vec![("index.html".to_owned(), front(&folder, &demos)?)];
    for demo in &demos {
        pages.push((demo.page.clone(), page(&folder, &root.join("www"), demo, &demos)?));
    }
    Ok(pages)
}

fn front(folder: &Path, demos: &[Demo]) -> Result<String> {
    let mut cards = Vec::new();
    for demo in demos {
        let picture = read(&folder.join(&demo.picture))?;
        let (page, name, sentence, size) =
            (escape(&demo.page), escape(&demo.name), escape(&demo.sentence), escape(&demo.size));
        cards.push(format!(
            "<li class=\"card\">\n{}\n<h3><a href=\"{page}\">{name}</a></h3>\n<p>{sentence}</p>\n<p class=\"size\">{size}</p>\n</li>",
            picture.trim_end(),
        ));
    }
    let count = COUNTS.get(demos.len()).map_or_else(|| demos.len().to_string(), |&word| word.to_owned());
    let main = fill(&read(&folder.join("index.html"))?, &[("count", &count), ("cards", &cards.join("\n"))])?;
    framed(
        folder,
        &[
            ("title", "Lantern"),
            ("description", "Neural networks that run inside a web page, on your own device."),
            ("connect", ""),
            ("head", ""),
            ("class", ""),
            ("skip", "content"),
            ("home", " aria-current=\"page\""),
            ("heading", ""),
            ("nav", &navigation(demos, None)),
            ("main", main.trim_end()),
        ],
    )
}

fn page(folder: &Path, www: &Path, demo: &Demo, demos: &[Demo]) -> Result<String> {
    let main = fill(&read(&folder.join(&demo.page))?, &[("noscript", NOSCRIPT)])?;
    let name = escape(&demo.name);
    framed(
        folder,
        &[
            ("title", &format!("{name} · Lantern")),
            ("description", &format!("{} Inside this page, on your own device.", escape(&demo.sentence))),
            ("connect", if demo.any_host { "connect-src 'self' https:; " } else { "" }),
            ("head", &preloads(www, &format!("lantern/{}.js", demo.stem()))?),
            ("class", " class=\"demo\""),
            ("skip", "demo"),
            ("home", ""),
            ("heading", &format!("<h1>{name}</h1>")),
            ("nav", &navigation(demos, Some(&demo.page))),
            ("main", main.trim_end()),
        ],
    )
}

fn framed(folder: &Path, values: &[(&str, &str)]) -> Result<String> {
    fill(&read(&folder.join("frame.html"))?, values)
}

fn navigation(demos: &[Demo], here: Option<&str>) -> String {
    let link = |Demo { page, name, .. }: &Demo| {
        let current = if here == Some(page.as_str()) { " aria-current=\"page\"" } else { "" };
        format!("<a href=\"{}\"{current}>{}</a>", escape(page), escape(name))
    };
    demos.iter().map(link).collect()
}

/// Everything the module imports before it runs, and the styles these modules name, so that none waits for another.
fn preloads(www: &Path, entry: &str) -> Result<String> {
    let mut modules = vec![entry.to_owned()];
    let mut styles: Vec<String> = Vec::new();
    let mut at = 0;
    while at < modules.len() {
        let module = modules[at].clone();
        let text = read(&www.join(&module))?;
        let beside = |path: &str| resolve(&module, path);
        for line in text.lines().filter(|line| !line.trim_start().starts_with(['/', '*'])) {
            for path in line.split('\'').skip(1).step_by(2).filter(|path| path.starts_with('.')) {
                let imports = line.starts_with("import ") || line.starts_with("export ") || line.starts_with("} from ");
                let found = if path.ends_with(".css") { &mut styles } else { &mut modules };
                if (imports || path.ends_with(".css")) && !found.contains(&beside(path)) {
                    found.push(beside(path));
                }
            }
        }
        at += 1;
    }
    // The frame has the theme already.
    let styles = styles
        .iter()
        .filter(|path| *path != THEME)
        .map(|path| format!("<link rel=\"preload\" href=\"{path}\" as=\"style\">"));
    let modules = modules.iter().map(|path| format!("<link rel=\"modulepreload\" href=\"{path}\">"));
    let script = "<script type=\"module\" src=\"demo-page.js\"></script>".to_owned();
    Ok(styles.chain(modules).chain([script]).collect::<Vec<_>>().join("\n    "))
}

/// A path relative to a module, as one relative to the site.
fn resolve(module: &str, path: &str) -> String {
    let mut parts: Vec<&str> = module.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The template with its `{{name}}`s replaced; each must have a value, and each value a place.
fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").context("a `{{` without its `}}`")?;
        let Some((_, value)) = values.iter().find(|(given, _)| *given == name) else {
            bail!("nothing is known for {{{{{name}}}}}");
        };
        filled += before;
        filled += value;
        rest = after;
    }
    Ok(filled + rest)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\u{a0}', "&nbsp;")
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Demo, LIST, expand, fill, front, navigation, resolve};
    use crate::root;

    fn demos() -> Vec<Demo> {
        serde_json::from_str(&std::fs::read_to_string(root().join("pages").join(LIST)).unwrap()).unwrap()
    }

    #[test]
    fn every_page_leads_to_every_demo_and_names_where_one_is() {
        let (demos, pages) = (demos(), expand(&root()).unwrap());
        assert_eq!(pages.len(), demos.len() + 1);
        for (name, html) in &pages {
            for demo in &demos {
                let current = if demo.page == *name { " aria-current=\"page\"" } else { "" };
                assert!(html.contains(&format!("<a href=\"{}\"{current}>{}</a>", demo.page, demo.name)), "{name}");
            }
            assert!(!html.contains("{{"), "{name}");
        }
    }

    #[test]
    fn what_a_page_preloads_is_there_and_is_all_that_it_imports() {
        for (name, html) in expand(&root()).unwrap() {
            let preloads: Vec<&str> =
                html.split("preload\" href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            for path in &preloads {
                assert!(root().join("www").join(path).is_file(), "{name}: {path}");
            }
            if name != "index.html" {
                let stem = name.trim_end_matches(".html");
                for path in [
                    &*format!("lantern/{stem}.js"),
                    &*format!("lantern/{stem}/element.js"),
                    "lantern/core/engine.js",
                    "lantern/core/parts.css",
                ] {
                    assert!(preloads.contains(&path), "{name}: {path}");
                }
                assert!(
                    !preloads.contains(&"lantern/core/worker.js"),
                    "{name}: the Worker's own modules are not the page's"
                );
            }
        }
    }

    #[test]
    fn one_more_entry_is_one_more_link_and_card() {
        let mut demos = demos();
        let more = Demo { name: "Light & <shade>".into(), page: "light.html".into(), ..demos[0].clone() };
        demos.push(more);
        assert!(navigation(&demos, None).ends_with("<a href=\"light.html\">Light &amp; &lt;shade></a>"));
        let html = front(&root().join("pages"), &demos).unwrap();
        assert_eq!(html.matches("<li class=\"card\">").count(), demos.len());
        assert!(html.contains("<h3><a href=\"light.html\">Light &amp; &lt;shade></a></h3>"));
    }

    #[test]
    fn a_template_that_asks_for_what_nobody_gives_is_an_error() {
        assert_eq!(fill("a {{b}} c", &[("b", "{{x}}")]).unwrap(), "a {{x}} c");
        assert!(fill("{{c}}", &[("b", "")]).unwrap_err().to_string().contains("{{c}}"));
        assert!(fill("{{b", &[("b", "")]).is_err());
    }

    #[test]
    fn paths_are_those_of_the_site() {
        assert_eq!(resolve("lantern/chat/element.js", "../core/dom.js"), "lantern/core/dom.js");
        assert_eq!(resolve("lantern/chat.js", "./chat/element.js"), "lantern/chat/element.js");
    }
}
