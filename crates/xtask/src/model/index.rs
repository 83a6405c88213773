//! Where a package's file lies, asked of the package index that this machine's pip is set to.
//!
//! `pip download` itself would begin anew at every call, so pip gives the index's address alone. Every index has a page per
//! package that links its files: <https://packaging.python.org/en/latest/specifications/simple-repository-api/>.

use super::fetch::curl;
use crate::process::output;
use crate::setup;
use anyhow::{Context, Result, bail};

/// Bytes of a package's page at most.
const PAGE: &str = "8000000";

/// The address of a file of a package.
pub fn address(package: &str, file: &str) -> Result<String> {
    address_in(&index()?, package, file)
}

pub fn address_in(index: &str, package: &str, file: &str) -> Result<String> {
    let page = format!("{}/{package}/", index.trim_end_matches('/'));
    let mut curl = curl();
    curl.args([
        "--silent",
        "--max-filesize",
        PAGE,
        "--header",
        "accept: text/html",
        "--write-out",
        "\n%{url_effective}",
    ]);
    let answer = output(curl.args(["--url", &page])).with_context(|| {
        format!("the package index could not be asked for {package}: check the connection, or set PIP_INDEX_URL")
    })?;
    let answer = String::from_utf8_lossy(&answer);
    // After redirections; links are relative to it.
    let (html, page) = answer.rsplit_once('\n').unwrap_or((&answer, &page));
    link(html, page, file).with_context(|| {
        format!("the package index has no {file} on {page}: set PIP_INDEX_URL to an index that has it")
    })
}

/// `PIP_INDEX_URL`, else what pip is set to, else pip's own.
fn index() -> Result<String> {
    if let Some(index) = std::env::var("PIP_INDEX_URL").ok().filter(|index| !index.is_empty()) {
        return Ok(index);
    }
    let mut pip = setup::pip()?;
    // Wide enough that no line is wrapped.
    let help = output(pip.args(["download", "--help"]).env("COLUMNS", "10000"))?;
    let index = default_index(&String::from_utf8_lossy(&help))
        .context("this pip does not say which package index it uses: set PIP_INDEX_URL to its address")?;
    if index.contains("****") {
        bail!(
            "pip's package index takes a password, which pip keeps to itself: set PIP_INDEX_URL to the whole address"
        );
    }
    Ok(index)
}

/// pip's help gives the setting in force as the default of `--index-url`.
fn default_index(help: &str) -> Option<String> {
    let (_, said) = help.split_once("--index-url ")?;
    let (said, _) = said.split_once("--extra-index-url ").unwrap_or((said, ""));
    let (_, index) = said.split_once("(default ")?;
    let (index, _) = index.split_once(')')?;
    Some(index.trim().to_owned()).filter(|index| index.contains("://"))
}

/// The link on a package's page to a file of this name, made absolute.
fn link(html: &str, page: &str, file: &str) -> Option<String> {
    for (at, _) in html.match_indices("href=") {
        let rest = &html[at + "href=".len()..];
        let Some(quote) = rest.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else { continue };
        let Some((href, _)) = rest[1..].split_once(quote) else { continue };
        let href = href.replace("&amp;", "&");
        let href = href.split('#').next().unwrap_or_default();
        let path = href.split('?').next().unwrap_or_default();
        if path.rsplit('/').next() == Some(file) {
            return Some(absolute(href, page));
        }
    }
    None
}

/// curl takes care of `..`.
fn absolute(href: &str, page: &str) -> String {
    let (scheme, rest) = page.split_once("://").unwrap_or(("https", page));
    let host = rest.split('/').next().unwrap_or(rest);
    let folder = page.split('?').next().and_then(|page| page.rsplit_once('/')).map_or(page, |(folder, _)| folder);
    if href.contains("://") {
        href.to_owned()
    } else if let Some(href) = href.strip_prefix("//") {
        format!("{scheme}://{href}")
    } else if href.starts_with('/') {
        format!("{scheme}://{host}{href}")
    } else {
        format!("{folder}/{href}")
    }
}

#[cfg(test)]
mod tests {
    use super::{default_index, link};

    #[test]
    fn pips_help_says_which_index_is_in_force() {
        let help = "  --no-clean   Leave files.\n  -i, --index-url <url>       Base URL of the Python Package Index (default \
                    https://index.example/simple). This should point to a repository.\n  --extra-index-url <url>  Extra (default 1)";
        assert_eq!(default_index(help).as_deref(), Some("https://index.example/simple"));
        assert_eq!(
            default_index("--index-url <url> Base URL.\n --extra-index-url <url> (default http://no.example)"),
            None
        );
        assert_eq!(default_index("Usage: pip"), None);
    }

    #[test]
    fn a_packages_page_may_link_in_every_way_that_html_has() {
        const PAGE: &str = "https://index.example/root/simple/a-model/";
        let found = |href: &str| {
            let html = format!(
                "<a href=\"a-1.tar.gz#sha256=0\">a-1.tar.gz</a><br>\n<a data-x='1'\n href={href} data-yanked>a-1.whl</a>"
            );
            link(&html, PAGE, "a-1.whl")
        };
        let files = "https://files.example/p/a-1.whl";
        assert_eq!(found(&format!("\"{files}#sha256=ab\"")).as_deref(), Some(files));
        assert_eq!(found(&format!("'{files}?a=1&amp;b=2#sha256=ab'")), Some(format!("{files}?a=1&b=2")));
        assert_eq!(found("\"//files.example/p/a-1.whl\"").as_deref(), Some(files));
        assert_eq!(found("\"/p/a-1.whl\"").as_deref(), Some("https://index.example/p/a-1.whl"));
        assert_eq!(
            found("\"../../p/a-1.whl\"").as_deref(),
            Some("https://index.example/root/simple/a-model/../../p/a-1.whl")
        );
        assert_eq!(found("\"https://files.example/p/a-1.whl.metadata\""), None);
    }
}
