//! A static server for `www/` on localhost, for development and for the browser tests.

use crate::{pages, root, web};
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use std::path::Path;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

const DEFAULT_PORT: u16 = 8017;

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
    site.runtime.block_on(std::future::pending())
}

/// A running server; it ends when dropped.
pub struct Site {
    pub url: String,
    runtime: Runtime,
}

impl Site {
    /// Port 0 takes any free one.
    pub fn start(port: u16) -> Result<Site> {
        Self::with(port, &[])
    }

    /// The site, and other folders at these paths of it: what only a benchmark's page asks for.
    pub fn with(port: u16, more: &[(&str, &Path)]) -> Result<Site> {
        pages::write()?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_io().build()?;
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", port)))
            .with_context(|| format!("port {port} on localhost"))?;
        let url = format!("http://localhost:{}/", listener.local_addr()?.port());
        runtime.spawn(axum::serve(listener, site(&root().join("www"), more)).into_future());
        Ok(Site { url, runtime })
    }
}

/// Every file is asked for again at each visit, and not sent again when it is the same.
fn site(www: &Path, more: &[(&str, &Path)]) -> Router {
    let header = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    let site = Router::new().fallback_service(ServeDir::new(www));
    more.iter()
        .fold(site, |site, (at, folder)| site.nest_service(at, ServeDir::new(folder)))
        .layer(header(CACHE_CONTROL, "no-cache"))
        // Isolated, so that threads may share memory.
        .layer(header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(header(HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"))
        // A page of another address may still embed what is here, isolated or not.
        .layer(header(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"))
        .layer(middleware::from_fn(fresh))
}

/// A page is expanded anew when it is asked for: what is written in `pages/` is there at the next reload.
async fn fresh(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if (path.ends_with('/') || path.ends_with(".html"))
        && let Err(error) = pages::write()
    {
        eprintln!("error: {error:#}");
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::Site;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// The whole answer to one request, as the browser would get it.
    fn get(site: &Site, path: &str, more: &str) -> String {
        let host = site.url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).expect("the server listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n").expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn pages_modules_and_models_come_with_the_types_browsers_insist_on() {
        let site = Site::start(0).expect("a free port");
        let page = get(&site, "/", "");
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("content-type: text/html"), "{page}");
        assert!(page.contains("cache-control: no-cache"), "{page}");
        assert!(page.contains("cross-origin-opener-policy: same-origin"), "{page}");
        assert!(page.contains("cross-origin-embedder-policy: require-corp"), "{page}");
        let module = get(&site, "/lantern/chat.js", "");
        assert!(module.contains("content-type: text/javascript"), "{module}");
        let model = get(&site, "/models/lantern-chat.q8_0.gguf", "range: bytes=0-3\r\n");
        assert!(model.starts_with("HTTP/1.1 206") && model.ends_with("GGUF"), "{model}");
    }

    #[test]
    fn nothing_outside_the_site_is_served() {
        let site = Site::start(0).expect("a free port");
        for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/lantern/../../Cargo.toml", "/nothing-here"] {
            let answer = get(&site, path, "");
            assert!(!answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
    }
}
