//! A static server for `www/` on localhost, for development and for the browser tests.

use crate::{root, web};
use anyhow::{Result, anyhow};
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tiny_http::{Header, Request, Response, Server, StatusCode};

const DEFAULT_PORT: u16 = 8017;
/// A page asks for a handful of files at once; a model download must not block them.
const THREADS: usize = 6;

pub fn main(port: Option<u16>) -> Result<()> {
    web::build()?.print();
    let site = match port {
        Some(port) => Site::start(port)?,
        None => Site::start(DEFAULT_PORT).or_else(|_| Site::start(0))?,
    };
    println!(
        "\n  Lantern is at {}\n  Ctrl+C stops it; `cargo xtask build` in another terminal rebuilds the engine.",
        site.url
    );
    for thread in site.threads {
        thread.join().map_err(|_| anyhow!("a server thread panicked"))?;
    }
    Ok(())
}

/// A running server; its threads end with the process.
pub struct Site {
    pub url: String,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Site {
    /// Port 0 takes any free one.
    pub fn start(port: u16) -> Result<Site> {
        let server = Server::http(("127.0.0.1", port)).map_err(|error| anyhow!("port {port} on localhost: {error}"))?;
        let port = server.server_addr().to_ip().map_or(port, |addr| addr.port());
        let server = Arc::new(server);
        let www = root().join("www");
        let threads = (0..THREADS)
            .map(|_| {
                let (server, www) = (server.clone(), www.clone());
                std::thread::spawn(move || {
                    while let Ok(request) = server.recv() {
                        // An error here is a browser that went away in the middle of an answer.
                        let _ = answer(request, &www);
                    }
                })
            })
            .collect();
        Ok(Site { url: format!("http://localhost:{port}/"), threads })
    }
}

fn answer(request: Request, www: &Path) -> std::io::Result<()> {
    let url = request.url().to_owned();
    let path = url.split(['?', '#']).next().unwrap_or("/");
    let Some(mut file) = resolve(www, path) else {
        return request.respond(Response::from_string("not found\n").with_status_code(StatusCode(404)));
    };
    if file.is_dir() {
        if !path.ends_with('/') {
            let to = header("Location", &format!("{path}/"));
            return request.respond(Response::empty(StatusCode(308)).with_header(to));
        }
        file.push("index.html");
    }
    match File::open(&file) {
        Ok(open) => {
            let response = Response::from_file(open)
                .with_header(header("Content-Type", mime(&file)))
                .with_header(header("Cache-Control", "no-cache"));
            request.respond(response)
        }
        Err(_) => request.respond(Response::from_string("not found\n").with_status_code(StatusCode(404))),
    }
}

/// The file a URL path names inside `www`; None for a path that would leave it.
fn resolve(www: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.strip_prefix('/')?);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| www.join(relative))
}

fn header(name: &str, value: &str) -> Header {
    // Both sides are ASCII: names and types are ours, and a path with other bytes is percent-encoded by the browser.
    Header::from_bytes(name, value).unwrap_or_else(|()| unreachable!("{name}: {value} is not ASCII"))
}

/// WebAssembly compiles while it streams only under its own type; modules run only under a JavaScript type.
fn mime(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "md" | "txt" | "ts" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::{mime, resolve};
    use std::path::Path;

    #[test]
    fn a_path_cannot_leave_the_site() {
        let www = Path::new("www");
        assert_eq!(resolve(www, "/lantern/chat.js"), Some("www/lantern/chat.js".into()));
        assert_eq!(resolve(www, "/"), Some("www/".into()));
        for path in ["/../Cargo.toml", "/a/../../b", "//etc/passwd", "no-slash", ""] {
            assert_eq!(resolve(www, path), None, "{path}");
        }
    }

    #[test]
    fn wasm_and_modules_have_the_types_browsers_insist_on() {
        assert_eq!(mime(Path::new("a/lantern_bg.wasm")), "application/wasm");
        assert!(mime(Path::new("lantern.js")).starts_with("text/javascript"));
    }
}
